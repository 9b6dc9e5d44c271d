//! Lost disks: when a server is to lose its directory, and who of its group is down meanwhile.
//!
//! A server that is to lose its disk is killed, its directory is removed, and it is started again
//! under its number with an empty one. Its group must refuse the new incarnation. Whether it does
//! matters most while members are down: the others may lack what the lost disk held.
//!
//! No group loses more than a minority of its disks, so every group lives on. The servers that are
//! refused stay away for the rest of the run, so disks are lost towards its end, and of all groups
//! one before any loses a second.

use std::collections::BTreeSet;
use std::time::Duration;

use runtime::rng::Rng;

use super::kind::Kind;
use super::nemesis::LostDisk;
use super::raft_group::RaftGroup;
use super::schedule::{Fault, REST, Victim, milliseconds, shuffled};

/// Shorter runs lose no disk.
const SHORTEST_RUN: Duration = Duration::from_secs(24);

/// How many disks are lost in each minute of a run, and in a shorter run.
const EACH_MINUTE: u64 = 2;

/// Most time that one has for itself: disks are lost late, as groups that have lost one stand still
/// more often, and then less is seen of how long operations wait.
const SPAN: Duration = Duration::from_secs(9);

/// The part that a server has in the loss of a disk in its group.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Role {
    /// The server that loses its disk.
    Lost,
    /// A server that is down before and misses what the others acknowledge. With the lost server
    /// the witnesses would be a majority.
    Witness,
    /// Any other server of the group.
    Other,
}

/// A part of the course that the loss of a disk takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Step {
    /// Servers that are down from its beginning on. The disk is lost in the first step in which the
    /// lost server is down.
    pub(super) down: &'static [Role],
    /// Whether the servers of [`Role::Other`] are killed a moment after those are started that come
    /// up in this step, and not before.
    pub(super) late: bool,
    /// How long it lasts. The last step lasts until the new incarnation is refused.
    pub(super) lasts: Duration,
}

/// The servers of a group by their roles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cast {
    pub(super) lost: u16,
    pub(super) witnesses: BTreeSet<u16>,
    pub(super) others: BTreeSet<u16>,
}

impl Cast {
    /// Casts the members of a group that still have their disks. So many can be missing before the
    /// group stands still. The leader is a witness only if there is nobody else: what the witnesses
    /// are to miss is acknowledged by a leader that stays.
    pub(super) fn of(lost: u16, members: &[u16], leader: u16, spare: usize) -> Self {
        let mut rest: Vec<u16> = members.iter().copied().filter(|server| *server != lost).collect();
        rest.sort_by_key(|server| *server == leader);
        let others = rest.split_off(spare.min(rest.len()));
        Self { lost, witnesses: rest.into_iter().collect(), others: others.into_iter().collect() }
    }

    /// The servers in any of these roles.
    pub(super) fn servers(&self, roles: &[Role]) -> BTreeSet<u16> {
        let of_role = |role: &Role| match role {
            Role::Lost => BTreeSet::from([self.lost]),
            Role::Witness => self.witnesses.clone(),
            Role::Other => self.others.clone(),
        };
        roles.iter().flat_map(of_role).collect()
    }
}

