//! Clients that go on whatever happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::appends::expect_in_order;
use crate::world::World;

/// How long a client thinks before it goes on, as the peers' clients do.
pub const PAUSE: Duration = Duration::from_millis(10);

/// So many clients, each with a key of its own, append and read while something happens. Each finds
/// what it has appended, once each and in order.
pub fn while_appending(world: &World, clients: usize, meanwhile: impl FnOnce()) {
    let stop = Stop::default();
    thread::scope(|scope| {
        for (client, key) in world.keys("client", clients).into_iter().enumerate() {
            let stop = &stop;
            scope.spawn(move || append_until(world, client, &key, stop));
        }
        let _stop = stop.at_the_end();
        meanwhile();
    });
}

fn append_until(world: &World, client: usize, key: &str, stop: &Stop) {
    let mut clerk = world.clerk();
    for number in 0.. {
        clerk.append(key, &format!("{client}.{number} "));
        expect_in_order(&clerk.get(key), client, number + 1);
        if stop.is_set() {
            return;
        }
        world.pass(PAUSE);
    }
}

/// Tells threads to stop.
#[derive(Default)]
pub struct Stop(AtomicBool);

/// Tells them when it is dropped, so also when a scenario fails and would otherwise wait for them.
pub struct AtTheEnd<'s>(&'s Stop);

impl Stop {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn at_the_end(&self) -> AtTheEnd<'_> {
        AtTheEnd(self)
    }
}

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
