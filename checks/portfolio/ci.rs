//! What runs with every change.

use model::kv::command::Op;
use model::properties::goals;
use model::system::Scope;

use super::scopes::*;
use super::{Check, Tier};

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "sessions",
        tier: Tier::Ci,
        about: "Exactly once: one server, two clients, every message any number of times.",
        hides: "What needs a second server: a log that is rewritten, a request logged by two \
                leaders (sessions-replicated).",
        scope: || {
            let clients: &[&[Op]] = &[&[append("a"), claim("b")], &[append("c"), get()]];
            let scope = Scope { servers: 1, ..duplicating(with_clients(clients, scope(2, 8))) };
            bounded(scope, |bounds| {
                bounds.restarts = 1;
                bounds.retries = 2;
            })
        },
        goals: &[
            goals::OPERATION_DONE,
            goals::ALL_DONE,
            goals::RESTARTED_WITH_LOG,
            goals::RESTARTED_LEADER,
            goals::READ_SEES_WRITE,
        ],
        unique_states: 9_600,
    },
    Check {
        name: "operations",
        tier: Tier::Ci,
        about: "Each operation on a key that is there and on one that is not.",
        hides: "What needs a second server or a fault.",
        scope: || {
            let clients: &[&[Op]] = &[
                &[put("a"), claim("x"), delete(), claim("b"), get()],
                &[swap("a", "c"), append("d"), put("e")],
            ];
            Scope { servers: 1, ..with_clients(clients, scope(1, 9)) }
        },
        goals: &[goals::ALL_DONE, goals::READ_SEES_WRITE],
        unique_states: 1_460,
    },
    Check {
        name: "one-term",
        tier: Tier::Ci,
        about: "What needs no second leader is done without one, each entry in its own message.",
        hides: "Everything that goes wrong.",
        scope: || {
            let scope = with_clients(&[&[append("a"), get()], &[append("b")]], scope(1, 4));
            limited(scope, |limits| limits.batch_bytes = 1)
        },
        goals: &[goals::ALL_DONE, goals::COMMITTED, goals::READ_SEES_WRITE],
        unique_states: 29_818,
    },
    Check {
        name: "sessions-replicated",
        tier: Tier::Ci,
        about: "Exactly once across leaders: a client asks again, and two leaders log its request.",
        hides: "A second client, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a")]], scope(2, 4));
            bounded(scope, |bounds| bounds.retries = 1)
        },
        goals: &[
            goals::ALL_DONE,
            goals::LOGGED_TWICE,
            goals::ASKED_AROUND,
            goals::REDIRECTED,
            goals::DONE_IN_TERM_2,
            goals::COMMITTED_LATER,
        ],
        unique_states: 128_090,
    },
    Check {
        name: "core",
        tier: Tier::Ci,
        about: "Election, replication and commitment with two clients, to a third term.",
        hides: "Crashes, duplicates, heartbeats, a fourth term, a third operation.",
        scope: || with_clients(&[&[append("a")], &[get()]], scope(3, 4)),
        goals: &[
            goals::ALL_DONE,
            goals::LEADER_REPLACED,
            goals::SPLIT_VOTE,
            goals::LOGS_DIVERGE,
            goals::CONFLICT_REPORTED,
            goals::FIGURE_8,
            goals::COMMITTED_LATER,
            goals::READ_SEES_WRITE,
        ],
        unique_states: 3_354_791,
    },
    Check {
        name: "core-duplicating",
        tier: Tier::Ci,
        about: "The same with every message any number of times, to a second term.",
        hides: "Crashes, heartbeats, a third term.",
        scope: || duplicating(with_clients(&[&[append("a")], &[get()]], scope(2, 3))),
        goals: &[goals::OPERATION_DONE, goals::LEADER_REPLACED, goals::LOGS_DIVERGE],
        unique_states: 280_599,
    },
    Check {
        name: "real-time",
        tier: Tier::Ci,
        about: "A read after a write; elsewhere, with several servers, all operations overlap.",
        hides: "Crashes, duplicates, heartbeats, a third term, a fifth entry.",
        scope: || with_clients(&[&[append("a")], &[append("b"), get()]], scope(2, 4)),
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::READ_SEES_WRITE],
        unique_states: 632_417,
    },
    Check {
        name: "pipelined",
        tier: Tier::Ci,
        about: "Two requests under way at once, so that the second may arrive first.",
        hides: "Crashes, duplicates, heartbeats, a third term, a second leader's commands.",
        scope: || {
            let scope = with_clients(&[&[append("a")], &[append("b")]], scope(2, 3));
            limited(scope, |limits| {
                limits.window = 3;
                limits.batch_entries = 1;
            })
        },
        goals: &[goals::ALL_DONE, goals::CONFLICT_REPORTED],
        unique_states: 431_566,
    },
    Check {
        name: "heartbeat",
        tier: Tier::Ci,
        about: "A leader shows itself and sends again what was not answered.",
        hides: "Crashes, a second heartbeat, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a")]], scope(2, 3));
            bounded(scope, |bounds| bounds.heartbeats = 1)
        },
        goals: &[goals::ALL_DONE, goals::COMMITTED, goals::LEADER_REPLACED, goals::SENT_AGAIN],
        unique_states: 653_797,
    },
    Check {
        name: "crash",
        tier: Tier::Ci,
        about: "A server crashes and restarts while a client waits.",
        hides: "A second crash, duplicates, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a")]], scope(2, 3));
            bounded(scope, |bounds| bounds.restarts = 1)
        },
        goals: &[goals::ALL_DONE, goals::RESTARTED_WITH_LOG, goals::DONE_IN_TERM_2],
        unique_states: 334_912,
    },
    Check {
        name: "crash-elections",
        tier: Tier::Ci,
        about: "A server crashes and restarts during elections, to a third term.",
        hides: "A second crash, duplicates, clients.",
        scope: || bounded(scope(3, 3), |bounds| bounds.restarts = 1),
        goals: &[goals::RESTARTED_WITH_LOG, goals::RESTARTED_LEADER, goals::FIGURE_8],
        unique_states: 2_351_941,
    },
    Check {
        name: "election-4",
        tier: Tier::Ci,
        about: "Four servers, where half is not a majority and votes may be counted twice.",
        hides: "Crashes, clients, a third term.",
        scope: || Scope { servers: 4, ..duplicating(scope(2, 2)) },
        goals: &[goals::LEADER_REPLACED, goals::SPLIT_VOTE, goals::LEADER_COMMITTED],
        unique_states: 55_373,
    },
    Check {
        name: "election-5",
        tier: Tier::Ci,
        about: "Five servers.",
        hides: "Crashes, clients, a second term.",
        scope: || Scope { servers: 5, ..duplicating(scope(1, 1)) },
        goals: &[
            goals::LEADER_ELECTED,
            goals::SPLIT_VOTE,
            goals::LEADER_COMMITTED,
            goals::COMMITTED_BY_MAJORITY,
        ],
        unique_states: 21_582,
    },
    Check {
        name: "nothing-forgotten",
        tier: Tier::Ci,
        about: "Every message of the past may come again, dead ones too: what the handlers must \
                ignore by themselves.",
        hides: "Crashes, clients, a fourth term.",
        scope: || unreduced(duplicating(scope(3, 3))),
        goals: &[goals::LEADER_REPLACED, goals::LEADER_COMMITTED, goals::CONFLICT_SETTLED],
        unique_states: 776_740,
    },
    Check {
        name: "nothing-forgotten-4",
        tier: Tier::Ci,
        about: "The same with four servers, where a vote counted twice makes a false majority.",
        hides: "Crashes, clients, a third term.",
        scope: || unreduced(Scope { servers: 4, ..duplicating(scope(2, 2)) }),
        goals: &[goals::LEADER_ELECTED, goals::SPLIT_VOTE, goals::LEADER_COMMITTED],
        unique_states: 302_825,
    },
    Check {
        name: "figure-8",
        tier: Tier::Ci,
        about: "Figure 8 of the paper: four terms, one entry in a message.",
        hides: "Crashes, duplicates; the entries are those that open the terms.",
        scope: || limited(scope(4, 3), |limits| limits.batch_entries = 1),
        goals: &[
            goals::FIGURE_8,
            goals::LEADER_REPLACED,
            goals::LEADER_RETURNED,
            goals::COMMITTED_LATER,
        ],
        unique_states: 360_638,
    },
    Check {
        name: "three-terms",
        tier: Tier::Ci,
        about: "A write and a read, to a third term, on a network that may do anything.",
        hides: "Crashes, heartbeats, a fourth term; redirects and single requests (core).",
        scope: || reduced(with_clients(&[&[append("a")], &[get()]], scope(3, 4))),
        goals: &[
            goals::ALL_DONE,
            goals::LEADER_REPLACED,
            goals::LOGS_DIVERGE,
            goals::FIGURE_8,
            goals::COMMITTED_LATER,
            goals::LOGGED_TWICE,
        ],
        unique_states: 1_227_026,
    },
    Check {
        name: "read-own-write",
        tier: Tier::Ci,
        about: "A client reads what it wrote, another reads beside it, across two leaders.",
        hides: "Crashes, heartbeats, a third term; redirects and single requests (core).",
        scope: || reduced(with_clients(&[&[append("a"), get()], &[get()]], scope(2, 5))),
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::READ_SEES_WRITE],
        unique_states: 770_257,
    },
    Check {
        name: "crash-serving",
        tier: Tier::Ci,
        about: "A server crashes and restarts while two clients are served.",
        hides: "A second crash, heartbeats, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a")], &[get()]], scope(2, 4));
            bounded(reduced(scope), |bounds| bounds.restarts = 1)
        },
        goals: &[goals::ALL_DONE, goals::RESTARTED_WITH_LOG, goals::READ_SEES_WRITE],
        unique_states: 2_328_204,
    },
    Check {
        name: "everything-at-once",
        tier: Tier::Ci,
        about: "Heartbeats, retries and refusals together, across two leaders.",
        hides: "Crashes, a second heartbeat or retry, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a")]], scope(2, 3));
            bounded(reduced(scope), |bounds| {
                bounds.heartbeats = 1;
                bounds.retries = 1;
            })
        },
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::COMMITTED],
        unique_states: 84_678,
    },
    Check {
        name: "crash-read-own-write",
        tier: Tier::Ci,
        about: "A client reads what it wrote while a server crashes and, having forgotten what was \
                applied, takes an old request again.",
        hides: "A second crash, a second client, heartbeats, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a"), get()]], scope(2, 5));
            bounded(reduced(scope), |bounds| bounds.restarts = 1)
        },
        goals: &[goals::ALL_DONE, goals::RESTARTED_WITH_LOG, goals::LOGGED_TWICE],
        unique_states: 1_222_334,
    },
];
