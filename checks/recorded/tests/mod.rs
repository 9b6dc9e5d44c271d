//! The judges are awake: each kind of bad history is told from the good one beside it.

mod cycles;
mod shards;

use std::collections::BTreeMap;

use model::history::{self, Operation};
use model::kv::command::{Key, Op, Output, Request, Value};
use model::raft::{Entry, Log, Payload};
use model::replica::{Command, Kind};
use model::types::{ClientId, Index, NodeId, RequestId, Term};

use super::appends::{self, Lapse};
use super::logs::{self, Discord, Logs, Unexplained};
use super::replay::Replay;
use super::{Recorded, export};

/// The `number`th operation of session 1 or 2, from `call` to `ret`.
fn recorded(
    client: u64,
    number: u64,
    (call, ret): (u64, Option<u64>),
    op: Op,
    output: Option<Output>,
) -> Recorded {
    let operation = Operation { client: ClientId(client), call, ret, op, output };
    Recorded { number: RequestId(number), operation, until: ret.unwrap_or(call) }
}

fn append(client: u64, number: u64, call: u64) -> Recorded {
    let op = Op::Append("log".into(), format!("{client}.{number};").into());
    recorded(client, number, (call, Some(call + 1)), op, Some(Output::Written))
}

fn get(client: u64, number: u64, call: u64, value: Option<&str>) -> Recorded {
    let output = Output::Value(value.map(Value::from));
    recorded(client, number, (call, Some(call + 1)), Op::Get("log".into()), Some(output))
}

fn unknown(mut recorded: Recorded) -> Recorded {
    recorded.operation.ret = None;
    recorded.operation.output = None;
    recorded
}

fn not_done(mut recorded: Recorded) -> Recorded {
    recorded.operation.output = None;
    recorded
}

fn in_the_end(value: &str) -> BTreeMap<Key, Option<Value>> {
    BTreeMap::from([("log".into(), Some(value.into()))])
}

fn judge_appends(history: &[Recorded], value: &str) -> Result<usize, Lapse> {
    appends::judge(history, &in_the_end(value)).map_err(|lapse| *lapse)
}

fn linearizable(history: &[Recorded]) -> bool {
    let operations: Vec<_> = history.iter().map(|recorded| recorded.operation.clone()).collect();
    history::judge(&operations).is_ok()
}

fn log<'a>(entries: impl IntoIterator<Item = (u64, &'a Recorded)>) -> Log<Command> {
    let entry = |(term, recorded): (u64, &Recorded)| Entry {
        term: Term(term),
        payload: Payload::Command(Command::Request(Request {
            client: recorded.operation.client,
            number: recorded.number,
            op: recorded.operation.op.clone(),
        })),
    };
    entries.into_iter().map(entry).collect()
}

/// What the log does not explain of the history.
fn unexplained(log: &Log<Command>, history: &[Recorded]) -> Option<Unexplained> {
    logs::explain(&[Replay::of(&Kind::Store, log)], history).err().map(|unexplained| *unexplained)
}

#[test]
fn appends_that_happened_once_are_counted() {
    let history = [append(1, 1, 0), append(2, 1, 0), append(1, 2, 2), unknown(append(2, 2, 2))];
    assert_eq!(judge_appends(&history, "1.1;2.1;1.2;"), Ok(3));
    assert_eq!(judge_appends(&history, "2.1;1.1;2.2;1.2;"), Ok(4));
}

#[test]
fn a_lost_append_is_found() {
    let history = [append(1, 1, 0), append(1, 2, 2)];
    let lost = |at: usize| Err(Lapse::Lost(history[at].operation.clone()));
    assert_eq!(judge_appends(&history, "1.1;"), lost(1));
    assert_eq!(judge_appends(&history, "1.2;"), lost(0));
    let nothing = BTreeMap::from([("log".into(), None)]);
    assert!(appends::judge(&history, &nothing).is_err());
}

#[test]
fn a_repeated_append_is_found() {
    let history = [append(1, 1, 0), unknown(append(2, 1, 0))];
    let repeated = |at: usize| Err(Lapse::Repeated(history[at].operation.clone()));
    assert_eq!(judge_appends(&history, "1.1;1.1;"), repeated(0));
    assert_eq!(judge_appends(&history, "2.1;1.1;2.1;"), repeated(1));
}

#[test]
fn appends_out_of_order_are_found() {
    let history = [append(1, 1, 0), unknown(append(1, 2, 2)), append(1, 3, 4)];
    assert_eq!(judge_appends(&history, "1.1;1.2;1.3;"), Ok(3));
    let disordered = Err(Lapse::Disordered(history[2].operation.clone()));
    assert_eq!(judge_appends(&history, "1.1;1.3;1.2;"), disordered);
}

#[test]
fn what_nobody_appended_or_was_not_done_is_found() {
    let history = [append(1, 1, 0), not_done(append(1, 2, 2))];
    assert_eq!(judge_appends(&history, "1.1;"), Ok(1));
    let undone = Err(Lapse::Undone(history[1].operation.clone()));
    assert_eq!(judge_appends(&history, "1.1;1.2;"), undone);
    let foreign = |token: &str| Err(Lapse::Foreign("log".into(), token.into()));
    assert_eq!(judge_appends(&history, "1.1;7.7;"), foreign("7.7;"));
    assert_eq!(judge_appends(&history, "1.1;1."), foreign("1."));
}

