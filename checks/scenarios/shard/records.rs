//! Keys, and what they should hold.

use std::thread;
use std::time::Duration;

use model::kv::command::{Key, Op, Output, Value};

use crate::world::{Clerk, PATIENCE, World};

/// How many clients see to the keys, each to its share of them.
const CLIENTS: usize = 25;

/// How long nothing must come from who should not answer: several times what it takes a client to
/// ask all servers of a group.
const SILENCE: Duration = Duration::from_secs(1);

/// How often each client looks for an answer meanwhile.
const TURNS: u32 = 20;

/// Keys with what they should hold.
pub struct Records<'w> {
    world: &'w World,
    clerks: Vec<Clerk<'w>>,
    expected: Vec<(String, String)>,
}

impl<'w> Records<'w> {
    /// So many keys, evenly over the shards, written with values of at least so many bytes.
    pub fn write(world: &'w World, count: usize, bytes: usize) -> Self {
        let clerks = (0..CLIENTS).map(|_| world.clerk()).collect();
        let value = |number| format!("{number} {}", "v".repeat(bytes));
        let expected = world.keys("record", count).into_iter().zip((0..).map(value)).collect();
        let mut records = Self { world, clerks, expected };
        records.put();
        records
    }

    /// Writes all values.
    fn put(&mut self) {
        self.each(None, |clerk, key, value| clerk.put(key, value));
    }

    /// Gives all keys other values.
    pub fn overwrite(&mut self, mark: &str) {
        self.expected.iter_mut().for_each(|(_, value)| value.insert_str(0, mark));
        self.put();
    }

    /// Appends to all values.
    pub fn append(&mut self, more: &str) {
        self.each(None, appending(more));
    }

    /// Appends to the values in these shards.
    pub fn append_in(&mut self, shards: &[u16], more: &str) {
        self.each(Some(shards), appending(more));
    }

    /// Reads all values.
    pub fn expect(&mut self) {
        self.each(None, |clerk, key, value| assert_eq!(clerk.get(key), *value, "{key}"));
    }

    /// Reads all values, and appends to them.
    pub fn expect_and_append(&mut self, more: &str) {
        self.expect();
        self.append(more);
    }

    /// How many bytes the keys and values have.
    pub fn bytes(&self) -> usize {
        self.expected.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// The keys of this group's shards are answered for, and no others.
    pub fn expect_only_of(&self, group: u16) {
        let owned = self.world.owned_by(group);
        let is_owned = |(key, _): &&(String, String)| owned.contains(&self.world.shard_of(key).0);
        let (own, others): (Vec<_>, Vec<_>) = self.expected.iter().partition(is_owned);
        assert!(!own.is_empty() && !others.is_empty(), "nothing to tell apart");
        let asking = |(key, _): &(String, String)| {
            let mut clerk = self.world.clerk();
            clerk.begin(Op::Get(Key::from(key)));
            clerk
        };
        let mut unanswered: Vec<_> = others.into_iter().map(asking).collect();
        for record in own {
            let answer = Output::Value(Some(Value::from(&record.1)));
            assert_eq!(asking(record).end_within(PATIENCE), Some(answer), "{}", record.0);
        }
        // In turns, so that all go on asking.
        let turn = SILENCE / TURNS / unanswered.len() as u32;
        for _ in 0..TURNS {
            unanswered.iter_mut().for_each(|clerk| assert_eq!(clerk.end_within(turn), None));
        }
        unanswered.iter_mut().for_each(Clerk::give_up);
    }

    /// Does this with all keys, or with those in these shards.
    fn each(
        &mut self,
        shards: Option<&[u16]>,
        act: impl Fn(&mut Clerk<'w>, &str, &mut String) + Sync,
    ) {
        let shard_of = |key: &str| self.world.shard_of(key).0;
        let meant = |key: &str| shards.is_none_or(|shards| shards.contains(&shard_of(key)));
        let mut meant: Vec<_> = self.expected.iter_mut().filter(|(key, _)| meant(key)).collect();
        assert!(!meant.is_empty(), "nothing to do");
        let share = meant.len().div_ceil(CLIENTS);
        thread::scope(|scope| {
            for (clerk, records) in self.clerks.iter_mut().zip(meant.chunks_mut(share)) {
                let act = &act;
                scope.spawn(move || {
                    records.iter_mut().for_each(|(key, value)| act(clerk, key, value));
                });
            }
        });
    }
}

fn appending(more: &str) -> impl Fn(&mut Clerk<'_>, &str, &mut String) + Sync {
    move |clerk, key, value| {
        clerk.append(key, more);
        value.push_str(more);
    }
}
