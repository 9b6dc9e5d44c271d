//! What is to go wrong and when: drawn from a seed, before anything runs.

use std::time::Duration;

use runtime::rng::Rng;

use super::disks::{self, Step};
use super::kind::Kind;
use super::raft_group::RaftGroup;

/// Whom a fault befalls, if it befalls one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Victim {
    /// Whoever leads this group then, as far as is known; by its place in [`RaftGroup::all`].
    Leader(usize),
    /// This server, or the next one of its group that is up.
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
    /// The course that it takes, if a disk is lost.
    pub(super) steps: Vec<Step>,
}

/// Nothing goes wrong before this: the cluster shows that it is well.
const CALM: Duration = Duration::from_millis(1_500);

/// How long before the end the last fault is over.
pub(super) const REST: Duration = Duration::from_secs(1);

/// What comes in turn, shuffled each time.
struct Act {
    kinds: &'static [Kind],
    /// From one beginning to the next, in milliseconds.
    gap: (u64, u64),
    /// Whether all that went before is over for [`CALM`] when it begins.
    waits: bool,
}

/// A cluster by itself has everything, all the time.
const ALONE: [Act; 1] = [Act { kinds: &Kind::ALONE, gap: (300, 1_500), waits: false }];

/// One with groups has everything, and then a time in which it can be seen how long operations
/// take: the network is well, and one group at a time has less than all of its servers.
const SHARDED: [Act; 2] = [
    Act { kinds: &Kind::SHARDED, gap: (300, 1_500), waits: false },
    Act {
        kinds: &[Kind::Kill, Kind::KillGroup, Kind::KillController, Kind::Pause],
        gap: (1_500, 3_000),
        waits: true,
    },
];

/// The faults of a run in the order of their beginnings: act after act, again and again, and the
/// disks that are lost meanwhile.
pub(super) fn draw(seed: u64, run: Duration, groups: &[RaftGroup]) -> Vec<Fault> {
    let mut rng = Rng::seeded(seed);
    let mut faults = in_turn(run, groups, &mut rng);
    faults.extend(disks::draw(run, groups, &mut rng));
    faults.sort_by_key(|fault| fault.begin);
    faults
}

fn in_turn(run: Duration, groups: &[RaftGroup], rng: &mut Rng) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (mut begin, mut over, mut separated_until) = (CALM, Duration::ZERO, Duration::ZERO);
    let acts = if groups.len() > 1 { &SHARDED[..] } else { &ALONE };
    for act in acts.iter().cycle() {
        if act.waits {
            begin = begin.max(over + CALM);
        }
        for kind in shuffled(act.kinds, rng) {
            if kind.separates() {
                begin = begin.max(separated_until);
            }
            let end = begin + milliseconds(rng, kind.lasts());
            if end + REST > run {
                return faults;
            }
            if kind.separates() {
                separated_until = end;
            }
            over = over.max(end);
            let victim = victim(kind, groups, rng);
            // From an unreliable network to one that an operation hardly gets through, which is
            // where leaders change while much is under way.
            let rate = 0.1 + 0.6 * rng.below(1_000) as f64 / 1_000.0;
            faults.push(Fault { kind, begin, end, victim, rate, steps: Vec::new() });
            begin += milliseconds(rng, act.gap);
        }
    }
    faults
}

/// More often than not a leader.
fn victim(kind: Kind, groups: &[RaftGroup], rng: &mut Rng) -> Victim {
    let with_shards = |group: &RaftGroup| group.id().is_some();
    let eligible: Vec<_> = (0..groups.len())
        .filter(|&group| {
            (kind != Kind::KillGroup || with_shards(&groups[group]))
                && (kind != Kind::KillController || !with_shards(&groups[group]))
        })
        .collect();
    let group = eligible[rng.index(eligible.len())];
    if kind == Kind::KillController || rng.chance(0.6) {
        return Victim::Leader(group);
    }
    let servers: Vec<_> = groups[group].servers.iter().collect();
    Victim::Server(*servers[rng.index(servers.len())])
}

pub(super) fn shuffled<T: Clone>(these: &[T], rng: &mut Rng) -> Vec<T> {
    let mut these = these.to_vec();
    for last in (1..these.len()).rev() {
        these.swap(last, rng.index(last + 1));
    }
    these
}

pub(super) fn milliseconds(rng: &mut Rng, (least, most): (u64, u64)) -> Duration {
    Duration::from_millis(least + rng.below(most - least))
}

