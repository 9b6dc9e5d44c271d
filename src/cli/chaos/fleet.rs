//! The servers, and the world that they live in: who is up, and what the network does.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use checks::recorded::logs::Logs;
use model::node::Storage;
use model::raft::Log;
use model::replica::Command;
use model::types::NodeId;
use runtime::cluster::{Cluster, Member};
use runtime::journal::Durable;
use runtime::rng::Rng;
use runtime::transport::{Plan, Tally, Transport, Udp};
use runtime::wal::{Options, RealDisk, Wal};

use super::Trouble;
use super::layout::Layout;
use super::process::{Process, Setup};
use super::raft_group::RaftGroup;
use crate::cli::up::CONFIG;

/// How the servers lay out their logs: in small files, so that a run goes through many of them.
const LOG: Options = Options { segment_bytes: 64 << 10 };

/// How long to wait for a server's port, which someone may have taken while the server was down.
const PORT_PATIENCE: Duration = Duration::from_secs(30);

/// How things are to be. The default is as they should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    /// What the network does.
    pub(super) plan: Plan,
    /// Which servers are dead.
    pub(super) down: BTreeSet<u16>,
    /// Which servers stand still, unless they are dead.
    pub(super) paused: BTreeSet<u16>,
}

/// What a change of the world has done to the servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) killed: BTreeSet<u16>,
    pub(super) paused: BTreeSet<u16>,
}

/// The servers of a cluster, each a process.
pub(super) struct Fleet {
    folder: PathBuf,
    cluster: Cluster,
    groups: Vec<RaftGroup>,
    servers: Vec<Option<Process>>,
    /// Whether there was a first start.
    founded: bool,
    /// What was injected by the processes that are gone.
    past: Tally,
    rng: Rng,
}

impl Fleet {
    /// A cluster with its files in `folder`, all servers down and never started.
    pub(super) fn found(folder: &Path, layout: &Layout, seed: u64) -> io::Result<Self> {
        let config = folder.join(CONFIG);
        let sharding = layout.sharding();
        let drawn = Cluster::draw(&free_addresses(layout.processes())?)?;
        Cluster { sharding, ..drawn }.store(&config).map_err(io::Error::other)?;
        let cluster = Cluster::load(&config).map_err(io::Error::other)?;
        Ok(Self {
            folder: folder.to_owned(),
            groups: RaftGroup::all(&cluster),
            servers: cluster.node.iter().map(|_| None).collect(),
            cluster,
            founded: false,
            past: Tally::default(),
            rng: Rng::seeded(seed),
        })
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Which of the servers keep one log together.
    pub(super) fn groups(&self) -> &[RaftGroup] {
        &self.groups
    }

    /// The group that a server is in.
    pub(super) fn group_of(&self, server: u16) -> &RaftGroup {
        let group = self.groups.iter().find(|group| group.servers.contains(&server));
        group.expect("every server is in a group")
    }

    pub(super) fn size(&self) -> u16 {
        self.servers.len() as u16
    }

    /// Whether the server is there and goes about its work.
    pub(super) fn is_up(&self, server: u16) -> bool {
        self.servers[usize::from(server)].as_ref().is_some_and(|process| !process.is_paused())
    }

    /// What was injected by all servers, as far as they have told.
    pub(super) fn tally(&self) -> Tally {
        self.servers.iter().flatten().fold(self.past, |sum, process| sum + process.tally())
    }

    /// Complains if a server has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Trouble> {
        self.servers.iter_mut().flatten().try_for_each(Process::check)
    }

    /// Makes things as they are to be.
    pub(super) fn become_as(&mut self, world: &World) -> Result<Changes, Trouble> {
        self.check()?;
        let mut changes = Changes::default();
        self.kill(world, &mut changes)?;
        self.start(world)?;
        for (id, process) in (0..).zip(&mut self.servers) {
            let Some(process) = process else { continue };
            let pauses = world.paused.contains(&id);
            if process.is_paused() && !pauses {
                process.resume()?;
            }
            if !process.is_paused() {
                process.plan(&world.plan)?;
            }
            if pauses && !process.is_paused() {
                process.pause()?;
                changes.paused.insert(id);
            }
        }
        Ok(changes)
    }

    /// Kills who is to be down: all at once, and only then waits for their ends.
    fn kill(&mut self, world: &World, changes: &mut Changes) -> Result<(), Trouble> {
        let mut dying = Vec::new();
        for (id, server) in (0..).zip(&mut self.servers) {
            if world.down.contains(&id)
                && let Some(process) = server.take()
            {
                self.past = self.past + process.tally();
                process.kill()?;
                dying.push((id, process));
            }
        }
        for (id, mut process) in dying {
            process.reap()?;
            changes.killed.insert(id);
        }
        Ok(())
    }

    /// Starts who is to be up: all at once, and only then waits until they are ready.
    fn start(&mut self, world: &World) -> Result<(), Trouble> {
        let mut starting = Vec::new();
        for id in 0..self.size() {
            if self.servers[usize::from(id)].is_none() && !world.down.contains(&id) {
                await_port(self.cluster.node[usize::from(id)].address)?;
                let setup = Setup {
                    node: id,
                    config: self.folder.join(CONFIG),
                    log: self.folder.join(format!("n{id}.log")),
                    first_start: !self.founded,
                    segment_bytes: LOG.segment_bytes,
                    seed: self.rng.next_u64(),
                };
                self.servers[usize::from(id)] = Some(Process::start(setup)?);
                starting.push(id);
            }
        }
        for id in starting {
            if let Some(process) = &mut self.servers[usize::from(id)] {
                process.await_ready()?;
            }
        }
        self.founded = true;
        Ok(())
    }

    /// Stops all servers in good order, and reads what they leave behind.
    pub(super) fn stop(&mut self) -> Result<Logs, Trouble> {
        self.check()?;
        for process in self.servers.iter_mut().filter_map(Option::take) {
            self.past = self.past + process.tally();
            process.stop()?;
        }
        let read = |member: &Member| Ok((NodeId(member.id), read_log(member.id, &member.data)?));
        self.cluster.node.iter().map(read).collect()
    }
}

/// The log in a server's data directory.
fn read_log(server: u16, data: &Path) -> Result<Log<Command>, Trouble> {
    let read = || -> Result<Log<Command>, Box<dyn std::error::Error>> {
        let (wal, recovered) = Wal::open(Box::new(RealDisk::open(data)?), LOG)?;
        let storage = Durable::new(wal, Some(&recovered))?.1;
        let member = storage.as_ref().and_then(Storage::member);
        Ok(member.ok_or("it belongs to no group")?.log.clone())
    };
    read().map_err(|error| Trouble::Server(format!("n{server}: its log cannot be read: {error}")))
}

/// Addresses on the loopback interface that nobody has at the moment.
fn free_addresses(count: u16) -> io::Result<Vec<SocketAddr>> {
    let sockets: io::Result<Vec<_>> =
        (0..count).map(|_| Udp::bind((Ipv4Addr::LOCALHOST, 0).into())).collect();
    Ok(sockets?.iter().map(Transport::local).collect())
}

/// Waits until an address can be had.
fn await_port(address: SocketAddr) -> Result<(), Trouble> {
    let deadline = Instant::now() + PORT_PATIENCE;
    loop {
        match Udp::bind(address) {
            Ok(_) => return Ok(()),
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(Trouble::Host(format!("cannot use {address}: {error}"))),
        }
    }
}
