//! The successors of a state, and their fingerprints.

use rustc_hash::FxHashMap;
use stateright::actor::LossyNetwork;

use crate::fingerprint::{Kind, Total};
use crate::state::{State, Tally};
use crate::step::{Event, Happening, LocalKind, Reaction, Step};
use crate::store::{Store, Travel, nameless};
use crate::system::{Boundary, Checkable, History};

/// A step of the system, taken.
pub(crate) struct Successor<'a> {
    /// Whose cell may have changed.
    pub(crate) actor: Option<usize>,
    /// The state after it; before it, if the handler panicked.
    pub(crate) state: &'a State,
    /// Its fingerprint, the same for all states that differ in names only.
    pub(crate) fingerprint: u64,
}

/// Takes steps. Each thread has its own, with a memory of what it has looked up.
pub(crate) struct Stepper<'a, A: Checkable, C, H: History> {
    pub(crate) store: &'a Store<A, C, H>,
    /// What (cell, message) leads to, with dead messages forgotten and without.
    reactions: [FxHashMap<u64, Reaction>; 2],
    /// What (history, recorded) leads to.
    pasts: FxHashMap<u64, u32>,
    total: Total,
    spent: Vec<u32>,
    next: State,
    next_total: Total,
}

impl<'a, A: Checkable, C, H: History> Stepper<'a, A, C, H> {
    pub(crate) fn new(store: &'a Store<A, C, H>) -> Self {
        Self {
            store,
            reactions: Default::default(),
            pasts: FxHashMap::default(),
            total: Total::default(),
            spent: Vec::new(),
            next: State::default(),
            next_total: Total::default(),
        }
    }

    /// The state that the system starts from, if it is within the boundary, and its fingerprint.
    pub(crate) fn start(&mut self) -> Option<(State, u64)> {
        let store = self.store;
        let past = store.past(store.system.model.init_history.clone());
        let mut state = State { past, ..State::default() };
        for message in store.under_way_at_first() {
            self.send(&mut state, message);
        }
        for actor in 0..store.actors() {
            let (cell, sends) = store.start(actor);
            state.cells.push(cell);
            for message in &sends {
                let model = &store.system.model;
                let past = &store.pasts.get(state.past).content;
                let noted = (model.record_msg_out)(&model.cfg, past, store.envelope(*message));
                if let Some(past) = noted {
                    state.past = store.past(past);
                }
                self.send(&mut state, *message);
            }
        }
        self.sum_spent(&state);
        if self.is_forgetting(&self.spent) {
            self.forget_all(&mut state);
        }
        let inside = state.cells.iter().all(|cell| store.cells.get(*cell).inside);
        let inside = inside && self.within_budgets(&self.spent) && self.within_model(&state);
        self.sum(&state);
        inside.then(|| (state, self.total.fingerprint()))
    }

    /// Puts a message under way, in a state whose sums nobody needs yet.
    fn send(&self, state: &mut State, message: u32) {
        match self.store.travel {
            Travel::Counted => state.insert(message),
            Travel::Set if state.holds(message) => {}
            Travel::Set => state.insert(message),
            Travel::Ordered => {
                let (old, new) = self.queued(state, message);
                old.into_iter().for_each(|flow| state.remove(flow));
                state.insert(new);
            }
        }
    }

    /// Takes every step that can be taken from `state`.
    pub(crate) fn expand(
        &mut self,
        state: &State,
        emit: &mut impl FnMut(&mut Self, Event, Option<u32>),
    ) {
        self.sum(state);
        self.sum_spent(state);
        let forgetting = self.is_forgetting(&self.spent);
        let mut before = None;
        for item in &state.net {
            if before == Some(item) {
                continue; // Another copy of a counted message.
            }
            before = Some(item);
            self.expand_item(state, *item, forgetting, emit);
        }
        for cell in &state.cells {
            for (event, step) in self.store.spontaneous(*cell) {
                if !self.is_crash(*event) || self.may_crash(state) {
                    emit(self, *event, Some(*step));
                }
            }
        }
    }

