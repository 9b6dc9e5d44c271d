//! How long operations waited while majorities were up.
//!
//! A server is *disturbed* from the beginning of a fault that befalls it until [`SETTLING`] after
//! its end. What befalls everybody's datagrams befalls all servers, and so does a standstill of the
//! machine; what separates servers befalls those that it cuts off. A server that has lost its disk
//! is disturbed for ever. A group is *calm* while a majority of its servers is not disturbed: so
//! when all servers of another group are killed, and when one of its own is. A fault that
//! [hinders](Hinders) a group only in what it needs others for disturbs it only as far as shards
//! move.
//!
//! An operation on a shard that was [moving](Tenures::moving) while it waited must be answered
//! within [`Waits::MOVING`], if meanwhile all groups and the controller were calm; any other
//! within [`Waits::UNAFFECTED`], if meanwhile the owner was. Nothing is said of operations that
//! met anything else, nor of those that were given up sooner.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use checks::recorded::{Knowledge, Recorded};
use model::types::GroupId;
use serde::Serialize;

use super::figures::milliseconds;
use super::raft_group::RaftGroup;
use super::tenures::Tenures;

/// How long after a fault leaders are elected, those that were down catch up, and groups that have
/// fallen behind the configurations take them one after the other.
const SETTLING: Duration = Duration::from_secs(2);

/// Something that befell servers.
#[derive(Clone, Debug)]
pub(super) struct Disturbance {
    /// From when to when, since the beginning.
    pub(super) lasted: Range<Duration>,
    pub(super) servers: BTreeSet<u16>,
    pub(super) hinders: Hinders,
}

/// What a disturbance keeps servers from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hinders {
    Everything,
    /// What they need servers of other groups for.
    Moves,
}

/// How long operations waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Waits {
    /// Those on shards that stayed where they were.
    pub(super) unaffected: Wait,
    /// Those on shards that were moving.
    pub(super) moving: Wait,
}

/// How long operations of one kind waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Wait {
    /// Of how many it was to be judged.
    pub(super) judged: u64,
    pub(super) max_ms: f64,
}

impl Waits {
    /// The longest that an operation may wait.
    pub(super) const UNAFFECTED: Duration = Duration::from_secs(2);
    /// The same on a shard that is moving.
    pub(super) const MOVING: Duration = Duration::from_secs(4);

    /// Measures all operations that are to be judged, and complains of those that waited for too
    /// long.
    pub(super) fn judge(
        history: &[Recorded],
        tenures: &Tenures,
        groups: &[RaftGroup],
        disturbances: &[Disturbance],
    ) -> (Self, Vec<String>) {
        let calm = Calm::of(groups, disturbances);
        let (mut waits, mut complaints) = (Self::default(), Vec::new());
        for recorded in history {
            let (call, shard) = (recorded.operation.call, tenures.shard(recorded));
            let waited = recorded.until - call;
            // What begins to move only when it has waited for too long was not moving.
            let in_time = recorded.until.min(call + nanoseconds(Self::UNAFFECTED));
            let moving = tenures.moving(shard, call..in_time);
            let (wait, whom, limit, state) = if moving {
                let limit = nanoseconds(Self::MOVING);
                (&mut waits.moving, Whom::All, limit, "which was moving")
            } else {
                let owner = Whom::Owner(tenures.owner(shard, call));
                let limit = nanoseconds(Self::UNAFFECTED);
                (&mut waits.unaffected, owner, limit, "which was not moving")
            };
            let answered = !matches!(recorded.known(), Knowledge::Unknown);
            if !calm.holds(whom, call, call + waited.min(limit)) || !answered && waited <= limit {
                continue;
            }
            let waited_ms = milliseconds(waited);
            wait.judged += 1;
            wait.max_ms = wait.max_ms.max(waited_ms);
            if waited > limit {
                let operation = &recorded.operation;
                complaints.push(format!("{waited_ms:.0} ms on {shard}, {state}: {operation}"));
            }
        }
        (waits, complaints)
    }
}

/// Whether those were calm whom it takes to answer for a shard.
struct Calm(Vec<Troubles>);

