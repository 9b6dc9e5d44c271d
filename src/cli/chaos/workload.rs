//! What the clients ask: few keys, so that they meet, and in every shard one; values that occur
//! once, so that what is read tells who wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use checks::recorded::appends::END;
use model::history::Operation;
use model::kv::command::{Key, Op, Output, Value};
use model::shard::route::shard_of;
use model::types::ShardId;
use runtime::rng::Rng;

/// Keys that are written in every way, at least so many. The first is the hot one.
const REGISTERS: u64 = 5;

/// Keys that are appended to at a time. They are never written otherwise, so that in the end they
/// show every append.
const LOGS: u64 = 2;

/// How long a key is appended to, before another takes its place: it is read whole.
const LOG_SPAN: Duration = Duration::from_secs(1);

/// How many of the operations are on those.
const LOG_SHARE: f64 = 0.4;

/// The keys of a store with so many shards.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Those that are written in every way.
    registers: Vec<Key>,
    /// How many of the operations on those are on the hot one.
    hot_share: f64,
    /// One of them for each shard.
    watched: Vec<Key>,
}

impl Keys {
    pub(super) fn of(shards: u16) -> Self {
        let mut empty: BTreeSet<ShardId> = (0..shards).map(ShardId).collect();
        let (mut registers, mut watched) = (Vec::new(), Vec::new());
        for number in 0.. {
            if number >= REGISTERS && empty.is_empty() {
                break;
            }
            let key = Key::from(format!("register-{number}"));
            let first = empty.remove(&shard_of(&key, shards));
            watched.extend(first.then(|| key.clone()));
            registers.extend((first || number < REGISTERS).then_some(key));
        }
        // While the hot one's shard is on its way the clients are to ask for others, too.
        Self { registers, hot_share: if shards > 1 { 0.2 } else { 0.5 }, watched }
    }

    /// One of each shard.
    pub(super) fn watched(&self) -> &[Key] {
        &self.watched
    }

    /// All that a load of this length may have touched.
    pub(super) fn all(&self, run: Duration) -> Vec<Key> {
        let spans = run.as_millis() / LOG_SPAN.as_millis();
        let logs = (0..=spans).flat_map(|span| (0..LOGS).map(move |log| log_key(log, span)));
        self.registers.iter().cloned().chain(logs).collect()
    }
}

fn log_key(log: u64, span: u128) -> Key {
    Key::from(format!("log-{log}-{span}"))
}

/// Thinks up operations for one client.
pub(super) struct Workload {
    /// Part of every value, and of no other client's.
    name: String,
    written: u64,
    keys: Keys,
    rng: Rng,
    /// What the client believes the registers to hold.
    believed: BTreeMap<Key, Option<Value>>,
}

impl Workload {
    pub(super) fn new(name: String, keys: Keys, rng: Rng) -> Self {
        Self { name, written: 0, keys, rng, believed: BTreeMap::new() }
    }

    /// The next operation of one that only reads, when the run has lasted so long.
    pub(super) fn read(&mut self, elapsed: Duration) -> Op {
        let log = self.rng.chance(LOG_SHARE);
        Op::Get(if log { self.log(elapsed) } else { self.register() })
    }

    /// The next operation of one that does everything.
    pub(super) fn next(&mut self, elapsed: Duration) -> Op {
        if self.rng.chance(LOG_SHARE) {
            let key = self.log(elapsed);
            let reads = self.rng.chance(0.25);
            return if reads { Op::Get(key) } else { Op::Append(key, self.value()) };
        }
        let key = self.register();
        match self.rng.below(10) {
            0..3 => Op::Get(key),
            3..5 => Op::Put(key, self.value()),
            5..8 => {
                let expected = self.believed.get(&key).cloned().flatten();
                Op::Cas { key, expected, new: self.value() }
            }
            8 => Op::Append(key, self.value()),
            _ => Op::Delete(key),
        }
    }

    /// Learns from an operation that has ended.
    pub(super) fn learn(&mut self, operation: &Operation) {
        let Operation { op, output: Some(output), .. } = operation else { return };
        let now = match (op, output) {
            (_, Output::Value(value) | Output::Mismatch(value)) => value.clone(),
            (Op::Put(_, value) | Op::Cas { new: value, .. }, _) => Some(value.clone()),
            (Op::Delete(_), _) => None,
            (Op::Append(..) | Op::Get(_) | Op::Transaction(_), _) => return,
        };
        self.believed.insert(op.key().clone(), now);
    }

    fn log(&mut self, elapsed: Duration) -> Key {
        let span = elapsed.as_millis() / LOG_SPAN.as_millis();
        log_key(self.rng.below(LOGS), span)
    }

    fn register(&mut self) -> Key {
        let hot = self.rng.chance(self.keys.hot_share);
        let registers = &self.keys.registers;
        registers[if hot { 0 } else { self.rng.index(registers.len()) }].clone()
    }

    /// A value that occurs once.
    fn value(&mut self) -> Value {
        self.written += 1;
        Value::from(format!("{}.{}{}", self.name, self.written, char::from(END)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_operation_comes_up_and_every_value_once() {
        let run = Duration::from_secs(3);
        let mut workload = Workload::new("c1".into(), Keys::of(1), Rng::seeded(1));
        let mut values = BTreeSet::new();
        let mut kinds = [0; 5];
        let keys: BTreeSet<Key> = Keys::of(1).all(run).into_iter().collect();
        for moment in 0..3_000 {
            let op = workload.next(Duration::from_millis(moment));
            assert!(keys.contains(op.key()), "{op}");
            assert!(op.value().is_none_or(|value| values.insert(value.clone())), "{op}");
            kinds[match op {
                Op::Get(_) => 0,
                Op::Put(..) => 1,
                Op::Append(..) => 2,
                Op::Cas { .. } => 3,
                Op::Delete(_) => 4,
                Op::Transaction(_) => unreachable!("the load has none"),
            }] += 1;
        }
        assert!(kinds.iter().all(|count| *count > 50), "{kinds:?}");
    }

    #[test]
    fn every_shard_has_a_key() {
        for shards in [1, 2, 16, 100] {
            let keys = Keys::of(shards);
            let watched: BTreeSet<_> =
                keys.watched().iter().map(|key| shard_of(key, shards)).collect();
            assert_eq!(watched.len(), usize::from(shards));
            assert_eq!(keys.watched().len(), usize::from(shards));
            assert!(keys.watched().iter().all(|key| keys.registers.contains(key)));
        }
        assert_eq!(Keys::of(1).registers.len(), 5);
    }

    #[test]
    fn logs_are_only_appended_to_and_read() {
        let mut workload = Workload::new("c1".into(), Keys::of(16), Rng::seeded(1));
        for _ in 0..1_000 {
            let op = workload.next(Duration::ZERO);
            if op.key().starts_with(b"log") {
                assert!(matches!(op, Op::Append(..) | Op::Get(_)), "{op}");
            }
        }
    }
}
