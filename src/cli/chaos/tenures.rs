//! Who had each shard, and from when on.

use std::collections::BTreeMap;
use std::ops::Range;

use checks::recorded::Recorded;
use model::shard::route::shard_of;
use model::types::{ConfigNum, GroupId, ShardId};

use super::rest::Sharded;

/// Who had each shard, in order. Times are those of the history.
pub(super) struct Tenures {
    shards: u16,
    of: BTreeMap<ShardId, Vec<Tenure>>,
}

/// The time of one owner.
struct Tenure {
    owner: GroupId,
    since: ConfigNum,
    /// When that was asked for.
    asked: u64,
    /// When the owner had answered an operation.
    arrived: u64,
}

impl Tenures {
    /// What the configurations say, and the operations that were answered.
    pub(super) fn of(history: &[Recorded], sharded: &Sharded) -> Self {
        let shards = sharded.configurations.first().map_or(1, |config| config.assignment.len());
        let mut tenures = Self { shards: shards as u16, of: BTreeMap::new() };
        for (made, before, config) in sharded.steps() {
            for (shard, owner) in config.assignment.iter() {
                let (was, Some(owner)) = (before.assignment.owner(shard), owner) else { continue };
                if was != Some(owner) {
                    // The first owner has nothing to wait for.
                    let arrived = if was.is_none() { made.asked } else { u64::MAX };
                    let tenure = Tenure { owner, since: config.num, asked: made.asked, arrived };
                    tenures.of.entry(shard).or_default().push(tenure);
                }
            }
        }
        for recorded in history {
            tenures.note_arrival(recorded, sharded);
        }
        tenures
    }

    /// Whoever has carried out an operation that was answered has the shard by then, and whoever
    /// had it before had it before.
    fn note_arrival(&mut self, recorded: &Recorded, sharded: &Sharded) {
        let (shard, operation) = (self.shard(recorded), &recorded.operation);
        let carried_out = sharded.since.get(&(operation.client, recorded.number));
        if let (Some(since), Some(answered)) = (carried_out, operation.ret) {
            for tenure in self.of.entry(shard).or_default() {
                if tenure.since <= *since {
                    tenure.arrived = tenure.arrived.min(answered);
                }
            }
        }
    }

    /// The shard that an operation is about.
    pub(super) fn shard(&self, recorded: &Recorded) -> ShardId {
        shard_of(recorded.operation.op.key(), self.shards)
    }

    /// Whether the shard was moving at any time of these: from the moment at which a change was
    /// asked for that gave it to another group, until that had answered an operation on it.
    pub(super) fn moving(&self, shard: ShardId, when: Range<u64>) -> bool {
        let mut tenures = self.of.get(&shard).into_iter().flatten();
        tenures.any(|tenure| tenure.asked <= when.end && when.start <= tenure.arrived)
    }

    /// The owner of a shard at a time at which it was not moving.
    pub(super) fn owner(&self, shard: ShardId, at: u64) -> Option<GroupId> {
        let tenures = self.of.get(&shard)?;
        tenures.iter().rfind(|tenure| tenure.asked <= at).map(|tenure| tenure.owner)
    }

    /// The shards that a configuration gave to others, each with the time that it took.
    pub(super) fn moved_by(&self, num: ConfigNum) -> impl Iterator<Item = Option<u64>> {
        let tenures = self.of.values().flatten().filter(move |tenure| tenure.since == num);
        tenures.map(|Tenure { asked, arrived, .. }| {
            Some(*arrived).filter(|arrived| *arrived < u64::MAX).map(|arrived| arrived - asked)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use model::history::Operation;
    use model::kv::command::{Key, Op, Output, Request};
    use model::shard::config::Servers;
    use model::shard::controller::{Change, Controller};
    use model::types::{ClientId, NodeId, RequestId};

    use super::super::rest::Made;
    use super::*;

    pub(in super::super) const SECOND: u64 = 1_000_000_000;

    /// Of two shards the first stays with group 1; the second is group 2's at first, and then, by a
    /// change that is asked for after ten seconds, group 1's.
    pub(in super::super) fn sharded() -> Sharded {
        let group = |id: u16| (GroupId(id), Servers::from_iter([NodeId(id)]));
        let changes =
            [Change::Join([1, 2].map(group).into()), Change::Move(ShardId(1), GroupId(1))];
        let mut controller = Controller::new(2);
        for (number, op) in (1..).zip(&changes) {
            let (client, number) = (ClientId(9), RequestId(number));
            controller.apply(&Request { client, number, op: op.clone() });
        }
        let configurations = (0..=2).map(|num| controller.configuration(ConfigNum(num)).cloned());
        let asked = [0, 10 * SECOND];
        let made = changes.into_iter().zip(asked).map(|(by, asked)| Made { by, asked });
        Sharded {
            configurations: configurations.map(Option::unwrap).collect(),
            made: made.collect(),
            across_groups: 0,
            moves: checks::recorded::moves::Moves::default(),
            since: BTreeMap::new(),
        }
    }

    /// A read of a key of the shard, by a session of its own, from when to when. It is answered
    /// unless it is given up.
    pub(in super::super) fn read(shard: u16, from: u64, until: u64, answered: bool) -> Recorded {
        let key = if shard == 0 { Key::from("a") } else { Key::from("k") };
        assert_eq!(shard_of(&key, 2), ShardId(shard));
        let operation = Operation {
            client: ClientId(from),
            call: from,
            ret: answered.then_some(until),
            op: Op::Get(key),
            output: answered.then_some(Output::Value(None)),
        };
        Recorded { number: RequestId(1), operation, until }
    }

    #[test]
    fn a_shard_moves_until_its_new_owner_has_answered() {
        let mut sharded = sharded();
        let history = [
            read(1, 10 * SECOND, 11 * SECOND, true),
            read(1, 11 * SECOND, 12 * SECOND, false),
            read(1, 12 * SECOND, 13 * SECOND, true),
        ];
        // The former owner has carried out the first, the new one the others.
        for (recorded, since) in history.iter().zip([1, 2, 2]) {
            let id = (recorded.operation.client, recorded.number);
            sharded.since.insert(id, ConfigNum(since));
        }
        let tenures = Tenures::of(&history, &sharded);
        let moving = |from, to| tenures.moving(ShardId(1), from * SECOND..to * SECOND);
        assert_eq!([moving(8, 9), moving(9, 10), moving(11, 11)], [false, true, true]);
        assert_eq!([moving(13, 14), moving(14, 15)], [true, false]);
        assert!(!tenures.moving(ShardId(0), SECOND..20 * SECOND));
        let owners = [9, 14].map(|second| tenures.owner(ShardId(1), second * SECOND));
        assert_eq!(owners, [Some(GroupId(2)), Some(GroupId(1))]);
        assert!(tenures.moved_by(ConfigNum(2)).eq([Some(3 * SECOND)]));
    }

    #[test]
    fn a_shard_that_nobody_has_answered_for_since_is_moving() {
        let tenures = Tenures::of(&[], &sharded());
        assert!(tenures.moving(ShardId(1), 90 * SECOND..91 * SECOND));
        assert!(tenures.moved_by(ConfigNum(2)).eq([None]));
    }
}