/// The disks that are lost in a run, in the order of their times.
pub(super) fn draw(run: Duration, groups: &[RaftGroup], rng: &mut Rng) -> Vec<Fault> {
    if run < SHORTEST_RUN {
        return Vec::new();
    }
    let order = shuffled(&(0..groups.len()).collect::<Vec<_>>(), rng);
    let rounds = groups.iter().map(RaftGroup::minority).max().unwrap_or(0);
    let has_another = |round: usize| move |group: &&usize| groups[**group].minority() > round;
    let of_round = |round| order.iter().filter(has_another(round)).copied();
    let most = EACH_MINUTE * (run.as_secs() / 60).max(1);
    let losing: Vec<usize> = (0..rounds).flat_map(of_round).take(most as usize).collect();
    let kinds = shuffled(&Kind::DISKS, rng);
    let count = losing.len().max(1) as u32;
    let from = (run / 2).max(run.saturating_sub(REST + SPAN * count));
    let span = (run - from - REST) / count;
    let loss = |(number, group): (u32, usize)| {
        let kind = kinds[number as usize % kinds.len()];
        let steps = steps(kind, rng);
        let lasts: Duration = steps.iter().map(|step| step.lasts).sum();
        let room = span.saturating_sub(lasts).as_millis() as u64;
        let begin = from + span * number + milliseconds(rng, (0, room.max(1)));
        let servers: Vec<_> = groups[group].servers.iter().copied().collect();
        let victim = if rng.chance(0.5) {
            Victim::Leader(group)
        } else {
            Victim::Server(servers[rng.index(servers.len())])
        };
        Fault { kind, begin, end: begin + lasts, victim, rate: 0.0, steps }
    };
    (0..).zip(losing).map(loss).collect()
}

/// A part of a course, with the bounds of how long it lasts, in milliseconds.
type Part = (&'static [Role], Others, (u64, u64));

/// When servers of [`Role::Other`] that are to be down are killed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Others {
    First,
    Late,
}

/// All others are up.
const OTHERS_UP: &[Part] =
    &[(&[Role::Lost], Others::First, (100, 1_000)), (&[], Others::First, (500, 1_000))];

/// The beginning of all courses in which others are down. What is acknowledged now is on the disk
/// that is going to be lost, and on no witness's.
const UNWITNESSED: Part = (&[Role::Witness], Others::First, (400, 900));

/// The end of those courses: long enough for an election, and for clients to find a leader.
const WITNESSES: &[Part] =
    &[(&[Role::Other], Others::First, (1_500, 2_000)), (&[], Others::First, (500, 1_000))];

const EVERYONE: &[Role] = &[Role::Lost, Role::Witness, Role::Other];

/// The ways in which a server without its disk meets the witnesses.
const OTHERS_DOWN: [&[Part]; 4] = [
    // It waits for them, and nobody is there to refuse it.
    &[
        (EVERYONE, Others::First, (50, 200)),
        (&[Role::Witness, Role::Other], Others::First, (200, 500)),
    ],
    // It is killed and started again meanwhile.
    &[
        (EVERYONE, Others::First, (50, 200)),
        (&[Role::Witness, Role::Other], Others::First, (200, 500)),
        (EVERYONE, Others::First, (50, 100)),
        (&[Role::Witness, Role::Other], Others::First, (200, 500)),
    ],
    // They are there before it.
    &[(&[Role::Lost, Role::Other], Others::First, (100, 600))],
    // The others, and the leader with them, die while it starts.
    &[
        (&[Role::Lost, Role::Witness], Others::First, (50, 300)),
        (&[Role::Witness, Role::Other], Others::Late, (50, 300)),
    ],
];

/// The kinds that a run must have in which these disks were lost: both, if the groups have two
/// disks to lose.
pub(super) fn kinds(groups: &[RaftGroup], lost: &[LostDisk]) -> Vec<Kind> {
    match (groups.iter().map(RaftGroup::minority).sum::<usize>(), lost.first()) {
        (1, Some(lost)) => vec![lost.kind],
        (1, None) => vec![Kind::DiskLost],
        _ => Kind::DISKS.to_vec(),
    }
}

