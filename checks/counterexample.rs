//! The shortest way to a broken promise.
//!
//! stateright's searches report whichever path they came by last. This one goes breadth-first and
//! stops at the first state in which the promise does not hold.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use model::properties::Property;
use model::system::{Action, System, SystemState};
use stateright::Model;

use crate::story::{Counterexample, Step};

/// Where a state was first reached from: the parent's fingerprint, and which of its actions.
type Origin = Option<(u64, usize)>;

/// Finds a shortest way to break `promise`; `None` if it always holds.
#[must_use]
pub fn find(system: &System, promise: &Property) -> Option<Counterexample> {
    let path = shortest(system, |state| !promise.holds(state))?;
    let (steps, last) = tell(system, &path);
    let detail = promise.judge(&last).err().map(|violation| violation.detail).unwrap_or_default();
    Some(Counterexample { property: promise.name.to_owned(), detail, staged: 0, steps })
}

/// Finds a shortest path to a state that is `wanted`: which action to take at each state on the
/// way.
pub fn shortest(system: &System, wanted: impl Fn(&SystemState) -> bool) -> Option<Vec<usize>> {
    let hasher = RandomState::new();
    let mut origins: HashMap<u64, Origin> = HashMap::new();
    let mut level = system.init_states();
    origins.extend(level.iter().map(|state| (hasher.hash_one(state), None)));
    while !level.is_empty() {
        let mut next_level = Vec::new();
        for state in &level {
            let fingerprint = hasher.hash_one(state);
            if wanted(state) {
                return Some(path(&origins, fingerprint));
            }
            for (index, next) in successors(system, state) {
                let key = hasher.hash_one(&next);
                if system.within_boundary(&next) && !origins.contains_key(&key) {
                    origins.insert(key, Some((fingerprint, index)));
                    next_level.push(next);
                }
            }
        }
        level = next_level;
    }
    None
}

fn actions(system: &System, state: &SystemState) -> Vec<Action> {
    let mut actions = Vec::new();
    system.actions(state, &mut actions);
    actions
}

fn successors<'a>(
    system: &'a System,
    state: &'a SystemState,
) -> impl Iterator<Item = (usize, SystemState)> + 'a {
    actions(system, state)
        .into_iter()
        .enumerate()
        .filter_map(|(index, action)| Some((index, system.next_state(state, action)?)))
}

/// The actions that lead to a state, by their index at each state on the way.
fn path(origins: &HashMap<u64, Origin>, mut fingerprint: u64) -> Vec<usize> {
    let mut path = Vec::new();
    while let Some(Some((parent, index))) = origins.get(&fingerprint) {
        path.push(*index);
        fingerprint = *parent;
    }
    path.reverse();
    path
}

/// Takes the path again and writes down what happens.
fn tell(system: &System, path: &[usize]) -> (Vec<Step>, SystemState) {
    let mut steps = Vec::new();
    let mut state = system.init_states().swap_remove(0); // A system has one initial state.
    for index in path {
        let action = actions(system, &state).swap_remove(*index);
        let Some(next) = system.next_state(&state, action.clone()) else { continue };
        steps.push(Step::new(system, &state, &action, &next));
        state = next;
    }
    (steps, state)
}
