//! One server of a world, over all its lives. What ties them together is its disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use model::actor::{NodeActor, Timing};
use model::node::Setup;
use model::raft::{Config, Incarnation, Limits};
use model::replica::{self, Kind, Message};
use model::shard::config::Servers;
use model::types::NodeId;
use runtime::cluster::Cluster;
use runtime::journal::Durable;
use runtime::rng::Rng;
use runtime::server::SCHEMA;
use runtime::transport::Faults;
use runtime::wal::{self, FaultyDisk, MemoryDisk, Operation, Wal};
use runtime::{Endpoint, Failure, Handle, Metrics, Node, Options, threads, wire};

use super::network::Network;
use super::watch::{Configurations, Ledger, Observed, View, lock};

/// Small, so that scenarios cross from one segment of the log to the next.
const SEGMENT: wal::Options = wal::Options { segment_bytes: 128 << 10 };

/// So few, that a shard moves in several parts.
const PART_BYTES: usize = 256;

/// Where servers live: what all of them share.
pub struct Site {
    pub cluster: Cluster,
    pub network: Network,
    pub timing: Timing,
    pub limits: Limits,
    pub configurations: Arc<Mutex<Configurations>>,
    pub seed: u64,
}

/// A server.
pub struct Server {
    pub id: NodeId,
    /// The servers that keep its log, itself included.
    pub peers: Servers,
    pub view: Arc<Mutex<View>>,
    kind: Kind,
    ledger: Arc<Mutex<Ledger>>,
    disk: MemoryDisk,
    lives: AtomicU64,
    life: Mutex<Option<Life>>,
}

/// From a start to the next crash.
struct Life {
    handle: Handle<Message>,
    thread: JoinHandle<Result<(), Failure>>,
    cable: Faults,
    power: wal::Faults,
    /// Whether the power is about to fail, so that the server may end by itself.
    failing: bool,
}

impl Server {
    /// A server of this cluster, with the ledger of its peers.
    pub fn new(id: NodeId, cluster: &Cluster, ledger: Arc<Mutex<Ledger>>) -> Self {
        let (mut kind, peers) = cluster.role(id);
        if let Kind::Group(group) = &mut kind {
            group.part_bytes = PART_BYTES;
        }
        Self {
            id,
            peers,
            view: Arc::new(Mutex::new(View::new(&kind))),
            kind,
            ledger,
            disk: MemoryDisk::new(512),
            lives: AtomicU64::new(0),
            life: Mutex::new(None),
        }
    }

    /// Starts the server from its disk.
    pub fn start(&self, site: &Site) {
        let mut life = lock(&self.life);
        assert!(life.is_none(), "{} runs", self.id);
        let number = self.lives.fetch_add(1, Ordering::Relaxed);
        *life = Some(self.begin(site, number));
    }

    fn begin(&self, site: &Site, number: u64) -> Life {
        let seed = site.seed ^ u64::from(self.id.0) << 32 ^ number << 48;
        let (cable, power) = (Faults::default(), wal::Faults::default());
        let disk = Box::new(FaultyDisk::new(self.disk.attach(), power.clone()));
        let identity = wal::Identity {
            cluster: site.cluster.cluster,
            node: self.id.0.into(),
            incarnation: site.seed ^ u64::from(self.id.0),
        };
        let (wal, recovered) = if number == 0 {
            (Wal::create(disk, identity, SEGMENT).expect("an empty disk"), None)
        } else {
            let (wal, recovered) = Wal::open(disk, SEGMENT).expect("a crash loses no promise");
            (wal, Some(recovered))
        };
        let (journal, storage) =
            Durable::new(wal, recovered.as_ref()).expect("this version wrote it");
        let endpoint = Endpoint::new(
            wire::Identity {
                cluster: identity.cluster,
                id: identity.node,
                incarnation: identity.incarnation,
                schema: SCHEMA,
            },
            site.cluster.secret(),
            site.cluster.limits(),
            site.cluster.addresses(),
            site.network.attach(self.id, cable.clone(), seed),
        );
        let options = Options { rng: Rng::seeded(seed), ..Options::default() };
        let actor = self.actor(site, identity.incarnation);
        let node = Node::new(actor, storage, endpoint, journal, options);
        let handle = node.handle();
        let thread = threads::spawn(&self.id.to_string(), || node.run()).expect("a thread");
        Life { handle, thread, cable, power, failing: false }
    }

    fn actor(&self, site: &Site, incarnation: u64) -> Observed {
        let incarnation = Incarnation(incarnation);
        let raft = Config { id: self.id, incarnation, limits: site.limits };
        let setup = replica::Setup::new(raft, self.kind.clone(), self.peers.iter());
        Observed {
            server: self.id,
            kind: self.kind.clone(),
            actor: NodeActor {
                setup: Setup::Server(setup),
                servers: site.cluster.node.len() as u16,
                timing: site.timing.clone(),
            },
            view: Arc::clone(&self.view),
            ledger: Arc::clone(&self.ledger),
            configurations: Arc::clone(&site.configurations),
        }
    }

    pub fn is_running(&self) -> bool {
        lock(&self.life).as_ref().is_some_and(|life| !life.thread.is_finished())
    }

    /// Controls the server, if it runs.
    pub fn handle(&self) -> Option<Handle<Message>> {
        lock(&self.life).as_ref().map(|life| life.handle.clone())
    }

    pub fn metrics(&self) -> Metrics {
        self.handle().map_or_else(Metrics::default, |handle| handle.metrics())
    }

    /// Lets the power fail at the next write or sync of the disk: the server ends there, with
    /// whatever part of the write the crash that must follow leaves it.
    pub fn fail_power(&self, rng: &mut Rng) {
        if let Some(life) = &mut *lock(&self.life) {
            life.failing = true;
            if rng.chance(0.5) {
                life.power.fail_any(0, wal::Failure::Io);
            } else {
                life.power.fail(Operation::Sync, 0, wal::Failure::Io);
            }
        }
    }

    /// Cuts the power: nothing leaves any more, nothing more becomes durable, and of what was not
    /// yet durable anything may be lost.
    pub fn crash(&self, rng: &mut Rng) {
        if let Some(life) = &*lock(&self.life) {
            life.cable.plan().drop = 1.0;
        }
        self.fail_power(rng);
        let Some(life) = lock(&self.life).take() else { return };
        life.handle.stop();
        match life.end() {
            Ok(()) | Err(Failure::Journal(_)) => {}
            Err(failure) => panic!("{}: {failure}", self.id),
        }
        self.disk.crash(&mut |outcomes| rng.index(outcomes));
    }

    /// Stops the server in good order.
    pub fn stop(&self) -> Result<(), Failure> {
        let Some(life) = lock(&self.life).take() else { return Ok(()) };
        life.handle.stop();
        life.end()
    }

    /// Whether the server has ended although nobody stopped it, and why.
    pub fn failure(&self) -> Option<Failure> {
        let mut life = lock(&self.life);
        let ended = |life: &mut Life| life.thread.is_finished() && !life.failing;
        life.take_if(ended).and_then(|life| life.end().err())
    }
}

impl Life {
    /// Waits for the end. In no life is there a message that can never be sent.
    fn end(self) -> Result<(), Failure> {
        assert_eq!(self.handle.metrics().endpoint.sent.unsendable, 0);
        let panicked = |_| Err(Failure::Panic("its thread".to_owned()));
        self.thread.join().unwrap_or_else(panicked)
    }
}
