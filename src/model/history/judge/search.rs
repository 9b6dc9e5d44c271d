//! The search for an order of the operations on one key, with the whole history in view.
//!
//! The events are followed in order. A *configuration* is the state, the called operations that
//! have taken effect but not returned, and how many of those that never return were used. When an
//! operation returns, and only then, operations take effect in every order that ends with it [Lowe,
//! just-in-time linearization]. Of the choices that this leaves, most need not be tried, because if
//! they lead to an order then another one does:
//!
//! - An operation that changes nothing takes effect as soon as its answer is right: where the rest
//!   goes on afterwards, it goes on now.
//! - Of equal deeds the one that must return first goes first, and one that never returns last:
//!   exchange them.
//! - The same holds for *fillers*: writes of values that, once those who already wait for them have
//!   seen them, nobody will see.
//! - One that never returns takes effect only if that changes something: otherwise leave it out.
//!   And of two configurations that differ in how many were used, the one that used more goes.
//! - A filler takes effect as soon as that changes nothing: its value is good for nothing but to be
//!   deleted, so this holds only if nothing can be deleted before the filler is.
//!
//! And some lead nowhere: the configuration has lost the way to a value ([`Outlook::is_lost`]).

use std::collections::{BTreeMap, BTreeSet};

use super::deed::{Deed, Effect, Guard};
use super::outlook::Outlook;
use super::places::Places;
use super::sight::{Sight, State};
use crate::kv::command::{Op, Output};

/// An operation, by its position among those on the key, in the order of their calls.
pub(super) type TaskId = usize;

/// A deed, by its position among the different ones.
pub(super) type DeedId = usize;

/// What is to be put in order.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) op: &'a Op,
    pub(super) output: Option<&'a Output>,
    /// The event with which it is called.
    pub(super) call: usize,
    /// The event with which it returns, if it does.
    pub(super) deadline: Option<usize>,
}

/// Calls come before returns.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Event {
    Call(TaskId),
    Return(TaskId),
}

/// A way in which the past may have gone.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Configuration {
    pub(super) state: State,
    /// The operations that have taken effect and not returned, in order.
    pub(super) done: Vec<TaskId>,
    /// How many of the operations that never return have taken effect, by deed.
    pub(super) used: BTreeMap<DeedId, usize>,
}

impl Configuration {
    pub(super) fn has_done(&self, task: TaskId) -> bool {
        self.done.binary_search(&task).is_ok()
    }

    fn add(&mut self, task: TaskId) {
        if let Err(at) = self.done.binary_search(&task) {
            self.done.insert(at, task);
        }
    }

    fn has_returned(&mut self, task: TaskId) -> bool {
        let at = self.done.binary_search(&task);
        at.map(|at| self.done.remove(at)).is_ok()
    }

    /// Whether this one used no more than the other of what never returns.
    fn used_no_more(&self, other: &Self) -> bool {
        self.used.iter().all(|(deed, n)| other.used.get(deed).is_some_and(|m| n <= m))
    }
}

/// The search, somewhere in the history.
pub(super) struct Search<'a> {
    sight: Sight<'a>,
    outlook: Outlook<'a>,
    deeds: Vec<Deed<'a>>,
    /// The deed of each task, and its deadline.
    tasks: Vec<(DeedId, Option<usize>)>,
    /// What was called and must still return, by deadline.
    waiting: BTreeSet<(usize, TaskId)>,
    /// What was called and never returns, as far as it can change anything.
    adrift: BTreeMap<DeedId, usize>,
    frontier: BTreeSet<Configuration>,
}

