//! What an actor does, found out once.
//!
//! A handler sees its own actor's cell and the event, and nothing else. So for each (cell, event)
//! the real handler runs once, and what it did is kept: the next cell, and the messages sent.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use stateright::actor::{Actor, ActorModelAction, Command, Id, Out, is_no_op, is_no_op_with_timer};

use crate::fingerprint::{self, Kind, Sums};
use crate::judge;
use crate::property::Action;
use crate::store::{Content, Store, Travel, Trouble, lock};
use crate::system::{Checkable, History};

/// Something that happens, as a number. Numbers are given in the order in which things are first
/// seen, so they mean nothing outside this search.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Event(pub(crate) u32);

/// What kind of event, and of which message or local event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Happening {
    Deliver(u32),
    Drop(u32),
    Duplicate(u32),
    Local(u32),
}

impl Event {
    pub(crate) fn new(happening: Happening) -> Self {
        Self(match happening {
            Happening::Deliver(message) => message << 2,
            Happening::Drop(message) => message << 2 | 1,
            Happening::Duplicate(message) => message << 2 | 2,
            Happening::Local(local) => local << 2 | 3,
        })
    }

    pub(crate) fn happening(self) -> Happening {
        let number = self.0 >> 2;
        match self.0 & 3 {
            0 => Happening::Deliver(number),
            1 => Happening::Drop(number),
            2 => Happening::Duplicate(number),
            _ => Happening::Local(number),
        }
    }
}

/// An event that needs no message.
pub(crate) struct Local<A: Actor> {
    pub(crate) actor: usize,
    pub(crate) kind: LocalKind<A>,
}

/// See [`Local`].
#[derive(Debug)]
pub(crate) enum LocalKind<A: Actor> {
    Timeout(A::Timer),
    Crash,
    Recover,
    Random(String, A::Random),
}

/// What an event leads to in a cell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reaction(u32);

impl Reaction {
    /// The event cannot happen, or changes nothing.
    pub(crate) const NOTHING: Self = Self(u32::MAX);
    /// The message can never again have an effect.
    pub(crate) const DEAD: Self = Self(u32::MAX - 1);
    /// The protocol says so, and the handler does something all the same.
    pub(crate) const REVIVED: Self = Self(u32::MAX - 2);

    /// The step, if there is one.
    pub(crate) fn step(self) -> Option<u32> {
        (self.0 < Self::REVIVED.0).then_some(self.0)
    }

    /// Whether the protocol says that the message is dead.
    pub(crate) fn is_dead(self) -> bool {
        self == Self::DEAD || self == Self::REVIVED
    }
}

/// What a handler did.
pub(crate) struct Step {
    /// The cell that the actor's becomes.
    pub(crate) next: u32,
    /// The messages sent, in order.
    pub(crate) sends: Box<[u32]>,
    /// What the change of the cell adds to the sums.
    pub(crate) shift: Sums,
    /// What the history may take note of, if anything.
    pub(crate) recorded: Option<u32>,
    /// The step properties that it breaks.
    pub(crate) broken: u64,
    /// What the handler said when it panicked. Then there is no next cell.
    pub(crate) panic: Option<Box<str>>,
}

/// What the history may take note of in a step.
pub(crate) struct Recorded {
    pub(crate) received: Option<u32>,
    pub(crate) sent: Box<[u32]>,
}

/// One of so many steps is taken twice, to see whether it is the same.
const REPEAT_EVERY: usize = 16;

/// What came of running a handler.
struct Outcome<A: Actor> {
    content: Content<A>,
    sends: Vec<(Id, A::Msg)>,
}

impl<A: Checkable, C, H: History> Store<A, C, H> {
    /// What an event leads to in a cell; runs the handler the first time.
    pub(crate) fn react(&self, cell: u32, event: Event, forgetting: bool) -> Reaction {
        if forgetting
            && let Happening::Deliver(message) = event.happening()
            && self.is_dead(cell, message)
        {
            return self.bury(cell, event);
        }
        if let Some(reaction) = lock(&self.reactions).get(&(cell, event)) {
            return *reaction;
        }
        let reaction = self.run(cell, event);
        *lock(&self.reactions).entry((cell, event)).or_insert(reaction)
    }

