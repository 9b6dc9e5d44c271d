//! The successors of a state, and their fingerprints.

use rustc_hash::FxHashMap;
use stateright::actor::LossyNetwork;

use crate::fingerprint::{self, Kind, Sums, Total};
use crate::hot::{Hot, HotStep};
use crate::state::{State, Tally};
use crate::step::{Event, Happening, LocalKind, Reaction};
use crate::store::{Store, Travel, nameless};
use crate::system::{Boundary, Checkable, History};

/// Takes steps. Each thread has its own, with a memory of what it has looked up.
pub(crate) struct Stepper<'a, A: Checkable, C, H: History> {
    pub(crate) store: &'a Store<A, C, H>,
    pub(crate) hot: Hot<'a, A, C, H>,
    /// What (cell, message) leads to, with dead messages forgotten and without.
    reactions: [FxHashMap<u64, Reaction>; 2],
    /// What (history, recorded) leads to.
    pasts: FxHashMap<u64, u32>,
    /// The sums of the state that is expanded.
    base: Total,
    /// What the actors of the state that is expanded have spent of each budget.
    spent: Vec<u64>,
    /// The sums of the state that is being made.
    pub(crate) sums: Total,
    /// A cell and a message that was said to be dead and did something to it.
    pub(crate) revived: Option<(u32, u32)>,
}

/// A step that can be taken.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    /// What happens.
    pub(crate) event: Event,
    /// What the actor does, if it concerns one.
    pub(crate) step: Option<u32>,
}

/// Where a step has led.
pub(crate) enum Taken {
    /// To a state with this fingerprint, the same for all states that differ in names only. It owes
    /// to this actor, if to any.
    To { fingerprint: u64, actor: Option<u32> },
    /// Outside the boundary.
    Outside,
    /// Nowhere: the handler panicked.
    Panicked,
}

impl<'a, A: Checkable, C, H: History> Stepper<'a, A, C, H> {
    pub(crate) fn new(store: &'a Store<A, C, H>) -> Self {
        Self {
            store,
            hot: Hot::new(store),
            reactions: Default::default(),
            pasts: FxHashMap::default(),
            base: Total::default(),
            spent: Vec::new(),
            sums: Total::default(),
            revived: None,
        }
    }

    /// The state that the system starts from, if it is within the boundary, and its fingerprint.
    pub(crate) fn start(&mut self) -> Option<(State, u64)> {
        let store = self.store;
        let past = store.past(store.system.model.init_history.clone());
        let mut state = State { past, ..State::default() };
        for message in store.under_way_at_first() {
            self.join(&mut state, message);
        }
        for actor in 0..store.actors() {
            let (cell, sends) = store.start(actor);
            state.cells.push(cell);
            for message in sends {
                state.past = store.note_sent(state.past, message);
                self.join(&mut state, message);
            }
        }
        self.sum_spent(&state);
        if self.is_forgetting(&self.spent) {
            self.forget(&mut state, None);
        }
        let inside = state.cells.iter().all(|cell| store.cells.get(*cell).inside);
        let mut budgets = store.system.budgets.iter().zip(&self.spent);
        let affordable = budgets.all(|(budget, spent)| *spent <= u64::from(budget.limit));
        self.sum(&state);
        let fingerprint = self.base.fingerprint();
        (inside && affordable && self.within_model(&state)).then_some((state, fingerprint))
    }

    /// The fingerprint of a state.
    pub(crate) fn fingerprint(&mut self, state: &State) -> u64 {
        self.sum(state);
        self.base.fingerprint()
    }

