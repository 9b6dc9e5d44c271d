//! A history as lines of JSON, for judges that others have made, such as Porcupine.
//!
//! ```json
//! {"client":3,"call_ns":17,"return_ns":29,"input":{"op":"get","key":"k"},"output":{"value":"v"}}
//! ```
//!
//! One line for each operation. `return_ns` is null if the outcome is unknown: the operation may
//! take effect at any time after its call, or never. Clients are numbered in the order of
//! their first calls. The steps of a transaction are lists of words ([`words`]).

use std::collections::BTreeMap;

use model::kv::command::{Key, Op, Output, Value};
use model::kv::words;
use serde::Serialize;

use super::{Knowledge, Recorded};

/// One operation, as it is written down.
#[derive(Debug, Serialize)]
pub struct Line {
    client: usize,
    call_ns: u64,
    return_ns: Option<u64>,
    input: Input,
    output: Option<Answer>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Input {
    Get { key: String },
    Put { key: String, value: String },
    Append { key: String, value: String },
    Cas { key: String, expected: Option<String>, new: String },
    Delete { key: String },
    Txn { steps: Vec<Vec<String>> },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Value(Option<String>),
    Written,
    TooLarge,
    Swapped,
    Mismatch(Option<String>),
    Deleted(bool),
    Committed(Vec<Option<String>>),
    Rejected { step: u32, reason: String },
    NotDone,
}

/// The operations of a history by the times of their calls, ready to be written down.
pub fn lines(history: &[Recorded]) -> impl Iterator<Item = Line> {
    let mut history: Vec<_> = history.iter().collect();
    history.sort_by_key(|recorded| recorded.operation.call);
    let mut clients = BTreeMap::new();
    history.into_iter().map(move |recorded| {
        let operation = &recorded.operation;
        let next = clients.len();
        Line {
            client: *clients.entry(operation.client).or_insert(next),
            call_ns: operation.call,
            return_ns: operation.ret,
            input: input(&operation.op),
            output: match recorded.known() {
                Knowledge::Done(output) => Some(answer(output)),
                Knowledge::NotDone => Some(Answer::NotDone),
                Knowledge::Unknown => None,
            },
        }
    })
}

fn input(op: &Op) -> Input {
    match op {
        Op::Get(key) => Input::Get { key: text(key) },
        Op::Put(key, value) => Input::Put { key: text(key), value: content(value) },
        Op::Append(key, value) => Input::Append { key: text(key), value: content(value) },
        Op::Cas { key, expected, new } => Input::Cas {
            key: text(key),
            expected: expected.as_ref().map(content),
            new: content(new),
        },
        Op::Delete(key) => Input::Delete { key: text(key) },
        Op::Transaction(transaction) => {
            Input::Txn { steps: transaction.steps().iter().map(words::write).collect() }
        }
    }
}

fn answer(output: &Output) -> Answer {
    match output {
        Output::Value(value) => Answer::Value(value.as_ref().map(content)),
        Output::Written => Answer::Written,
        Output::TooLarge => Answer::TooLarge,
        Output::Swapped => Answer::Swapped,
        Output::Mismatch(value) => Answer::Mismatch(value.as_ref().map(content)),
        Output::Deleted(present) => Answer::Deleted(*present),
        Output::Committed(values) => {
            Answer::Committed(values.iter().map(|value| value.as_ref().map(content)).collect())
        }
        Output::Rejected(refusal) => {
            Answer::Rejected { step: refusal.step, reason: format!("{:?}", refusal.reason) }
        }
    }
}

fn text(key: &Key) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn content(value: &Value) -> String {
    String::from_utf8_lossy(&value.0).into_owned()
}
