//! Equal futures, equal monitors: by brute force over all short histories and all short futures.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, *};
use crate::history::configuration::Configuration;

/// A cell of three values.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Cell(u8);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Do {
    Read,
    Write(u8),
    /// Adds one, modulo three: what it does depends on where it happens, as with an append.
    Add,
    /// Writes the second if it finds the first.
    Cas(u8, u8),
}

impl Spec for Cell {
    type Op = Do;
    type Output = Option<u8>;

    fn apply(&mut self, op: &Do) -> Option<u8> {
        match op {
            Do::Read => return Some(self.0),
            Do::Write(value) => self.0 = *value,
            Do::Add => self.0 = (self.0 + 1) % 3,
            Do::Cas(expected, new) => {
                if self.0 == *expected {
                    self.0 = *new;
                }
            }
        }
        None
    }

    fn changes_nothing(op: &Do) -> bool {
        matches!(op, Do::Read)
    }
}

/// A configuration as the definition has it: the state, what pending operations will answer, and
/// which abandoned operations, by number, are left.
type Possibility = (u8, BTreeMap<u64, Option<u8>>, BTreeSet<usize>);

/// The set of all configurations, with nothing left out and everything kept.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Naive {
    pending: BTreeMap<u64, Do>,
    abandoned: Vec<Do>,
    possible: BTreeSet<Possibility>,
}

impl Naive {
    fn new() -> Self {
        let possible = BTreeSet::from([(0, BTreeMap::new(), BTreeSet::new())]);
        Self { pending: BTreeMap::new(), abandoned: Vec::new(), possible }
    }

    fn on_event(&mut self, event: &Event<Cell>) {
        match event {
            Call(client, op) => {
                self.pending.insert(*client, op.clone());
            }
            Return(client, output) => {
                self.pending.remove(client);
                self.possible.retain(|(_, done, _)| done.get(client) == Some(output));
                self.map(|(state, mut done, left)| {
                    done.remove(client);
                    (state, done, left)
                });
            }
            Fail(client) => {
                self.pending.remove(client);
                self.possible.retain(|(_, done, _)| !done.contains_key(client));
            }
            Abandon(client) => {
                let number = self.abandoned.len();
                self.abandoned.extend(self.pending.remove(client));
                self.map(|(state, mut done, mut left)| {
                    if done.remove(client).is_none() {
                        left.insert(number);
                    }
                    (state, done, left)
                });
            }
        }
        self.close();
    }

    fn map(&mut self, f: impl FnMut(Possibility) -> Possibility) {
        self.possible = std::mem::take(&mut self.possible).into_iter().map(f).collect();
    }

    fn close(&mut self) {
        let mut open: Vec<_> = self.possible.iter().cloned().collect();
        while let Some((state, done, left)) = open.pop() {
            let mut next = Vec::new();
            for (client, op) in &self.pending {
                if !done.contains_key(client) {
                    let (mut cell, mut done) = (Cell(state), done.clone());
                    done.insert(*client, cell.apply(op));
                    next.push((cell.0, done, left.clone()));
                }
            }
            for number in &left {
                let (mut cell, mut left) = (Cell(state), left.clone());
                cell.apply(&self.abandoned[*number]);
                left.remove(number);
                next.push((cell.0, done.clone(), left));
            }
            open.extend(next.into_iter().filter(|p| self.possible.insert(p.clone())));
        }
    }

    /// The ends that the open operations may come to.
    fn ends(&self) -> Vec<Event<Cell>> {
        let mut events = Vec::new();
        for (&client, op) in &self.pending {
            match op {
                Do::Read => events.extend((0..3).map(|value| Return(client, Some(value)))),
                _ => events.push(Return(client, None)),
            }
            events.push(Fail(client));
        }
        events
    }

    /// The calls that a client may make.
    fn calls<'a>(&self, client: u64, ops: impl IntoIterator<Item = &'a Do>) -> Vec<Event<Cell>> {
        let free = !self.pending.contains_key(&client);
        ops.into_iter().filter(|_| free).map(|op| Call(client, op.clone())).collect()
    }
}

