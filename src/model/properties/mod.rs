//! What is promised, one named function for each promise.
//!
//! A promise says what it reads ([`Reads`]): one node, two of them, all, a message, what clients
//! have seen. The function gets that and no more, and a checker may evaluate it once for each
//! distinct thing that it reads. A promise about one step of one server (its state before and
//! after) is checked where the step is taken ([`crate::raft::Summary`], [`crate::actor`]) and
//! reported by name. A goal is a state that a check must reach: a check that cannot show what it is
//! about proves nothing.
//!
//! The codes P1 to P24 are those of `docs/checking.md`.

pub mod changes;
pub mod clients;
pub mod goals;
pub mod membership;
pub mod overload_goals;
pub mod progress;
pub mod raft;
pub mod shard_goals;
pub mod shards;
pub mod size_goals;
#[cfg(test)]
mod tests;
pub mod transactions;
mod truth;
pub mod txn_goals;

use std::collections::BTreeMap;
use std::hash::Hasher;

use stateright::actor::Envelope;
use stateright::{Expectation, Model, Property as StaterightProperty};

use crate::replica::{Message, Replica};
use crate::system::{History, HostState, SystemState, messages};
use crate::types::GroupId;
use crate::violation::Violation;

/// A promise or a goal.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name: the paper's, where a paper has one.
    pub name: &'static str,
    /// What it says.
    pub statement: &'static str,
    /// Whether it is a state that must be reached, and not a promise that must be kept.
    pub goal: bool,
    /// What it reads, and the judgement.
    pub reads: Reads,
}

/// Whether what was promised holds, or a goal is reached; if not, why.
pub type Holds = Result<(), Violation>;

/// What a property reads.
#[derive(Clone, Copy, Debug)]
pub enum Reads {
    /// One step of one node: what it broke is noted in the node's state.
    Step(fn(&HostState) -> Holds),
    /// One node.
    Host(fn(&HostState) -> Holds),
    /// Two nodes.
    Pair(fn(&HostState, &HostState) -> Holds),
    /// All nodes, as far as the first function shows them.
    Hosts(View, fn(&[&HostState]) -> Holds),
    /// A message under way and all nodes, as far as the first function shows them. The second says
    /// which messages.
    Message(View, fn(&Message) -> bool, fn(&[&HostState], Envelope<&Message>) -> Holds),
    /// What clients have seen.
    History(fn(&History) -> Holds),
    /// The whole state.
    State(fn(&SystemState) -> Holds),
}

/// Feeds what a property reads of a node to a hasher: equal views, equal judgements.
pub type View = fn(&HostState, &mut dyn Hasher);

/// A server: what the host keeps for it, and its replica.
pub type Server<'a> = (&'a HostState, &'a Replica);

impl Reads {
    /// The word for it in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Step(_) => "step",
            Self::Host(_) | Self::Pair(_) | Self::Hosts(..) | Self::State(_) => "state",
            Self::Message(..) => "message",
            Self::History(_) => "history",
        }
    }
}

impl Property {
    /// The word for it in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.goal { "goal" } else { self.reads.word() }
    }

    /// Whether the property holds in `state`, or the goal is reached there.
    #[must_use]
    pub fn holds(&self, state: &SystemState) -> bool {
        self.judge(state).is_ok()
    }

    /// Whether the property holds in `state`, or the goal is reached there.
    ///
    /// # Errors
    /// What is wrong, or that the goal is not reached.
    pub fn judge(&self, state: &SystemState) -> Holds {
        let hosts: Vec<&HostState> = state.actor_states.iter().map(|host| &**host).collect();
        match self.reads {
            Reads::Step(judge) | Reads::Host(judge) => self.over(hosts.iter().map(|h| judge(h))),
            Reads::Pair(judge) => self.over(hosts.iter().enumerate().flat_map(|(i, first)| {
                hosts[i + 1..].iter().map(move |second| judge(first, second))
            })),
            Reads::Hosts(_, judge) => judge(&hosts),
            Reads::Message(_, concerns, judge) => {
                let concerned = messages(state).filter(|envelope| concerns(envelope.msg));
                self.over(concerned.map(|envelope| judge(&hosts, envelope)))
            }
            Reads::History(judge) => judge(&state.history),
            Reads::State(judge) => judge(state),
        }
    }

    /// A promise is kept by all, a goal reached by one.
    fn over(&self, mut each: impl Iterator<Item = Holds>) -> Holds {
        if !self.goal {
            return each.collect();
        }
        if each.any(|holds| holds.is_ok()) { Ok(()) } else { Err(not_reached(self.name)) }
    }

    /// The same for stateright, where `condition` looks the property up in its model and judges.
    pub(crate) fn to_stateright<M: Model>(
        self,
        condition: fn(&M, &M::State) -> bool,
    ) -> StaterightProperty<M> {
        let expectation = if self.goal { Expectation::Sometimes } else { Expectation::Always };
        StaterightProperty { expectation, name: self.name, condition }
    }
}

