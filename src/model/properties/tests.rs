//! The store and the specification carry out transactions alike.

use quickcheck::{Arbitrary, Gen, quickcheck};

use crate::kv::command::{Key, MAX_VALUE_BYTES, Op, Output, Value};
use crate::kv::store::Store;
use crate::kv::transaction::{
    Condition, MAX_BYTES, MAX_KEYS, MAX_STEPS, Mistake, Operand, Reason, Refusal, Step, Transaction,
};
use crate::limits::Limits;
use crate::spec::Spec;
use crate::spec::map::Map;

#[derive(Clone, Debug)]
struct Steps(Vec<Step>);

impl Arbitrary for Steps {
    fn arbitrary(g: &mut Gen) -> Self {
        let length = 1 + usize::arbitrary(g) % 5;
        Self((0..length).map(|_| step(g)).collect())
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let steps = self.0.clone();
        Box::new((0..steps.len()).map(move |at| {
            let mut fewer = steps.clone();
            fewer.remove(at);
            Self(fewer)
        }))
    }
}

fn key(g: &mut Gen) -> Key {
    Key::from(*g.choose(&["a", "b", "c"]).unwrap())
}

fn operand(g: &mut Gen) -> Operand {
    if bool::arbitrary(g) {
        return Operand::Of(key(g));
    }
    let values = ["", "1", "-2", "x", "9223372036854775807"];
    Operand::Value(Value::from(*g.choose(&values).unwrap()))
}

fn step(g: &mut Gen) -> Step {
    let (one, other, operand) = (key(g), key(g), operand(g));
    match u8::arbitrary(g) % 13 {
        0..2 => Step::Get(one),
        2 => Step::Check(one, Condition::Missing),
        3 => Step::Check(one, Condition::Present),
        4 => Step::Check(one, Condition::Equals(operand)),
        5 => Step::Check(one, Condition::Differs(operand)),
        6 => Step::Check(one, Condition::AtLeast(operand)),
        7 => Step::Check(one, Condition::AtMost(operand)),
        8 => Step::Put(one, operand),
        9 => Step::Append(one, operand),
        10 => Step::Add(one, operand),
        11 => Step::Delete(one),
        _ => Step::Swap(one, other),
    }
}

/// A store and its specification, to which the same is done.
#[derive(Default)]
struct Both {
    store: Store,
    map: Map,
    limits: Limits,
}

impl Both {
    fn within(limits: Limits) -> Self {
        Self { store: Store::default(), map: Map::within(limits), limits }
    }

    fn apply(&mut self, op: &Op) -> Output {
        let output = self.store.apply(op, &self.limits);
        assert_eq!(output, self.map.apply(op), "{op:?}");
        output
    }

    fn put(&mut self, key: &str, value: &str) {
        self.apply(&Op::Put(key.into(), value.into()));
    }

