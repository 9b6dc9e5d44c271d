//! Transactions join keys: what they read and write together has one order.

use crate::history::{Operation, judge};
use crate::kv::command::{Key, Op, Output, Value};
use crate::kv::transaction::{Condition, Operand, Step, Transaction};
use crate::types::ClientId;

/// An operation from `call` to `ret`.
fn operation(call: u64, ret: u64, op: Op, output: Output) -> Operation {
    Operation { client: ClientId(call), call, ret: Some(ret), op, output: Some(output) }
}

fn transaction(steps: Vec<Step>) -> Op {
    Op::Transaction(Transaction::try_from(steps).unwrap().into())
}

fn put(key: &str, value: &str) -> Step {
    Step::Put(key.into(), Operand::Value(value.into()))
}

fn gets() -> Op {
    transaction(["a", "b"].map(|key| Step::Get(key.into())).to_vec())
}

fn found(a: Option<&str>, b: Option<&str>) -> Output {
    Output::Committed([a, b].map(|value| value.map(Value::from)).into())
}

fn done() -> Output {
    Output::Committed([].into())
}

/// Both keys are written at once, while somebody reads them at once.
fn read_beside(a: Option<&str>, b: Option<&str>) -> bool {
    let write = transaction(vec![put("a", "1"), put("b", "1")]);
    let read = operation(1, 3, gets(), found(a, b));
    judge(&[operation(0, 4, write, done()), read]).is_ok()
}

#[test]
fn a_read_sees_all_of_a_write_or_nothing() {
    assert!(read_beside(None, None) && read_beside(Some("1"), Some("1")));
    assert!(!read_beside(Some("1"), None) && !read_beside(None, Some("1")));
}

#[test]
fn a_read_of_one_key_joins_in() {
    let write = operation(0, 9, transaction(vec![put("a", "1"), put("b", "1")]), done());
    let get = |call, key: &str, value: Option<&str>| {
        operation(call, call + 1, Op::Get(key.into()), Output::Value(value.map(Value::from)))
    };
    let seen = |b| judge(&[write.clone(), get(1, "a", Some("1")), get(3, "b", b)]).is_ok();
    assert!(seen(Some("1")));
    assert!(!seen(None));
    // What no transaction joins is judged by itself.
    assert!(judge(&[write, get(1, "c", None), get(3, "d", Some("1"))]).is_err());
}

#[test]
fn two_that_read_what_the_other_writes_are_not_both_first() {
    let one_of = |mine: &str, other: &str| {
        let missing = Step::Check(other.into(), Condition::Missing);
        transaction(vec![missing, put(mine, "1")])
    };
    let both =
        [operation(0, 9, one_of("a", "b"), done()), operation(1, 8, one_of("b", "a"), done())];
    assert!(judge(&both[..1]).is_ok());
    let skewed = judge(&both).unwrap_err();
    assert!(["a", "b"].map(Key::from).contains(&skewed.key));
}

#[test]
fn one_without_an_answer_may_have_taken_effect() {
    let write = transaction(vec![put("a", "1"), put("b", "1")]);
    let open = Operation { ret: None, output: None, ..operation(0, 0, write, done()) };
    for (a, b, right) in
        [(None, None, true), (Some("1"), Some("1"), true), (Some("1"), None, false)]
    {
        assert_eq!(judge(&[open.clone(), operation(5, 6, gets(), found(a, b))]).is_ok(), right);
    }
}
