//! Steps and states in words, for counterexamples and the Explorer.

use std::collections::BTreeSet;
use std::fmt::Write;

use stateright::actor::{ActorModelAction, Id};

use super::{Action, System, SystemState, Timer, name};

/// A step in words.
pub(super) fn action(system: &System, action: &Action) -> String {
    match action {
        ActorModelAction::Deliver { src, dst, msg } => {
            format!("{} → {}  {msg:?}", name(system, *src), name(system, *dst))
        }
        ActorModelAction::Timeout(id, Timer::Node(timer)) => {
            format!("{} {timer:?} timeout", name(system, *id))
        }
        ActorModelAction::Timeout(id, Timer::Restart) => {
            format!("{} crashes and restarts", name(system, *id))
        }
        ActorModelAction::Timeout(id, Timer::LoseDisk) => {
            format!("{} loses its disk and starts with an empty one", name(system, *id))
        }
        ActorModelAction::Drop(_)
        | ActorModelAction::Crash(_)
        | ActorModelAction::Recover(_)
        | ActorModelAction::SelectRandom { .. } => format!("{action:?}"),
    }
}

/// What a step changes: each node that is not as it was, before and after, and what is sent.
pub(super) fn changes(system: &System, before: &SystemState, after: &SystemState) -> String {
    let mut text = String::new();
    for (i, (old, new)) in before.actor_states.iter().zip(&after.actor_states).enumerate() {
        if old != new {
            let node = name(system, Id::from(i));
            let _infallible = writeln!(text, "  {node} was {old:?}\n  {node} is  {new:?}");
        }
    }
    let new = after
        .network
        .iter_deliverable()
        .filter(|envelope| !before.network.iter_deliverable().any(|old| old == *envelope));
    // In an order of its own: that of the network depends on how it came to be.
    let sent: BTreeSet<_> = new
        .map(|envelope| {
            let (src, dst) = (name(system, envelope.src), name(system, envelope.dst));
            format!("  sent {src} → {dst}  {:?}\n", envelope.msg)
        })
        .collect();
    text.extend(sent);
    if before.history != after.history {
        let _infallible = writeln!(text, "  clients have seen {:?}", after.history);
    }
    text
}