    fn carry_out(&mut self, steps: impl Into<Vec<Step>>) -> Result<Vec<Option<Value>>, Refusal> {
        let transaction = Transaction::try_from(steps.into()).unwrap();
        match self.apply(&Op::Transaction(transaction.into())) {
            Output::Committed(values) => Ok(values.to_vec()),
            Output::Rejected(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn value(&mut self, key: &str) -> Option<Value> {
        match self.apply(&Op::Get(key.into())) {
            Output::Value(value) => value,
            other => panic!("{other:?}"),
        }
    }
}

fn literal(value: &str) -> Operand {
    Operand::Value(value.into())
}

fn add(key: &str, more: &str) -> Step {
    Step::Add(key.into(), literal(more))
}

fn at_least(key: &str, least: &str) -> Step {
    Step::Check(key.into(), Condition::AtLeast(literal(least)))
}

fn refusal(step: u32, reason: Reason) -> Result<Vec<Option<Value>>, Refusal> {
    Err(Refusal { step, reason })
}

quickcheck! {
    fn store_and_specification_agree(before: Vec<(u8, u8)>, all: Vec<Steps>, work: u8) -> bool {
        let small = Limits { value: 4, work: work.into(), ..Limits::DEFAULT };
        let mut both = if work < 60 { Both::within(small) } else { Both::default() };
        for (key, value) in before.into_iter().take(3) {
            both.put(["a", "b", "c"][usize::from(key % 3)], &(value % 4).to_string());
        }
        for Steps(steps) in all {
            if let Ok(transaction) = Transaction::try_from(steps) {
                both.apply(&Op::Transaction(transaction.into()));
            }
            for key in ["a", "b", "c"] {
                both.value(key);
            }
        }
        true
    }
}

#[test]
fn a_transfer_moves_all_or_nothing() {
    let mut both = Both::default();
    both.put("a", "15");
    let transfer = || vec![at_least("a", "10"), add("a", "-10"), add("b", "10")];
    assert_eq!(both.carry_out(transfer()), Ok(vec![]));
    assert_eq!(both.carry_out(transfer()), refusal(0, Reason::Found(Some("5".into()))));
    assert_eq!((both.value("a"), both.value("b")), (Some("5".into()), Some("10".into())));
}

#[test]
fn a_step_sees_those_before_it_and_a_refusal_undoes_them() {
    let mut both = Both::default();
    let steps = vec![
        Step::Append("k".into(), literal("x")),
        Step::Get("k".into()),
        Step::Put("l".into(), Operand::Of("k".into())),
        Step::Get("l".into()),
    ];
    let found = Ok(vec![Some("x".into()), Some("x".into())]);
    assert_eq!(both.carry_out(steps.clone()), found);
    let missing = Step::Check("k".into(), Condition::Missing);
    let refused = both.carry_out([&steps[..], &[missing]].concat());
    assert_eq!(refused, refusal(4, Reason::Found(Some("xx".into()))));
    assert_eq!(both.value("k"), Some("x".into()));
}

#[test]
fn a_swap_exchanges_what_is_missing_too() {
    let mut both = Both::default();
    both.put("a", "1");
    assert_eq!(both.carry_out([Step::Swap("a".into(), "b".into())]), Ok(vec![]));
    assert_eq!((both.value("a"), both.value("b")), (None, Some("1".into())));
}

#[test]
fn numbers_are_numbers() {
    let mut both = Both::default();
    both.put("word", "x");
    both.put("most", "9223372036854775807");
    assert_eq!(both.carry_out([add("word", "1")]), refusal(0, Reason::NotANumber));
    assert_eq!(both.carry_out([add("most", "1")]), refusal(0, Reason::NotANumber));
    assert_eq!(both.carry_out([add("n", "")]), refusal(0, Reason::NotANumber));
    let of_nothing = Step::Add("n".into(), Operand::Of("nothing".into()));
    assert_eq!(both.carry_out([of_nothing]), refusal(0, Reason::Missing));
    assert_eq!(both.carry_out([at_least("n", "0"), add("n", "-3")]), Ok(vec![]));
    assert_eq!(both.value("n"), Some("-3".into()));
    both.put("least", "-9223372036854775808");
    assert_eq!(both.carry_out([at_least("least", "-9223372036854775808")]), Ok(vec![]));
    both.put("long", "000000000000000000001");
    assert_eq!(both.carry_out([at_least("long", "1")]), refusal(0, Reason::NotANumber));
    assert_eq!(both.carry_out([at_least("n", &"0".repeat(21))]), refusal(0, Reason::NotANumber));
}

/// Each check costs what it compares, however small the request is that asks for it.
#[test]
fn what_checks_compare_has_a_limit() {
    let limits = Limits { work: 100, ..Limits::DEFAULT };
    let mut both = Both::within(limits);
    both.put("k", "0123456789");
    let equals = Step::Check("k".into(), Condition::Equals(Operand::Of("k".into())));
    let most = limits.compared() / 10;
    assert_eq!(both.carry_out(vec![equals.clone(); most]), Ok(vec![]));
    let one_more = vec![equals.clone(); most + 1];
    assert_eq!(both.carry_out(one_more), refusal(most as u32, Reason::TooLarge));
    let differs = Step::Check("k".into(), Condition::Differs(literal("other")));
    let mixed = [vec![equals; most], vec![differs]].concat();
    assert_eq!(both.carry_out(mixed), refusal(most as u32, Reason::TooLarge));
    let present = Step::Check("k".into(), Condition::Present);
    assert_eq!(both.carry_out(vec![present; most + 1]), Ok(vec![]), "it compares nothing");
}

#[test]
fn what_is_found_and_written_has_a_limit() {
    let mut both = Both::default();
    let large = "x".repeat(MAX_VALUE_BYTES);
    let keys: Vec<Key> = (0..5).map(|n| Key::from(format!("k{n}"))).collect();
    for key in &keys {
        both.apply(&Op::Put(key.clone(), large.as_str().into()));
    }
    let reads = |n: usize| keys[..n].iter().cloned().map(Step::Get).collect::<Vec<_>>();
    assert_eq!(both.carry_out(reads(1)).map(|found| found.len()), Ok(1));
    assert_eq!(both.carry_out(reads(2)), refusal(1, Reason::TooLarge), "their keys count");
    assert_eq!(both.carry_out(reads(3)), refusal(0, Reason::TooLarge));
    let checks = keys.iter().map(|key| Step::Check(key.clone(), Condition::Present));
    assert_eq!(both.carry_out(checks.collect::<Vec<_>>()), refusal(0, Reason::TooLarge));
    let append = Step::Append(keys[0].clone(), literal("y"));
    assert_eq!(both.carry_out([append]), refusal(0, Reason::TooLarge));
}

/// What is read counts with its key, when it is found; what is given back without; what is written
/// with its key.
#[test]
fn work_counts_keys_and_framing() {
    let (found, given, written) = (1 + 3 + 1 + 1 + 2, 1 + 1 + 2, 1 + 3 + 1 + 1 + 4);
    let limits = |work| Limits { work, ..Limits::DEFAULT };
    let reads = [Step::Get("key".into()), Step::Get("key".into())];
    let writes = [Step::Put("key".into(), literal("more"))];
    let both_of = [&reads[..], &writes[..]].concat();
    for (steps, work, last) in [
        (&reads[..1], found + given, 0),
        (&reads[..], found + 2 * given, 1),
        (&writes[..], written, 0),
        (&both_of[..], found + 2 * given + written, 2),
    ] {
        let carried_out = |work| {
            let mut both = Both::within(limits(work));
            both.put("key", "as");
            both.carry_out(steps)
        };
        assert!(carried_out(work).is_ok(), "{steps:?} within {work}");
        assert_eq!(carried_out(work - 1), refusal(last, Reason::TooLarge), "{steps:?}");
    }
    let mut both = Both::within(limits(1 + 3 + 1));
    let missing = Step::Check("key".into(), Condition::Missing);
    assert_eq!(both.carry_out([missing.clone()]), Ok(vec![]), "that nothing is there counts, too");
    let mut both = Both::within(limits(1 + 3));
    assert_eq!(both.carry_out([missing]), refusal(0, Reason::TooLarge));
}

#[test]
fn what_cannot_be_meant_is_no_transaction() {
    let put = |key: &str, value: &str| Step::Put(key.into(), literal(value));
    let made = |steps: Vec<Step>| Transaction::try_from(steps).map(|_| ());
    assert_eq!(made(vec![]), Err(Mistake::Empty));
    let twice = Err(Mistake::WrittenTwice("k".into()));
    assert_eq!(made(vec![put("k", "1"), put("k", "2")]), twice);
    assert_eq!(made(vec![add("k", "1"), Step::Delete("k".into())]), twice);
    assert_eq!(made(vec![Step::Swap("k".into(), "k".into())]), twice);
    assert_eq!(made(vec![add("k", "1"), add("k", "1"), put("l", "1")]), Ok(()));
    let gets = |n: usize| (0..n).map(|n| Step::Get(format!("{n}").into())).collect();
    assert_eq!(made(gets(MAX_KEYS)), Ok(()));
    assert_eq!(made(gets(MAX_KEYS + 1)), Err(Mistake::TooManyKeys(MAX_KEYS + 1)));
    let most = "x".repeat(MAX_BYTES - 7);
    assert_eq!(made(vec![put("a", &most)]), Err(Mistake::TooManyBytes(MAX_BYTES + 1)));
    assert_eq!(made(vec![put("a", &most[1..])]), Ok(()));
    let gets = |n: usize| vec![Step::Get("".into()); n];
    assert_eq!(made(gets(MAX_STEPS)), Ok(()));
    assert_eq!(made(gets(MAX_STEPS + 1)), Err(Mistake::TooManySteps(MAX_STEPS + 1)));
    let key = "x".repeat(5_000);
    assert_eq!(made(vec![put(&key, "")]), Err(Mistake::KeyTooLong(5_000)));
}