    /// Shows every step that can be taken from `state`; [`Self::take`] then takes it.
    pub(crate) fn expand(&mut self, state: &State, mut show: impl FnMut(&mut Self, Move)) {
        self.sum(state);
        self.sum_spent(state);
        let forgetting = self.is_forgetting(&self.spent);
        let mut before = None;
        for item in &state.net {
            if before == Some(item) {
                continue; // Another copy of a counted message.
            }
            before = Some(item);
            self.expand_item(state, *item, forgetting, &mut show);
        }
        for cell in &state.cells {
            let mut i = 0;
            while let Some((event, step)) = self.hot.spontaneous(*cell, i) {
                if !self.is_crash(event) || self.may_crash(state) {
                    show(self, Move { event, step: Some(step) });
                }
                i += 1;
            }
        }
    }

    fn expand_item(
        &mut self,
        state: &State,
        item: u32,
        forgetting: bool,
        show: &mut impl FnMut(&mut Self, Move),
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
            show(self, Move { event: Event::new(Happening::Drop(message)), step: None });
        }
        let dst = self.hot.message(message).dst;
        let Some(cell) = state.cells.get(dst as usize) else { return };
        let step = self.react(*cell, message, forgetting).step();
        if step.is_none() {
            return;
        }
        show(self, Move { event: Event::new(Happening::Deliver(message)), step });
        if store.travel == Travel::Counted && state.tally.duplications < faults.duplications {
            show(self, Move { event: Event::new(Happening::Duplicate(message)), step });
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

    /// Takes one step from `state`, the one that was expanded last, and makes `next` what it leads
    /// to.
    pub(crate) fn take(&mut self, state: &State, taken: Move, next: &mut State) -> Taken {
        next.copy(state);
        self.sums.copy(&self.base);
        let Some(number) = taken.step else {
            self.consume(next, taken.event);
            if !self.within_model(next) {
                return Taken::Outside;
            }
            return Taken::To { fingerprint: self.sums.fingerprint(), actor: None };
        };
        let step = self.hot.step(number);
        if step.panicked {
            return Taken::Panicked;
        }
        let cell = self.hot.cell(step.next);
        let old = std::mem::replace(&mut next.cells[cell.actor as usize], step.next);
        if !cell.inside || !self.affords(old, step.next) {
            return Taken::Outside;
        }
        self.consume(next, taken.event);
        self.sums.add(self.hot.shift(number));
        if let Some(recorded) = step.recorded {
            self.record(next, recorded);
        }
        self.send(next, old, step);
        if !self.within_model(next) {
            return Taken::Outside;
        }
        Taken::To { fingerprint: self.sums.fingerprint(), actor: Some(cell.actor) }
    }

    /// What an event does to the network, and to the tally of faults.
    fn consume(&mut self, next: &mut State, event: Event) {
        let store = self.store;
        let before = next.tally;
        let bounds = &store.system.faults;
        match event.happening() {
            Happening::Deliver(message) => match store.travel {
                Travel::Counted | Travel::Ordered => self.leave(next, message),
                Travel::Set if store.system.remember_last => self.set_last(next, message + 1),
                Travel::Set => {}
            },
            Happening::Drop(message) => {
                self.leave(next, message);
                next.tally.drops += u8::from(bounds.drops.is_some());
            }
            Happening::Duplicate(_) => next.tally.duplications += 1,
            Happening::Local(_) if self.is_crash(event) => {
                next.tally.crashes += u8::from(bounds.crashes.is_some());
            }
            Happening::Local(_) => {}
        }
        if next.tally != before {
            self.sums.remove(self.tally(before).all());
            self.sums.add(self.tally(next.tally).all());
        }
    }

    fn tally(&self, tally: Tally) -> Sums {
        nameless(Kind::Tally, self.store.renamings.len(), &tally)
    }

    fn set_last(&mut self, next: &mut State, last: u32) {
        if let Some(sums) = self.last(next.last) {
            self.sums.remove(sums.all());
        }
        next.last = last;
        if let Some(sums) = self.last(last) {
            self.sums.add(sums.all());
        }
    }

    /// The sums of the message that was delivered last, apart from those of one under way.
    fn last(&self, last: u32) -> Option<Sums> {
        let message = self.store.messages.get(last.checked_sub(1)?);
        let hash = |i| fingerprint::of(Kind::Last, &message.sums.at(i)) as u64;
        Some(Sums::new(self.store.renamings.len(), hash))
    }

    /// Notes a step in the history.
    fn record(&mut self, next: &mut State, recorded: u32) {
        let (store, before) = (self.store, next.past);
        let key = u64::from(before) << 32 | u64::from(recorded);
        let after = *self.pasts.entry(key).or_insert_with(|| store.record(before, recorded));
        if after != before {
            next.past = after;
            self.sums.remove(store.pasts.get(before).sums.all());
            self.sums.add(store.pasts.get(after).sums.all());
        }
    }

    /// Puts under way what a step sends, and forgets what it makes dead.
    fn send(&mut self, next: &mut State, old: u32, step: HotStep) {
        let forgetting = self.is_forgetting_after(old, step.next);
        if forgetting && !self.is_forgetting(&self.spent) {
            self.forget(next, None); // From now on.
        } else if forgetting && old != step.next {
            let actor = self.hot.cell(step.next).actor;
            self.forget(next, Some(actor));
        }
        let mut i = 0;
        while let Some(message) = self.hot.send(step, i) {
            if !forgetting || !self.is_dead(next, message) {
                self.join(next, message);
            }
            i += 1;
        }
    }

    /// Whether dead messages are forgotten, when so much is spent.
    fn is_forgetting(&self, spent: &[u64]) -> bool {
        let system = &self.store.system;
        self.store.travel != Travel::Ordered
            && system.dead.as_ref().is_some_and(|dead| {
                dead.once_spent
                    .is_none_or(|place| spent[place] >= u64::from(system.budgets[place].limit))
            })
    }

    /// Whether they are once one cell has taken the place of another.
    fn is_forgetting_after(&self, old: u32, new: u32) -> bool {
        if self.is_forgetting(&self.spent) {
            return true; // What is spent stays spent.
        }
        let system = &self.store.system;
        let place = system.dead.as_ref().and_then(|dead| dead.once_spent);
        self.store.travel != Travel::Ordered
            && place.is_some_and(|p| {
                self.spent_after(p, old, new) >= u64::from(system.budgets[p].limit)
            })
    }

    /// What is spent of a budget once one known cell has taken the place of another.
    #[inline]
    fn spent_after(&self, place: usize, old: u32, new: u32) -> u64 {
        self.spent[place] - self.hot.spent(old)[place] + self.hot.spent(new)[place]
    }

    /// Whether the budgets allow one known cell in place of another.
    fn affords(&self, old: u32, new: u32) -> bool {
        let mut budgets = self.store.system.budgets.iter().enumerate();
        old == new || budgets.all(|(p, b)| self.spent_after(p, old, new) <= u64::from(b.limit))
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
    pub(crate) fn react(&mut self, cell: u32, message: u32, forgetting: bool) -> Reaction {
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
            self.hot.cell(*cell);
            for (sum, spent) in self.spent.iter_mut().zip(self.hot.spent(*cell)) {
                *sum += spent;
            }
        }
    }

    /// Adds up the hashes of a state's parts.
    fn sum(&mut self, state: &State) {
        let store = self.store;
        self.base.clear(store.renamings.len());
        for cell in &state.cells {
            self.hot.cell(*cell);
            self.base.add(self.hot.cell_sums(*cell));
        }
        self.base.add(store.pasts.get(state.past).sums.all());
        for item in &state.net {
            match store.travel {
                Travel::Counted | Travel::Set => {
                    self.hot.message(*item);
                    self.base.add(self.hot.message_sums(*item));
                }
                Travel::Ordered => self.base.add(store.flows.get(*item).sums.all()),
            }
        }
        if state.tally != Tally::default() {
            self.base.add(self.tally(state.tally).all());
            self.base.remove(self.tally(Tally::default()).all());
        }
        if let Some(sums) = self.last(state.last) {
            self.base.add(sums.all());
        }
    }
}
