//! A search within bounds of memory, and one that is told to stop.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use checker::{Coverage, Options, Property, Reads, Recovered, Recovery, Report, System, search};

use crate::models::odometer::{Wheel, never_adds_up_to, size, system};

fn within(system: System<Wheel, (), ()>, memory: usize) -> Report<Wheel, ()> {
    let stop = AtomicBool::new(false);
    let threads = NonZeroUsize::MIN;
    search(system, Options { threads, memory: Some(memory), stop: &stop }, |_| {})
}

/// The fingerprints of so many states take 4 MiB, and 6 MiB while they grow.
const WHEELS: (u32, u8) = (3, 60);
const ENOUGH: usize = 64 << 20;
const SCARCE: usize = 13 << 19;
const TOO_LITTLE: usize = 1 << 20;

#[test]
fn search_that_spills_counts_the_same() {
    let (wheels, most) = WHEELS;
    let rich = within(system(wheels, most), ENOUGH);
    let poor = within(system(wheels, most), SCARCE);
    assert_eq!((rich.spilt, poor.spilt > 0), (0, true));
    for report in [rich, poor] {
        assert_eq!((report.coverage, report.trouble), (Coverage::Complete, None));
        assert_eq!((report.unique, report.generated), size(wheels, most));
        assert_eq!(report.depth, 3 * 60 + 1);
    }
}

#[test]
fn search_that_spills_still_tells_the_way() {
    let (wheels, most) = WHEELS;
    let mut system = system(wheels, most);
    system.properties = vec![never_adds_up_to(170)];
    let report = within(system, SCARCE);
    assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::UntilBroken, None));
    assert!(report.spilt > 1 << 20, "part of the log is on disk, too");
    let found = report.found("sum").expect("the broken promise");
    assert_eq!(found.detail, "they add up to 170");
    let sums: Vec<u32> = found
        .trace
        .steps
        .iter()
        .map(|(_, state)| state.actor_states.iter().map(|count| u32::from(**count)).sum())
        .collect();
    assert_eq!(sums, (1..=170).collect::<Vec<_>>());
}

/// The goal is that the first wheel stands at 0 and the others at their ends: whenever the first
/// has moved, it is out of reach.
#[test]
fn walk_back_that_spills_judges_the_same() {
    let (wheels, most) = WHEELS;
    let moved = usize::from(most) * (usize::from(most) + 1).pow(wheels - 1);
    for memory in [ENOUGH, SCARCE] {
        let mut system = system(wheels, most);
        system.recoveries.push(Recovery {
            name: "rest",
            goal: Box::new(move |counts| {
                *counts[0] == 0 && counts[1..].iter().all(|count| **count == most)
            }),
            has_room: Box::new(|_| true),
            is_fault: |()| false,
        });
        let report = within(system, memory);
        assert_eq!((report.coverage, report.trouble.as_ref()), (Coverage::Complete, None));
        assert_eq!(report.spilt > 0, memory == SCARCE);
        let all = Recovered { with_room: size(wheels, most).0, traps: moved };
        assert_eq!(report.recovered, [("rest", all)]);
        assert_eq!(report.found("rest").expect("a trap").trace.steps.len(), 1);
        assert!(report.peak_memory <= memory, "{} bytes", report.peak_memory);
    }
}

#[test]
fn search_ends_when_the_fingerprints_do_not_fit() {
    let (wheels, most) = WHEELS;
    for memory in [0, 1 << 10, TOO_LITTLE] {
        let report = within(system(wheels, most), memory);
        assert_eq!((report.coverage, report.trouble), (Coverage::OutOfMemory, None));
        assert!(report.unique > 0 && report.unique < size(wheels, most).0);
    }
}

#[test]
fn search_stops_before_it_starts() {
    let stop = AtomicBool::new(true);
    let options = Options { threads: NonZeroUsize::MIN, memory: None, stop: &stop };
    let report = search(system(2, 5), options, |_| {});
    assert_eq!((report.coverage, report.unique), (Coverage::Stopped, 1));
}

#[test]
fn search_stops_on_the_way() {
    for threads in [1, 3] {
        let stop = Arc::new(AtomicBool::new(false));
        let (wheels, most) = WHEELS;
        let mut system = system(wheels, most);
        let told = Arc::clone(&stop);
        let judge = move |_, count: &u8| {
            told.fetch_or(*count == 20, Ordering::Relaxed);
            Ok(())
        };
        system.properties = vec![Property::always("stop at 20", Reads::Actor(Box::new(judge)))];
        let threads = NonZeroUsize::new(threads).expect("a thread");
        let options = Options { threads, memory: None, stop: &stop };
        let report = search(system, options, |_| {});
        assert_eq!((report.coverage, report.trouble), (Coverage::Stopped, None));
        assert!(report.depth <= 20 && report.unique > 19, "{} states", report.unique);
    }
}

#[test]
fn property_that_is_broken_at_once_has_an_empty_way() {
    let mut system = system(2, 5);
    system.properties = vec![never_adds_up_to(0)];
    let report = within(system, ENOUGH);
    assert_eq!((report.coverage, report.unique, report.depth), (Coverage::UntilBroken, 1, 0));
    assert!(report.found("sum").expect("the broken promise").trace.steps.is_empty());
}
