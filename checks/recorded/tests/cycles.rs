//! Each anomaly is told from the good history beside it.

use model::kv::command::{Op, Output, Value};
use model::kv::transaction::{Operand, Reason, Refusal, Step, Transaction};

use super::super::Recorded;
use super::super::cycles::{Anomaly, Judged, Kind, judge};
use super::recorded;

/// A transaction from `call` to `ret`, as in `"a+1 a=01 b="`: append 1 to list a, find 0 and 1 in
/// it, find nothing in list b.
fn txn((call, ret): (u64, u64), steps: &str) -> Recorded {
    let mut found: Vec<Option<Value>> = Vec::new();
    let mut step = |word: &str| {
        let (key, value) = (&word[..1], &word[2..]);
        let tokens: String = value.chars().map(|token| format!("{token};")).collect();
        if &word[1..2] == "+" {
            return Step::Append(key.into(), Operand::Value(tokens.into()));
        }
        found.push((!tokens.is_empty()).then(|| tokens.into()));
        Step::Get(key.into())
    };
    let steps: Vec<_> = steps.split(' ').map(&mut step).collect();
    let op = Op::Transaction(Transaction::try_from(steps).unwrap().into());
    let output = Output::Committed(found.into());
    recorded(call, 1, (call, Some(ret)), op, Some(output))
}

/// Transactions that overlap.
fn beside(all: &[&str]) -> Vec<Recorded> {
    (0..).zip(all).map(|(call, steps)| txn((call, 100 + call), steps)).collect()
}

fn fate(history: &[Recorded]) -> Result<Judged, Box<Anomaly>> {
    judge(history)
}

#[track_caller]
fn kind(history: &[Recorded]) -> Kind {
    match fate(history).map_err(|anomaly| *anomaly) {
        Err(Anomaly::Cycle(kind, links)) => {
            assert!(links.len() > 1, "a circle has two at least: {links:?}");
            kind
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_has_an_order_passes() {
    let history = beside(&["a+1 b+1", "a=1 b=1", "a+2 a=12", "b=1 a=12", "a= b="]);
    let judged = fate(&history).unwrap();
    assert_eq!(judged.transactions, 5);
    assert!(judged.links > 4, "{judged:?}");
}

#[test]
fn g0_dirty_write() {
    let reads = ["a=12", "b=12"];
    assert!(fate(&beside(&["a+1 b+1", "a+2 b+2", reads[0], reads[1]])).is_ok());
    let crossed = beside(&["a+1 b+1", "a+2 b+2", "a=12", "b=21"]);
    assert_eq!(kind(&crossed), Kind::WriteCycle);
}

#[test]
fn g1a_aborted_read() {
    let mut history = beside(&["a+1", "a=1"]);
    assert!(fate(&history).is_ok());
    let refusal = Refusal { step: 0, reason: Reason::Found(None) };
    history[0].operation.output = Some(Output::Rejected(refusal));
    assert!(matches!(*fate(&history).unwrap_err(), Anomaly::AbortedRead(..)));
    history[0].operation.output = None; // It was not done, it was said.
    assert!(matches!(*fate(&history).unwrap_err(), Anomaly::AbortedRead(..)));
    history[0].operation.ret = None; // Nobody knows: somebody has read it.
    assert!(fate(&history).is_ok());
}

#[test]
fn g1b_intermediate_read() {
    assert!(fate(&beside(&["a+1 a+2", "a=12"])).is_ok());
    let within = beside(&["a+1 a+2", "a=1", "a=12"]);
    assert!(matches!(*fate(&within).unwrap_err(), Anomaly::IntermediateRead(..)));
}

#[test]
fn g1c_circular_information() {
    assert!(fate(&beside(&["a+1 b=", "b+1 a=1", "b=1"])).is_ok());
    assert_eq!(kind(&beside(&["a+1 b=1", "b+1 a=1"])), Kind::CircularInformation);
}

#[test]
fn g_single_read_skew() {
    assert!(fate(&beside(&["a+1 b+1", "a=1 b=1"])).is_ok());
    assert_eq!(kind(&beside(&["a+1 b+1", "a=1 b=", "b=1"])), Kind::Single);
    // Nobody has read what was appended to b.
    assert_eq!(kind(&beside(&["a+1 b+1", "a=1 b="])), Kind::Single);
}

#[test]
fn g2_write_skew() {
    assert!(fate(&beside(&["a= b+1", "b=1 a+1", "a=1 b=1"])).is_ok());
    assert_eq!(kind(&beside(&["a= b+1", "b= a+1", "a=1 b=1"])), Kind::Item);
}

#[test]
fn time_is_kept() {
    let (write, read) = (txn((0, 5), "a+1"), |call| txn((call, 20), "a="));
    assert!(fate(&[write.clone(), read(4), txn((30, 31), "a=1")]).is_ok());
    assert_eq!(kind(&[write, read(6), txn((30, 31), "a=1")]), Kind::RealTime);
}

#[test]
fn lists_are_lists() {
    let error = |all: &[&str]| fate(&beside(all)).unwrap_err();
    assert!(matches!(*error(&["a=1"]), Anomaly::Garbage(..)));
    assert!(matches!(*error(&["a+1", "a=11"]), Anomaly::Duplicate(..)));
    assert!(matches!(*error(&["a+1", "a+2", "a=12", "a=21"]), Anomaly::IncompatibleOrder(..)));
    assert!(matches!(*error(&["a+1 a="]), Anomaly::Internal(..)));
    assert!(matches!(*error(&["a+1", "a= a=1"]), Anomaly::Internal(..)));
    assert!(error(&["a= b+1", "b= a+1", "a=1 b=1"]).to_string().starts_with("G2-item"));
}

#[test]
fn operations_on_one_key_play_a_part() {
    let append = Op::Append("a".into(), "1;".into());
    let get = |call, value: Option<&str>| {
        let output = Output::Value(value.map(Value::from));
        recorded(9, call, (call, Some(call + 1)), Op::Get("a".into()), Some(output))
    };
    let append = recorded(8, 1, (0, Some(1)), append, Some(Output::Written));
    assert!(fate(&[append.clone(), get(2, Some("1;"))]).is_ok());
    assert_eq!(kind(&[append, get(2, None)]), Kind::RealTime);
}