    /// Makes sure, once, that a message does nothing which the protocol says is dead.
    pub(crate) fn bury(&self, cell: u32, event: Event) -> Reaction {
        if !self.system.dead.as_ref().is_some_and(|dead| dead.verify) {
            return Reaction::DEAD;
        }
        if let Some(reaction) = lock(&self.graves).get(&(cell, event)) {
            return *reaction;
        }
        let dead = self.run(cell, event) == Reaction::NOTHING;
        let reaction = if dead { Reaction::DEAD } else { Reaction::REVIVED };
        lock(&self.graves).insert((cell, event), reaction);
        reaction
    }

    /// What a message does that was said to be dead.
    pub(crate) fn revival(&self, cell: u32, message: u32) -> String {
        let before = &self.cells.get(cell).content.state;
        let envelope = self.envelope(message);
        let after = match self.run(cell, Event::new(Happening::Deliver(message))).step() {
            Some(step) => &self.cells.get(self.steps[step as usize].next).content.state,
            None => before,
        };
        format!("{:?} is said to be dead, and makes {after:?} of {before:?}", envelope.msg)
    }

    /// Whether the protocol says that a message to a cell is dead.
    pub(crate) fn is_dead(&self, cell: u32, message: u32) -> bool {
        let Some(dead) = &self.system.dead else { return false };
        let (cell, message) = (self.cells.get(cell), self.messages.get(message));
        let receiver = Id::from(cell.actor);
        (dead.is_dead)(receiver, &cell.content.state, message.src, &message.content)
    }

    /// The events that need no message, with the steps they lead to.
    pub(crate) fn spontaneous(&self, cell: u32) -> &[(Event, u32)] {
        let place = loop {
            match self.spontaneous.get(cell as usize) {
                Some(place) => break place,
                None => drop(self.spontaneous.push(OnceLock::new())),
            }
        };
        place.get_or_init(|| {
            let events = self.local_events(cell);
            let step = |event| Some((event, self.react(cell, event, false).step()?));
            events.into_iter().filter_map(step).collect()
        })
    }

    fn local_events(&self, number: u32) -> Vec<Event> {
        let cell = self.cells.get(number);
        let content = &cell.content;
        let timeouts = content.timers.iter().cloned().map(LocalKind::Timeout);
        let fault = if content.crashed {
            Some(LocalKind::Recover)
        } else {
            (self.system.model.max_crashes > 0).then_some(LocalKind::Crash)
        };
        let random = content.choices.iter().flat_map(|(key, choices)| {
            choices.iter().map(|choice| LocalKind::Random(key.clone(), choice.clone()))
        });
        let kinds = timeouts.chain(fault).chain(random);
        kinds.map(|kind| self.local(cell.actor, kind)).collect()
    }

    fn local(&self, actor: usize, kind: LocalKind<A>) -> Event {
        let words = match &kind {
            LocalKind::Timeout(timer) => fingerprint::of(Kind::Cell, &(actor, 0, timer)),
            LocalKind::Crash => fingerprint::of(Kind::Cell, &(actor, 1)),
            LocalKind::Recover => fingerprint::of(Kind::Cell, &(actor, 2)),
            LocalKind::Random(key, random) => fingerprint::of(Kind::Cell, &(actor, 3, key, random)),
        };
        let local = self.locals.number(words, || Local { actor, kind });
        Event::new(Happening::Local(local))
    }

    /// Runs the handler and keeps what it did.
    fn run(&self, number: u32, event: Event) -> Reaction {
        let run = || catch_unwind(AssertUnwindSafe(|| self.handle(number, event)));
        let outcome = match run() {
            Ok(None) => return Reaction::NOTHING,
            Ok(Some(outcome)) => outcome,
            Err(panic) => return self.panicked(number, &words_of(panic.as_ref())),
        };
        let (next, sends) = self.keep(number, outcome);
        if self.steps.count().is_multiple_of(REPEAT_EVERY) {
            let again = run().ok().flatten().map(|outcome| self.keep(number, outcome));
            self.compare(number, event, (next, &sends), again.as_ref());
        }
        let received = match event.happening() {
            Happening::Deliver(message) => Some(message),
            Happening::Drop(_) | Happening::Duplicate(_) | Happening::Local(_) => None,
        };
        let recorded = self.recorded(received, &sends);
        let shift = self.cells.get(next).sums.minus(&self.cells.get(number).sums);
        let inside = self.cells.get(next).inside;
        let broken = if inside { judge::step(self, number, event, next, &sends) } else { 0 };
        let step = Step { next, sends: sends.into(), shift, recorded, broken, panic: None };
        Reaction(self.steps.push(step) as u32)
    }

