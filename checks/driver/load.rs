//! The load: which operations clients ask for, and which changes administrators make.
//!
//! An operation is a function of the plan, the client and its number. So it stays the same if
//! others are left out when a trace is minimised.

use std::collections::{BTreeMap, BTreeSet};

use model::kv::command::{Key, Op, Value};
use model::kv::transaction::{Condition, MAX_BYTES, Operand, Step, Transaction};
use model::shard::controller::{Change, Order};
use model::shard::route::shard_of;
use model::types::{ConfigNum, GroupId, NodeId, ShardId};

use super::draw::Draw;
use super::plan::{Family, Plan, Shape, key};

/// The mix of operations.
#[derive(Clone, Debug)]
pub struct Load {
    /// The number of keys.
    keys: usize,
    /// The number of keys that half of all accesses go to.
    hot: usize,
    /// The permille of operations that are transactions.
    transactions: u16,
    /// The least and the largest number of steps in most transactions.
    steps: [usize; 2],
    /// The permille of steps that only read.
    reads: u16,
    /// The permille of operations that are as large as anything may be.
    pub large: u16,
    /// The size of a large value.
    large_value: usize,
    /// Whether limits are so small that they are reached.
    is_tiny: bool,
    /// The groups' clocks run apart.
    pub skew: Option<Skew>,
}

/// A load that sets one group's clock forward, and then lets another group's transactions compete
/// with it.
#[derive(Clone, Debug)]
pub struct Skew {
    /// The number of operations of each client by which the clock is set forward.
    ahead: u64,
    /// The contended key, of the group whose clock is ahead.
    contended: Key,
    /// Lesser keys, of another group.
    elsewhere: Vec<Key>,
}

impl Load {
    /// Draws the load of an episode in which each session has about so many operations.
    pub(super) fn draw(
        draw: &mut Draw,
        family: Family,
        shape: &Shape,
        each: u64,
        is_tiny: bool,
    ) -> Self {
        let keys = *draw.pick(&[2, 4, 6, 8, 16, 64]);
        let is_large = !is_tiny && draw.once_in(100);
        Self {
            keys,
            hot: draw.within(1, keys.min(3)),
            transactions: *draw.pick(&[200, 500, 500, 900, 1_000]),
            steps: [1, draw.within(1, 6)],
            reads: *draw.pick(&[100, 400, 800]),
            large: if is_large { 5 } else { 0 },
            large_value: *draw.pick(&[64 << 10, 1 << 20]),
            is_tiny,
            skew: if family == Family::Moves || is_tiny || !draw.once_in(12) {
                None
            } else {
                Skew::draw(shape, each / 2)
            },
        }
    }

    /// Draws a load of small transactions on few keys.
    pub(super) fn knots(draw: &mut Draw) -> Self {
        let keys = draw.within(3, 7);
        Self {
            keys,
            hot: keys,
            transactions: 1_000,
            steps: [2, draw.within(2, 4)],
            reads: *draw.pick(&[0, 0, 300]),
            large: 0,
            large_value: 0,
            is_tiny: false,
            skew: None,
        }
    }

    /// The operation of a client with this number.
    #[must_use]
    pub fn operation(plan: &Plan, client: u16, number: u64) -> Op {
        let load = &plan.load;
        let draw = &mut Draw::of(plan.seed, &[1, u64::from(client), number]);
        if let Some(skew) = &load.skew {
            return skew.operation(client, number);
        }
        let unique = number * 100 + u64::from(client);
        if draw.permille(load.large) {
            return load.large(draw);
        }
        if draw.permille(load.transactions) {
            return load.transaction(draw, unique);
        }
        let (key, value) = (load.key(draw), load.value(draw, unique));
        match draw.below(6) {
            0 | 1 => Op::Get(key),
            2 => Op::Put(key, value),
            3 => Op::Append(key, value),
            4 => {
                let expected = draw.once_in(2).then(|| load.value(draw, unique));
                Op::Cas { key, expected, new: value }
            }
            _ => Op::Delete(key),
        }
    }

    fn key(&self, draw: &mut Draw) -> Key {
        if self.is_tiny && draw.once_in(50) {
            return Key::from("long");
        }
        let among = if draw.once_in(2) { self.hot } else { self.keys };
        key(draw.below(among))
    }

    /// A value: mostly a number, which sums can be made of.
    fn value(&self, draw: &mut Draw, unique: u64) -> Value {
        match draw.below(8) {
            0 => Value::from("x"),
            1..=3 => Value::from(draw.below(4).to_string()),
            4 if self.is_tiny => Value::from(vec![b'1'; draw.within(1, 12)]),
            _ => Value::from(unique.to_string()),
        }
    }

    fn transaction(&self, draw: &mut Draw, unique: u64) -> Op {
        let [least, most] = self.steps;
        let most = if self.is_tiny && draw.once_in(4) { 4 * most } else { most };
        let steps: Vec<_> =
            (0..draw.within(least, most)).map(|_| self.step(draw, unique)).collect();
        // Steps that contradict each other make no transaction.
        made(steps).unwrap_or_else(|| Op::Get(self.key(draw)))
    }

