//! A plain breadth-first search over stateright's model: states are compared whole, not by hash.
//!
//! stateright's own search takes states for equal that differ in whose timers are set, and its
//! paths are not the shortest. Its *model* says what a step does: all that is asked of it here.

use std::collections::HashSet;
use std::hash::Hash;

use stateright::Model;

/// What a plain search has seen.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) unique: usize,
    pub(crate) generated: usize,
    pub(crate) levels: usize,
    /// For each predicate, how many steps away the nearest state is in which it is true.
    pub(crate) nearest: Vec<Option<usize>>,
}

/// Judges a state.
pub(crate) type Predicate<'a, S> = Box<dyn Fn(&S) -> bool + 'a>;

/// Searches to the last state, unless there are more than `most`.
pub(crate) fn search<M>(model: &M, wanted: &[Predicate<'_, M::State>], most: usize) -> Option<Seen>
where
    M: Model,
    M::State: Clone + Eq + Hash,
{
    search_from(model, model.init_states(), wanted, most)
}

/// The same, from these states.
pub(crate) fn search_from<M>(
    model: &M,
    mut level: Vec<M::State>,
    wanted: &[Predicate<'_, M::State>],
    most: usize,
) -> Option<Seen>
where
    M: Model,
    M::State: Clone + Eq + Hash,
{
    level.retain(|state| model.within_boundary(state));
    let mut seen: HashSet<M::State> = level.iter().cloned().collect();
    let mut generated = level.len();
    let (mut levels, mut nearest) = (0, vec![None; wanted.len()]);
    while !level.is_empty() {
        for (nearest, wanted) in nearest.iter_mut().zip(wanted) {
            if nearest.is_none() && level.iter().any(wanted) {
                *nearest = Some(levels);
            }
        }
        levels += 1;
        let mut next = Vec::new();
        for state in &level {
            for after in model.next_states(state) {
                if !model.within_boundary(&after) {
                    continue;
                }
                generated += 1;
                if seen.insert(after.clone()) {
                    next.push(after);
                }
            }
        }
        if seen.len() > most {
            return None;
        }
        level = next;
    }
    Some(Seen { unique: seen.len(), generated, levels, nearest })
}

/// All states, unless there are more than `most`.
pub(crate) fn reachable<M>(model: &M, most: usize) -> Option<HashSet<M::State>>
where
    M: Model,
    M::State: Clone + Eq + Hash,
{
    let mut open = model.init_states();
    open.retain(|state| model.within_boundary(state));
    let mut seen: HashSet<M::State> = open.iter().cloned().collect();
    while let Some(state) = open.pop() {
        let after = model.next_states(&state).into_iter();
        for after in after.filter(|after| model.within_boundary(after)) {
            if seen.insert(after.clone()) {
                open.push(after);
            }
        }
        if seen.len() > most {
            return None;
        }
    }
    Some(seen)
}
