//! The event loop: one actor, its endpoint, its journal and its timers.
//!
//! A turn of the loop takes in whatever is ready, runs the handlers, syncs what they save, once,
//! and only then sends and starts timers. To the outside that equals the atomic steps of the model
//! with some messages lost or late: nothing that depends on a state is seen before the state is
//! durable. What a turn sends to one server is joined where one message can say it all.
//!
//! Two rules keep it live. Each turn receives before it looks at timers, and a timer fires at most
//! once in a turn, so that no timer starves the network. And a turn is bounded in datagrams,
//! whether they are accepted or rejected, so that a busy network does not starve the timers.
//!
//! Two rules keep it honest. A journal that fails stops the node, since nobody knows what the disk
//! holds then. A handler that panics, such as by a violated invariant, stops the node before
//! anything of that turn was synced or sent.

use crate::clock;
use crate::endpoint::Endpoint;
use crate::hosted::{Heard, Hosted, Remarks, Trouble};
use crate::join::{Join, Joiner};
use crate::journal::Journal;
use crate::mailbox::{Handle, Mailbox, Requests};
use crate::metrics::Metrics;
use crate::rng::Rng;
use crate::timers::Timers;
use crate::transport::{Transport, Wait};
use crate::wire::FIRST_CLIENT;
use model::violation::Violation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::{Actor, Command, Id, Out};
use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::{fmt, io};

// Participants are 64-bit numbers on the wire, and `Id` is only made from a `usize`.
const _: () = assert!(size_of::<usize>() == size_of::<u64>());

/// How a node runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// About how many messages to take in before saving and sending; a datagram without a whole
    /// message counts as one. More make saving cheaper for each, and all of them later.
    pub batch: usize,
    /// Draws timeouts and random choices.
    pub rng: Rng,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch: 1_024, rng: Rng::from_entropy() }
    }
}

/// Why a node stopped by itself.
#[derive(Debug)]
pub enum Failure {
    /// The journal could not save or sync.
    Journal(io::Error),
    /// The transport is unusable.
    Transport(io::Error),
    /// A handler panicked, with this message.
    Panic(String),
    /// The actor can never do its work, for this reason.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => write!(f, "the journal failed: {error}"),
            Self::Transport(error) => write!(f, "the transport failed: {error}"),
            Self::Panic(message) => write!(f, "the node panicked: {message}"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Journal(error) | Self::Transport(error) => Some(error),
            Self::Panic(_) | Self::Refused(_) => None,
        }
    }
}

/// One actor and the world around it.
pub struct Node<A: Actor, T, J> {
    actor: A,
    id: Id,
    storage: Option<A::Storage>,
    endpoint: Endpoint<T>,
    journal: J,
    options: Options,
    handle: Handle<A::Msg>,
    mailboxes: BTreeMap<Id, mpsc::Sender<A::Msg>>,
    timers: Timers<A::Timer>,
    /// Choices drawn and not yet delivered, by their key.
    choices: BTreeMap<String, A::Random>,
    pending: Pending<A>,
    /// Whether the journal has something to sync.
    unsynced: bool,
    metrics: Metrics,
    remarks: Remarks,
    heard: Heard,
}

/// What handlers have asked for that waits for the end of the turn. Messages to other participants
/// wait in the endpoint.
struct Pending<A: Actor> {
    to_mailboxes: Vec<(Id, A::Msg)>,
    to_servers: Joiner<A::Msg>,
    to_self: Vec<A::Msg>,
}

impl<A: Actor> Default for Pending<A> {
    fn default() -> Self {
        Self { to_mailboxes: Vec::new(), to_servers: Joiner::default(), to_self: Vec::new() }
    }
}

