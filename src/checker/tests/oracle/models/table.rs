//! Actors that do what a table says, drawn at random.

use std::borrow::Cow;
use std::sync::Arc;

use quickcheck::{Arbitrary, Gen};
use stateright::actor::{
    Actor, ActorModel, ActorModelAction, ActorModelState, Command as SystemCommand, Id,
    LossyNetwork, Network, Out, model_timeout,
};

/// What an actor does when something happens.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The state that follows; none: it is not even touched.
    next: Option<u8>,
    commands: Vec<Command>,
}

#[derive(Clone, Debug)]
enum Command {
    Send(usize, u8),
    Set(u8),
    Cancel(u8),
    Choose(u8, Vec<u8>),
    Save(u8),
}

/// What all actors do: who, in which state, and on what picks the entry.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    entries: Arc<Vec<Entry>>,
}

/// A table with the system that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) table: Table,
    pub(crate) actors: usize,
    pub(crate) network: u8,
    pub(crate) lossy: bool,
    pub(crate) max_crashes: usize,
    /// Messages that may be under way.
    pub(crate) messages: usize,
    pub(crate) faults: [Option<u8>; 3],
    /// What a property looks for.
    pub(crate) wanted: [u8; 4],
}

const STATES: u8 = 4;

fn up_to(g: &mut Gen, most: u8) -> u8 {
    u8::arbitrary(g) % (most + 1)
}

impl Arbitrary for Entry {
    fn arbitrary(g: &mut Gen) -> Self {
        let next = (up_to(g, 3) > 0).then(|| up_to(g, STATES - 1));
        let count = [0, 1, 1, 2, 3][up_to(g, 4) as usize];
        let commands = (0..count).map(|_| Command::arbitrary(g)).collect();
        Self { next, commands }
    }
}

impl Arbitrary for Command {
    fn arbitrary(g: &mut Gen) -> Self {
        match up_to(g, 9) {
            0..=3 => Self::Send(up_to(g, 3).into(), up_to(g, 2)),
            4 | 5 => Self::Set(up_to(g, 1)),
            6 => Self::Cancel(up_to(g, 1)),
            7 | 8 => {
                let choices = (0..up_to(g, 2)).map(|_| up_to(g, 2)).collect();
                Self::Choose(up_to(g, 1), choices)
            }
            _ => Self::Save(up_to(g, STATES - 1)),
        }
    }
}

