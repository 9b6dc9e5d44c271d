//! What a search by itself cannot see of dead messages, looked at when it is done.
//!
//! A message that is forgotten is never delivered again, so a rule that is right when it speaks and
//! wrong later would pass. Here every step of every actor that the search has explored is looked at
//! once more: what was dead before it must be dead after it. And of all messages that the rule
//! calls dead in any explored state of their receivers, a sample is delivered, to see that nothing
//! happens.

use rustc_hash::FxHashMap;

use crate::step::{Event, Happening, Reaction};
use crate::store::{Store, lock};
use crate::system::{Checkable, History};

/// So many dead messages are delivered at most, spread evenly over all there are.
const DELIVERIES: usize = 1 << 17;

/// For each cell of an actor, which of the messages to it are dead: a bit each.
type Dead = FxHashMap<u32, Box<[u64]>>;

/// What contradicts the protocol's word, if anything does.
pub(crate) fn contradiction<A: Checkable, C, H: History>(store: &Store<A, C, H>) -> Option<String> {
    let actors = 0..store.actors();
    let parts: Vec<_> = actors.map(|actor| (messages_to(store, actor), actor)).collect();
    let dead: Vec<_> = parts.iter().map(|(messages, actor)| all(store, *actor, messages)).collect();
    revived_by_step(store, &parts, &dead).or_else(|| alive(store, &parts, &dead))
}

fn messages_to<A: Checkable, C, H: History>(store: &Store<A, C, H>, actor: usize) -> Vec<u32> {
    let all = 0..store.messages.len() as u32;
    all.filter(|message| store.messages.get(*message).dst == actor).collect()
}

fn all<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    actor: usize,
    messages: &[u32],
) -> Dead {
    let cells = 0..store.cells.len() as u32;
    let ours = cells.filter(|cell| {
        let cell = store.cells.get(*cell);
        let mut budgets = store.system.budgets.iter().zip(&cell.spent);
        let affordable = budgets.all(|(budget, spent)| *spent <= budget.limit);
        cell.actor == actor && cell.inside && affordable
    });
    let bits = |cell: u32| {
        let mut bits = vec![0; messages.len().div_ceil(64)].into_boxed_slice();
        for (i, message) in messages.iter().enumerate() {
            if store.is_dead(cell, *message) {
                bits[i / 64] |= 1 << (i % 64);
            }
        }
        (cell, bits)
    };
    ours.map(bits).collect()
}

/// A step that gives life back. A step that spends what the rule waits for may: before it, the rule
/// does not hold.
fn revived_by_step<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    parts: &[(Vec<u32>, usize)],
    dead: &[Dead],
) -> Option<String> {
    let waits_for = store.system.dead.as_ref().and_then(|dead| dead.once_spent);
    for ((before, event), reaction) in lock(&store.reactions).iter() {
        let Some(step) = reaction.step() else { continue };
        let after = store.steps[step as usize].next;
        let (old, new) = (store.cells.get(*before), store.cells.get(after));
        let spends = waits_for.is_some_and(|place| old.spent[place] != new.spent[place]);
        let bits = dead[old.actor].get(before).zip(dead[old.actor].get(&after));
        let Some((was, is)) = bits.filter(|_| !spends) else { continue };
        let revived = was.iter().zip(is).enumerate().find(|(_, (was, is))| *was & !*is != 0);
        if let Some((word, (was, is))) = revived {
            let message = parts[old.actor].0[word * 64 + (was & !is).trailing_zeros() as usize];
            return Some(format!(
                "{:?} is said to be dead in {:?}, and not to be any more after {:?}",
                store.envelope(message),
                old.content.state,
                store.action(*event),
            ));
        }
    }
    None
}

/// A message that is said to be dead and does something.
fn alive<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    parts: &[(Vec<u32>, usize)],
    dead: &[Dead],
) -> Option<String> {
    let bits = |bits: &[u64]| bits.iter().map(|word| word.count_ones() as usize).sum::<usize>();
    let total: usize = dead.iter().flat_map(|dead| dead.values()).map(|row| bits(row)).sum();
    let every = total.div_ceil(DELIVERIES).max(1);
    let pairs = dead.iter().zip(parts).flat_map(|(dead, (messages, _))| {
        dead.iter().flat_map(move |(cell, row)| {
            let set = move |i: &usize| row[i / 64] & 1 << (i % 64) != 0;
            (0..messages.len()).filter(set).map(move |i| (*cell, messages[i]))
        })
    });
    for (cell, message) in pairs.step_by(every) {
        let event = Event::new(Happening::Deliver(message));
        if store.bury(cell, event) == Reaction::REVIVED {
            return Some(store.revival(cell, message));
        }
    }
    None
}
