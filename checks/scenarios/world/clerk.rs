//! A client of a world, whose every call is part of the world's history.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::history::Operation;
use model::kv::command::{Op, Output, Value};
use model::kv::transaction::Refusal;
use model::kv::words;
use model::types::NodeId;
use runtime::client::{Client, Outcome, SessionId, within};
use runtime::transport::{Faulty, Memory};

use super::watch::lock;
use super::{PATIENCE, World};

/// These steps as one, each as the command line takes it.
pub fn transaction(steps: &[impl AsRef<str>]) -> Op {
    let step = |step: &str| {
        let words: Vec<_> = step.split(' ').collect();
        words::read(&words).unwrap_or_else(|misspelt| panic!("{step}: {misspelt}"))
    };
    let steps: Vec<_> = steps.iter().map(|text| step(text.as_ref())).collect();
    Op::Transaction(Arc::new(steps.try_into().expect("a transaction")))
}

/// A real client, one operation at a time.
pub struct Clerk<'w> {
    world: &'w World,
    client: Client<Faulty<Memory>>,
    session: SessionId,
    address: SocketAddr,
    /// Where in the history the operation under way stands.
    pending: Option<usize>,
}

impl<'w> Clerk<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        let (address, port) = world.site.network.attach_client(world.draw());
        let mut client = Client::new(&world.site.cluster, port);
        let session = client.open();
        Self { world, client, session, address, pending: None }
    }

    /// Talks to these servers only, until the world is healed.
    pub fn stay_with(&self, servers: &[NodeId]) {
        self.world.site.network.confine(self.address, servers);
    }

    /// Is heard from now on and hears nothing, until the world is healed.
    pub fn deafen(&self) {
        self.world.site.network.deafen(self.address);
    }

    /// Sets a value.
    pub fn put(&mut self, key: &str, value: &str) {
        assert_eq!(self.call(Op::Put(key.into(), value.into())), Output::Written);
    }

    /// Adds to the end of a value.
    pub fn append(&mut self, key: &str, more: &str) {
        assert_eq!(self.call(Op::Append(key.into(), more.into())), Output::Written);
    }

    /// Reads a value; a missing one is empty.
    pub fn get(&mut self, key: &str) -> String {
        match self.call(Op::Get(key.into())) {
            Output::Value(Some(value)) => String::from_utf8_lossy(&value.0).into_owned(),
            Output::Value(None) => String::new(),
            other => panic!("a Get answers with a value, not {other:?}"),
        }
    }

    /// Carries out these steps as one, and gives what its gets have found, missing values as empty
    /// ones.
    ///
    /// # Errors
    /// If one of them cannot be carried out.
    pub fn transact(&mut self, steps: &[impl AsRef<str>]) -> Result<Vec<String>, Refusal> {
        let text = |value: &Option<Value>| {
            value.as_ref().map_or_else(String::new, |v| String::from_utf8_lossy(&v.0).into_owned())
        };
        match self.call(transaction(steps)) {
            Output::Committed(values) => Ok(values.iter().map(text).collect()),
            Output::Rejected(refusal) => Err(refusal),
            other => panic!("a transaction is committed or rejected, not {other:?}"),
        }
    }

    /// Carries out an operation, however long it takes.
    pub fn call(&mut self, op: Op) -> Output {
        let what = format!("{op:?}");
        self.begin(op);
        self.end_within(PATIENCE).unwrap_or_else(|| panic!("no answer to {what}"))
    }

    /// Begins an operation.
    pub fn begin(&mut self, op: Op) {
        assert_eq!(self.pending, None, "one operation at a time");
        let mut history = lock(&self.world.history);
        self.pending = Some(history.len());
        history.push(Operation {
            client: self.client.id(self.session),
            call: self.world.now(),
            ret: None,
            op: op.clone(),
            output: None,
        });
        drop(history);
        self.client.invoke(self.session, op);
    }

    /// The answer to the operation under way, if it comes in time; it stays under way otherwise.
    pub fn end_within(&mut self, time: Duration) -> Option<Output> {
        let deadline = Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = self.client.poll(within(left)).expect("memory does not fail");
            if let Some((_, outcome)) = ended.into_iter().next() {
                return Some(self.end(outcome));
            }
            if left.is_zero() {
                return None;
            }
        }
    }

    /// Gives up on the operation under way: it may have taken effect, or may yet.
    pub fn give_up(&mut self) {
        assert_eq!(self.client.give_up(self.session), Some(Outcome::Unknown));
        self.pending = None;
    }

    fn end(&mut self, outcome: Outcome) -> Output {
        let Outcome::Done(output) = outcome else { panic!("ended as {outcome:?}") };
        let pending = self.pending.take().expect("an operation under way");
        let mut history = lock(&self.world.history);
        history[pending].ret = Some(self.world.now());
        history[pending].output = Some(output.clone());
        output
    }
}