    fn panicked(&self, number: u32, words: &str) -> Reaction {
        let sums = &self.cells.get(number).sums;
        Reaction(self.steps.push(Step {
            next: number,
            sends: Box::default(),
            shift: sums.minus(sums),
            recorded: None,
            broken: 0,
            panic: Some(words.into()),
        }) as u32)
    }

    fn keep(&self, number: u32, outcome: Outcome<A>) -> (u32, Vec<u32>) {
        let actor = self.cells.get(number).actor;
        let next = self.cell(actor, outcome.content);
        let src = Id::from(actor);
        let sends = outcome.sends.into_iter().map(|(dst, msg)| self.message(src, dst, msg));
        (next, sends.collect())
    }

    fn compare(
        &self,
        number: u32,
        event: Event,
        first: (u32, &Vec<u32>),
        again: Option<&(u32, Vec<u32>)>,
    ) {
        if again.is_some_and(|(next, sends)| (*next, sends) == first) {
            return;
        }
        let words = |(next, sends): (u32, &Vec<u32>)| {
            let sends: Vec<_> = sends.iter().map(|message| self.envelope(*message)).collect();
            format!("{:?}, sending {sends:?}", self.cells.get(next).content.state)
        };
        self.report(Trouble::NotDeterministic {
            actor: self.cells.get(number).actor,
            event: format!("{:?}", self.action(event)),
            first: words(first),
            second: again.map_or("nothing".into(), |(next, sends)| words((*next, sends))),
        });
    }

    fn recorded(&self, received: Option<u32>, sent: &[u32]) -> Option<u32> {
        let noted = |message: &u32| self.messages.get(*message).recorded;
        let received = received.filter(noted);
        let sent: Box<[u32]> = sent.iter().copied().filter(noted).collect();
        if received.is_none() && sent.is_empty() {
            return None;
        }
        let hash = fingerprint::of(Kind::Flow, &(received, &sent));
        Some(self.records.number(hash, || Recorded { received, sent }))
    }

    /// What the history becomes when a step is recorded.
    pub(crate) fn record(&self, past: u32, recorded: u32) -> u32 {
        let (model, recorded) = (&self.system.model, self.records.get(recorded));
        let before = &self.pasts.get(past).content;
        let mut after = None;
        if let Some(message) = recorded.received {
            after = (model.record_msg_in)(&model.cfg, before, self.envelope(message));
        }
        for message in &recorded.sent {
            let now = after.as_ref().unwrap_or(before);
            let next = (model.record_msg_out)(&model.cfg, now, self.envelope(*message));
            after = next.or(after);
        }
        after.map_or(past, |after| self.past(after))
    }

    /// What the history becomes when a message is sent.
    pub(crate) fn note_sent(&self, past: u32, message: u32) -> u32 {
        let model = &self.system.model;
        let before = &self.pasts.get(past).content;
        let after = (model.record_msg_out)(&model.cfg, before, self.envelope(message));
        after.map_or(past, |after| self.past(after))
    }

