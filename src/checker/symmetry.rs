//! Actors that can be exchanged for each other.

use stateright::actor::Id;

use crate::Checkable;

/// A renaming of actors: a permutation of their indices.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Renaming(Vec<usize>);

impl Renaming {
    /// The renaming that changes nothing among `actors`.
    #[must_use]
    pub fn identity(actors: usize) -> Self {
        Self((0..actors).collect())
    }

    /// The new name of an actor. Names beyond the system's are nobody's and stay.
    #[must_use]
    pub fn of(&self, id: Id) -> Id {
        self.0.get(usize::from(id)).map_or(id, |index| Id::from(*index))
    }

    /// The new index of an actor.
    #[must_use]
    pub fn index(&self, index: usize) -> usize {
        self.0[index]
    }

    /// All renamings that permute the actors within each class and leave all others where they are,
    /// the identity first.
    #[must_use]
    pub fn within(actors: usize, classes: &[Vec<usize>]) -> Vec<Self> {
        let mut all = vec![Self::identity(actors)];
        for class in classes {
            let orders = permutations(class);
            all = all
                .iter()
                .flat_map(|renaming| {
                    orders.iter().map(|order| {
                        let mut renamed = renaming.0.clone();
                        for (from, to) in class.iter().zip(order) {
                            renamed[*from] = *to;
                        }
                        Self(renamed)
                    })
                })
                .collect();
        }
        all
    }
}

/// All orders of `items`, the given one first.
fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (i, first) in items.iter().enumerate() {
        let rest: Vec<_> = [&items[..i], &items[i + 1..]].concat();
        for mut order in permutations(&rest) {
            order.insert(0, *first);
            all.push(order);
        }
    }
    all
}

/// How a system is renamed. For every renaming, step and state: renaming the state and taking the
/// renamed step must be the same as taking the step and renaming the outcome. Of states that differ
/// in names only one is looked at, so bounds and properties must not tell names apart either.
pub trait Symmetry<A: Checkable, H>: Send + Sync {
    /// The renamings: a group, the identity first.
    fn renamings(&self) -> Vec<Renaming>;

    /// An actor's state with all names in it renamed.
    fn state(&self, renaming: &Renaming, state: &A::State) -> A::State;

    /// A message with all names in it renamed.
    fn message(&self, renaming: &Renaming, message: &A::Msg) -> A::Msg;

    /// A storage with all names in it renamed.
    fn storage(&self, renaming: &Renaming, storage: &A::Storage) -> A::Storage;

    /// A timer with all names in it renamed.
    fn timer(&self, _renaming: &Renaming, timer: &A::Timer) -> A::Timer {
        timer.clone()
    }

    /// A random choice with all names in it renamed.
    fn random(&self, _renaming: &Renaming, random: &A::Random) -> A::Random {
        random.clone()
    }

    /// A history with all names in it renamed.
    fn history(&self, renaming: &Renaming, history: &H) -> H;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamings_are_all_permutations_within_the_classes() {
        let all = Renaming::within(6, &[vec![0, 1, 2], vec![4, 5]]);
        assert_eq!(all.len(), 12);
        assert_eq!(all[0], Renaming::identity(6));
        assert!(all.iter().all(|renaming| renaming.index(3) == 3));
        let mut distinct = all.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 12);
    }
}
