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

/// What has come of an episode.
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

/// Runs an episode of the plan. The number of the present step is written to `at`; each event is
/// told to `watch` before it happens.
pub fn run(plan: &Plan, at: &AtomicU64, mut watch: impl FnMut(&Step)) -> Outcome {
    judged(plan, Network::random(plan), |world| {
        let draw = &mut Draw::of(plan.seed, &[5]);
        for step in 0..plan.steps {
            if world.ended >= plan.operations {
                break;
            }
            at.store(step, Ordering::Relaxed);
            if let Some(next) = world.draw(draw) {
                watch(&next);
                world.step(next)?;
            }
        }
        at.fetch_add(1, Ordering::Relaxed);
        world.drain()
    })
    .with_steps(at.load(Ordering::Relaxed))
}

/// Lets these events happen, and then the quiet end of the episode.
#[must_use]
pub fn replay(plan: &Plan, events: &[Event]) -> Outcome {
    judged(plan, Network::replay(), |world| {
        for event in events {
            world.happen(event)?;
        }
        world.drain()
    })
    .with_steps(events.len() as u64)
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