    /// Runs the real handler.
    fn handle(&self, number: u32, event: Event) -> Option<Outcome<A>> {
        let cell = self.cells.get(number);
        let (id, content) = (Id::from(cell.actor), &cell.content);
        let actor = &self.system.model.actors[cell.actor];
        let mut state = Cow::Borrowed(&*content.state);
        let mut out = Out::new();
        let mut after = content.clone();
        match event.happening() {
            Happening::Deliver(message) | Happening::Duplicate(message) => {
                let message = self.messages.get(message);
                if content.crashed {
                    return None;
                }
                actor.on_msg(id, &mut state, message.src, message.content.clone(), &mut out);
                if is_no_op(&state, &out) && self.travel != Travel::Ordered {
                    return None;
                }
            }
            Happening::Local(local) => match &self.locals.get(local).kind {
                LocalKind::Timeout(timer) => {
                    actor.on_timeout(id, &mut state, timer, &mut out);
                    if is_no_op_with_timer(&state, &out, timer) {
                        return None;
                    }
                    after.timers.retain(|set| set != timer);
                }
                LocalKind::Crash => {
                    after.timers.clear();
                    after.choices.clear();
                    after.crashed = true;
                }
                LocalKind::Recover => {
                    state = Cow::Owned(actor.on_start(id, &content.storage, &mut out));
                    after.crashed = false;
                }
                LocalKind::Random(key, random) => {
                    actor.on_random(id, &mut state, random, &mut out);
                    after.choices.remove(key);
                }
            },
            Happening::Drop(_) => return None,
        }
        if let Cow::Owned(state) = state {
            after.state = Arc::new(state);
        }
        let sends = obey(&mut after, out);
        Some(Outcome { content: after, sends })
    }

    /// Whose event it is; nobody's if it happens in the network alone.
    pub(crate) fn actor_of(&self, event: Event) -> Option<usize> {
        match event.happening() {
            Happening::Deliver(message) | Happening::Duplicate(message) => {
                Some(self.messages.get(message).dst)
            }
            Happening::Drop(_) => None,
            Happening::Local(local) => Some(self.locals.get(local).actor),
        }
    }

    /// An event as stateright names it. What stateright has no name for is told by what it does:
    /// a message that is delivered once more than it was sent is still delivered.
    pub(crate) fn action(&self, event: Event) -> Action<A> {
        match event.happening() {
            Happening::Deliver(message) | Happening::Duplicate(message) => {
                let envelope = self.envelope(message);
                ActorModelAction::Deliver {
                    src: envelope.src,
                    dst: envelope.dst,
                    msg: envelope.msg.clone(),
                }
            }
            Happening::Drop(message) => {
                ActorModelAction::Drop(self.envelope(message).to_cloned_msg())
            }
            Happening::Local(local) => {
                let local = self.locals.get(local);
                let id = Id::from(local.actor);
                match &local.kind {
                    LocalKind::Timeout(timer) => ActorModelAction::Timeout(id, timer.clone()),
                    LocalKind::Crash => ActorModelAction::Crash(id),
                    LocalKind::Recover => ActorModelAction::Recover(id),
                    LocalKind::Random(key, random) => ActorModelAction::SelectRandom {
                        actor: id,
                        key: key.clone(),
                        random: random.clone(),
                    },
                }
            }
        }
    }

    /// An actor's first cell, and what it sends.
    pub(crate) fn start(&self, actor: usize) -> (u32, Vec<u32>) {
        let id = Id::from(actor);
        let mut out = Out::new();
        let state = self.system.model.actors[actor].on_start(id, &None, &mut out);
        let mut content = Content {
            state: Arc::new(state),
            timers: Vec::new(),
            storage: None,
            choices: Default::default(),
            crashed: false,
        };
        let sends = obey(&mut content, out);
        let sends = sends.into_iter().map(|(dst, msg)| self.message(id, dst, msg)).collect();
        (self.cell(actor, content), sends)
    }
}

/// Does to a cell what the handler asks for; gives what it sends.
fn obey<A: Checkable>(content: &mut Content<A>, out: Out<A>) -> Vec<(Id, A::Msg)> {
    let mut sends = Vec::new();
    for command in out {
        match command {
            Command::Send(dst, msg) => sends.push((dst, msg)),
            Command::SetTimer(timer, _) => {
                if let Err(place) = content.timers.binary_search(&timer) {
                    content.timers.insert(place, timer);
                }
            }
            Command::CancelTimer(timer) => content.timers.retain(|set| *set != timer),
            Command::ChooseRandom(key, choices) if choices.is_empty() => {
                content.choices.remove(&key);
            }
            Command::ChooseRandom(key, choices) => drop(content.choices.insert(key, choices)),
            Command::Save(storage) => content.storage = Some(storage),
        }
    }
    sends
}

impl<A: Actor> Clone for Content<A> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            timers: self.timers.clone(),
            storage: self.storage.clone(),
            choices: self.choices.clone(),
            crashed: self.crashed,
        }
    }
}

/// What a panic said.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked without a word".into())
}
