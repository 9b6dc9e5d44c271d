//! The network of a world: who reaches whom, and how well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use model::types::NodeId;
use runtime::transport::{Faults, Faulty, Memory, MemoryNet, Plan};

use super::watch::lock;

/// The first port of a client; servers have their own numbers.
const FIRST_CLIENT_PORT: u16 = 1_000;

/// The network of a world.
pub struct Network {
    net: MemoryNet,
    /// What goes wrong for all alike.
    faults: Faults,
    links: Mutex<Links>,
}

/// Who reaches whom.
#[derive(Default)]
struct Links {
    /// The island each server is on. Those on one island reach each other.
    islands: BTreeMap<NodeId, Island>,
    /// Servers that hear and are not heard.
    mute: BTreeSet<NodeId>,
    /// Pairs between which nothing passes although others reach both, in both orders.
    rifts: BTreeSet<(NodeId, NodeId)>,
    /// The clients, and the servers that each may talk to if not to all.
    clients: BTreeMap<SocketAddr, Option<BTreeSet<NodeId>>>,
    /// Clients that are heard and hear nothing.
    deaf: BTreeSet<SocketAddr>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Island {
    /// With others. Clients reach these.
    Shared(usize),
    /// Alone, reached by nobody.
    Alone,
}

/// How bad a network is while it is bad: the peers' loss, and duplicates besides. Most messages
/// come late, but no later than this.
#[must_use]
pub fn lossy(delay: Duration) -> Plan {
    Plan {
        drop: 0.1,
        duplicate: 0.05,
        reorder: 0.1,
        delay: 0.9,
        delay_by: Duration::ZERO..delay,
        ..Plan::default()
    }
}

/// The delay of the peers' lossy networks.
pub const LATE: Duration = Duration::from_millis(27);

impl Network {
    pub fn new(servers: &[NodeId]) -> Self {
        let islands = servers.iter().map(|server| (*server, Island::Shared(0))).collect();
        let links = Links { islands, ..Links::default() };
        Self { net: MemoryNet::default(), faults: Faults::default(), links: Mutex::new(links) }
    }

    /// A server's port, behind a cable of its own.
    pub fn attach(&self, server: NodeId, cable: Faults, seed: u64) -> Faulty<Faulty<Memory>> {
        let port = Faulty::new(self.net.attach(server.0), cable, seed);
        Faulty::new(port, self.faults.clone(), seed)
    }

    /// A new client's port.
    pub fn attach_client(&self, seed: u64) -> (SocketAddr, Faulty<Memory>) {
        let mut links = lock(&self.links);
        let number = FIRST_CLIENT_PORT + links.clients.len() as u16;
        let address = MemoryNet::address(number);
        links.clients.insert(address, None);
        self.apply(&links);
        (address, Faulty::new(self.net.attach(number), self.faults.clone(), seed))
    }

    /// Makes the network this bad; who reaches whom stays.
    pub fn weather(&self, plan: Plan) {
        let mut current = self.faults.plan();
        let blocked = std::mem::take(&mut current.blocked);
        *current = Plan { blocked, ..plan };
    }

    /// Puts each of these groups of servers on an island of its own.
    pub fn split(&self, groups: &[&[NodeId]]) {
        self.change(|links| {
            for (number, group) in groups.iter().enumerate() {
                for server in *group {
                    links.islands.insert(*server, Island::Shared(number));
                }
            }
        });
    }

    /// Cuts a server off from everybody.
    pub fn cut(&self, server: NodeId) {
        self.change(|links| {
            links.islands.insert(server, Island::Alone);
        });
    }

    /// Puts a server that was cut off back with the others.
    pub fn join(&self, server: NodeId) {
        self.change(|links| {
            links.islands.insert(server, Island::Shared(0));
        });
    }

    /// Lets a server hear everybody and be heard by nobody.
    pub fn mute(&self, server: NodeId) {
        self.change(|links| {
            links.mute.insert(server);
        });
    }

    /// Lets nothing pass between any of these and any of those, nothing else being changed.
    pub fn part(&self, one: &[NodeId], other: &[NodeId]) {
        self.change(|links| {
            let pairs = one.iter().flat_map(|one| other.iter().map(|other| (*one, *other)));
            links.rifts.extend(pairs.flat_map(|(one, other)| [(one, other), (other, one)]));
        });
    }

    /// Lets a client talk to these servers only.
    pub fn confine(&self, client: SocketAddr, servers: &[NodeId]) {
        self.change(|links| {
            links.clients.insert(client, Some(servers.iter().copied().collect()));
        });
    }

    /// Lets a client be heard and hear nothing.
    pub fn deafen(&self, client: SocketAddr) {
        self.change(|links| {
            links.deaf.insert(client);
        });
    }

    /// Lets everybody reach everybody.
    pub fn heal(&self) {
        self.change(|links| {
            links.islands.values_mut().for_each(|island| *island = Island::Shared(0));
            links.clients.values_mut().for_each(|servers| *servers = None);
            links.mute.clear();
            links.rifts.clear();
            links.deaf.clear();
        });
    }

    /// Whether two servers reach each other.
    pub fn connects(&self, one: NodeId, other: NodeId) -> bool {
        let links = lock(&self.links);
        !links.blocks(one, other) && !links.blocks(other, one)
    }

    fn change(&self, change: impl FnOnce(&mut Links)) {
        let mut links = lock(&self.links);
        change(&mut links);
        self.apply(&links);
    }

    fn apply(&self, links: &Links) {
        let mut plan = self.faults.plan();
        plan.blocked.clear();
        for from in links.islands.keys() {
            for to in links.islands.keys().filter(|to| links.blocks(*from, **to)) {
                plan.block(&[MemoryNet::address(from.0)], &[MemoryNet::address(to.0)]);
            }
        }
        for (client, servers) in &links.clients {
            for (server, island) in &links.islands {
                let allowed = servers.as_ref().is_none_or(|servers| servers.contains(server));
                let server = MemoryNet::address(server.0);
                if !allowed || *island == Island::Alone {
                    plan.partition(&[*client], &[server]);
                } else if links.deaf.contains(client) {
                    plan.block(&[server], &[*client]);
                }
            }
        }
    }
}

impl Links {
    fn blocks(&self, from: NodeId, to: NodeId) -> bool {
        let [here, there] = [self.islands[&from], self.islands[&to]];
        let apart = here == Island::Alone || here != there || self.rifts.contains(&(from, to));
        from != to && (apart || self.mute.contains(&from))
    }
}
