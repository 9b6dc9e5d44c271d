//! What is to go wrong and when: drawn from a seed, before anything runs.

use std::time::Duration;

use runtime::rng::Rng;

use super::kind::Kind;

/// Whom a fault befalls, if it befalls one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Victim {
    /// Whoever leads then, as far as the clients know.
    Leader,
    /// This server, or the next one that is up.
    Server(u16),
}

/// Something that goes wrong for a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// From when to when, since the beginning.
    pub(super) begin: Duration,
    pub(super) end: Duration,
    pub(super) victim: Victim,
    /// How many of the datagrams it befalls, from 0 to 1, if it befalls datagrams.
    pub(super) rate: f64,
}

/// Nothing goes wrong before this: the cluster shows that it is well.
const CALM: Duration = Duration::from_millis(1_500);

/// How long before the end the last fault is over.
const REST: Duration = Duration::from_secs(1);

/// From one beginning to the next, in milliseconds.
const GAP: (u64, u64) = (300, 1_500);

/// The faults of a run in the order of their beginnings: all kinds in turn, each time shuffled.
pub(super) fn draw(seed: u64, run: Duration, servers: u16) -> Vec<Fault> {
    let mut rng = Rng::seeded(seed);
    let mut faults = Vec::new();
    let mut kinds = Vec::new();
    let mut begin = CALM;
    let mut separated_until = Duration::ZERO;
    loop {
        if kinds.is_empty() {
            kinds = shuffled(&mut rng);
        }
        let Some(kind) = kinds.pop() else { return faults };
        if kind.separates() {
            begin = begin.max(separated_until);
        }
        let end = begin + milliseconds(&mut rng, kind.lasts());
        if end + REST > run {
            return faults;
        }
        if kind.separates() {
            separated_until = end;
        }
        let victim = if rng.chance(0.6) {
            Victim::Leader
        } else {
            Victim::Server(rng.below(servers.into()) as u16)
        };
        // From an unreliable network to one that an operation hardly gets through, which is where
        // leaders change while much is under way.
        let rate = 0.1 + 0.6 * rng.below(1_000) as f64 / 1_000.0;
        faults.push(Fault { kind, begin, end, victim, rate });
        begin += milliseconds(&mut rng, GAP);
    }
}

fn shuffled(rng: &mut Rng) -> Vec<Kind> {
    let mut kinds = Kind::ALL.to_vec();
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, rng.index(last + 1));
    }
    kinds
}

fn milliseconds(rng: &mut Rng, (least, most): (u64, u64)) -> Duration {
    Duration::from_millis(least + rng.below(most - least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_A_MINUTE: Duration = Duration::from_secs(30);

    #[test]
    fn a_seed_gives_its_schedule() {
        assert_eq!(draw(1, HALF_A_MINUTE, 5), draw(1, HALF_A_MINUTE, 5));
        assert_ne!(draw(1, HALF_A_MINUTE, 5), draw(2, HALF_A_MINUTE, 5));
    }

    #[test]
    fn half_a_minute_has_every_kind_in_whatever_order() {
        for seed in 0..10_000 {
            let faults = draw(seed, HALF_A_MINUTE, 5);
            for kind in Kind::ALL {
                assert!(faults.iter().any(|fault| fault.kind == kind), "{seed}: {kind:?}");
            }
        }
    }

    #[test]
    fn faults_keep_to_the_run_and_overlap_unless_they_separate() {
        let mut overlaps = 0;
        for seed in 0..100 {
            let faults = draw(seed, HALF_A_MINUTE, 3);
            assert!(faults.is_sorted_by_key(|fault| fault.begin));
            assert!(faults.iter().all(|f| CALM <= f.begin && f.end <= HALF_A_MINUTE - REST));
            overlaps += faults.windows(2).filter(|two| two[1].begin < two[0].end).count();
            let apart: Vec<_> = faults.iter().filter(|fault| fault.kind.separates()).collect();
            assert!(apart.windows(2).all(|two| two[0].end <= two[1].begin));
        }
        assert!(overlaps > 100);
    }

    #[test]
    fn a_short_run_has_no_faults_rather_than_late_ones() {
        assert!(draw(1, Duration::from_secs(1), 5).is_empty());
    }
}
