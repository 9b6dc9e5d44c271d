//! Client sessions: each request takes effect at most once, and has one result [Ongaro §6.3].
//!
//! A client sends one request at a time and numbers them, so for each client the last number and
//! its result are all there is to remember. Sessions are part of the replicated state: whether a
//! request is new is decided when it is *applied*, equally on every replica, and never from what
//! one leader happens to remember.

use std::fmt::{self, Debug, Formatter};
use std::ops::Bound;

use im::OrdMap;
use serde::{Deserialize, Serialize};

use super::command::Output;
use crate::types::{ClientId, RequestId};

/// For each client its last applied request and the result.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sessions<T: Clone = Output>(OrdMap<ClientId, Session<T>>);

/// A client's last applied request and its result.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Session<T = Output> {
    /// The request's number.
    pub number: RequestId,
    /// Its result.
    pub output: T,
}

/// Whether a request has been applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen<'a, T = Output> {
    /// No.
    Not,
    /// It is the client's last one; this was its result.
    Last(&'a T),
    /// A later one has been. The client waits for this one no more.
    Older,
}

impl<T: Clone> Default for Sessions<T> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

impl<T: Clone + Debug + PartialEq> Sessions<T> {
    /// Whether a request has been applied.
    #[must_use]
    pub fn seen(&self, client: ClientId, number: RequestId) -> Seen<'_, T> {
        match self.0.get(&client) {
            None => Seen::Not,
            Some(session) if session.number < number => Seen::Not,
            Some(session) if session.number == number => Seen::Last(&session.output),
            Some(_) => Seen::Older,
        }
    }

    /// Remembers the result of a request that has just been applied.
    ///
    /// # Panics
    /// If the client has a result for this number or a later one: requests are applied once.
    pub fn record(&mut self, client: ClientId, number: RequestId, output: T) {
        assert_eq!(self.seen(client, number), Seen::Not, "{client} {number} is applied once");
        self.0.insert(client, Session { number, output });
    }

    /// The number of the client's last applied request.
    #[must_use]
    pub fn last(&self, client: ClientId) -> Option<RequestId> {
        self.0.get(&client).map(|session| session.number)
    }

    /// The sessions of the clients behind `after`, or all of them, in order.
    pub fn behind(&self, after: Option<ClientId>) -> impl Iterator<Item = (ClientId, &Session<T>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded)).map(|(client, session)| (*client, session))
    }

    /// Takes over a session from elsewhere.
    pub fn restore(&mut self, client: ClientId, session: Session<T>) {
        self.0.insert(client, session);
    }
}

impl<T: Clone + Debug> Debug for Sessions<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("sessions ")?;
        f.debug_map().entries(&self.0).finish()
    }
}

impl<T: Debug> Debug for Session<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.number, self.output)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::super::Machine;
    use super::super::command::{Key, Op, Output, Request, Value};
    use super::*;
    use crate::limits::Limits;

    fn append(client: u64, number: u64) -> Request {
        Request {
            client: ClientId(client),
            number: RequestId(number),
            op: Op::Append(Key::from("k"), Value::from(format!("{client}.{number} "))),
        }
    }

    #[test]
    fn repeated_request_gives_its_first_result_and_changes_nothing() {
        let mut machine = Machine::default();
        let get = Request { client: ClientId(1), number: RequestId(1), op: Op::Get("k".into()) };
        assert_eq!(machine.apply(&get), Some(Output::Value(None)));
        machine.apply(&append(2, 1));
        assert_eq!(machine.apply(&get), Some(Output::Value(None)));
        let before = machine.clone();
        assert_eq!(machine.apply(&append(2, 1)), Some(Output::Written));
        assert_eq!(machine, before);
    }

    #[test]
    fn request_of_the_past_has_no_result() {
        let mut machine = Machine::default();
        machine.apply(&append(1, 1));
        machine.apply(&append(1, 2));
        assert_eq!(machine.apply(&append(1, 1)), None);
    }

    quickcheck! {
        fn each_request_takes_effect_once_however_often_it_comes(log: Vec<(u8, u8)>) -> bool {
            let mut machine = Machine::default();
            let mut expected = String::new();
            let mut last = std::collections::BTreeMap::new();
            for (client, number) in log {
                let (client, number) = (u64::from(client % 3), u64::from(number % 8) + 1);
                machine.apply(&append(client, number));
                let last = last.entry(client).or_insert(0);
                if number > *last {
                    *last = number;
                    expected += &format!("{client}.{number} ");
                }
            }
            let stored = machine.store.apply(&Op::Get("k".into()), &Limits::DEFAULT);
            let expected = (!expected.is_empty()).then(|| Value::from(expected));
            stored == Output::Value(expected)
        }
    }
}