/// All linearizable histories of two clients and so many events, with what both make of them.
fn histories(ops: &[Do], events: usize) -> BTreeSet<(Monitor<Cell>, Naive)> {
    let mut all = BTreeSet::from([(Monitor::new(Cell(0)), Naive::new())]);
    let mut last = all.clone();
    for _ in 0..events {
        let mut next = BTreeSet::new();
        for (monitor, naive) in &last {
            let mut events = naive.ends();
            events.extend(naive.pending.keys().map(|&client| Abandon(client)));
            events.extend([0, 1].into_iter().flat_map(|client| naive.calls(client, ops)));
            for event in events {
                let (mut monitor, mut naive) = (monitor.clone(), naive.clone());
                let _ = monitor.on_event(&event);
                naive.on_event(&event);
                assert_eq!(monitor.is_linearizable(), !naive.possible.is_empty());
                if monitor.is_linearizable() {
                    next.insert((monitor, naive));
                }
            }
        }
        all.extend(next.iter().cloned());
        last = next;
    }
    all
}

/// What may come: who waits for what, and the number of what follows each event, if it can be.
type Future = (BTreeMap<u64, Do>, Vec<Option<usize>>);

/// Numbers the sets of futures of a given length, equal numbers for equal sets. In a future the
/// open operations end, and a third client calls.
struct Futures {
    ops: BTreeSet<Do>,
    numbers: BTreeMap<Future, usize>,
    known: BTreeMap<(Naive, usize), usize>,
}

impl Futures {
    fn number(&mut self, naive: &Naive, length: usize) -> usize {
        if length == 0 {
            return 0;
        }
        let at = (naive.clone(), length);
        if let Some(&number) = self.known.get(&at) {
            return number;
        }
        let mut after = Vec::new();
        for event in [naive.ends(), naive.calls(2, &self.ops)].concat() {
            let mut next = naive.clone();
            next.on_event(&event);
            after.push((!next.possible.is_empty()).then(|| self.number(&next, length - 1)));
        }
        let fresh = self.numbers.len() + 1;
        let number = *self.numbers.entry((naive.pending.clone(), after)).or_insert(fresh);
        self.known.insert(at, number);
        number
    }
}

/// The monitors of all histories, in groups that have the same futures. Panics if a monitor has
/// two different futures.
fn groups(ops: &[Do], past: usize, future: usize) -> Vec<Vec<Monitor<Cell>>> {
    let ops_to_come: BTreeSet<_> = [ops, &[Do::Read, Do::Write(0)]].concat().into_iter().collect();
    let (numbers, known) = (BTreeMap::new(), BTreeMap::new());
    let mut futures = Futures { ops: ops_to_come, numbers, known };
    let mut number_of: BTreeMap<Monitor<Cell>, usize> = BTreeMap::new();
    for (monitor, naive) in histories(ops, past) {
        let number = futures.number(&naive, future);
        assert_eq!(*number_of.entry(monitor).or_insert(number), number, "two futures");
    }
    let mut groups: BTreeMap<usize, Vec<Monitor<Cell>>> = BTreeMap::new();
    for (monitor, number) in number_of {
        groups.entry(number).or_default().push(monitor);
    }
    groups.into_values().collect()
}

#[test]
fn equal_futures_mean_equal_monitors() {
    for (ops, past, future) in [
        (&[Do::Read, Do::Write(1)][..], 6, 10),
        (&[Do::Read, Do::Write(1), Do::Write(2)][..], 5, 10),
        (&[Do::Read, Do::Add][..], 6, 10),
        (&[Do::Write(1), Do::Write(2), Do::Add][..], 5, 10),
    ] {
        let groups = groups(ops, past, future);
        println!("{ops:?}: {} futures", groups.len());
        for group in groups {
            assert_eq!(group.len(), 1, "unequal monitors, equal futures: {group:#?}");
        }
    }
}

/// The limit that [`Monitor`] names. Of an abandoned write and an abandoned `Cas` to the same value
/// one has taken effect: what is left of the latter adds no future, yet is kept.
#[test]
fn an_abandoned_cas_is_kept_beside_a_write_that_could_do_its_work() {
    let events = [
        Call(0, Do::Write(2)),
        Abandon(0),
        Call(0, Do::Cas(0, 2)),
        Abandon(0),
        Call(0, Do::Read),
        Return(0, Some(2)),
    ];
    let monitor = Monitor::of(Cell(0), &events);
    let left = |op| Configuration { adrift: [(op, 1)].into(), ..Configuration::new(Cell(2)) };
    assert_eq!(*monitor.frontier, [left(Do::Write(2)), left(Do::Cas(0, 2))].into());
}
