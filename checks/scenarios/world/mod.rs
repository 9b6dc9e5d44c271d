//! A world for scenarios: servers, clients, a network and disks, all in this process.
//!
//! Each server is the real runtime around the real actor, on a [durable journal](runtime::journal)
//! whose disk loses in a crash what it may lose. The network drops, repeats, delays and reorders
//! as told. A scenario speaks of leaders and followers, cuts and crashes; it waits for what must
//! come to pass ([`World::eventually`]) and lets time pass only where that is what it is about
//! ([`World::pass`]).
//!
//! The servers are one group that keeps the whole store, or a controller and several groups that
//! share it ([`World::sharded`]).
//!
//! Whatever the scenario is about, this holds: every step of every server keeps the invariants of
//! its actor and agrees with its peers ([`watch::Ledger`]), all agree on every configuration, and
//! at the end ([`World::finish`]) all servers run, the logs and machines of peers are equal, every
//! shard is served by its owner and held by nobody else, no key is locked, and the history of all
//! clients is linearizable.
//!
//! What is random is drawn from one seed, printed when a scenario fails; `SCENARIO_SEED` sets
//! another. Threads are scheduled as they are, so a seed repeats a scenario's choices, not its run.

mod administrator;
mod clerk;
mod commands;
mod faults;
mod network;
mod server;
mod sharding;
pub mod watch;
mod who;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use model::actor::Timing;
use model::history::{Operation, judge};
use model::raft::Limits;
use model::types::NodeId;
use runtime::cluster::{Cluster, Sharding};
use runtime::rng::Rng;
use runtime::transport::MemoryNet;

pub use administrator::Administrator;
pub use clerk::{Clerk, transaction};
use network::Network;
pub use network::{LATE, lossy};
use server::{Server, Site};
use sharding::in_short;
use watch::{Ledger, lock};

/// No scenario waits longer than this for anything, however busy the processors are.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The peers' limit on one agreement.
pub const AGREEMENT: Duration = Duration::from_secs(10);

/// For scenarios with many elections: as short as threads that share two cores allow.
pub const BRISK: Timing = Timing {
    election: Duration::from_millis(120)..Duration::from_millis(240),
    heartbeat: Duration::from_millis(20),
    retry: Duration::from_millis(250),
    poll: Duration::from_millis(100),
};

/// For scenarios in which leaders are lost by the hundred.
pub const FRANTIC: Timing = Timing {
    election: Duration::from_millis(50)..Duration::from_millis(100),
    heartbeat: Duration::from_millis(10),
    retry: Duration::from_millis(250),
    poll: Duration::from_millis(100),
};

/// For scenarios in which a leader must not be doubted for lack of processor time.
pub const STEADY: Timing = Timing {
    election: Duration::from_millis(1_000)..Duration::from_millis(1_600),
    heartbeat: Duration::from_millis(100),
    retry: Duration::from_millis(250),
    poll: Duration::from_millis(100),
};

/// Servers, clients, a network and disks.
pub struct World {
    site: Site,
    servers: Vec<Server>,
    rng: Mutex<Rng>,
    born: Instant,
    history: Mutex<Vec<Operation>>,
    proposers: AtomicU64,
}

impl World {
    /// So many servers, which start.
    #[must_use]
    pub fn of(servers: u16) -> Self {
        Self::with(servers, BRISK)
    }

    /// So many servers with these timers, which start.
    #[must_use]
    pub fn with(servers: u16, timing: Timing) -> Self {
        Self::sending(servers, timing, Limits::default())
    }

    /// So many servers with these timers, which send no more than this at once, and start.
    #[must_use]
    pub fn sending(servers: u16, timing: Timing, limits: Limits) -> Self {
        Self::begin(servers, None, timing, limits)
    }

    /// A controller and so many groups, of so many servers each, that share a store of so many
    /// shards, and start. No group has joined yet.
    #[must_use]
    pub fn sharded(groups: u16, servers: u16, shards: u16) -> Self {
        Self::sharded_with(groups, servers, shards, BRISK)
    }

    /// The same with these timers.
    #[must_use]
    pub fn sharded_with(groups: u16, servers: u16, shards: u16, timing: Timing) -> Self {
        let sharding = Sharding::even(groups, servers, shards);
        Self::begin(sharding.nodes() as u16, Some(sharding), timing, Limits::default())
    }

