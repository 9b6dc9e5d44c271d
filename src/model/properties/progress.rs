//! P17: whatever has happened, with faults off the system can still get done.
//!
//! Not a function of a state but of the graph of states: from every state the goal stays within
//! reach. A bounded system needs room for that: [`has_room`] says which states have it.

use super::{Server, groups};
use crate::node::{self, Node};
use crate::replica::Replica;
use crate::shard::controller::Controller;
use crate::shard::ownership::Ownership;
use crate::system::{HostState, NetworkKind, Scope, Sharding, Timer};

/// The name of the property.
pub const NAME: &str = "recoverable";

/// What it says.
pub const STATEMENT: &str =
    "P17 From every state, without further faults, a leader can commit its log and serve clients.";

/// Whether everything is done: in each group the newest term's leader has committed its whole log,
/// the groups are where the controller is, with all shards in place and no key locked, and, if
/// requests cannot get lost, every client is done.
#[must_use]
pub fn is_done(scope: &Scope, hosts: &[&HostState]) -> bool {
    let groups = groups(hosts);
    let leaders: Vec<_> = groups.values().filter_map(|group| leader(group)).collect();
    let controller = leaders.iter().find_map(|leader| leader.machine.controller());
    let latest = controller.map(Controller::latest);
    let in_place = leaders.iter().filter_map(|leader| leader.machine.shards()).all(|shards| {
        let serving = |(_, now): (_, &Ownership)| matches!(now, Ownership::Serving(_));
        latest == Some(&shards.config)
            && shards.iter().all(serving)
            && shards.transactions.is_idle()
    });
    leaders.len() == groups.len()
        && in_place
        && (!requests_stay(scope) || remaining(scope, hosts) == 0)
}

/// The leader of a group's newest term, if it has committed its whole log.
fn leader<'a>(group: &[Server<'a>]) -> Option<&'a Replica> {
    let newest = group.iter().map(|(_, server)| server.raft.term()).max()?;
    group.iter().map(|(_, server)| *server).find(|server| {
        server.raft.is_leader()
            && server.raft.term() == newest
            && server.raft.commit == server.raft.last().index
    })
}

/// Whether the bounds leave room for one more election, the entry that opens its term, and every
/// operation that is not done. A server that has its group to itself and leads needs no election.
#[must_use]
pub fn has_room(scope: &Scope, hosts: &[&HostState]) -> bool {
    let needed = 1 + if requests_stay(scope) { remaining(scope, hosts) } else { 0 };
    groups(hosts).values().all(|group| {
        group.iter().all(|(_, server)| {
            let length = server.raft.last().index.0 as usize;
            let leads = group.len() == 1 && server.raft.is_leader() && scope.sharding.is_some();
            (leads || server.raft.term() < scope.bounds.max_term)
                && length + needed <= scope.bounds.max_log
        })
    })
}

/// Whether it is a fault that a timer fires.
#[must_use]
pub fn is_fault(timer: &Timer) -> bool {
    match timer {
        Timer::Restart | Timer::LoseDisk => true,
        Timer::Node(
            node::Timer::Announce
            | node::Timer::Raft(_)
            | node::Timer::Poll
            | node::Timer::Client(_),
        ) => false,
    }
}

/// Whether a request stays under way until a leader has carried it out. If not, a client that has
/// used up its retries may wait for ever. In groups of one, whoever is asked leads.
fn requests_stay(scope: &Scope) -> bool {
    let of_one = |sharding: &Sharding| sharding.groups.iter().all(|servers| *servers == 1);
    scope.network == NetworkKind::Duplicating
        && (scope.reductions.any_server || scope.sharding.as_ref().is_some_and(of_one))
}

/// How many operations are not done.
fn remaining(scope: &Scope, hosts: &[&HostState]) -> usize {
    let changes = scope.sharding.as_ref().map_or(0, |sharding| sharding.changes.len());
    let all = changes + scope.clients.iter().map(Vec::len).sum::<usize>();
    let done = |host: &&HostState| match &host.node {
        Node::Client { done, .. } | Node::Administrator { done, .. } => *done,
        Node::Founder(_) | Node::Server(_) => 0,
    };
    all - hosts.iter().map(done).sum::<usize>()
}
