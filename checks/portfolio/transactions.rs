//! Transactions over several groups.
//!
//! With groups of one replica each, as in `shards`: two, or three where two cannot show it; then
//! while a shard moves, and with one real group among them.

use model::kv::command::Op;
use model::kv::transaction::{Condition, Operand, Step, Transaction};
use model::properties::{Property, goals, shard_goals, txn_goals};
use model::shard::controller::Change;
use model::system::Scope;
use model::types::Term;

use super::scopes::*;
use super::shards::{crashing, groups, moved, routed};
use super::{Check, Tier};

/// Of two shards the first has this key,
const A: &str = "a";
/// and the second these, one of which is less than those: a transaction that names it begins there.
const E: &str = "e";
const ZERO: &str = "0";

fn transaction(steps: impl Into<Vec<Step>>) -> Op {
    let made = Transaction::try_from(steps.into()).expect("the steps of a check are right");
    Op::Transaction(made.into())
}

fn append(key: &str, value: &str) -> Step {
    Step::Append(key.into(), Operand::Value(value.into()))
}

fn put(key: &str, value: &str) -> Step {
    Step::Put(key.into(), Operand::Value(value.into()))
}

fn read(key: &str) -> Step {
    Step::Get(key.into())
}

fn missing(key: &str) -> Step {
    Step::Check(key.into(), Condition::Missing)
}

/// Reads these keys at once.
fn reads(keys: &[&str]) -> Op {
    transaction(keys.iter().map(|key| read(key)).collect::<Vec<_>>())
}

/// Adds to these keys at once.
fn appends(keys: &[&str], value: &str) -> Op {
    transaction(keys.iter().map(|key| append(key, value)).collect::<Vec<_>>())
}

/// Two groups, with a shard each, and a client for each operation.
fn two(ops: impl Into<Vec<Op>>) -> Scope {
    moving(&[], ops)
}

/// The same with changes of the configuration.
fn moving(then: &[Change], ops: impl Into<Vec<Op>>) -> Scope {
    groups(&[1, 1], then, ops.into().into_iter().map(|op| vec![op]).collect())
}

/// Three groups, with a shard each.
fn three(then: &[Change], ops: impl Into<Vec<Op>>) -> Scope {
    let mut scope = groups(&[1, 1, 1], then, ops.into().into_iter().map(|op| vec![op]).collect());
    if let Some(sharding) = &mut scope.sharding {
        sharding.shards = 3;
    }
    scope
}

/// A group of three, which has the first shard, and one of one: a transaction on these keys.
fn replicated(keys: &[&str]) -> Scope {
    groups(&[3, 1], &[], vec![vec![appends(keys, "x")]])
}

/// What a check of that must reach.
const LED_ON: &[Property] =
    &[goals::ALL_DONE, goals::LEADER_REPLACED, txn_goals::COMMITTED_ACROSS, txn_goals::LED_ON];

