//! Episodes: one run from a fresh cluster to its quiet end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use model::violation::{self, Violation};

use super::coverage::Coverage;
use super::draw::Draw;
use super::event::{Event, Step};
use super::network::Network;
use super::plan::Plan;
use super::world::World;

/// Result of an episode.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The number of steps before the quiet end.
    pub steps: u64,
    /// The number of operations that have ended for their clients.
    pub operations: u64,
    /// The events by kind.
    pub coverage: Coverage,
    /// The promise that was broken, if one was.
    pub broken: Option<Violation>,
}

/// Runs an episode of the plan. The number of the present step is written to `at`.
pub fn run(plan: &Plan, at: &AtomicU64) -> Outcome {
    watched(plan, at, |_, _| true)
}

/// Returns the events of an episode before its quiet end, up to and with the one of this step.
#[must_use]
pub fn events(plan: &Plan, last: u64) -> Vec<Event> {
    let mut events = Vec::new();
    watched(plan, &AtomicU64::new(0), |number, step| {
        events.push(step.event());
        number < last
    });
    events
}

/// Runs an episode as long as `watch` says so, which is told each step before it is taken.
fn watched(plan: &Plan, at: &AtomicU64, mut watch: impl FnMut(u64, &Step) -> bool) -> Outcome {
    judged(plan, Network::random(plan), |world| {
        let draw = &mut Draw::of(plan.seed, &[5]);
        for step in 0..plan.steps {
            if world.ended >= plan.operations {
                break;
            }
            at.store(step, Ordering::Relaxed);
            if let Some(next) = world.draw(draw) {
                if !watch(step, &next) {
                    return Ok(());
                }
                world.step(next)?;
            }
        }
        at.fetch_add(1, Ordering::Relaxed);
        world.drain()
    })
    .with_steps(at.load(Ordering::Relaxed))
}

/// Lets these events happen, and then the quiet end of the episode. Each event is told to `watch`
/// with the world that it leads to.
pub fn replay(plan: &Plan, events: &[Event], mut watch: impl FnMut(&Event, &World<'_>)) -> Outcome {
    let mut taken = 0;
    let outcome = judged(plan, Network::replay(), |world| {
        for event in events {
            taken += 1;
            let judged = world.happen(event);
            watch(event, world);
            judged?;
        }
        world.drain()
    });
    outcome.with_steps(taken)
}

fn judged(
    plan: &Plan,
    network: Network,
    body: impl FnOnce(&mut World<'_>) -> Result<(), Violation>,
) -> Outcome {
    let started = catch_unwind(AssertUnwindSafe(|| World::new(plan, network)));
    let mut world = match started {
        Ok(world) => world,
        Err(panic) => {
            let broken = Some(violation::of_panic(panic.as_ref()));
            return Outcome { steps: 0, operations: 0, coverage: Coverage::default(), broken };
        }
    };
    let judged = catch_unwind(AssertUnwindSafe(|| body(&mut world)));
    let broken = match judged {
        Ok(judged) => judged.err(),
        Err(panic) => Some(violation::of_panic(panic.as_ref())),
    };
    Outcome { steps: 0, operations: world.ended, coverage: world.coverage, broken }
}

impl Outcome {
    fn with_steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }
}