#[cfg(test)]
mod tests {
    use model::machine::Kind as Keeps;
    use model::shard::Group;
    use model::shard::config::Servers;
    use model::types::GroupId;

    use super::*;

    const HALF_A_MINUTE: Duration = Duration::from_secs(30);
    const A_MINUTE: Duration = Duration::from_secs(60);

    fn alone() -> Vec<RaftGroup> {
        vec![RaftGroup { kind: Keeps::Store, servers: (0..5).collect() }]
    }

    /// A controller and three groups, of three servers each.
    fn sharded() -> Vec<RaftGroup> {
        let group = |id: u16| {
            let group = Group {
                id: GroupId(id),
                shards: 16,
                servers: Servers::from_iter([]),
                controllers: Servers::from_iter([]),
                part_bytes: 1,
            };
            RaftGroup { kind: Keeps::Group(group), servers: (3 * id..3 * id + 3).collect() }
        };
        let kind = Keeps::Controller { shards: 16 };
        let controller = RaftGroup { kind, servers: (0..3).collect() };
        [controller].into_iter().chain((1..=3).map(group)).collect()
    }

    #[test]
    fn a_seed_gives_its_schedule() {
        for groups in [alone(), sharded()] {
            assert_eq!(draw(1, HALF_A_MINUTE, &groups), draw(1, HALF_A_MINUTE, &groups));
            assert_ne!(draw(1, HALF_A_MINUTE, &groups), draw(2, HALF_A_MINUTE, &groups));
        }
    }

    #[test]
    fn half_a_minute_has_every_kind_in_whatever_order_and_a_minute_with_groups() {
        for (run, groups, kinds) in
            [(HALF_A_MINUTE, alone(), &Kind::ALONE[..]), (A_MINUTE, sharded(), &Kind::SHARDED[..])]
        {
            for seed in 0..10_000 {
                let faults = draw(seed, run, &groups);
                for kind in kinds.iter().chain(&Kind::DISKS) {
                    assert!(faults.iter().any(|fault| fault.kind == *kind), "{seed}: {kind:?}");
                }
            }
        }
    }

    #[test]
    fn faults_keep_to_the_run_and_overlap_unless_they_separate() {
        for groups in [alone(), sharded()] {
            let mut overlaps = 0;
            for seed in 0..100 {
                let faults = draw(seed, HALF_A_MINUTE, &groups);
                assert!(faults.is_sorted_by_key(|fault| fault.begin));
                assert!(faults.iter().all(|f| CALM <= f.begin && f.end <= HALF_A_MINUTE - REST));
                overlaps += faults.windows(2).filter(|two| two[1].begin < two[0].end).count();
                let apart: Vec<_> = faults.iter().filter(|fault| fault.kind.separates()).collect();
                assert!(apart.windows(2).all(|two| two[0].end <= two[1].begin));
            }
            assert!(overlaps > 100);
        }
    }

    #[test]
    fn whole_groups_are_killed_and_of_the_controller_the_leader() {
        let faults = draw(1, 10 * A_MINUTE, &sharded());
        for fault in faults {
            match (fault.kind, fault.victim) {
                (Kind::KillController, victim) => assert_eq!(victim, Victim::Leader(0)),
                (Kind::KillGroup, Victim::Leader(group)) => assert_ne!(group, 0),
                (Kind::KillGroup, Victim::Server(server)) => assert!(server >= 3),
                (_, Victim::Leader(group)) => assert!(group < 4),
                (_, Victim::Server(server)) => assert!(server < 12),
            }
        }
    }

    #[test]
    fn with_groups_the_network_is_well_for_a_third_of_the_time() {
        for seed in 0..100 {
            let faults = draw(seed, 2 * A_MINUTE, &sharded());
            let mut of_datagrams: Vec<_> =
                faults.iter().filter(|fault| !fault.kind.is_of_servers()).collect();
            of_datagrams.sort_unstable_by_key(|fault| fault.begin);
            let mut well = Duration::ZERO;
            let mut bad_until = Duration::ZERO;
            for fault in of_datagrams {
                well += fault.begin.saturating_sub(bad_until);
                bad_until = bad_until.max(fault.end);
            }
            well += (2 * A_MINUTE).saturating_sub(bad_until);
            assert!(well >= A_MINUTE * 2 / 3, "{seed}: {well:?}");
        }
    }

    #[test]
    fn a_short_run_has_no_faults_rather_than_late_ones() {
        assert!(draw(1, Duration::from_secs(1), &alone()).is_empty());
    }
}
