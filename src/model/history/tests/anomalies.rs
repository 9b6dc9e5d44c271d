//! The classic ways to be wrong, and what comes close to them and is right.

use super::{Event, *};
use crate::history::Claim;
use crate::kv::command::{Key, Op, Output};
use crate::spec::map::Map;

fn key() -> Key {
    Key::from("k")
}

fn get(client: u64) -> Event<Map> {
    Call(client, Op::Get(key()))
}

fn got(client: u64, value: &str) -> Event<Map> {
    Return(client, Output::Value(Some(value.into())))
}

fn got_nothing(client: u64) -> Event<Map> {
    Return(client, Output::Value(None))
}

fn put(client: u64, value: &str) -> Event<Map> {
    Call(client, Op::Put(key(), value.into()))
}

fn append(client: u64, value: &str) -> Event<Map> {
    Call(client, Op::Append(key(), value.into()))
}

fn cas(client: u64, expected: &str, new: &str) -> Event<Map> {
    Call(client, Op::Cas { key: key(), expected: Some(expected.into()), new: new.into() })
}

fn written(client: u64) -> Event<Map> {
    Return(client, Output::Written)
}

/// All but the last event are fine; the last one is not.
fn assert_last_is_wrong(events: &[Event<Map>]) -> Violation<Map> {
    let (last, before) = events.split_last().unwrap();
    let mut monitor = Monitor::of(Map::default(), before);
    assert!(monitor.is_linearizable());
    let violation = monitor.on_event(last).unwrap_err();
    assert!(!monitor.is_linearizable());
    violation
}

fn assert_right(events: &[Event<Map>]) {
    assert!(Monitor::of(Map::default(), events).is_linearizable());
}

#[test]
fn stale_read() {
    let wrong = [put(1, "a"), written(1), put(1, "b"), written(1), get(2), got(2, "a")];
    let violation = assert_last_is_wrong(&wrong);
    assert_eq!(violation.client, ClientId(2));
    assert_eq!(violation.claim, Claim::Returned(Output::Value(Some("a".into()))));
    let outputs: Vec<_> = violation.states.values().flatten().collect();
    assert_eq!(outputs, [&Output::Value(Some("b".into()))]);
    assert_eq!(
        violation.to_string(),
        "c2: get k answered Value(Some(\"a\")), which no order explains. Possible states and what \
         they answer:\n  Map({k: \"b\"}) -> Value(Some(\"b\"))"
    );
    assert_right(&[put(1, "a"), written(1), put(1, "b"), get(2), written(1), got(2, "a")]);
}

#[test]
fn lost_update() {
    let both = [put(0, "0"), written(0), cas(1, "0", "1"), cas(2, "0", "2")];
    let swapped = |client| Return(client, Output::Swapped);
    assert_last_is_wrong(&[&both[..], &[swapped(1), swapped(2)]].concat());
    let mismatch = Return(2, Output::Mismatch(Some("1".into())));
    assert_right(&[&both[..], &[swapped(1), mismatch]].concat());
}

#[test]
fn lost_append() {
    let both = [append(1, "a"), append(2, "b"), written(1), written(2), get(3)];
    assert_last_is_wrong(&[&both[..], &[got(3, "a")]].concat());
    assert_right(&[&both[..], &[got(3, "ab")]].concat());
    assert_right(&[&both[..], &[got(3, "ba")]].concat());
}

#[test]
fn phantom_read_of_a_failed_write() {
    assert_last_is_wrong(&[put(1, "a"), Fail(1), get(2), got(2, "a")]);
    let violation = assert_last_is_wrong(&[put(1, "a"), get(2), got(2, "a"), Fail(1)]);
    assert_eq!(violation.claim, Claim::Failed);
    assert_right(&[put(1, "a"), get(2), got_nothing(2), Fail(1)]);
}

#[test]
fn read_inversion() {
    let first = [put(1, "a"), get(2), got(2, "a")];
    assert_last_is_wrong(&[&first[..], &[get(3), got_nothing(3)]].concat());
    let overlapping = [put(1, "a"), get(3), get(2), got(2, "a"), got_nothing(3)];
    assert_right(&overlapping);
}

#[test]
fn duplicated_append() {
    assert_last_is_wrong(&[append(1, "a"), written(1), get(2), got(2, "aa")]);
    assert_last_is_wrong(&[append(1, "a"), Abandon(1), get(2), got(2, "aa")]);
    assert_right(&[append(1, "a"), Abandon(1), append(1, "a"), written(1), get(2), got(2, "aa")]);
}

#[test]
fn value_from_the_future() {
    assert_last_is_wrong(&[get(1), got(1, "a")]);
    assert_right(&[get(1), put(2, "a"), got(1, "a")]);
}

#[test]
fn resurrected_value() {
    let abandoned = [put(1, "a"), Abandon(1), get(2), got(2, "a"), put(2, "b"), written(2), get(2)];
    assert_last_is_wrong(&[&abandoned[..], &[got(2, "a")]].concat());
    let late = [put(1, "a"), Abandon(1), put(2, "b"), written(2), get(2), got(2, "b"), get(2)];
    assert_right(&[&late[..], &[got(2, "a")]].concat());
}

#[test]
fn a_violation_is_told_once_and_final() {
    let mut monitor = Monitor::of(Map::default(), &[get(1), got(1, "a")]);
    assert_eq!(monitor, Monitor::of(Map::default(), &[get(2), put(1, "b"), got(2, "c")]));
    for event in [get(1), got_nothing(1), put(1, "a"), Fail(1), Abandon(2)] {
        monitor.on_event(&event).unwrap();
        assert!(!monitor.is_linearizable());
    }
}

#[test]
#[should_panic(expected = "c1 calls while it waits")]
fn a_client_waits_for_one_operation() {
    Monitor::of(Map::default(), &[get(1), get(1)]);
}

#[test]
#[should_panic(expected = "c1 is answered but waits for nothing")]
fn an_answer_needs_a_question() {
    Monitor::of(Map::default(), &[get(2), written(1)]);
}

#[test]
fn who_wrote_what_before_is_forgotten() {
    let by_one = [put(1, "a"), written(1), get(2), got(2, "a")];
    let by_two = [put(2, "b"), put(1, "a"), written(2), written(1), put(2, "a"), written(2)];
    assert_eq!(Monitor::of(Map::default(), &by_one), Monitor::of(Map::default(), &by_two));
}