impl Arbitrary for Drawn {
    fn arbitrary(g: &mut Gen) -> Self {
        let entries = (0..32).map(|_| Entry::arbitrary(g)).collect();
        let mut fault = || (up_to(g, 1) == 0).then(|| up_to(g, 2));
        let faults = [fault(), fault(), fault()];
        Self {
            table: Table { entries: Arc::new(entries) },
            actors: 1 + usize::from(up_to(g, 2)),
            network: up_to(g, 2),
            lossy: up_to(g, 2) == 0,
            max_crashes: up_to(g, 2).saturating_sub(1).into(),
            messages: usize::from(up_to(g, 2)) + 1,
            faults,
            wanted: [0; 4].map(|_| up_to(g, STATES - 1)),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let idle = Entry { next: None, commands: Vec::new() };
        let drawn = self.clone();
        let busy = |entry: &Entry| entry.next.is_some() || !entry.commands.is_empty();
        let places = (0..32).filter(move |place| busy(&drawn.table.entries[*place]));
        let drawn = self.clone();
        Box::new(places.map(move |place| {
            let mut entries = (*drawn.table.entries).clone();
            entries[place] = idle.clone();
            Self { table: Table { entries: Arc::new(entries) }, ..drawn.clone() }
        }))
    }
}

impl Table {
    fn look_up(&self, id: Id, state: u8, event: usize, out: &mut Out<Self>) -> Option<u8> {
        let place = usize::from(id) * 11 + usize::from(state) * 5 + event * 7;
        let entry = &self.entries[place % self.entries.len()];
        for command in entry.commands.clone() {
            match command {
                Command::Send(dst, msg) => out.send(Id::from(dst), msg),
                Command::Set(timer) => out.set_timer(timer, model_timeout()),
                Command::Cancel(timer) => out.cancel_timer(timer),
                Command::Choose(key, choices) => out.choose_random(key.to_string(), choices),
                Command::Save(storage) => out.save(storage),
            }
        }
        entry.next
    }
}

impl Table {
    /// Whether this leads an actor from state `a` to state `b`, and makes it send something.
    pub(crate) fn does(
        &self,
        whole: &ActorModelState<Self, u8>,
        action: &ActorModelAction<u8, u8, u8>,
        a: u8,
        b: u8,
    ) -> bool {
        let mut out = Out::new();
        let state = |id: Id| Cow::Borrowed(&*whole.actor_states[usize::from(id)]);
        let (id, after) = match action {
            ActorModelAction::Deliver { src, dst, msg } => {
                let mut state = state(*dst);
                self.on_msg(*dst, &mut state, *src, *msg, &mut out);
                (*dst, *state)
            }
            ActorModelAction::Timeout(id, timer) => {
                let mut state = state(*id);
                self.on_timeout(*id, &mut state, timer, &mut out);
                (*id, *state)
            }
            ActorModelAction::SelectRandom { actor, random, .. } => {
                let mut state = state(*actor);
                self.on_random(*actor, &mut state, random, &mut out);
                (*actor, *state)
            }
            ActorModelAction::Recover(id) => {
                let storage = whole.actor_storages[usize::from(*id)];
                (*id, self.on_start(*id, &storage, &mut out))
            }
            ActorModelAction::Crash(_) | ActorModelAction::Drop(_) => return false,
        };
        let sends = out.iter().any(|command| matches!(command, SystemCommand::Send(..)));
        (*state(id), after) == (a, b) && sends
    }
}

impl Actor for Table {
    type Msg = u8;
    type State = u8;
    type Timer = u8;
    type Random = u8;
    type Storage = u8;

    fn on_start(&self, id: Id, storage: &Option<u8>, out: &mut Out<Self>) -> u8 {
        let event = storage.map_or(0, |storage| 1 + usize::from(storage));
        self.look_up(id, 0, event, out).unwrap_or(0)
    }

    fn on_msg(&self, id: Id, state: &mut Cow<'_, u8>, src: Id, msg: u8, out: &mut Out<Self>) {
        let event = 10 + usize::from(msg) * 4 + usize::from(src);
        if let Some(next) = self.look_up(id, **state, event, out) {
            *state.to_mut() = next;
        }
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, u8>, timer: &u8, out: &mut Out<Self>) {
        if let Some(next) = self.look_up(id, **state, 30 + usize::from(*timer), out) {
            *state.to_mut() = next;
        }
    }

    fn on_random(&self, id: Id, state: &mut Cow<'_, u8>, random: &u8, out: &mut Out<Self>) {
        if let Some(next) = self.look_up(id, **state, 40 + usize::from(*random), out) {
            *state.to_mut() = next;
        }
    }
}

impl Drawn {
    /// The system; its history is a number that some messages change.
    pub(crate) fn model(&self) -> ActorModel<Table, usize, u8> {
        let network = match self.network {
            0 => Network::new_ordered([]),
            1 => Network::new_unordered_nonduplicating([]),
            _ => Network::new_unordered_duplicating([]),
        };
        ActorModel::new(self.messages, 0)
            .actors(std::iter::repeat_n(self.table.clone(), self.actors))
            .init_network(network)
            .lossy_network(if self.lossy { LossyNetwork::Yes } else { LossyNetwork::No })
            .max_crashes(self.max_crashes)
            .record_msg_in(|_, past, envelope| {
                (*envelope.msg > 0).then(|| (past * 2 + envelope.msg) % 5)
            })
            .record_msg_out(|_, past, envelope| {
                (*envelope.msg < 2).then(|| (past * 3 + envelope.msg + 1) % 5)
            })
            .within_boundary(|messages, state| state.network.len() <= *messages)
    }
}