impl<'a> Search<'a> {
    pub(super) fn new(tasks: &[Task<'a>]) -> Self {
        let sight = Sight::new(tasks.iter().map(|task| (task.op, task.output)));
        let mut raw: Vec<_> =
            tasks.iter().map(|task| Deed::of(&sight, task.op, task.output)).collect();
        let places = Places::find(&sight, &raw);
        for deed in &mut raw {
            if let Effect::Extend(more) = deed.effect
                && !places.has(more)
            {
                *deed = deed.blotted(&sight);
            }
        }
        let mut deeds = raw.clone();
        deeds.sort_unstable();
        deeds.dedup();
        let ids = raw.iter().map(|deed| deeds.partition_point(|other| other < deed));
        let facts =
            ids.zip(tasks).map(|(deed, &Task { call, deadline, .. })| (deed, call, deadline));
        let outlook = Outlook::new(places, &deeds, facts.clone());
        let tasks = facts.map(|(deed, _, deadline)| (deed, deadline)).collect();
        let start = Configuration { state: State::Absent, done: vec![], used: BTreeMap::new() };
        Self {
            sight,
            outlook,
            deeds,
            tasks,
            waiting: BTreeSet::new(),
            adrift: BTreeMap::new(),
            frontier: BTreeSet::from([start]),
        }
    }

    /// Follows the events. The error is the position of a return that no configuration survives.
    pub(super) fn run(mut self, events: &[Event]) -> Result<(), usize> {
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::Call(task) => self.on_call(task),
                Event::Return(task) => self.on_return(task),
            }
            if self.frontier.is_empty() {
                return Err(at);
            }
        }
        Ok(())
    }

    fn on_call(&mut self, task: TaskId) {
        let (deed, deadline) = self.tasks[task];
        let idle = self.deeds[deed].effect == Effect::Nothing;
        match deadline {
            None if idle => {}
            None => *self.adrift.entry(deed).or_default() += 1,
            Some(deadline) => {
                self.waiting.insert((deadline, task));
                if idle {
                    let frontier = std::mem::take(&mut self.frontier);
                    self.frontier = frontier.into_iter().map(|c| self.settle(c)).collect();
                }
            }
        }
    }

    fn on_return(&mut self, task: TaskId) {
        let mut open: Vec<_> = std::mem::take(&mut self.frontier).into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut next = BTreeSet::new();
        while let Some(configuration) = open.pop() {
            let mut configuration = self.fill(configuration);
            if configuration.has_returned(task) {
                next.insert(configuration);
                continue;
            }
            for successor in self.successors(&configuration) {
                if seen.insert(successor.clone()) {
                    open.push(successor);
                }
            }
        }
        self.waiting.retain(|&(_, other)| other != task);
        self.outlook.on_return(task, &self.deeds[self.tasks[task].0]);
        self.frontier = frugal(next);
    }

    /// The configurations in which one more operation has taken effect, as far as they are worth
    /// trying.
    fn successors(&self, before: &Configuration) -> Vec<Configuration> {
        let mut tried = BTreeSet::new();
        let mut next = Vec::new();
        let mut filler: Option<(usize, Configuration)> = None;
        for &(_, task) in &self.waiting {
            let (deed, _) = self.tasks[task];
            if before.has_done(task) || !tried.insert(deed) {
                continue;
            }
            let Some(after) = self.step(before, deed, |next| next.add(task)) else { continue };
            match self.fills_until(deed, before, &after) {
                None => next.push(after),
                Some(deadline) if filler.as_ref().is_some_and(|(first, _)| *first < deadline) => {}
                Some(deadline) => filler = Some((deadline, after)),
            }
        }
        next.extend(filler.map(|(_, after)| after));
        for (&deed, &called) in &self.adrift {
            let used = before.used.get(&deed).copied().unwrap_or(0);
            if used < called && !tried.contains(&deed) {
                let after = self.step(before, deed, |next| {
                    next.used.insert(deed, used + 1);
                });
                let same = |after: &Configuration| {
                    after.state == before.state && after.done == before.done
                };
                next.extend(after.filter(|after| !same(after)));
            }
        }
        next
    }

    /// Lets fillers take effect where they change nothing, if they do not matter elsewhere either:
    /// if the key is not absent at any time before they must have been made.
    fn fill(&self, mut before: Configuration) -> Configuration {
        while before.state == self.sight.unseen(0) {
            let filler = self.waiting.iter().find_map(|&(_, task)| {
                let (deed, _) = self.tasks[task];
                let open = !before.has_done(task);
                let after = open.then(|| self.step(&before, deed, |next| next.add(task)))??;
                let deadline = self.fills_until(deed, &before, &after)?;
                (!self.outlook.can_be_removed(deadline, &before)).then_some(after)
            });
            match filler {
                None => break,
                Some(after) => before = after,
            }
        }
        before
    }

    /// What the deed, noted by `note`, leads to, unless it cannot be or is of no use.
    fn step(
        &self,
        before: &Configuration,
        deed: DeedId,
        note: impl FnOnce(&mut Configuration),
    ) -> Option<Configuration> {
        let deed = &self.deeds[deed];
        let state = deed.apply(&self.sight, before.state)?;
        let mut after = Configuration { state, ..before.clone() };
        note(&mut after);
        let after = self.settle(after);
        let lost = self.outlook.is_lost(&self.sight, deed, before.state, &after);
        (!lost).then_some(after)
    }

    /// Lets everything take effect that changes nothing and whose answer is right, and forgets a
    /// value that nobody else will see.
    fn settle(&self, mut configuration: Configuration) -> Configuration {
        for &(_, task) in &self.waiting {
            let deed = &self.deeds[self.tasks[task].0];
            let idle = deed.effect == Effect::Nothing;
            if idle && deed.apply(&self.sight, configuration.state).is_some() {
                configuration.add(task);
            }
        }
        if let State::Seen(beginning) = configuration.state
            && self.outlook.is_forgotten(beginning, &configuration)
        {
            configuration.state = self.sight.unseen(beginning.len);
        }
        configuration
    }

    /// If the step is that of a filler, when it must have been made at the latest: when the
    /// operation, or one that sees what it wrote, returns.
    ///
    /// A filler may be put anywhere, leaves a value that does not matter, and nothing else can make
    /// the values that are seen on the way.
    fn fills_until(
        &self,
        deed: DeedId,
        before: &Configuration,
        after: &Configuration,
    ) -> Option<usize> {
        let Deed { guard, effect } = self.deeds[deed];
        let fills = match effect {
            Effect::Set(State::Unseen { .. }) => true,
            Effect::Set(State::Seen(seen)) => {
                !self.outlook.can_be_entered(&self.sight, seen, after)
            }
            Effect::Extend(more) => self.outlook.is_spent(more, before),
            Effect::Set(State::Absent) | Effect::Nothing | Effect::Blot(_) => false,
        };
        if !fills || guard != Guard::Any || after.state != self.sight.unseen(0) {
            return None;
        }
        let newly_done = |&&(_, task): &&_| after.has_done(task) && !before.has_done(task);
        self.waiting.iter().find(newly_done).map(|&(deadline, _)| deadline)
    }
}

/// Drops the configurations that used more, of what never returns, than one that is otherwise
/// equal.
fn frugal(all: BTreeSet<Configuration>) -> BTreeSet<Configuration> {
    let mut kept: Vec<Configuration> = Vec::new();
    for one in all {
        let alike = |other: &Configuration| other.state == one.state && other.done == one.done;
        // In order of the set, those that are alike stand together.
        let from = kept.iter().rposition(|other| !alike(other)).map_or(0, |at| at + 1);
        if kept[from..].iter().any(|other| other.used_no_more(&one)) {
            continue;
        }
        let later: Vec<_> = kept.drain(from..).filter(|other| !one.used_no_more(other)).collect();
        kept.extend(later);
        kept.push(one);
    }
    kept.into_iter().collect()
}
