//! Traces: the events of an episode that breaks a promise, few enough to be read.

use std::fmt::Debug;
use std::time::Duration;

use model::violation::Violation;
use serde::{Deserialize, Serialize};

use super::episode;
use super::event::Event;
use super::minimise::minimise;
use super::plan::{Family, Plan};
use super::run::Finding;
use super::world::World;

/// The time that may be spent to make a trace smaller.
const TIME: Duration = Duration::from_secs(60);

/// The name of the property that each step ends. A trace that breaks it cannot be made smaller:
/// trying a step that does not end does not end either.
pub const STEP_ENDS: &str = "step_ends";

/// A recorded finding.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Trace {
    /// The family of the episode.
    pub family: Family,
    /// The seed of the episode, from which its cluster and its operations are drawn.
    pub seed: u64,
    /// The property that is broken.
    pub property: String,
    /// The values that break it.
    pub detail: String,
    /// The events before the quiet end.
    pub events: Vec<Event>,
}

/// Result of taking a trace again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The events, and after each the state of the node that it concerns.
    pub steps: Vec<(String, String)>,
    /// The promise that is broken, if one is.
    pub broken: Option<Violation>,
}

impl Trace {
    /// Records a finding: runs its episode again and minimises the events.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let Finding { family, seed, step, property, detail } = finding.clone();
        let plan = Plan::of(family, seed);
        let mut events = episode::events(&plan, step);
        if property != STEP_ENDS {
            let broken = |events: &[Event]| {
                let outcome = episode::replay(&plan, events, |_, _| {});
                outcome.broken.is_some_and(|broken| broken.property == property)
            };
            if broken(&events) {
                events = minimise(events, TIME, broken);
            }
        }
        let mut trace = Self { family, seed, property, detail, events };
        if trace.property != STEP_ENDS
            && let Some(broken) = trace.replay().broken
            && broken.property == trace.property
        {
            trace.detail = broken.detail;
        }
        trace
    }

    /// Lets the events happen again.
    #[must_use]
    pub fn replay(&self) -> Replayed {
        let plan = Plan::of(self.family, self.seed);
        let mut steps = Vec::new();
        let outcome = episode::replay(&plan, &self.events, |event, world| {
            steps.push((event.to_string(), state(event, world)));
        });
        Replayed { steps, broken: outcome.broken }
    }
}

/// The state of the node that an event concerns, in words.
fn state(event: &Event, world: &World<'_>) -> String {
    let server = |number: usize| shown(&world.show(number));
    let client = |number: usize| shown(&world.clients.get(number).map(|client| &client.session));
    let who = |number: usize| shown(&world.administrators.get(number).map(|who| &who.session));
    match event {
        Event::Deliver(words) => {
            let receiver = words.split(" -> ").nth(1).and_then(|rest| rest.split(':').next());
            let receiver = receiver.and_then(|receiver| receiver.parse().ok());
            receiver.map_or(String::new(), server)
        }
        Event::TimeOut(number, _)
        | Event::Crash(number)
        | Event::LoseDisk(number)
        | Event::Inspect(number)
        | Event::Room(number, _) => server((*number).into()),
        Event::Begin(number, _) | Event::Retry(number) | Event::GiveUp(number) => {
            client((*number).into())
        }
        Event::Order(number, _) | Event::RetryOrder(number) => who((*number).into()),
        Event::Stop(_) | Event::Hear(_) => String::new(),
    }
}

/// Most characters of a state that are shown.
const SHOWN: usize = 1_000;

fn shown(state: &Option<impl Debug>) -> String {
    let Some(state) = state else { return String::new() };
    format!("{state:?}").chars().take(SHOWN).collect()
}