/// When a group was not calm.
struct Troubles {
    group: Option<GroupId>,
    /// As far as it needs no other group.
    by_itself: Vec<Range<u64>>,
    /// As far as it does.
    with_others: Vec<Range<u64>>,
}

impl Calm {
    fn of(groups: &[RaftGroup], disturbances: &[Disturbance]) -> Self {
        let of_everything = disturbances.iter().filter(|d| d.hinders == Hinders::Everything);
        let of_everything: Vec<_> = of_everything.cloned().collect();
        let troubles = |group: &RaftGroup| Troubles {
            group: group.id(),
            by_itself: troubled(group, &of_everything),
            with_others: troubled(group, disturbances),
        };
        Self(groups.iter().map(troubles).collect())
    }

    /// The owner by itself, or all groups and the controller.
    fn holds(&self, whom: Whom, from: u64, to: u64) -> bool {
        let mut troubles = self.0.iter().flat_map(|troubles| match whom {
            Whom::All => &troubles.with_others[..],
            Whom::Owner(owner) if troubles.group == owner => &troubles.by_itself,
            Whom::Owner(_) => &[],
        });
        !troubles.any(|trouble| trouble.start <= to && from <= trouble.end)
    }
}

/// Whom it takes to answer for a shard.
#[derive(Clone, Copy)]
enum Whom {
    All,
    Owner(Option<GroupId>),
}

