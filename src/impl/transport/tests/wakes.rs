//! Wake-ups from many threads at once: each ends a wait, however they interleave.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Threads that wake one transport at the same time.
const WAKERS: u64 = 3;

/// Wake-ups from each of the threads.
const ROUNDS: u64 = 200_000;

/// Counts of one waking thread.
#[derive(Default)]
struct Side {
    /// Wake-ups that this thread has begun.
    begun: AtomicU64,
    /// Of those, the ones that the waiting thread has seen after a wait.
    seen: AtomicU64,
}

/// Wakes a transport from several threads. Each thread announces a number, wakes, and goes on when
/// the number has been seen, or at once in every other round, so that wake-ups come both in bursts
/// and while the waiting thread is about to wait. A wake-up that ends no wait leaves the waiting
/// thread in a wait that only `PATIENCE` ends.
fn no_wake_is_lost(mut transport: impl Transport + Send + 'static) {
    let sides: Arc<Vec<Side>> = Arc::new((0..WAKERS).map(|_| Side::default()).collect());
    let wakers: Vec<_> = (0..WAKERS as usize)
        .map(|at| {
            let (sides, waker) = (Arc::clone(&sides), transport.waker());
            let wakes = move || {
                let side = &sides[at];
                for round in 1..=ROUNDS {
                    side.begun.store(round, Ordering::Release);
                    waker.wake();
                    while round.is_multiple_of(2) && side.seen.load(Ordering::Acquire) < round {
                        std::thread::yield_now();
                    }
                }
            };
            threads::spawn("wakes", wakes).unwrap()
        })
        .collect();
    while sides.iter().any(|side| side.seen.load(Ordering::Relaxed) < ROUNDS) {
        let deadline = clock::now() + PATIENCE;
        transport.receive(Wait::Until(deadline), &mut |_, _| {}).unwrap();
        let is_late = clock::now() >= deadline;
        for side in sides.iter() {
            let begun = side.begun.load(Ordering::Acquire);
            // The threads also have to end if the test fails.
            side.seen.store(if is_late { ROUNDS } else { begun }, Ordering::Release);
        }
        assert!(!is_late, "a wake-up was lost");
    }
    wakers.into_iter().for_each(|waker| waker.join().unwrap());
}

#[test]
fn no_wake_is_lost_by_udp() {
    no_wake_is_lost(udp());
}

#[test]
fn no_wake_is_lost_by_memory() {
    no_wake_is_lost(memory().0);
}

#[test]
fn no_wake_is_lost_under_faults() {
    let faults = Faults::default();
    no_wake_is_lost(Faulty::new(udp(), faults.clone(), 1));
    no_wake_is_lost(Faulty::new(memory().0, faults, 2));
}