/// The course that the loss of a disk takes.
fn steps(kind: Kind, rng: &mut Rng) -> Vec<Step> {
    let parts = if kind == Kind::DiskLost {
        OTHERS_UP.to_vec()
    } else {
        let meeting = OTHERS_DOWN[rng.index(OTHERS_DOWN.len())];
        [&[UNWITNESSED], meeting, WITNESSES].concat()
    };
    let step = |(down, others, lasts): Part| Step {
        down,
        late: others == Others::Late,
        lasts: milliseconds(rng, lasts),
    };
    parts.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use model::machine::Kind as Keeps;

    use super::*;

    const A_MINUTE: Duration = Duration::from_secs(60);

    /// So many groups of so many servers each.
    fn groups(groups: u16, servers: u16) -> Vec<RaftGroup> {
        let of = |group| (servers * group..servers * (group + 1)).collect();
        (0..groups).map(|group| RaftGroup { kind: Keeps::Store, servers: of(group) }).collect()
    }

    fn group_of(victim: Victim, groups: &[RaftGroup]) -> usize {
        match victim {
            Victim::Leader(group) => group,
            Victim::Server(server) => {
                groups.iter().position(|group| group.servers.contains(&server)).unwrap()
            }
        }
    }

    #[test]
    fn no_group_loses_more_than_a_minority_and_none_two_before_all_have_lost_one() {
        for (count, servers) in [(1, 3), (1, 5), (4, 3), (3, 4), (4, 5)] {
            let groups = groups(count, servers);
            for seed in 0..200 {
                let run = A_MINUTE * (1 + seed as u32 % 7);
                let mut lost = vec![0; groups.len()];
                for fault in draw(run, &groups, &mut Rng::seeded(seed)) {
                    assert!(fault.begin >= run / 2 && fault.end + REST <= run, "{fault:?}");
                    lost[group_of(fault.victim, &groups)] += 1;
                }
                assert!(lost.iter().all(|lost| *lost <= groups[0].minority()), "{lost:?}");
                let (least, most) = (lost.iter().min(), lost.iter().max());
                assert!(most.unwrap() - least.unwrap() <= 1, "{lost:?}");
            }
        }
    }

    #[test]
    fn both_kinds_come_up_in_half_a_minute_and_every_course() {
        let mut courses = BTreeSet::new();
        for seed in 0..100 {
            let faults = draw(A_MINUTE / 2, &groups(1, 5), &mut Rng::seeded(seed));
            let kinds: BTreeSet<_> = faults.iter().map(|fault| fault.kind).collect();
            assert_eq!(kinds, BTreeSet::from(Kind::DISKS));
            assert!(faults.is_sorted_by_key(|fault| fault.begin));
            assert!(faults.windows(2).all(|two| two[0].end <= two[1].begin));
            for fault in faults {
                let course: Vec<_> =
                    fault.steps.iter().map(|step| (step.down, step.late)).collect();
                courses.insert(course);
            }
        }
        assert_eq!(courses.len(), 1 + OTHERS_DOWN.len());
    }

    #[test]
    fn in_every_course_the_lost_server_comes_and_in_the_end_all_do() {
        for seed in 0..100 {
            for kind in Kind::DISKS {
                let steps = steps(kind, &mut Rng::seeded(seed));
                let lost = steps.iter().position(|step| step.down.contains(&Role::Lost));
                assert!(lost.is_some_and(|lost| lost + 1 < steps.len()));
                assert!(steps.last().unwrap().down.is_empty());
                let witnessed = steps.iter().any(|step| step.down == [Role::Other]);
                assert_eq!(witnessed, kind == Kind::DiskLostOthersDown);
            }
        }
    }

    #[test]
    fn witnesses_and_the_lost_server_would_be_a_majority_and_the_leader_is_none_of_them() {
        let cast = Cast::of(1, &[0, 1, 2], 0, 1);
        let expected = (BTreeSet::from([2]), BTreeSet::from([0]));
        assert_eq!((cast.witnesses.clone(), cast.others.clone()), expected);
        assert_eq!(cast.servers(&[Role::Lost, Role::Other]), BTreeSet::from([0, 1]));
        let cast = Cast::of(3, &[0, 1, 2, 3, 4], 1, 2);
        assert_eq!(cast.witnesses, BTreeSet::from([0, 2]));
        // One has lost its disk before.
        let cast = Cast::of(3, &[1, 2, 3, 4], 3, 1);
        let expected = (BTreeSet::from([1]), BTreeSet::from([2, 4]));
        assert_eq!((cast.witnesses, cast.others), expected);
    }
}
