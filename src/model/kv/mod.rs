//! The key/value store as a replicated state machine.
//!
//! [`command`] is what clients may ask ([`transaction`] if of several keys at once, which [`words`]
//! writes down), [`store`] the map itself, [`session`] what makes each request happen exactly once
//! although the network repeats it. A [`Machine`] is the two together: what every replica applies
//! committed requests to, in log order, with equal results.

pub mod command;
mod key;
pub mod session;
pub mod store;
pub mod transaction;
pub mod words;

use std::fmt::{self, Debug, Formatter};

use command::{Output, Request};
use session::{Seen, Sessions};
use store::Store;

use crate::limits::Limits;
use crate::types::{ClientId, RequestId};

/// The replicated state machine: the store, and the sessions of its clients.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Machine {
    /// The map.
    pub store: Store,
    /// What the clients were told last.
    pub sessions: Sessions,
    /// What the results of operations are bounded by.
    pub limits: Limits,
}

impl Machine {
    /// An empty store that keeps to these limits.
    #[must_use]
    pub fn within(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Applies a committed request and gives its result; `None` if the client has moved on and
    /// will not look at it.
    ///
    /// A request that was applied before is answered with its first result and changes nothing:
    /// the same request may stand in the log more than once [Ongaro §6.3].
    pub fn apply(&mut self, request: &Request) -> Option<Output> {
        match self.seen(request.client, request.number) {
            Seen::Not => {
                let output = self.store.apply(&request.op, &self.limits);
                self.sessions.record(request.client, request.number, output.clone());
                Some(output)
            }
            Seen::Last(output) => Some(output.clone()),
            Seen::Older => None,
        }
    }

    /// Whether a request has been applied, and with which result.
    #[must_use]
    pub fn seen(&self, client: ClientId, number: RequestId) -> Seen<'_> {
        self.sessions.seen(client, number)
    }
}

impl Debug for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.store, self.sessions)
    }
}