impl<A, T, J> Node<A, T, J>
where
    A: Hosted<Msg: Join + Serialize + DeserializeOwned>,
    T: Transport,
    J: Journal<A::Storage>,
{
    /// A node that runs `actor` as the participant that `endpoint` is, starting from what the
    /// journal had recovered.
    pub fn new(
        actor: A,
        storage: Option<A::Storage>,
        endpoint: Endpoint<T>,
        journal: J,
        options: Options,
    ) -> Self {
        Self {
            actor,
            id: Id::from(endpoint.id() as usize),
            storage,
            handle: Handle::new(endpoint.waker()),
            endpoint,
            journal,
            options,
            mailboxes: BTreeMap::new(),
            timers: Timers::default(),
            choices: BTreeMap::new(),
            pending: Pending::default(),
            unsynced: false,
            metrics: Metrics::default(),
            remarks: Remarks::default(),
            heard: Heard::default(),
        }
    }

    /// Controls this node from another thread.
    pub fn handle(&self) -> Handle<A::Msg> {
        self.handle.clone()
    }

    /// Makes participant `id` a part of this process: what the actor sends to it arrives in the
    /// mailbox instead of the network.
    pub fn mailbox(&mut self, id: Id) -> Mailbox<A::Msg> {
        let (sender, receiver) = mpsc::channel();
        self.mailboxes.insert(id, sender);
        Mailbox::new(id, self.handle(), receiver)
    }

    /// Runs until the [handle](Self::handle) stops it or something fails. Blocks.
    ///
    /// # Errors
    ///
    /// What failed. The state saved last is what a restart begins with.
    pub fn run(mut self) -> Result<(), Failure> {
        // Whatever a panic leaves half done is dropped here with the node itself.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_turns()))
            .unwrap_or_else(|panic| Err(Failure::Panic(message(panic.as_ref()))));
        self.handle.close();
        outcome
    }

    fn run_turns(&mut self) -> Result<(), Failure> {
        let mut out = Out::new();
        let state = self.actor.on_start(self.id, &self.storage.take(), &mut out);
        let mut state = Cow::Owned(state);
        self.apply(out)?;
        let mut inbox = Vec::new();
        let mut requests = Requests::default();
        loop {
            self.commit()?;
            self.heed_trouble(&state)?;
            self.take_in(&mut inbox, &mut requests)?;
            if requests.stop {
                return self.journal.close().map_err(Failure::Journal);
            }
            for (from, message) in inbox.drain(..) {
                if let Some(remark) = self.actor.remark(&state, from, &message) {
                    self.metrics.remarks += 1;
                    self.remarks.write(&remark);
                }
                self.actor.set_room(state.to_mut(), self.journal.room());
                self.actor.hear(state.to_mut(), &mut self.heard, from, &message);
                self.step(|actor, id, out| actor.on_msg(id, &mut state, from, message, out))?;
            }
            self.deliver_choices(&mut state)?;
            self.fire_timers(&mut state)?;
        }
    }

    /// Fills `inbox` with the messages that are ready, after waiting for something to do.
    fn take_in(
        &mut self,
        inbox: &mut Vec<(Id, A::Msg)>,
        requests: &mut Requests<A::Msg>,
    ) -> Result<(), Failure> {
        let wait = if self.pending.to_self.is_empty() && self.choices.is_empty() {
            Wait::Forever.at_most(self.timers.next_due()).at_most(self.endpoint.next_flush())
        } else {
            Wait::Poll
        };
        inbox.extend(self.pending.to_self.drain(..).map(|message| (self.id, message)));
        self.endpoint
            .receive(wait, self.options.batch, |sender, message| {
                inbox.push((Id::from(sender.source as usize), message));
            })
            .map_err(Failure::Transport)?;
        self.handle.exchange(requests);
        inbox.append(&mut requests.messages);
        // Requests first: then they are aboard what the servers' answers let leave.
        inbox.sort_by_key(|(from, _)| number(*from) < FIRST_CLIENT);
        for (server, address) in requests.servers.drain(..) {
            self.endpoint.set_server(server, address);
        }
        Ok(())
    }

    /// Stops the node if its actor can never do its work, once everybody has been told.
    fn heed_trouble(&mut self, state: &A::State) -> Result<(), Failure> {
        match self.actor.trouble(state) {
            None => Ok(()),
            Some(Trouble::Ends(reason)) => {
                self.journal.close().map_err(Failure::Journal)?;
                Err(Failure::Refused(reason))
            }
            Some(Trouble::Idles(reason)) => {
                self.remarks.write(&reason);
                Ok(())
            }
        }
    }

    fn deliver_choices(&mut self, state: &mut Cow<'_, A::State>) -> Result<(), Failure> {
        if self.choices.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.choices.keys().cloned().collect();
        for key in keys {
            // A handler called just before may have withdrawn it.
            if let Some(choice) = self.choices.remove(&key) {
                self.step(|actor, id, out| actor.on_random(id, state, &choice, out))?;
            }
        }
        Ok(())
    }

    /// Fires the timers that are due. One that is set again meanwhile does not run before the end
    /// of the turn, so each fires at most once.
    fn fire_timers(&mut self, state: &mut Cow<'_, A::State>) -> Result<(), Failure> {
        if self.timers.next_due().is_none() {
            return Ok(());
        }
        let now = clock::now();
        while let Some(timer) = self.timers.take_due(now) {
            self.metrics.timeouts += 1;
            self.step(|actor, id, out| actor.on_timeout(id, state, &timer, out))?;
        }
        Ok(())
    }

    fn step(&mut self, handler: impl FnOnce(&A, Id, &mut Out<A>)) -> Result<(), Failure> {
        let mut out = Out::new();
        handler(&self.actor, self.id, &mut out);
        self.metrics.steps += 1;
        self.apply(out)
    }

    /// Notes what a handler asked for. Nothing of it is visible outside before the commit.
    ///
    /// The journal takes each state at once, and not only the turn's last: a state that waited here
    /// would share its structure with the one that the next handler changes, and make it copy.
    fn apply(&mut self, out: Out<A>) -> Result<(), Failure> {
        for command in out {
            match command {
                Command::Send(to, message) => self.post(to, message),
                Command::Save(storage) => {
                    self.journal.save(&storage).map_err(Failure::Journal)?;
                    self.metrics.saves += 1;
                    self.unsynced = true;
                }
                Command::SetTimer(timer, range) => {
                    let duration = self.options.rng.duration(&range);
                    self.timers.set(&timer, duration);
                }
                Command::CancelTimer(timer) => self.timers.cancel(&timer),
                Command::ChooseRandom(key, mut among) => {
                    if among.is_empty() {
                        self.choices.remove(&key);
                    } else {
                        let choice = among.swap_remove(self.options.rng.index(among.len()));
                        self.choices.insert(key, choice);
                    }
                }
            }
        }
        Ok(())
    }

    fn post(&mut self, to: Id, message: A::Msg) {
        if to == self.id {
            self.pending.to_self.push(message);
        } else if self.mailboxes.contains_key(&to) {
            self.pending.to_mailboxes.push((to, message));
        } else if number(to) >= FIRST_CLIENT {
            self.endpoint.push(number(to), &message);
        } else if let Some(before) = self.pending.to_servers.push(to, message) {
            self.endpoint.push(number(to), &before);
        }
    }

    /// Ends a turn: makes durable what was saved, then lets the world see what depends on it.
    fn commit(&mut self) -> Result<(), Failure> {
        self.persist().map_err(Failure::Journal)?;
        for (to, message) in self.pending.to_servers.drain() {
            self.endpoint.push(number(to), &message);
        }
        self.endpoint.flush();
        for (to, message) in self.pending.to_mailboxes.drain(..) {
            if let Some(mailbox) = self.mailboxes.get(&to) {
                // It fails when the mailbox is gone, and then nobody misses the message.
                let _ = mailbox.send(message);
            }
        }
        self.journal.rest().map_err(Failure::Journal)?;
        self.timers.start(clock::now());
        self.metrics.turns += 1;
        self.handle.publish(Metrics { endpoint: self.endpoint.counters(), ..self.metrics });
        Ok(())
    }

    fn persist(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.journal.sync()?;
            self.unsynced = false;
            self.metrics.syncs += 1;
        }
        Ok(())
    }
}

/// A participant's number on the wire.
fn number(id: Id) -> u64 {
    usize::from(id) as u64
}

/// What a panic said: a violated invariant its name and values, any other its words.
fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(violation) = panic.downcast_ref::<Violation>() {
        return violation.to_string();
    }
    let text = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests;