    fn expand_item(
        &mut self,
        state: &State,
        item: u32,
        forgetting: bool,
        emit: &mut impl FnMut(&mut Self, Event, Option<u32>),
    ) {
        let store = self.store;
        let message = match store.travel {
            Travel::Counted | Travel::Set => item,
            Travel::Ordered => store.flows.get(item).queue[0],
        };
        let faults = &store.system.faults;
        if store.system.model.lossy_network == LossyNetwork::Yes
            && faults.drops.is_none_or(|most| state.tally.drops < most)
        {
            emit(self, Event::new(Happening::Drop(message)), None);
        }
        let Some(cell) = state.cells.get(store.messages.get(message).dst) else { return };
        let Some(step) = self.react(*cell, message, forgetting).step() else { return };
        emit(self, Event::new(Happening::Deliver(message)), Some(step));
        if store.travel == Travel::Counted && state.tally.duplications < faults.duplications {
            emit(self, Event::new(Happening::Duplicate(message)), Some(step));
        }
    }

    fn is_crash(&self, event: Event) -> bool {
        self.store.system.model.max_crashes > 0
            && match event.happening() {
                Happening::Local(local) => {
                    matches!(self.store.locals.get(local).kind, LocalKind::Crash)
                }
                Happening::Deliver(_) | Happening::Drop(_) | Happening::Duplicate(_) => false,
            }
    }

    fn may_crash(&self, state: &State) -> bool {
        let crashed = |cell: &&u32| self.store.cells.get(**cell).content.crashed;
        let system = &self.store.system;
        state.cells.iter().filter(crashed).count() < system.model.max_crashes
            && system.faults.crashes.is_none_or(|most| state.tally.crashes < most)
    }