#[test]
fn keys_that_were_also_overwritten_say_nothing_of_appends() {
    let delete =
        recorded(2, 1, (2, Some(3)), Op::Delete("log".into()), Some(Output::Deleted(true)));
    assert_eq!(judge_appends(&[append(1, 1, 0), delete], ""), Ok(0));
}

#[test]
fn the_log_that_was_acknowledged_explains_the_history() {
    let history = [append(1, 1, 0), append(2, 1, 0), get(1, 2, 2, Some("2.1;1.1;"))];
    let good = log([(1, &history[1]), (1, &history[0]), (1, &history[2])]);
    assert_eq!(unexplained(&good, &history), None);
    assert!(linearizable(&history));
    // The same request twice in the log takes effect once.
    let repeated = log([(1, &history[1]), (1, &history[0]), (2, &history[1]), (2, &history[2])]);
    assert_eq!(unexplained(&repeated, &history), None);
}

#[test]
fn an_answer_that_the_log_does_not_give_is_found() {
    let history = [append(1, 1, 0), append(2, 1, 2), get(1, 2, 4, Some("1.1;"))];
    let all = log([(1, &history[0]), (1, &history[1]), (1, &history[2])]);
    let output = Output::Value(Some("1.1;2.1;".into()));
    let stale = Unexplained::Differs(history[2].operation.clone(), output);
    assert_eq!(unexplained(&all, &history), Some(stale));
    assert!(!linearizable(&history));

    let lost = Unexplained::Lost(history[1].operation.clone());
    assert_eq!(unexplained(&log([(1, &history[0]), (1, &history[2])]), &history), Some(lost));
}

#[test]
fn a_stale_read_is_found_by_its_place_in_the_log() {
    // The read gives the answer of its place, but its place is before what was acknowledged.
    let history = [append(1, 1, 0), append(2, 1, 2), get(1, 2, 4, Some("1.1;"))];
    let early = log([(1, &history[0]), (1, &history[2]), (1, &history[1])]);
    let overtaken =
        Unexplained::Overtaken(history[1].operation.clone(), history[2].operation.clone());
    assert_eq!(unexplained(&early, &history), Some(overtaken));
    assert!(!linearizable(&history));
}

#[test]
fn what_was_not_done_or_not_asked_is_not_in_the_log() {
    let history = [not_done(append(1, 1, 0)), unknown(append(2, 1, 0))];
    assert_eq!(unexplained(&Log::default(), &history), None);
    assert_eq!(unexplained(&log([(1, &history[1])]), &history), None);
    let undone = Unexplained::Undone(history[0].operation.clone());
    assert_eq!(unexplained(&log([(1, &history[0])]), &history), Some(undone));

    let other = get(2, 1, 0, None);
    let garbled = unexplained(&log([(1, &other)]), &history);
    assert!(matches!(garbled, Some(Unexplained::Garbled(operation, _))
        if operation == history[1].operation));
}

/// The logs of n3, n4, ...
fn servers(logs: impl IntoIterator<Item = Log<Command>>) -> Logs {
    (3..).map(NodeId).zip(logs).collect()
}

#[test]
fn logs_that_differ_are_told_apart() {
    let (a, b) = (append(1, 1, 0), append(2, 1, 0));
    let both = || log([(1, &a), (1, &b)]);
    assert_eq!(logs::agree(&servers([both(), both(), both()])), Ok(()));

    let short = Discord::Short { server: NodeId(3), last: Index(1), longest: Index(2) };
    assert_eq!(logs::agree(&servers([log([(1, &a)]), both(), both()])), Err(short));

    for other in [log([(1, &a), (2, &b)]), log([(1, &a), (1, &a)])] {
        let apart = Discord::Apart { index: Index(2), one: NodeId(5), other: NodeId(4) };
        assert_eq!(logs::agree(&servers([both(), other, both()])), Err(apart));
    }
}

#[test]
fn the_later_term_is_more_up_to_date_than_the_longer_log() {
    let (a, b) = (append(1, 1, 0), append(2, 1, 0));
    let (long, late) = (log([(1, &a), (1, &b)]), log([(2, &b)]));
    assert_eq!(logs::most_up_to_date(&servers([long, late.clone()])), Some(&late));
}

#[test]
fn lines_number_the_clients_and_leave_open_what_is_unknown() {
    let history = [unknown(append(9, 2, 5)), get(7, 1, 1, None), not_done(append(9, 1, 3))];
    let lines: Vec<_> = export::lines(&history).map(|line| format!("{line:?}")).collect();
    let beginnings = [
        r#"Line { client: 0, call_ns: 1, return_ns: Some(2), input: Get { key: "log" }, "#,
        r#"Line { client: 1, call_ns: 3, return_ns: Some(4), input: Append { key: "log", "#,
        r#"Line { client: 1, call_ns: 5, return_ns: None, input: Append { key: "log", "#,
    ];
    let outputs = ["output: Some(Value(None)) }", "output: Some(NotDone) }", "output: None }"];
    assert_eq!(lines.len(), beginnings.len());
    for (line, (beginning, output)) in lines.iter().zip(beginnings.into_iter().zip(outputs)) {
        assert!(line.starts_with(beginning) && line.ends_with(output), "{line}");
    }
}
