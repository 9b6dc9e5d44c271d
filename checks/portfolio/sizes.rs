//! Limits, so small that they are reached.
//!
//! Each check has something as large as it may be, and something larger. The largest message is the
//! largest that comes of it, to the byte: whoever counts too little sends one that does not fit.

use model::kv::command::Op;
use model::kv::transaction::{Condition, Operand, Step, Transaction};
use model::limits::Limits;
use model::properties::{goals, shard_goals, size_goals, txn_goals};
use model::system::Scope;

use super::scopes::*;
use super::shards::{groups, moved};
use super::{Check, Tier};

fn transaction(steps: impl Into<Vec<Step>>) -> Op {
    let made = Transaction::try_from(steps.into()).expect("the steps of a check are right");
    Op::Transaction(made.into())
}

fn put_to(key: &str, value: &str) -> Op {
    Op::Put(key.into(), value.into())
}

/// Reads a key so many times at once.
fn gets(key: &str, times: usize) -> Op {
    transaction(vec![Step::Get(key.into()); times])
}

/// In a transaction: removes a key of the second group's shard, which begins there, ...
const BEGIN: &str = "0";

/// ... and does this to a key of the first group's.
fn abroad(step: Step) -> Op {
    transaction([Step::Delete(BEGIN.into()), step])
}

fn present(key: &str) -> Step {
    Step::Check(key.into(), Condition::Present)
}

fn put_step(key: &str, value: &str) -> Step {
    Step::Put(key.into(), Operand::Value(value.into()))
}

