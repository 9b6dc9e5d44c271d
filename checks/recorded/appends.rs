//! Exactly once, seen in the final values: appends leave a trace that nothing wipes out.
//!
//! A key that is only ever appended to holds in the end every append that took effect, in order. If
//! each appended value is a token of its own, the final value tells how often each happened. This
//! needs no search and no replica: it is about what the clients see and nothing else.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use model::history::Operation;
use model::kv::command::{Key, Op, Value};
use model::types::ClientId;

use super::{Knowledge, Recorded};

/// Ends each token, and stands nowhere else in it.
pub const END: u8 = b';';

/// An append that did not happen exactly once, or not in its turn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lapse {
    /// It was acknowledged and is not there.
    Lost(Operation),
    /// It is there more than once.
    Repeated(Operation),
    /// Its client was told that it was not done, and it is there.
    Undone(Operation),
    /// It stands before an earlier one of the same session.
    Disordered(Operation),
    /// Something is there that nobody appended.
    Foreign(Key, Value),
}

impl Display for Lapse {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(append) => write!(f, "acknowledged, and lost: {append}"),
            Self::Repeated(append) => write!(f, "happened more than once: {append}"),
            Self::Undone(append) => write!(f, "was not done, it was said, and is there: {append}"),
            Self::Disordered(append) => {
                write!(f, "stands before an earlier append of its session: {append}")
            }
            Self::Foreign(key, value) => write!(f, "key {key:?} holds what nobody put: {value:?}"),
        }
    }
}

/// Checks every key that was only appended to and read, given what the keys hold in the end.
/// Returns how many appends it found there.
///
/// # Errors
/// The first append that did not happen exactly once.
///
/// # Panics
/// If the final value of such a key is not given.
pub fn judge(
    history: &[Recorded],
    finals: &BTreeMap<Key, Option<Value>>,
) -> Result<usize, Box<Lapse>> {
    let mut by_key: BTreeMap<&Key, Vec<&Recorded>> = BTreeMap::new();
    for recorded in history {
        by_key.entry(recorded.operation.op.key()).or_default().push(recorded);
    }
    let mut found = 0;
    for (key, mut operations) in by_key {
        let plain = |op: &Op| matches!(op, Op::Append(..) | Op::Get(_));
        if !operations.iter().all(|recorded| plain(&recorded.operation.op)) {
            continue;
        }
        operations.sort_unstable_by_key(|recorded| (recorded.operation.client, recorded.number));
        let value = finals.get(key).expect("the final values of all keys are given");
        found += judge_key(key, &operations, value.as_ref())?;
    }
    Ok(found)
}

/// The same for one key, whose operations come session by session, each in its order.
fn judge_key(
    key: &Key,
    operations: &[&Recorded],
    value: Option<&Value>,
) -> Result<usize, Box<Lapse>> {
    let bytes = value.map_or(&[][..], |value| &value.0);
    let mut places: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (place, token) in bytes.split_inclusive(|&byte| byte == END).enumerate() {
        places.entry(token).or_default().push(place);
    }
    let mut found = 0;
    let mut last: Option<(ClientId, usize)> = None;
    for recorded in operations {
        let operation = &recorded.operation;
        let Op::Append(_, token) = &operation.op else { continue };
        let places = places.remove(&*token.0).unwrap_or_default();
        let place = match (places.as_slice(), recorded.known()) {
            ([], Knowledge::Done(_)) => return Err(Box::new(Lapse::Lost(operation.clone()))),
            ([], Knowledge::NotDone | Knowledge::Unknown) => continue,
            ([_], Knowledge::NotDone) => return Err(Box::new(Lapse::Undone(operation.clone()))),
            ([place], Knowledge::Done(_) | Knowledge::Unknown) => *place,
            ([_, _, ..], _) => return Err(Box::new(Lapse::Repeated(operation.clone()))),
        };
        if last.is_some_and(|(client, before)| client == operation.client && before > place) {
            return Err(Box::new(Lapse::Disordered(operation.clone())));
        }
        last = Some((operation.client, place));
        found += 1;
    }
    match places.into_keys().next() {
        Some(foreign) => Err(Box::new(Lapse::Foreign(key.clone(), Value::from(foreign)))),
        None => Ok(found),
    }
}