/// Of three shards the keys of each.
const OF_THREE: [&str; 3] = ["a", "c", "e"];

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "txn-read",
        tier: Tier::Ci,
        about: "Keys of two groups are written at once, and read at once.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || two([appends(&[A, E], "x"), reads(&[A, E])]),
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, txn_goals::WAITS_AT_HOME],
        unique_states: 914,
    },
    Check {
        name: "txn-get",
        tier: Tier::Ci,
        about: "Keys of two groups are written at once, and a client reads one after the other.",
        hides: "Crashes, moves, replicas, a second transaction.",
        scope: || {
            let mut scope = two([appends(&[A, E], "x")]);
            scope.clients.push(vec![Op::Get(A.into()), Op::Get(E.into())]);
            scope
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, txn_goals::STALLED],
        unique_states: 332,
    },
    Check {
        name: "txn-put",
        tier: Tier::Ci,
        about: "A client writes to the keys that a transaction reads and writes.",
        hides: "Crashes, moves, replicas, a second transaction.",
        scope: || {
            let mut scope = two([transaction([read(A), append(E, "x"), read(E)])]);
            scope
                .clients
                .push(vec![Op::Append(E.into(), "y".into()), Op::Put(A.into(), "z".into())]);
            scope
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, txn_goals::STALLED],
        unique_states: 272,
    },
    Check {
        name: "txn-skew",
        tier: Tier::Ci,
        about: "Two transactions each write what the other has found missing.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || {
            two([transaction([missing(A), put(E, "x")]), transaction([missing(E), put(A, "y")])])
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, txn_goals::REJECTED],
        unique_states: 914,
    },
    Check {
        name: "txn-opposite",
        tier: Tier::Ci,
        about: "Two transactions want the same keys of two groups, each beginning at another one.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || {
            two([appends(&[A, E], "x"), transaction([read(ZERO), append(A, "y"), append(E, "y")])])
        },
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::WAITS_ABROAD,
            txn_goals::RETRIED,
        ],
        unique_states: 2_098,
    },
    Check {
        name: "txn-rivals-full",
        tier: Tier::Full,
        about: "Three transactions want the same keys of two groups: two write, one reads.",
        hides: "Crashes, moves, replicas, a fourth transaction.",
        scope: || {
            two([
                appends(&[A, E], "x"),
                transaction([read(ZERO), append(A, "y"), append(E, "y")]),
                reads(&[A, E]),
            ])
        },
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::WAITS_ABROAD,
            txn_goals::RETRIED,
        ],
        unique_states: 8_604_630,
    },
    Check {
        name: "txn-sessions-full",
        tier: Tier::Full,
        about: "Two clients each carry out two transactions, one after the other.",
        hides: "Crashes, moves, replicas, a third client.",
        scope: || {
            let mut scope = two([appends(&[A, E], "x"), appends(&[ZERO, A], "y")]);
            scope.clients[0].push(reads(&[ZERO, A]));
            scope.clients[1].push(reads(&[A, E]));
            scope
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS],
        unique_states: 10_154_338,
    },
    Check {
        name: "txn-of-three",
        tier: Tier::Ci,
        about: "Keys of three groups are written at once, and read at once.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || three(&[], [appends(&OF_THREE, "x"), reads(&OF_THREE)]),
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_BY_THREE, txn_goals::WAITS_AT_HOME],
        unique_states: 236_950,
    },
    Check {
        name: "txn-wound",
        tier: Tier::Ci,
        about: "Two transactions of different groups want the same key of a third.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || three(&[], [appends(&["a", "e"], "x"), appends(&["c", "e"], "y")]),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::WAITS_ABROAD,
            txn_goals::WOUNDED,
            txn_goals::RETRIED,
        ],
        unique_states: 608,
    },
    Check {
        name: "txn-oldest",
        tier: Tier::Ci,
        about: "Two transactions of three groups and of two, each of which holds what the other \
                needs.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || three(&[], [appends(&["c", "e"], "y"), appends(&OF_THREE, "x")]),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_BY_THREE,
            txn_goals::WOUNDED,
            txn_goals::RETRIED,
        ],
        unique_states: 20_818,
    },
    Check {
        name: "txn-late",
        tier: Tier::Ci,
        about: "What is late from a transaction comes when somebody else has written, and reads.",
        hides: "Crashes, moves, replicas, a second transaction.",
        scope: || {
            let mut scope = two([appends(&[A, E], "x")]);
            scope.clients.push(vec![Op::Append(E.into(), "y".into()), Op::Get(E.into())]);
            scope
        },
        goals: &[goals::ALL_DONE, goals::READ_SEES_WRITE, txn_goals::COMMITTED_ACROSS],
        unique_states: 274,
    },
    Check {
        name: "txn-crowd",
        tier: Tier::Ci,
        about: "A transaction reads two keys, another writes them, and a client writes one.",
        hides: "Crashes, moves, replicas, a third transaction.",
        scope: || {
            let mut scope = two([reads(&[A, E]), appends(&[A, E], "x")]);
            scope.clients.push(vec![Op::Append(E.into(), "y".into())]);
            scope
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, txn_goals::STALLED],
        unique_states: 8_198,
    },
    Check {
        name: "txn-ring",
        tier: Tier::Ci,
        about: "Three transactions in a ring: each begins at one of three groups and ends at the \
                next.",
        hides: "Crashes, moves, replicas, a fourth transaction.",
        scope: || {
            let ring = [["a", "c"], ["c", "e"], ["6", "a"]];
            three(&[], ring.map(|keys| appends(&keys, "x")))
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, txn_goals::RETRIED],
        unique_states: 152_526,
    },
    Check {
        name: "txn-crash",
        tier: Tier::Ci,
        about: "A group or the controller crashes while two transactions want the same keys.",
        hides: "A second crash, moves, replicas, a third transaction.",
        scope: || {
            crashing(two([
                appends(&[A, E], "x"),
                transaction([read(ZERO), append(A, "y"), append(E, "y")]),
            ]))
        },
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::RESTARTED_PREPARING,
            txn_goals::RESTARTED_PREPARED,
        ],
        unique_states: 47_394,
    },
    Check {
        name: "txn-move",
        tier: Tier::Ci,
        about: "A shard moves while keys of it and of another one are written at once, and read \
                at once.",
        hides: "Crashes, a second move, replicas, a third transaction.",
        scope: || moving(&[moved(1, 1)], [appends(&[A, E], "x"), reads(&[A, E])]),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::KEPT_BACK,
            shard_goals::SHARD_MOVED,
        ],
        unique_states: 105_716,
    },
    Check {
        name: "txn-home-moves-full",
        tier: Tier::Full,
        about: "The shard moves that remembers the transactions, and comes back.",
        hides: "Crashes, replicas, a third transaction.",
        scope: || moving(&[moved(0, 2), moved(0, 1)], [appends(&[A, E], "x"), reads(&[A, E])]),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::KEPT_BACK,
            shard_goals::SHARD_RETURNED,
        ],
        unique_states: 15_209_474,
    },
    Check {
        name: "txn-move-of-three",
        tier: Tier::Ci,
        about: "A shard moves between three groups while keys of all are written at once.",
        hides: "Crashes, a second move, replicas, a second transaction.",
        scope: || three(&[moved(1, 3)], [appends(&OF_THREE, "x")]),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_BY_THREE,
            txn_goals::KEPT_BACK,
            txn_goals::REFUSED_LATE,
            shard_goals::SHARD_MOVED,
        ],
        unique_states: 148_944,
    },
    Check {
        name: "txn-move-get",
        tier: Tier::Ci,
        about: "A shard moves while keys are written at once, and a client reads one after the \
                other.",
        hides: "Crashes, a second move, replicas, a second transaction.",
        scope: || {
            let mut scope = moving(&[moved(1, 1)], [appends(&[A, E], "x")]);
            scope.clients.push(vec![Op::Get(A.into()), Op::Get(E.into())]);
            scope
        },
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::STALLED,
            txn_goals::KEPT_BACK,
        ],
        unique_states: 26_318,
    },
    Check {
        name: "txn-replicated",
        tier: Tier::Ci,
        about: "The coordinator is a group of three, whose leader changes between prepare and \
                decision.",
        hides: "Crashes, moves, a third term, a second transaction.",
        scope: || bounded(replicated(&[A, E]), |bounds| bounds.max_term = Term(2)),
        goals: LED_ON,
        unique_states: 877_606,
    },
    Check {
        name: "txn-part-replicated",
        tier: Tier::Ci,
        about: "The participant is a group of three, whose leader changes between prepare and \
                decision.",
        hides: "Crashes, moves, a third term, a second transaction.",
        scope: || bounded(replicated(&[ZERO, A]), |bounds| bounds.max_term = Term(2)),
        goals: LED_ON,
        unique_states: 182_836,
    },
    Check {
        name: "txn-home-moves",
        tier: Tier::Ci,
        about: "The shard moves that remembers a transaction and its answer.",
        hides: "Crashes, a second move, replicas, a second transaction.",
        scope: || {
            moving(
                &[moved(0, 2)],
                [transaction([append(A, "x"), append(E, "x"), read(A), read(E)])],
            )
        },
        goals: &[goals::ALL_DONE, txn_goals::COMMITTED_ACROSS, shard_goals::SHARD_MOVED],
        unique_states: 1_002,
    },
    Check {
        name: "txn-swap",
        tier: Tier::Ci,
        about: "The shards of two groups cross while keys of both are written at once.",
        hides: "Crashes, a third move, replicas, a second transaction.",
        scope: || moving(&[moved(0, 2), moved(1, 1)], [appends(&[A, E], "x")]),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::KEPT_BACK,
            shard_goals::SHARDS_SWAPPED,
        ],
        unique_states: 518_656,
    },
    Check {
        name: "txn-crash-move",
        tier: Tier::Ci,
        about: "A group or the controller crashes while a shard moves and keys are written at \
                once.",
        hides: "A second crash, a second move, replicas, a second transaction.",
        scope: || crashing(moving(&[moved(1, 1)], [appends(&[A, E], "x")])),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            txn_goals::KEPT_BACK,
            shard_goals::SHARD_MOVED,
            shard_goals::RESTARTED_MIDWAY,
        ],
        unique_states: 15_154,
    },
    Check {
        name: "txn-routed",
        tier: Tier::Ci,
        about: "A client asks for a transaction, is told that its shard has moved, and asks again.",
        hides: "Crashes, a second move, a second client, replicas.",
        scope: || routed(moving(&[moved(0, 2)], [appends(&[A, E], "x")])),
        goals: &[
            goals::ALL_DONE,
            goals::ASKED_ELSEWHERE,
            txn_goals::COMMITTED_ACROSS,
            shard_goals::SHARD_MOVED,
        ],
        unique_states: 32_977,
    },
    Check {
        name: "txn-replicated-crash-full",
        tier: Tier::Full,
        about: "The coordinator is a group of three; one of its servers, or another, crashes.",
        hides: "A second crash, moves, a third term, a second transaction.",
        scope: || crashing(replicated(&[A, E])),
        goals: LED_ON,
        unique_states: 35_523_174,
    },
    Check {
        name: "txn-crash-of-three",
        tier: Tier::Ci,
        about: "A group or the controller crashes while keys of three groups are written at once.",
        hides: "A second crash, moves, replicas, a second transaction.",
        scope: || crashing(three(&[], [appends(&OF_THREE, "x")])),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_BY_THREE,
            txn_goals::RESTARTED_PREPARING,
            txn_goals::RESTARTED_PREPARED,
        ],
        unique_states: 3_618,
    },
    Check {
        name: "txn-crash-of-three-full",
        tier: Tier::Full,
        about: "The same while they are also read at once.",
        hides: "A second crash, moves, replicas, a third transaction.",
        scope: || crashing(three(&[], [appends(&OF_THREE, "x"), reads(&OF_THREE)])),
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_BY_THREE,
            txn_goals::RESTARTED_PREPARING,
            txn_goals::RESTARTED_PREPARED,
        ],
        unique_states: 7_793_686,
    },
];