    /// Takes one step from `state`, the one that was expanded last; nothing if it leads outside.
    pub(crate) fn take(
        &mut self,
        state: &State,
        event: Event,
        step: Option<u32>,
    ) -> Option<Successor<'_>> {
        let store = self.store;
        self.next.copy(state);
        self.next_total.copy(&self.total);
        self.consume(state, event);
        let Some(number) = step else {
            let fingerprint = self.next_total.fingerprint();
            return Some(Successor { actor: None, state: &self.next, fingerprint });
        };
        let taken = &store.steps[number as usize];
        let cell = store.cells.get(taken.next);
        let actor = Some(cell.actor);
        if taken.panic.is_some() {
            self.next.copy(state);
            return Some(Successor { actor, state: &self.next, fingerprint: 0 });
        }
        let old = std::mem::replace(&mut self.next.cells[cell.actor], taken.next);
        self.next_total.add(&taken.shift);
        if !cell.inside || !self.afford(old, taken.next) {
            return None;
        }
        self.record(taken);
        self.deliver_sends(state, old, taken);
        if !self.within_model(&self.next) {
            return None;
        }
        let fingerprint = self.next_total.fingerprint();
        Some(Successor { actor, state: &self.next, fingerprint })
    }

    /// What an event does to the network, and to the tally of faults.
    fn consume(&mut self, state: &State, event: Event) {
        let store = self.store;
        let mut tally = state.tally;
        let bounds = &store.system.faults;
        match event.happening() {
            Happening::Deliver(message) => match store.travel {
                Travel::Counted | Travel::Ordered => self.remove(message),
                Travel::Set if store.system.remember_last => self.set_last(message + 1),
                Travel::Set => {}
            },
            Happening::Drop(message) => {
                self.remove(message);
                tally.drops += u8::from(bounds.drops.is_some());
            }
            Happening::Duplicate(_) => tally.duplications += 1,
            Happening::Local(_) if self.is_crash(event) => {
                tally.crashes += u8::from(bounds.crashes.is_some());
            }
            Happening::Local(_) => {}
        }
        if tally != state.tally {
            self.next.tally = tally;
            self.next_total.remove(&self.tally(state.tally));
            self.next_total.add(&self.tally(tally));
        }
    }

    fn tally(&self, tally: Tally) -> crate::fingerprint::Sums {
        nameless(Kind::Tally, self.store.renamings.len(), &tally)
    }

    fn set_last(&mut self, last: u32) {
        let before = self.last(self.next.last);
        before.into_iter().for_each(|sums| self.next_total.remove(&sums));
        self.next.last = last;
        let after = self.last(last);
        after.into_iter().for_each(|sums| self.next_total.add(&sums));
    }

    /// The sums of the message that was delivered last, apart from those of one under way.
    fn last(&self, last: u32) -> Option<crate::fingerprint::Sums> {
        let message = self.store.messages.get(last.checked_sub(1)?);
        let hash = |i| crate::fingerprint::of(Kind::Last, &message.sums.at(i)) as u64;
        Some(crate::fingerprint::Sums::new(self.store.renamings.len(), hash))
    }

    /// Takes a message out of the network.
    fn remove(&mut self, message: u32) {
        let store = self.store;
        if store.travel != Travel::Ordered {
            self.next.remove(message);
            self.next_total.remove(&store.messages.get(message).sums);
            return;
        }
        let Some(flow) = self.flow_of(&self.next, message) else { return };
        let (src, dst, rest) = {
            let flow = store.flows.get(flow);
            (flow.src, flow.dst, flow.queue[1..].to_vec())
        };
        self.next.remove(flow);
        self.next_total.remove(&store.flows.get(flow).sums);
        if !rest.is_empty() {
            let rest = store.flow(src, dst, rest);
            self.next.insert(rest);
            self.next_total.add(&store.flows.get(rest).sums);
        }
    }

    /// The flow that a message travels, or would travel, in, if something is under way there.
    fn flow_of(&self, state: &State, message: u32) -> Option<u32> {
        let message = self.store.messages.get(message);
        let same = |flow: &&u32| {
            let flow = self.store.flows.get(**flow);
            (flow.src, flow.dst) == (message.src, message.dst)
        };
        state.net.iter().find(same).copied()
    }

    /// The flow that a message would join, and what it becomes.
    fn queued(&self, state: &State, message: u32) -> (Option<u32>, u32) {
        let old = self.flow_of(state, message);
        let mut queue = old.map_or_else(Vec::new, |flow| self.store.flows.get(flow).queue.clone());
        queue.push(message);
        let (src, dst) = {
            let message = self.store.messages.get(message);
            (message.src, message.dst)
        };
        (old, self.store.flow(src, dst, queue))
    }

    /// Notes a step in the history.
    fn record(&mut self, step: &Step) {
        let Some(recorded) = step.recorded else { return };
        let store = self.store;
        let before = self.next.past;
        let key = u64::from(before) << 32 | u64::from(recorded);
        let after = *self.pasts.entry(key).or_insert_with(|| store.record(before, recorded));
        if after != before {
            self.next.past = after;
            self.next_total.remove(&store.pasts.get(before).sums);
            self.next_total.add(&store.pasts.get(after).sums);
        }
    }

    /// Puts under way what a step sends, and forgets what it makes dead.
    fn deliver_sends(&mut self, state: &State, old: u32, step: &Step) {
        let store = self.store;
        let forgetting = self.is_forgetting_after(old, step.next);
        if forgetting {
            let from_now_on = !self.is_forgetting(&self.spent);
            self.forget(state, from_now_on, old, step.next);
        }
        for message in &step.sends {
            let dst = store.messages.get(*message).dst;
            let dead = forgetting
                && (self.next.cells.get(dst).copied())
                    .is_none_or(|cell| self.react(cell, *message, true) == Reaction::DEAD);
            if dead {
                continue;
            }
            match store.travel {
                Travel::Set if self.next.holds(*message) => continue,
                Travel::Set | Travel::Counted => {
                    self.next.insert(*message);
                    self.next_total.add(&store.messages.get(*message).sums);
                }
                Travel::Ordered => {
                    let (old, new) = self.queued(&self.next, *message);
                    if let Some(old) = old {
                        self.next.remove(old);
                        self.next_total.remove(&store.flows.get(old).sums);
                    }
                    self.next.insert(new);
                    self.next_total.add(&store.flows.get(new).sums);
                }
            }
        }
    }

    /// Forgets the messages that are dead now: of an actor that has changed those to it, and all if
    /// it is only now that the rule holds.
    fn forget(&mut self, state: &State, all: bool, old: u32, new: u32) {
        if old == new && !all {
            return;
        }
        let store = self.store;
        let changed = store.cells.get(new).actor;
        for item in &state.net {
            let message = store.messages.get(*item);
            if !all && message.dst != changed {
                continue;
            }
            let cell = self.next.cells.get(message.dst).copied();
            let dead = cell.is_none_or(|cell| self.react(cell, *item, true) == Reaction::DEAD);
            if dead && self.next.holds(*item) {
                self.next.remove(*item);
                self.next_total.remove(&message.sums);
            }
        }
    }

    fn forget_all(&mut self, state: &mut State) {
        for item in state.net.clone() {
            let cell = state.cells.get(self.store.messages.get(item).dst).copied();
            if cell.is_none_or(|cell| self.react(cell, item, true) == Reaction::DEAD) {
                state.remove(item);
            }
        }
    }

    /// Whether dead messages are forgotten, when so much is spent.
    fn is_forgetting(&self, spent: &[u32]) -> bool {
        let system = &self.store.system;
        self.store.travel != Travel::Ordered
            && system.dead.as_ref().is_some_and(|dead| {
                dead.once_spent.is_none_or(|place| spent[place] >= system.budgets[place].limit)
            })
    }

    fn is_forgetting_after(&self, old: u32, new: u32) -> bool {
        let system = &self.store.system;
        let Some(dead) = &system.dead else { return false };
        if self.store.travel == Travel::Ordered {
            return false;
        }
        dead.once_spent.is_none_or(|place| {
            let (old, new) = (self.store.cells.get(old), self.store.cells.get(new));
            let spent = self.spent[place] - old.spent[place] + new.spent[place];
            spent >= system.budgets[place].limit
        })
    }

    /// Whether the budgets allow one cell in place of another.
    fn afford(&self, old: u32, new: u32) -> bool {
        if self.spent.is_empty() || old == new {
            return true;
        }
        let (old, new) = (self.store.cells.get(old), self.store.cells.get(new));
        self.store.system.budgets.iter().enumerate().all(|(place, budget)| {
            self.spent[place] - old.spent[place] + new.spent[place] <= budget.limit
        })
    }

    fn within_budgets(&self, spent: &[u32]) -> bool {
        let budgets = self.store.system.budgets.iter();
        budgets.zip(spent).all(|(budget, spent)| *spent <= budget.limit)
    }

    fn within_model(&self, state: &State) -> bool {
        match self.store.system.boundary {
            Boundary::Open | Boundary::Actors(_) => true,
            Boundary::Model => {
                let model = &self.store.system.model;
                (model.within_boundary)(&model.cfg, &self.store.whole(state))
            }
        }
    }

    /// What a message does to a cell.
    #[inline]
    fn react(&mut self, cell: u32, message: u32, forgetting: bool) -> Reaction {
        let key = u64::from(cell) << 32 | u64::from(message);
        let store = self.store;
        *self.reactions[usize::from(forgetting)].entry(key).or_insert_with(|| {
            store.react(cell, Event::new(Happening::Deliver(message)), forgetting)
        })
    }

    /// Adds up what the actors of a state have spent.
    fn sum_spent(&mut self, state: &State) {
        self.spent.clear();
        self.spent.resize(self.store.system.budgets.len(), 0);
        if self.spent.is_empty() {
            return;
        }
        for cell in &state.cells {
            for (sum, spent) in self.spent.iter_mut().zip(&self.store.cells.get(*cell).spent) {
                *sum += spent;
            }
        }
    }

    /// Adds up the hashes of a state's parts.
    fn sum(&mut self, state: &State) {
        let store = self.store;
        let mut total = std::mem::take(&mut self.total);
        total.clear(store.renamings.len());
        for cell in &state.cells {
            total.add(&store.cells.get(*cell).sums);
        }
        total.add(&store.pasts.get(state.past).sums);
        for item in &state.net {
            total.add(match store.travel {
                Travel::Counted | Travel::Set => &store.messages.get(*item).sums,
                Travel::Ordered => &store.flows.get(*item).sums,
            });
        }
        if state.tally != Tally::default() {
            total.add(&self.tally(state.tally));
            total.remove(&self.tally(Tally::default()));
        }
        if let Some(sums) = self.last(state.last) {
            total.add(&sums);
        }
        self.total = total;
    }
}
