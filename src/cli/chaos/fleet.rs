//! The servers, and the world that they live in: who is up, and what the network does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

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
use super::newcomer::{Newcomer, Refused};
use super::process::{Process, Setup};
use super::raft_group::RaftGroup;
use crate::cli::up::CONFIG;

/// How the servers lay out their logs: in small files, so that a run goes through many of them.
const LOG: Options = Options { segment_bytes: 64 << 10 };

/// How long to wait for a server's port, which someone may have taken while the server was down.
const PORT_PATIENCE: Duration = Duration::from_secs(30);

/// When servers die while others start, they do so within this time, in milliseconds: about as long
/// as a start takes.
const WHILE_STARTING: u64 = 60;

/// How things are to be. The default is as they should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    /// What the network does.
    pub(super) plan: Plan,
    /// Which servers are dead.
    pub(super) down: BTreeSet<u16>,
    /// Which of these are killed only while those start that come up.
    pub(super) late: BTreeSet<u16>,
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
    /// Those that have their disks.
    servers: Vec<Option<Process>>,
    /// Those that have lost them.
    newcomers: BTreeMap<u16, Newcomer>,
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
            newcomers: BTreeMap::new(),
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

    /// Whether the server has lost its disk. It is no member of its group any more, and never will
    /// be.
    pub(super) fn has_lost_its_disk(&self, server: u16) -> bool {
        self.newcomers.contains_key(&server)
    }

    /// The members of a group that have their disks, beginning with this one if it is among them.
    pub(super) fn members(&self, group: &RaftGroup, first: u16) -> Vec<u16> {
        let in_turn = group.from(first).into_iter();
        in_turn.filter(|&server| !self.has_lost_its_disk(server)).collect()
    }

    /// The most members with their disks that a group can do without.
    pub(super) fn spare(&self, group: &RaftGroup) -> usize {
        let lost = group.servers.iter().filter(|&&server| self.has_lost_its_disk(server)).count();
        group.minority().saturating_sub(lost)
    }

    /// The end of a server that has lost its disk and was refused.
    pub(super) fn refused(&self, server: u16) -> Option<&Refused> {
        self.newcomers.get(&server)?.refused()
    }

    /// Kills a server, if it is up, and removes its directory.
    pub(super) fn lose_disk(&mut self, server: u16) -> Result<(), Trouble> {
        if let Some(mut process) = self.servers[usize::from(server)].take() {
            self.past = self.past + process.tally();
            process.kill()?;
            process.reap()?;
        }
        fs::remove_dir_all(&self.cluster.node[usize::from(server)].data)?;
        self.newcomers.insert(server, Newcomer::new(&self.folder, server));
        Ok(())
    }

    /// What was injected by all servers, as far as they have told.
    pub(super) fn tally(&self) -> Tally {
        let members = self.servers.iter().flatten().map(Process::tally);
        let newcomers = self.newcomers.values().map(Newcomer::tally);
        members.chain(newcomers).fold(self.past, |sum, tally| sum + tally)
    }

    /// Complains if a server has ended by itself, unless it was refused.
    pub(super) fn check(&mut self) -> Result<(), Trouble> {
        self.servers.iter_mut().flatten().try_for_each(Process::check)?;
        self.newcomers.values_mut().try_for_each(Newcomer::look)
    }

    /// Makes things as they are to be.
    pub(super) fn become_as(&mut self, world: &World) -> Result<Changes, Trouble> {
        self.check()?;
        let mut changes = Changes::default();
        self.kill(&(&world.down - &world.late), &mut changes)?;
        let starting = self.start(world)?;
        if !world.late.is_empty() {
            // Not a wait for anything: the moment is drawn.
            thread::sleep(Duration::from_millis(self.rng.below(WHILE_STARTING)));
            self.kill(&world.late, &mut changes)?;
        }
        self.await_ready(&starting)?;
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
        self.newcomers.values_mut().try_for_each(|newcomer| newcomer.plan(&world.plan))?;
        Ok(changes)
    }

    /// Kills these if they are up: all at once, and only then waits for their ends.
    fn kill(&mut self, down: &BTreeSet<u16>, changes: &mut Changes) -> Result<(), Trouble> {
        let mut dying = Vec::new();
        for (id, server) in (0..).zip(&mut self.servers) {
            if down.contains(&id)
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
        let newcomers = self.newcomers.iter_mut().filter(|(id, _)| down.contains(*id));
        newcomers.map(|(_, newcomer)| newcomer).try_for_each(Newcomer::kill)
    }

    /// Starts who is to be up, all at once. They are not ready yet.
    fn start(&mut self, world: &World) -> Result<Vec<u16>, Trouble> {
        let mut starting = Vec::new();
        for id in (0..self.size()).filter(|id| !world.down.contains(id)) {
            let at = usize::from(id);
            let is_to_come = match self.newcomers.get(&id) {
                None => self.servers[at].is_none(),
                Some(newcomer) => newcomer.is_to_come(),
            };
            if !is_to_come {
                continue;
            }
            let member = &self.cluster.node[at];
            await_port(member.address)?;
            let setup = Setup {
                node: id,
                config: self.folder.join(CONFIG),
                log: self.folder.join(format!("n{id}.log")),
                first_start: !self.founded,
                segment_bytes: LOG.segment_bytes,
                seed: self.rng.next_u64(),
            };
            match self.newcomers.get_mut(&id) {
                None => self.servers[at] = Some(Process::start(setup)?),
                Some(newcomer) => {
                    // One that was killed while it waited has a directory again.
                    let (log, first_start) = (newcomer.log().to_owned(), !member.data.exists());
                    newcomer.start(Setup { log, first_start, ..setup })?;
                }
            }
            starting.push(id);
        }
        Ok(starting)
    }

    /// Waits until these are ready, if they are there.
    fn await_ready(&mut self, starting: &[u16]) -> Result<(), Trouble> {
        for id in starting {
            match (&mut self.servers[usize::from(*id)], self.newcomers.get_mut(id)) {
                (Some(process), _) => process.await_ready()?,
                (None, Some(newcomer)) => newcomer.await_ready()?,
                (None, None) => {}
            }
        }
        self.founded = true;
        Ok(())
    }

    /// Stops all members in good order, and reads what they leave behind; and sees that those that
    /// have lost their disks are gone, and belong to no group.
    pub(super) fn stop(&mut self) -> Result<Logs, Trouble> {
        self.check()?;
        for process in self.servers.iter_mut().filter_map(Option::take) {
            self.past = self.past + process.tally();
            process.stop()?;
        }
        let mut logs = Logs::new();
        for Member { id, data, .. } in &self.cluster.node {
            let finding = |what: &str| Trouble::Server(format!("n{id}: {what}"));
            let log = read_log(*id, data)?;
            match (self.newcomers.get(id), log) {
                (None, Some(log)) => drop(logs.insert(NodeId(*id), log)),
                (None, None) => return Err(finding("it belongs to no group")),
                (Some(newcomer), None) if newcomer.refused().is_some() => {}
                (Some(_), None) => return Err(finding(NOT_REFUSED)),
                (Some(_), Some(_)) => {
                    return Err(finding("it has lost its disk, and has become a member again"));
                }
            }
        }
        Ok(logs)
    }
}

/// What is wrong with a server that has lost its disk, and that nobody tells.
pub(super) const NOT_REFUSED: &str =
    "it has lost its disk and come back under its number, and its group does not refuse it";

/// The log in a server's data directory, if the server is a member of its group.
fn read_log(server: u16, data: &Path) -> Result<Option<Log<Command>>, Trouble> {
    let read = || -> Result<Option<Log<Command>>, Box<dyn std::error::Error>> {
        let (wal, recovered) = Wal::open(Box::new(RealDisk::open(data)?), LOG)?;
        let storage = Durable::new(wal, Some(&recovered))?.1;
        Ok(storage.as_ref().and_then(Storage::member).map(|member| member.log.clone()))
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