/// When a group was not calm.
fn troubled(group: &RaftGroup, disturbances: &[Disturbance]) -> Vec<Range<u64>> {
    let disturbances: Vec<_> = disturbances
        .iter()
        .map(|Disturbance { lasted, servers, .. }| {
            let settled = lasted.end.saturating_add(SETTLING);
            (nanoseconds(lasted.start)..nanoseconds(settled), servers)
        })
        .collect();
    let mut moments: Vec<_> =
        disturbances.iter().flat_map(|(span, _)| [span.start, span.end]).collect();
    moments.sort_unstable();
    let disturbed_at = |moment: u64| {
        let under_way = disturbances.iter().filter(|(span, _)| span.contains(&moment));
        let servers = under_way.flat_map(|(_, servers)| *servers).copied();
        servers.filter(|server| group.servers.contains(server)).collect::<BTreeSet<_>>()
    };
    let spans = moments.windows(2).map(|pair| pair[0]..pair[1]);
    spans.filter(|span| disturbed_at(span.start).len() > group.minority()).collect()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use model::machine::Kind as Keeps;
    use model::shard::Group;
    use model::shard::config::Servers;

    use super::super::tenures::tests::{SECOND, read, sharded};
    use super::*;

    /// The controller's servers are n0 to n2, those of group 1 n3 to n5, of group 2 n6 to n8.
    fn groups() -> [RaftGroup; 3] {
        let group = |id: u16| {
            let group = Group {
                id: GroupId(id),
                shards: 2,
                servers: Servers::from_iter([]),
                controllers: Servers::from_iter([]),
                part_bytes: 1,
            };
            RaftGroup { kind: Keeps::Group(group), servers: (3 * id..3 * id + 3).collect() }
        };
        let kind = Keeps::Controller { shards: 2 };
        [RaftGroup { kind, servers: (0..3).collect() }, group(1), group(2)]
    }

    fn fault(servers: impl IntoIterator<Item = u16>, seconds: Range<u64>) -> Disturbance {
        let lasted = Duration::from_secs(seconds.start)..Duration::from_secs(seconds.end);
        let servers = servers.into_iter().collect();
        Disturbance { lasted, servers, hinders: Hinders::Everything }
    }

    /// How many operations were judged, on shards that stayed and on such that moved, and how many
    /// of them waited for too long.
    fn judged(history: &[Recorded], faults: &[Disturbance]) -> (u64, u64, usize) {
        let tenures = Tenures::of(history, &sharded());
        let (waits, complaints) = Waits::judge(history, &tenures, &groups(), faults);
        (waits.unaffected.judged, waits.moving.judged, complaints.len())
    }

    #[test]
    fn a_group_is_calm_while_a_majority_of_its_servers_is() {
        let [_, one, two] = groups();
        let seconds = |group: &RaftGroup, faults: &[Disturbance]| {
            let spans = troubled(group, faults).into_iter();
            spans.map(|span| (span.start / SECOND, span.end / SECOND)).collect::<Vec<_>>()
        };
        assert_eq!(seconds(&one, &[fault([3], 5..6)]), [], "a minority");
        let same = [fault([3], 5..6), fault([3], 7..8)];
        assert_eq!(seconds(&one, &same), [], "the same one again");
        let settling = [fault([3], 5..6), fault([4], 7..9)];
        assert_eq!(seconds(&one, &settling), [(7, 8)], "the first one is not yet back");
        assert_eq!(seconds(&two, &[fault(3..6, 5..6)]), [], "another group");
        assert_eq!(seconds(&one, &[fault(3..6, 5..6)]), [(5, 8)]);
    }

    #[test]
    fn an_operation_on_a_shard_that_stays_may_wait_for_two_seconds() {
        let wait = |end| [read(0, 3 * SECOND, end, true)];
        assert_eq!(judged(&wait(5 * SECOND), &[]), (1, 0, 0));
        assert_eq!(judged(&wait(6 * SECOND), &[]), (1, 0, 1));
        let given_up = |end| [read(0, 3 * SECOND, end, false)];
        assert_eq!(judged(&given_up(4 * SECOND), &[]), (0, 0, 0));
        assert_eq!(judged(&given_up(6 * SECOND), &[]), (1, 0, 1));
    }

    #[test]
    fn what_its_owner_does_not_meet_is_no_excuse() {
        let long = [read(0, 3 * SECOND, 6 * SECOND, true)];
        assert_eq!(judged(&long, &[fault(3..6, 4..5)]), (0, 0, 0), "the owner");
        assert_eq!(judged(&long, &[fault(3..6, 1..2)]), (0, 0, 0), "it has just come back");
        assert_eq!(judged(&long, &[fault(3..6, 6..7)]), (1, 0, 1), "too late for that");
        assert_eq!(judged(&long, &[fault([3], 4..5)]), (1, 0, 1), "a minority");
        assert_eq!(judged(&long, &[fault(6..9, 4..5)]), (1, 0, 1), "another group");
        assert_eq!(judged(&long, &[fault(0..3, 4..5)]), (1, 0, 1), "the controller");
    }

    #[test]
    fn a_server_without_its_disk_is_missing_for_ever() {
        let mut lost = fault([3], 1..2);
        lost.lasted.end = Duration::MAX;
        let long = [read(0, 30 * SECOND, 33 * SECOND, true)];
        assert_eq!(judged(&long, &[lost.clone()]), (1, 0, 1), "a majority is left");
        let another = fault([4], 31..32);
        assert_eq!(judged(&long, std::slice::from_ref(&another)), (1, 0, 1), "a minority");
        assert_eq!(judged(&long, &[lost.clone(), another]), (0, 0, 0), "none is left");
        assert_eq!(judged(&long, &[lost.clone(), fault([6], 31..32)]), (1, 0, 1), "another group");
        assert_eq!(judged(&long, &[lost, fault([4], 20..21)]), (1, 0, 1), "it is back");
    }

    #[test]
    fn a_rift_excuses_only_what_needs_other_groups() {
        let rift = |servers, seconds| {
            let hinders = Hinders::Moves;
            [Disturbance { hinders, ..fault(servers, seconds) }]
        };
        let stays = [read(0, 3 * SECOND, 6 * SECOND, true)];
        assert_eq!(judged(&stays, &rift(3..6, 4..5)), (1, 0, 1), "the owner needs nobody");
        let moves = [read(1, 10 * SECOND, 15 * SECOND, true)];
        for servers in [0..3, 3..6, 6..9] {
            assert_eq!(judged(&moves, &rift(servers, 12..13)), (0, 0, 0));
        }
    }

    #[test]
    fn an_operation_on_a_shard_that_moves_may_wait_for_four_seconds() {
        let wait = |seconds: u64| [read(1, 10 * SECOND, (10 + seconds) * SECOND, true)];
        assert_eq!(judged(&wait(4), &[]), (0, 1, 0));
        assert_eq!(judged(&wait(5), &[]), (0, 1, 1));
        for servers in [0..3, 3..6, 6..9] {
            assert_eq!(judged(&wait(5), &[fault(servers, 12..13)]), (0, 0, 0));
        }
    }
}