    fn begin(servers: u16, sharding: Option<Sharding>, timing: Timing, limits: Limits) -> Self {
        let seed = std::env::var("SCENARIO_SEED").map_or(1, |seed| seed.parse().expect("a number"));
        let addresses: Vec<_> = (0..servers).map(MemoryNet::address).collect();
        let drawn = Cluster::draw(&addresses).expect("a secret");
        let cluster = Cluster { sharding, ..drawn };
        let ids: Vec<_> = cluster.servers().iter().collect();
        let mut ledgers: BTreeMap<_, Arc<Mutex<Ledger>>> = BTreeMap::new();
        let server = |id: &NodeId| {
            let ledger = ledgers.entry(cluster.role(*id).1).or_default();
            Server::new(*id, &cluster, Arc::clone(ledger))
        };
        let servers: Vec<_> = ids.iter().map(server).collect();
        let network = Network::new(&ids);
        let configurations = Arc::default();
        let site = Site { cluster, network, timing, limits, configurations, seed };
        servers.iter().for_each(|server| server.start(&site));
        let world = Self {
            site,
            servers,
            rng: Mutex::new(Rng::seeded(seed)),
            born: Instant::now(),
            history: Mutex::default(),
            proposers: AtomicU64::new(1_000),
        };
        // All servers are needed for that, once: only then may a scenario take any away.
        world.eventually("all groups are founded", || {
            let is_member = |server: &Server| lock(&server.view).replica.raft.members().count() > 0;
            world.servers.iter().all(is_member).then_some(())
        });
        world
    }

    /// A new client.
    pub fn clerk(&self) -> Clerk<'_> {
        Clerk::new(self)
    }

    /// A new client of the controller.
    pub fn administrator(&self) -> Administrator<'_> {
        Administrator::new(self)
    }

    /// All servers heal, run and agree in the end, every shard is where it belongs, no transaction
    /// has left anything, and what the clients saw is linearizable.
    pub fn finish(self) {
        self.calm();
        self.heal();
        self.restart_all();
        self.eventually("all peers are equal, all shards where they belong, all keys free", || {
            (self.is_equal() && self.is_settled() && self.is_idle()).then_some(())
        });
        if let Err(violation) = judge(&lock(&self.history)) {
            panic!("{violation}");
        }
        for server in &self.servers {
            server.stop().unwrap_or_else(|failure| panic!("{}: {failure}", server.id));
        }
    }

    /// Whether every server has committed and applied everything, to the same result as its peers.
    fn is_equal(&self) -> bool {
        self.teams().iter().all(|peers| {
            let views: Vec<_> = peers.iter().map(|peer| lock(&self.server(*peer).view)).collect();
            let first = &views[0].replica;
            views.iter().map(|view| &view.replica).all(|replica| {
                replica.applied == replica.raft.last().index
                    && replica.raft.last() == first.raft.last()
                    && replica.raft.log() == first.raft.log()
                    && replica.machine == first.machine
            })
        })
    }
}

/// Time and chance.
impl World {
    /// Waits until `check` finds something, and gives that.
    ///
    /// # Panics
    /// If it takes longer than [`PATIENCE`], or a server ends that nobody has stopped.
    pub fn eventually<T>(&self, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
        self.within(PATIENCE, &mut check).unwrap_or_else(|| panic!("it never was so that {what}"))
    }

    /// The same, but gives up after `patience`.
    fn within<T>(&self, patience: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        loop {
            let found = check();
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            for server in &self.servers {
                if let Some(failure) = server.failure() {
                    panic!("{}: {failure}", server.id);
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets time pass, in scenarios about the passing of time.
    pub fn pass(&self, time: Duration) {
        thread::sleep(time);
    }

    /// Lets pass in what `times` elections in a row would have to take place.
    pub fn pass_elections(&self, times: u32) {
        self.pass(self.site.timing.election.end * times);
    }

    /// A random number.
    pub fn draw(&self) -> u64 {
        lock(&self.rng).next_u64()
    }

    /// A random number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        lock(&self.rng).index(bound)
    }

    /// Whether something of this probability happens.
    pub fn chance(&self, probability: f64) -> bool {
        lock(&self.rng).chance(probability)
    }

    /// A random duration below `bound`.
    pub fn moment(&self, bound: Duration) -> Duration {
        lock(&self.rng).duration(&(Duration::ZERO..bound))
    }

    /// How long operations have taken that were begun since then, the shortest first.
    pub fn waits(&self, since: Instant) -> Vec<Duration> {
        let since = (since - self.born).as_nanos() as u64;
        let history = lock(&self.history);
        let begun = history.iter().filter(|operation| operation.call >= since);
        let mut waits: Vec<_> = begun.filter_map(|op| Some(op.ret? - op.call)).collect();
        waits.sort_unstable();
        waits.into_iter().map(Duration::from_nanos).collect()
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_nanos() as u64
    }
}

impl Drop for World {
    /// Shows what a failed scenario has left, and stops what still runs.
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("SCENARIO_SEED={} after {:?}", self.site.seed, self.born.elapsed());
            for server in &self.servers {
                let running = if server.is_running() { "" } else { "(crashed) " };
                let view = lock(&server.view);
                let raft = &view.replica.raft;
                let (term, last, commit) = (raft.term(), raft.last(), raft.commit);
                let role = &raft.role;
                let shards = in_short(&view.replica.machine);
                let id = server.id;
                eprintln!("{id} {running}{term} last {last:?} commit {commit} {role:?} {shards}");
            }
        }
        for server in &self.servers {
            // A failure has been reported where it was noticed.
            let _ = server.stop();
        }
    }
}
