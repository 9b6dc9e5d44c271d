//! Who is who in a world, and what can be seen of each.

use std::collections::BTreeSet;

use model::raft::Role;
use model::types::{NodeId, Term};
use runtime::Metrics;

use super::World;
use super::server::Server;
use super::watch::{Sent, View, lock};

impl World {
    /// All servers.
    #[must_use]
    pub fn servers(&self) -> Vec<NodeId> {
        self.servers.iter().map(|server| server.id).collect()
    }

    /// All servers but these.
    #[must_use]
    pub fn others(&self, than: &[NodeId]) -> Vec<NodeId> {
        self.servers().into_iter().filter(|server| !than.contains(server)).collect()
    }

    /// The servers that keep one log, for each log: in a sharded world first the controller's, then
    /// those of group after group.
    #[must_use]
    pub fn teams(&self) -> Vec<Vec<NodeId>> {
        let teams: BTreeSet<_> = self.servers.iter().map(|server| &server.peers).collect();
        teams.into_iter().map(|peers| peers.iter().collect()).collect()
    }

    /// One of the servers.
    pub fn any(&self, of: &[NodeId]) -> NodeId {
        of[self.below(of.len())]
    }

    /// Whether a server runs.
    #[must_use]
    pub fn is_running(&self, server: NodeId) -> bool {
        self.server(server).is_running()
    }

    /// The servers that run.
    #[must_use]
    pub fn running(&self) -> Vec<NodeId> {
        self.servers().into_iter().filter(|server| self.is_running(*server)).collect()
    }

    /// The servers that reach another.
    #[must_use]
    pub fn connected(&self) -> Vec<NodeId> {
        let connects = |one: &NodeId, other: &NodeId| self.site.network.connects(*one, *other);
        let all = self.servers();
        let reaches = |server: &NodeId| self.others(&[*server]).iter().any(|o| connects(server, o));
        all.into_iter().filter(reaches).collect()
    }

    /// The servers that run and reach a majority of their peers, themselves included.
    #[must_use]
    pub fn able(&self) -> Vec<NodeId> {
        let running = self.running();
        let is_able = |server: &NodeId| {
            let peers = &self.server(*server).peers;
            let connects = |other| self.site.network.connects(*server, other);
            let reached = |other: &NodeId| running.contains(other) && connects(*other);
            peers.iter().filter(reached).count() > peers.len() / 2
        };
        running.iter().copied().filter(is_able).collect()
    }

    /// The leader that a majority follows, once there is one.
    #[must_use]
    pub fn leader(&self) -> NodeId {
        self.leader_of(&self.servers())
    }

    /// The leader that a majority follows at the moment.
    #[must_use]
    pub fn leader_now(&self) -> Option<NodeId> {
        self.leader_now_of(&self.servers())
    }

    /// The leader that a majority of these servers, which keep one log, follows, once there is one.
    #[must_use]
    pub fn leader_of(&self, peers: &[NodeId]) -> NodeId {
        self.eventually("a majority follows one leader", || self.leader_now_of(peers))
    }

    fn leader_now_of(&self, peers: &[NodeId]) -> Option<NodeId> {
        let mut able = self.able();
        able.retain(|server| peers.contains(server));
        let term = able.iter().map(|server| self.term(*server)).max()?;
        let leads = |server: &NodeId| self.leads(*server) && self.term(*server) == term;
        let leader = able.iter().copied().find(leads)?;
        let follows = |server: &&NodeId| {
            self.look(**server, |view| {
                let raft = &view.replica.raft;
                raft.term() == term && raft.role == Role::Follower { leader: Some(leader) }
            })
        };
        let followers = able.iter().filter(follows).count();
        (followers >= peers.len() / 2).then_some(leader)
    }

    /// Whether a server takes itself for a leader.
    #[must_use]
    pub fn leads(&self, server: NodeId) -> bool {
        self.is_running(server) && self.look(server, |view| view.replica.raft.is_leader())
    }

    /// The term a server is in.
    #[must_use]
    pub fn term(&self, server: NodeId) -> Term {
        self.look(server, |view| view.replica.raft.term())
    }

    /// What a server shows of itself.
    pub fn look<T>(&self, server: NodeId, look: impl FnOnce(&View) -> T) -> T {
        look(&lock(&self.server(server).view))
    }

    /// What all servers have sent each other.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.servers().into_iter().fold(Sent::default(), |sum, server| {
            let sent = self.look(server, |view| view.sent);
            Sent {
                requests: sum.requests + sent.requests,
                replies: sum.replies + sent.replies,
                conflicts: sum.conflicts + sent.conflicts,
            }
        })
    }

    /// What a server's runtime counts, in this life.
    #[must_use]
    pub fn metrics(&self, server: NodeId) -> Metrics {
        self.server(server).metrics()
    }

    pub(super) fn server(&self, id: NodeId) -> &Server {
        &self.servers[usize::from(id.0)]
    }
}