    fn step(&self, draw: &mut Draw, unique: u64) -> Step {
        let key = self.key(draw);
        if draw.permille(self.reads) {
            return if draw.once_in(3) {
                let condition = self.condition(draw, unique);
                Step::Check(key, condition)
            } else {
                Step::Get(key)
            };
        }
        match draw.below(8) {
            0 | 1 => Step::Put(key, self.operand(draw, unique)),
            2 | 3 => Step::Append(key, self.operand(draw, unique)),
            4 | 5 => Step::Add(key, self.operand(draw, unique)),
            6 => Step::Delete(key),
            _ => Step::Swap(key, self.key(draw)),
        }
    }

    fn operand(&self, draw: &mut Draw, unique: u64) -> Operand {
        if draw.once_in(4) {
            Operand::Of(self.key(draw))
        } else {
            Operand::Value(self.value(draw, unique))
        }
    }

    fn condition(&self, draw: &mut Draw, unique: u64) -> Condition {
        match draw.below(8) {
            0 => Condition::Missing,
            1..=3 => Condition::Present,
            4 => Condition::Equals(self.operand(draw, unique)),
            5 => Condition::Differs(self.operand(draw, unique)),
            6 => Condition::AtLeast(self.operand(draw, unique)),
            _ => Condition::AtMost(self.operand(draw, unique)),
        }
    }

    /// A value of zeros, sums and checks of it, or very many steps.
    fn large(&self, draw: &mut Draw) -> Op {
        let (key, other) = (self.key(draw), self.key(draw));
        match draw.below(6) {
            0 | 1 => Op::Put(key, Value::from(vec![b'0'; self.large_value])),
            2 => {
                let least = Condition::AtLeast(Operand::Of(other));
                made(vec![Step::Check(key, least); draw.within(2, 64)])
            }
            .unwrap_or(Op::Get(Key::from("k00"))),
            3 | 4 => {
                let step = Step::Check(key, Condition::Present);
                let mut steps = vec![Step::Append(other, Operand::Value(Value::from("0")))];
                steps.extend(vec![step; draw.within(1_000, MAX_BYTES / 12)]);
                made(steps).unwrap_or(Op::Get(Key::from("k00")))
            }
            _ => {
                let reads = vec![Step::Get(key); draw.within(1, 200)];
                made(reads).unwrap_or(Op::Get(Key::from("k00")))
            }
        }
    }
}

impl Skew {
    /// Finds keys of two groups, if there are two.
    fn draw(shape: &Shape, ahead: u64) -> Option<Self> {
        let config = shape.first_configuration();
        let owner = |key: &Key| config.assignment.owner(shard_of(key, shape.shards.max(1)));
        let contended = key(0);
        let lesser = (0..100).map(|number| Key::from(format!("a{number:02}")));
        let mut elsewhere: Vec<Key> =
            lesser.filter(|key| owner(key) != owner(&contended)).collect();
        let group = owner(elsewhere.first()?);
        elsewhere.retain(|key| owner(key) == group);
        Some(Self { ahead, contended, elsewhere })
    }

    fn operation(&self, client: u16, number: u64) -> Op {
        let add = |key: &Key| Step::Add(key.clone(), Operand::Value(Value::from("1")));
        let steps = if number < self.ahead || client == 0 {
            vec![add(&self.contended)]
        } else {
            let elsewhere = &self.elsewhere[usize::from(client) % self.elsewhere.len()];
            vec![add(elsewhere), add(&self.contended)]
        };
        made(steps).unwrap_or_else(|| Op::Get(self.contended.clone()))
    }
}

fn made(steps: Vec<Step>) -> Option<Op> {
    Transaction::try_from(steps).ok().map(|transaction| Op::Transaction(transaction.into()))
}

/// The change that lets the first groups join.
#[must_use]
pub fn first_join(plan: &Plan) -> Order {
    let shape = &plan.shape;
    let groups = shape.ids().take(usize::from(shape.joined));
    let groups = groups.map(|group| (group, shape.servers_of(group)));
    Order { change: Change::Join(groups.collect()), force: true }
}

/// The change of an administrator with this number.
#[must_use]
pub fn change(plan: &Plan, administrator: u16, number: u64) -> Order {
    let shape = &plan.shape;
    let draw = &mut Draw::of(plan.seed, &[2, u64::from(administrator), number]);
    let join = |groups: &mut dyn Iterator<Item = GroupId>| {
        Change::Join(groups.map(|group| (group, shape.servers_of(group))).collect())
    };
    let groups = shape.groups.len();
    let group = GroupId(draw.within(1, groups) as u16);
    let shard = ShardId(draw.below(usize::from(shape.shards)) as u16);
    let force = draw.once_in(2);
    let change = match draw.below(40) {
        0..=7 => join(&mut [group].into_iter()),
        8..=15 => Change::Leave(BTreeSet::from([group])),
        16..=29 => Change::Move(shard, group),
        30 => join(&mut shape.ids()),
        31 => Change::Query(None),
        32 => Change::Query(Some(ConfigNum(draw.below(4) as u64))),
        33 => Change::Leave(BTreeSet::new()),
        34 => Change::Join(BTreeMap::from([(group, [].into_iter().collect())])),
        35 => Change::Leave(BTreeSet::from([GroupId(99)])),
        36 => Change::Move(ShardId(99), group),
        37 => Change::Leave(shape.ids().collect()),
        // A group that was never there, of servers that others have; and other servers for a group
        // that was there.
        38 => Change::Join(BTreeMap::from([(GroupId(98), shape.servers_of(GroupId(1)))])),
        _ => Change::Join(BTreeMap::from([(GroupId(1), [NodeId(999)].into_iter().collect())])),
    };
    Order { change, force }
}
