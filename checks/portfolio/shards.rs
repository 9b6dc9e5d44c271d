//! What several groups promise together.
//!
//! With groups of one replica each, and a controller of one: their logs always agree, so each is
//! the atomic state machine that the other checks show a group of several to be. Then with one real
//! group among them.

use model::kv::command::Op;
use model::properties::{goals, shard_goals};
use model::shard::controller::Change;
use model::system::{Reductions, Scope, Sharding};
use model::types::{GroupId, NodeId, ShardId, Term};

use super::scopes::*;
use super::{Check, Tier};

/// A key of the first of two shards, and one of the second.
const KEYS: [&str; 2] = ["a", "k"];

fn append_to(shard: usize, value: &str) -> Op {
    Op::Append(KEYS[shard].into(), value.into())
}

fn get_of(shard: usize) -> Op {
    Op::Get(KEYS[shard].into())
}

/// A controller of one, groups of these sizes that join at once, and what the administrator does
/// then. With two shards and two groups, each group gets one: `s0` and `s1`.
pub(super) fn groups(sizes: &[u16], then: &[Change], clients: Vec<Vec<Op>>) -> Scope {
    let scope = Scope { clients, ..duplicating(scope(1, 32)) };
    let mut sharding = Sharding {
        shards: 2,
        controllers: 1,
        groups: sizes.to_vec(),
        changes: Vec::new(),
        part_bytes: usize::MAX,
    };
    let all = (1..=sizes.len() as u16).map(GroupId);
    sharding.changes = vec![Change::Join(all.map(|g| (g, sharding.servers_of(g))).collect())];
    sharding.changes.extend_from_slice(then);
    Scope {
        servers: 1 + sizes.iter().sum::<u16>(),
        sharding: Some(sharding),
        reductions: Reductions::ALL,
        ..scope
    }
}

/// One more group joins with the others, and never hears of it: none of its servers is there.
fn with_a_group_down(mut scope: Scope) -> Scope {
    if let Some(sharding) = &mut scope.sharding
        && let Some(Change::Join(groups)) = sharding.changes.first_mut()
    {
        let down = GroupId(groups.len() as u16 + 1);
        groups.insert(down, [NodeId(100)].into_iter().collect());
    }
    scope
}

/// A controller of so many, groups that are only names, five shards, and the first of a series of
/// changes, some of which are refused.
fn controller(servers: u16, max_term: u64, changes: usize) -> Scope {
    let mut scope = groups(&[], &[], Vec::new());
    (scope.servers, scope.bounds.max_term) = (servers, Term(max_term));
    if let Some(sharding) = &mut scope.sharding {
        let named = |group: u16| (GroupId(group), [NodeId(100 + group)].into_iter().collect());
        let join = |groups: &[u16]| Change::Join(groups.iter().map(|g| named(*g)).collect());
        let leave = |groups: &[u16]| Change::Leave(groups.iter().map(|g| GroupId(*g)).collect());
        let other = Change::Join([(GroupId(1), [NodeId(7)].into_iter().collect())].into());
        let all = [
            join(&[1, 2]),
            moved(0, 2),
            moved(0, 1),
            moved(0, 2),
            moved(0, 2),
            moved(1, 2),
            moved(0, 9),
            moved(9, 2),
            join(&[3, 4]),
            Change::Query(None),
            join(&[4, 5]),
            leave(&[1, 9]),
            leave(&[1, 2, 3, 4]),
            leave(&[1]),
            other,
            join(&[1, 5, 6]),
            leave(&[2, 5]),
        ];
        sharding.changes = all.into_iter().take(changes).collect();
        (sharding.shards, sharding.controllers) = (5, servers);
    }
    scope
}

/// The shard goes to the group.
pub(super) const fn moved(shard: u16, group: u16) -> Change {
    Change::Move(ShardId(shard), GroupId(group))
}

/// Two clients that write to the second shard and read what is there.
fn rivals() -> Vec<Vec<Op>> {
    ["a", "b"].map(|value| vec![append_to(1, value), get_of(1)]).to_vec()
}

/// The first group joins, and the second; the first leaves and joins again.
fn join_leave(clients: Vec<Vec<Op>>) -> Scope {
    let mut scope = groups(&[1, 1], &[], clients);
    if let Some(sharding) = &mut scope.sharding {
        let join = |group| Change::Join([(group, sharding.servers_of(group))].into());
        let (first, second) = (GroupId(1), GroupId(2));
        let leave = Change::Leave([first].into());
        sharding.changes = vec![join(first), join(second), leave, join(first)];
    }
    scope
}