/// Two groups of one, and a client.
fn two(client: impl Into<Vec<Op>>, sizes: Limits) -> Scope {
    sized(groups(&[1, 1], &[], vec![client.into()]), sizes)
}

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "size-entries",
        tier: Tier::Ci,
        about: "An entry and a batch as large as they may be; a request that is larger.",
        hides: "Crashes, a third server, a second term.",
        scope: || {
            // The largest entry is the second request of the first client, with 29 bytes. A batch
            // takes as many: the append (10) with the second request of the second client (19),
            // and not with its first one (20). The other requests would be entries of 30 bytes:
            // what is expected, the new value, the key or the transaction is a byte too large.
            // A message has 18 bytes beside its entries, 11 of them for credentials.
            let longer_key = Op::Cas {
                key: "kk".into(),
                expected: Some("123456789".into()),
                new: "123456789".into(),
            };
            let clients: &[&[Op]] = &[
                &[swap("1234567890", "123456789"), swap("123456789", "123456789")],
                &[swap("12345", "6789"), swap("1234", "5678"), longer_key],
                &[
                    append("a"),
                    swap("123456789", "1234567890"),
                    transaction([put_step("k", "123456789012345678")]),
                ],
            ];
            let scope = Scope { servers: 2, ..with_clients(clients, scope(1, 9)) };
            let scope = limited(reduced(scope), |limits| {
                limits.batch_entries = 3;
                limits.batch_bytes = 29;
            });
            let sizes = Limits { key: 1, value: 9, transaction: 23, work: 10, message: 47 };
            sized(scope, sizes)
        },
        goals: &[
            goals::ALL_DONE,
            size_goals::ENTRY_AT_THE_LIMIT,
            size_goals::MESSAGE_AT_THE_LIMIT,
            size_goals::BATCH_AT_THE_LIMIT,
            size_goals::REFUSED,
        ],
        unique_states: 3_000,
    },
    Check {
        name: "size-heartbeat",
        tier: Tier::Ci,
        about: "A heartbeat goes ahead of the entries that a follower lacks, however large.",
        hides: "Crashes, a second heartbeat, a third server, a third term.",
        scope: || {
            let clients: &[&[Op]] = &[&[append("a")], &[append("bb")]];
            let scope = Scope { servers: 2, ..with_clients(clients, scope(2, 4)) };
            let scope = bounded(reduced(scope), |bounds| bounds.heartbeats = 1);
            // The entries of both clients fill a batch.
            let scope = limited(scope, |limits| limits.batch_bytes = 21);
            sized(scope, Limits { key: 1, value: 2, transaction: 6, work: 6, message: 39 })
        },
        goals: &[
            goals::ALL_DONE,
            goals::LEADER_REPLACED,
            size_goals::HEARTBEAT_AHEAD,
            size_goals::BATCH_AT_THE_LIMIT,
        ],
        unique_states: 3_142,
    },
    Check {
        name: "size-results",
        tier: Tier::Ci,
        about: "A result as large as it may be, and one that would be larger.",
        hides: "Crashes, a second server, other groups.",
        scope: || {
            // The key is found with its value for 6 bytes, and given back for 4 each time. The
            // last transaction of the first client does a byte too much, because of what it
            // writes. The transaction of the second client gives back a byte too much, and does
            // four bytes too much: without the keys that it finds it would be within the limit.
            let byte_more =
                transaction([Step::Get("k".into()), Step::Get("k".into()), put_step("j", "z")]);
            let client = vec![put_to("k", "xx"), gets("k", 3), byte_more];
            let with_nothing = transaction([
                Step::Get("k".into()),
                Step::Get("k".into()),
                Step::Get("k".into()),
                Step::Get("j".into()),
            ]);
            let scope = Scope {
                servers: 1,
                clients: vec![client, vec![with_nothing, put_to("k", "yyy")]],
                ..scope(1, 6)
            };
            let sizes = Limits { key: 1, value: 2, transaction: 13, work: 18, message: 18 };
            sized(reduced(scope), sizes)
        },
        goals: &[
            goals::ALL_DONE,
            size_goals::RESULT_AT_THE_LIMIT,
            size_goals::MESSAGE_AT_THE_LIMIT,
            size_goals::TOO_MUCH_WORK,
            size_goals::REFUSED,
        ],
        unique_states: 94,
    },
    Check {
        name: "size-votes",
        tier: Tier::Ci,
        about: "A participant finds as much as a transaction may, and then a byte more.",
        hides: "Crashes, moves, replicas.",
        scope: || {
            // The key takes 16 bytes with its value, then 17.
            let mut scope = two(
                [
                    put_to("a", "123456789012"),
                    abroad(present("a")),
                    Op::Append("a".into(), "3".into()),
                    abroad(present("a")),
                ],
                Limits { key: 1, value: 13, transaction: 20, work: 16, message: 27 },
            );
            scope.clients.push(vec![Op::Get("a".into())]);
            scope
        },
        goals: &[
            goals::ALL_DONE,
            size_goals::VOTE_AT_THE_LIMIT,
            size_goals::MESSAGE_AT_THE_LIMIT,
            size_goals::VOTE_TOO_LARGE,
            size_goals::TOO_MUCH_WORK,
            txn_goals::STALLED,
        ],
        unique_states: 107_028,
    },
    Check {
        name: "size-decisions",
        tier: Tier::Ci,
        about: "A participant is to write as much as a transaction may, and then a byte more.",
        hides: "Crashes, moves, replicas.",
        scope: || {
            let mut scope = two(
                [
                    abroad(put_step("a", "123456789")),
                    abroad(put_step("a", "1234567890")),
                    abroad(put_step("a", "")),
                ],
                Limits { key: 1, value: 13, transaction: 20, work: 16, message: 25 },
            );
            scope.clients.push(vec![Op::Get("a".into())]);
            scope
        },
        goals: &[
            goals::ALL_DONE,
            txn_goals::COMMITTED_ACROSS,
            size_goals::DECISION_AT_THE_LIMIT,
            size_goals::MESSAGE_AT_THE_LIMIT,
            size_goals::TOO_MUCH_WORK,
            txn_goals::STALLED,
        ],
        unique_states: 20_664,
    },
    Check {
        name: "size-parts",
        tier: Tier::Ci,
        about: "A shard moves in parts: two keys fill one, and a session is larger.",
        hides: "Crashes, replicas, a second move.",
        scope: || {
            // The keys take 7 and 8 bytes with their values and fill a part, until the append adds
            // a byte. The session takes 16 bytes after the transaction, and 3 after another
            // request.
            let client = vec![
                put_to("k", "aaaa"),
                gets("k", 2),
                put_to("e", "bbbbb"),
                Op::Append("e".into(), "b".into()),
            ];
            let mut scope = groups(&[1, 1], &[moved(1, 1)], vec![client]);
            if let Some(sharding) = &mut scope.sharding {
                sharding.part_bytes = 15;
            }
            sized(scope, Limits { key: 1, value: 6, transaction: 7, work: 20, message: 25 })
        },
        goals: &[
            goals::ALL_DONE,
            shard_goals::SHARD_MOVED,
            shard_goals::MOVED_IN_PARTS,
            size_goals::PART_OF_SEVERAL,
            size_goals::PART_OF_ONE,
        ],
        unique_states: 636,
    },
];