fn not_reached(goal: &'static str) -> Violation {
    Violation::new(goal, "is not reached here")
}

/// A promise by what it reads and its function.
macro_rules! promise {
    (@reads Host $name:ident) => {
        $crate::properties::Reads::Host(|host| match $crate::properties::server(host) {
            Some(server) => $name(server),
            None => Ok(()),
        })
    };
    (@reads Pair $name:ident) => {
        $crate::properties::Reads::Pair(|a, b| {
            match ($crate::properties::server(a), $crate::properties::server(b)) {
                (Some(a), Some(b)) if $crate::properties::are_peers(a, b) => $name(a, b),
                _ => Ok(()),
            }
        })
    };
    (@reads History $name:ident) => { $crate::properties::Reads::History($name) };
    (@reads $kind:ident ( $($view:expr),+ ) $name:ident) => {
        $crate::properties::Reads::$kind($($view),+, $name)
    };
    ($kind:ident $(( $($view:expr),+ ))?, $name:ident, $statement:literal) => {
        $crate::properties::Property {
            name: stringify!($name),
            statement: $statement,
            goal: false,
            reads: promise!(@reads $kind $(( $($view),+ ))? $name),
        }
    };
}

/// A promise about steps, by the name under which a broken one is reported.
macro_rules! step {
    ($name:ident, $statement:literal) => {
        $crate::properties::Property {
            name: stringify!($name),
            statement: $statement,
            goal: false,
            reads: $crate::properties::Reads::Step(|host| {
                $crate::properties::kept(host, stringify!($name))
            }),
        }
    };
}

use {promise, step};

/// A host's server, if it is one.
fn server(host: &HostState) -> Option<Server<'_>> {
    host.node.replica().map(|replica| (host, replica))
}

/// The servers among the hosts.
fn servers<'a>(hosts: &'a [&'a HostState]) -> impl Iterator<Item = Server<'a>> + Clone {
    hosts.iter().filter_map(|host| server(host))
}

/// Whether two servers keep the same log.
fn are_peers((_, a): Server<'_>, (_, b): Server<'_>) -> bool {
    a.machine.group() == b.machine.group()
}

/// The servers of each group.
fn groups<'a>(hosts: &'a [&'a HostState]) -> BTreeMap<Option<GroupId>, Vec<Server<'a>>> {
    servers(hosts).fold(BTreeMap::new(), |mut groups, server| {
        groups.entry(server.1.machine.group()).or_insert_with(Vec::new).push(server);
        groups
    })
}

/// Whether a node has not broken the promise `property` at a step.
fn kept(host: &HostState, property: &str) -> Holds {
    match host.violation.as_ref().filter(|violation| violation.property == property) {
        None => Ok(()),
        Some(violation) => Err(violation.clone()),
    }
}

/// Every promise, in the order of the codes.
#[must_use]
pub fn promises() -> Vec<Property> {
    [
        raft::PROMISES,
        membership::PROMISES,
        clients::PROMISES,
        shards::PROMISES,
        transactions::PROMISES,
    ]
    .concat()
}
