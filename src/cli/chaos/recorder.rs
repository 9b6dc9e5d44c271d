//! What a client asks and is told, and when.

use std::collections::BTreeMap;
use std::time::Instant;

use checks::recorded::Recorded;
use model::history::Operation;
use model::kv::command::Op;
use model::types::{ClientId, RequestId};
use runtime::client::Outcome;

/// Records the operations of some sessions, by one clock for all recorders of a run.
pub(super) struct Recorder {
    beginning: Instant,
    /// The operations under way, with the times of their calls.
    open: BTreeMap<ClientId, (u64, Op)>,
    /// How many operations each session has called.
    called: BTreeMap<ClientId, u64>,
    recorded: Vec<Recorded>,
}

impl Recorder {
    pub(super) fn new(beginning: Instant) -> Self {
        Self { beginning, open: BTreeMap::new(), called: BTreeMap::new(), recorded: Vec::new() }
    }

    /// The session is about to call an operation.
    pub(super) fn call(&mut self, client: ClientId, op: Op) {
        *self.called.entry(client).or_default() += 1;
        self.open.insert(client, (self.now(), op));
    }

    /// The session's operation has ended. Returns it.
    pub(super) fn end(&mut self, client: ClientId, outcome: Outcome) -> Option<&Operation> {
        let now = self.now();
        let (call, op) = self.open.remove(&client)?;
        let (ret, output) = match outcome {
            Outcome::Done(output) => (Some(now), Some(output)),
            Outcome::NotDone(_) => (Some(now), None),
            Outcome::Unknown => (None, None),
        };
        let number = RequestId(self.called[&client]);
        let operation = Operation { client, call, ret, op, output };
        self.recorded.push(Recorded { number, operation, until: now });
        self.recorded.last().map(|recorded| &recorded.operation)
    }

    /// All that was recorded. What is still under way may take effect or not.
    pub(super) fn finish(mut self) -> Vec<Recorded> {
        for client in self.open.keys().copied().collect::<Vec<_>>() {
            self.end(client, Outcome::Unknown);
        }
        self.recorded
    }

    fn now(&self) -> u64 {
        u64::try_from(self.beginning.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