/// So many clients that each append to the second shard.
fn appenders(clients: usize) -> Vec<Vec<Op>> {
    vec![vec![append_to(1, "a")]; clients]
}

/// Two clients that write to one shard each and read what is in the other.
fn across() -> Vec<Vec<Op>> {
    vec![vec![append_to(0, "a"), get_of(1)], vec![append_to(1, "b"), get_of(0)]]
}

/// A server may crash, and lead again in another term.
pub(super) fn crashing(scope: Scope) -> Scope {
    bounded(scope, |bounds| {
        bounds.restarts = 1;
        bounds.max_term = Term(2);
    })
}

/// A message takes one key of a shard, or one session.
fn in_parts(mut scope: Scope) -> Scope {
    if let Some(sharding) = &mut scope.sharding {
        sharding.part_bytes = 1;
    }
    scope
}

/// Clients ask the servers that their configuration names, and may ask again once.
pub(super) fn routed(mut scope: Scope) -> Scope {
    scope.reductions = Reductions::PLAIN;
    bounded(scope, |bounds| bounds.retries = 1)
}

/// The second shard goes from the second group to the first, on to the third, and back.
const PASSED_ON: [Change; 3] = [moved(1, 1), moved(1, 3), moved(1, 2)];

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "move",
        tier: Tier::Ci,
        about: "A shard moves while a client writes to it and another reads.",
        hides: "Crashes, a second move, replicas.",
        scope: || groups(&[1, 1], &[moved(1, 1)], vec![vec![append_to(1, "a")], vec![get_of(1)]]),
        goals: &[goals::ALL_DONE, goals::READ_SEES_WRITE, shard_goals::SHARD_MOVED],
        unique_states: 790,
    },
    Check {
        name: "there-and-back",
        tier: Tier::Ci,
        about: "A shard moves and comes back, while two clients write to it and read.",
        hides: "Crashes, replicas, a third group.",
        scope: || groups(&[1, 1], &[moved(1, 1), moved(1, 2)], rivals()),
        goals: &[
            goals::ALL_DONE,
            goals::READ_SEES_WRITE,
            shard_goals::SHARD_RETURNED,
            shard_goals::WANTED_EARLY,
            shard_goals::TAKEN_BACK,
            shard_goals::DECLINED,
            shard_goals::AWAITED_AGAIN,
        ],
        unique_states: 84_562,
    },
    Check {
        name: "passed-on",
        tier: Tier::Ci,
        about: "A shard moves to a group, on to a third one, which may get it from the first, and \
                back.",
        hides: "Crashes, replicas, a second client.",
        scope: || groups(&[1, 1, 1], &PASSED_ON, rivals().into_iter().take(1).collect()),
        goals: &[
            goals::ALL_DONE,
            shard_goals::SHARD_MOVED,
            shard_goals::TURNED_TO,
            shard_goals::TAKEN_BACK,
            shard_goals::DECLINED,
            shard_goals::AWAITED_AGAIN,
        ],
        unique_states: 53_128,
    },
    Check {
        name: "passed-on-full",
        tier: Tier::Full,
        about: "The same with two clients that write to the shard and read.",
        hides: "Crashes, replicas.",
        scope: || groups(&[1, 1, 1], &PASSED_ON, rivals()),
        goals: &[goals::ALL_DONE, shard_goals::TURNED_TO, shard_goals::AWAITED_AGAIN],
        unique_states: 6_325_852,
    },
    Check {
        name: "group-down",
        tier: Tier::Ci,
        about: "Shards are given to a group that is down for ever, others move meanwhile, and the \
                group leaves.",
        hides: "Crashes, replicas.",
        scope: || {
            let then = [moved(1, 3), moved(0, 2), moved(0, 3), Change::Leave([GroupId(3)].into())];
            with_a_group_down(groups(&[1, 1], &then, across()))
        },
        goals: &[goals::ALL_DONE, shard_goals::TAKEN_BACK, shard_goals::SERVES_MEANWHILE],
        unique_states: 112_908,
    },
    Check {
        name: "swap",
        tier: Tier::Ci,
        about: "Two groups give each other a shard, and neither waits for the other.",
        hides: "Crashes, replicas, a third group.",
        scope: || groups(&[1, 1], &[moved(0, 2), moved(1, 1)], across()),
        goals: &[
            goals::ALL_DONE,
            shard_goals::SHARD_MOVED,
            shard_goals::SHARDS_SWAPPED,
            shard_goals::SERVES_MEANWHILE,
        ],
        unique_states: 323_856,
    },
    Check {
        name: "parts",
        tier: Tier::Ci,
        about: "A shard moves in parts: two keys and the sessions of two clients.",
        hides: "Crashes, replicas, a second move.",
        scope: || {
            let client = vec![append_to(1, "a"), Op::Append("e".into(), "b".into()), get_of(1)];
            in_parts(groups(&[1, 1], &[moved(1, 1)], vec![client, vec![append_to(1, "c")]]))
        },
        goals: &[goals::ALL_DONE, shard_goals::SHARD_MOVED, shard_goals::MOVED_IN_PARTS],
        unique_states: 7_950,
    },
    Check {
        name: "crash-move",
        tier: Tier::Ci,
        about: "A group or the controller crashes while a shard moves there and back.",
        hides: "A second crash, replicas.",
        scope: || {
            let scope = groups(&[1, 1], &[moved(1, 1), moved(1, 2)], rivals());
            crashing(scope)
        },
        goals: &[goals::ALL_DONE, shard_goals::SHARD_RETURNED, shard_goals::RESTARTED_MIDWAY],
        unique_states: 2_066_574,
    },
    Check {
        name: "crash-swap",
        tier: Tier::Ci,
        about: "A group or the controller crashes while two shards cross.",
        hides: "A second crash, replicas, reads.",
        scope: || {
            let clients = [0, 1].map(|shard| vec![append_to(shard, "a")]).to_vec();
            crashing(groups(&[1, 1], &[moved(0, 2), moved(1, 1)], clients))
        },
        goals: &[goals::ALL_DONE, shard_goals::SHARDS_SWAPPED, shard_goals::RESTARTED_MIDWAY],
        unique_states: 453_430,
    },
    Check {
        name: "crash-swap-full",
        tier: Tier::Full,
        about: "A group or the controller crashes while two shards cross and two clients look at \
                both.",
        hides: "A second crash, replicas.",
        scope: || crashing(groups(&[1, 1], &[moved(0, 2), moved(1, 1)], across())),
        goals: &[goals::ALL_DONE, shard_goals::SHARDS_SWAPPED, shard_goals::RESTARTED_MIDWAY],
        unique_states: 8_700_310,
    },
    Check {
        name: "move-of-three",
        tier: Tier::Ci,
        about: "A shard leaves a group of three for a group of one.",
        hides: "Crashes, a second leader, a second move.",
        scope: || groups(&[3, 1], &[moved(0, 2)], vec![vec![append_to(0, "a"), get_of(0)]]),
        goals: &[
            goals::ALL_DONE,
            goals::COMMITTED_BY_MAJORITY,
            shard_goals::SHARD_MOVED,
            shard_goals::REQUEST_OVERTAKEN,
            shard_goals::ASKED_IN_TWO_GROUPS,
        ],
        unique_states: 1_449_288,
    },
    Check {
        name: "move-to-three",
        tier: Tier::Ci,
        about: "A shard leaves a group of one for a group of three.",
        hides: "Crashes, a second leader, a second move.",
        scope: || groups(&[3, 1], &[moved(1, 1)], vec![vec![append_to(1, "a"), get_of(1)]]),
        goals: &[goals::ALL_DONE, goals::COMMITTED_BY_MAJORITY, shard_goals::SHARD_MOVED],
        unique_states: 143_768,
    },
    Check {
        name: "parts-to-three",
        tier: Tier::Ci,
        about: "A shard comes to a group of three in parts, of which the next is on its way while \
                one is replicated.",
        hides: "Crashes, a second leader, a second move, reads, a third part.",
        scope: || in_parts(groups(&[3, 1], &[moved(1, 1)], appenders(1))),
        goals: &[goals::ALL_DONE, shard_goals::SHARD_MOVED, shard_goals::LOGGED_AHEAD],
        unique_states: 87_158,
    },
    Check {
        name: "parts-to-three-full",
        tier: Tier::Full,
        about: "The same with three parts, one of which waits until the first is replicated.",
        hides: "Crashes, a second leader, a second move, reads.",
        scope: || in_parts(groups(&[3, 1], &[moved(1, 1)], appenders(2))),
        goals: &[
            goals::ALL_DONE,
            shard_goals::SHARD_MOVED,
            shard_goals::MOVED_IN_PARTS,
            shard_goals::LOGGED_AHEAD,
        ],
        unique_states: 2_810_498,
    },
    Check {
        name: "move-of-three-full",
        tier: Tier::Full,
        about: "A shard leaves a group of three, whose leader changes on the way.",
        hides: "Crashes, a second move, a third term.",
        scope: || {
            let scope = groups(&[3, 1], &[moved(0, 2)], vec![vec![append_to(0, "a")]]);
            bounded(scope, |bounds| bounds.max_term = Term(2))
        },
        goals: &[
            goals::ALL_DONE,
            goals::LEADER_REPLACED,
            shard_goals::SHARD_MOVED,
            shard_goals::REQUEST_OVERTAKEN,
            shard_goals::ASKED_IN_TWO_GROUPS,
        ],
        unique_states: 11_444_366,
    },
    Check {
        name: "crash-to-three-full",
        tier: Tier::Full,
        about: "A shard comes to a group of three, one of whose servers, or another, crashes.",
        hides: "A second crash, a second move, reads, a third term.",
        scope: || crashing(groups(&[3, 1], &[moved(1, 1)], appenders(1))),
        goals: &[
            goals::ALL_DONE,
            goals::LEADER_REPLACED,
            shard_goals::SHARD_MOVED,
            shard_goals::RESTARTED_MIDWAY,
        ],
        unique_states: 57_418_066,
    },
    Check {
        name: "there-and-back-again",
        tier: Tier::Ci,
        about: "A shard moves, comes back, and moves again: what is late from the first time.",
        hides: "Crashes, replicas, a second client.",
        scope: || {
            let then = [moved(1, 1), moved(1, 2), moved(1, 1)];
            groups(&[1, 1], &then, vec![vec![append_to(1, "a"), append_to(1, "b"), get_of(1)]])
        },
        goals: &[goals::ALL_DONE, shard_goals::SHARD_RETURNED],
        unique_states: 15_336,
    },
    Check {
        name: "join-leave",
        tier: Tier::Ci,
        about: "One group has all; another joins and takes its share; the first leaves, the other \
                keeps all, and the first comes back.",
        hides: "Crashes, replicas, a third group, a second client.",
        scope: || join_leave(across().into_iter().take(1).collect()),
        goals: &[goals::ALL_DONE, shard_goals::SHARD_MOVED, shard_goals::SHARD_RETURNED],
        unique_states: 193_464,
    },
    Check {
        name: "join-leave-full",
        tier: Tier::Full,
        about: "The same with two clients, each of which looks at what the other writes.",
        hides: "Crashes, replicas, a third group.",
        scope: || join_leave(across()),
        goals: &[goals::ALL_DONE, shard_goals::SHARD_MOVED, shard_goals::SHARD_RETURNED],
        unique_states: 18_266_946,
    },
    Check {
        name: "controller",
        tier: Tier::Ci,
        about: "The changes that can be made and those that cannot, by a controller of one.",
        hides: "Replicas; groups that do what they are told.",
        scope: || controller(1, 1, usize::MAX),
        goals: &[goals::ALL_DONE],
        unique_states: 36,
    },
    Check {
        name: "controller-of-three",
        tier: Tier::Ci,
        about: "A controller of three, to a second leader.",
        hides: "Crashes, a third term; groups that do what they are told.",
        scope: || controller(3, 2, 3),
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::LOGGED_TWICE],
        unique_states: 135_195,
    },
    Check {
        name: "controller-crash-full",
        tier: Tier::Full,
        about: "A controller of three, one of which crashes and, having forgotten what was \
                applied, takes an old request again.",
        hides: "A second crash, a third term; groups that do what they are told.",
        scope: || bounded(controller(3, 2, 3), |bounds| bounds.restarts = 1),
        goals: &[goals::ALL_DONE, goals::RESTARTED_WITH_LOG, goals::LOGGED_TWICE],
        unique_states: 7_878_657,
    },
    Check {
        name: "controller-of-three-full",
        tier: Tier::Full,
        about: "The same with two changes more.",
        hides: "Crashes, a third term; groups that do what they are told.",
        scope: || controller(3, 2, 5),
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::LOGGED_TWICE],
        unique_states: 1_505_614,
    },
    Check {
        name: "routed",
        tier: Tier::Ci,
        about: "A client is told that a shard has moved, asks the controller, and asks again.",
        hides: "Crashes, a second move, a second client, replicas.",
        scope: || {
            let client = vec![append_to(1, "a"), get_of(1)];
            routed(groups(&[1, 1], &[moved(1, 1)], vec![client]))
        },
        goals: &[
            goals::ALL_DONE,
            goals::READ_SEES_WRITE,
            goals::ASKED_ELSEWHERE,
            shard_goals::SHARD_MOVED,
        ],
        unique_states: 9_662,
    },
];
