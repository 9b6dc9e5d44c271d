//! P17: whatever has happened, with faults off the system can still get done.
//!
//! Not a function of a state but of the graph of states: from every state the goal stays within
//! reach. A bounded system needs room for that: [`has_room`] says which states have it.

use crate::node::{self, Node};
use crate::system::{HostState, Scope, Timer};

/// The name of the property.
pub const NAME: &str = "recoverable";

/// What it says.
pub const STATEMENT: &str =
    "P17 From every state, without further faults, a leader can commit its log and serve clients.";

/// Whether everything is done: the newest term's leader has committed its whole log, and, if
/// requests cannot get lost, every client is done.
#[must_use]
pub fn is_done(scope: &Scope, hosts: &[&HostState]) -> bool {
    let newest = super::servers(hosts).map(|(_, server)| server.raft.term()).max();
    let settled = super::servers(hosts).any(|(_, server)| {
        server.raft.is_leader()
            && Some(server.raft.term()) == newest
            && server.raft.commit == server.raft.last().index
    });
    settled && (!requests_stay(scope) || remaining(scope, hosts) == 0)
}

/// Whether the bounds leave room for one more election, the entry that opens its term, and every
/// operation that is not done.
#[must_use]
pub fn has_room(scope: &Scope, hosts: &[&HostState]) -> bool {
    let needed = 1 + if requests_stay(scope) { remaining(scope, hosts) } else { 0 };
    super::servers(hosts).all(|(_, server)| {
        let length = server.raft.last().index.0 as usize;
        server.raft.term() < scope.bounds.max_term && length + needed <= scope.bounds.max_log
    })
}

/// Whether it is a fault that a timer fires.
#[must_use]
pub fn is_fault(timer: &Timer) -> bool {
    match timer {
        Timer::Restart => true,
        Timer::Node(node::Timer::Raft(_) | node::Timer::Client(_)) => false,
    }
}

/// Whether a request stays under way until a leader has carried it out. If not, a client that has
/// used up its retries may wait for ever.
fn requests_stay(scope: &Scope) -> bool {
    scope.reductions.any_server && scope.network == crate::system::NetworkKind::Duplicating
}

/// How many operations are not done.
fn remaining(scope: &Scope, hosts: &[&HostState]) -> usize {
    let all: usize = scope.clients.iter().map(Vec::len).sum();
    let done = |host: &&HostState| match &host.node {
        Node::Client { done, .. } => *done,
        Node::Server(_) => 0,
    };
    all - hosts.iter().map(done).sum::<usize>()
}
