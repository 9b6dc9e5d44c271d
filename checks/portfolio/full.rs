//! What runs when there is an hour.

use model::properties::goals;
use model::system::Scope;

use super::scopes::*;
use super::{Check, Tier};

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "core-duplicating-full",
        tier: Tier::Full,
        about: "core-duplicating with room for a log of four.",
        hides: "Crashes, heartbeats, a third term.",
        scope: || duplicating(with_clients(&[&[append("a")], &[get()]], scope(2, 4))),
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::LOGS_DIVERGE],
        unique_states: 1_463_417,
    },
    Check {
        name: "crash-duplicating-full",
        tier: Tier::Full,
        about: "A crash, and every message any number of times.",
        hides: "A second crash, a third term.",
        scope: || {
            let scope = duplicating(with_clients(&[&[append("a")]], scope(2, 3)));
            bounded(scope, |bounds| bounds.restarts = 1)
        },
        goals: &[goals::ALL_DONE, goals::RESTARTED_WITH_LOG],
        unique_states: 461_567,
    },
    Check {
        name: "election-5-full",
        tier: Tier::Full,
        about: "Five servers, to a second term.",
        hides: "Crashes, duplicates, clients, a third term.",
        scope: || Scope { servers: 5, ..scope(2, 2) },
        goals: &[goals::LEADER_REPLACED, goals::SPLIT_VOTE, goals::COMMITTED_LATER],
        unique_states: 6_469_038,
    },
    Check {
        name: "figure-8-full",
        tier: Tier::Full,
        about: "Figure 8 with clients: four terms, one entry in a message.",
        hides: "Crashes, heartbeats, a fifth term.",
        scope: || {
            let scope = reduced(with_clients(&[&[append("a")], &[get()]], scope(4, 4)));
            limited(scope, |limits| limits.batch_entries = 1)
        },
        goals: &[goals::ALL_DONE, goals::FIGURE_8, goals::LEADER_RETURNED, goals::COMMITTED_LATER],
        unique_states: 13_721_750,
    },
    Check {
        name: "two-writers-full",
        tier: Tier::Full,
        about: "Two clients, each of which reads what it wrote, across two leaders.",
        hides: "Crashes, heartbeats, a third term.",
        scope: || {
            let clients: &[&[_]] = &[&[append("a"), get()], &[append("b"), get()]];
            reduced(with_clients(clients, scope(2, 6)))
        },
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::READ_SEES_WRITE],
        unique_states: 7_348_696,
    },
    Check {
        name: "five-servers-full",
        tier: Tier::Full,
        about: "Five servers and a client, across two leaders.",
        hides: "Crashes, heartbeats, a second operation, a third term.",
        scope: || Scope { servers: 5, ..reduced(with_clients(&[&[append("a")]], scope(2, 3))) },
        goals: &[goals::ALL_DONE, goals::LEADER_REPLACED, goals::LOGS_DIVERGE],
        unique_states: 4_071_775,
    },
    Check {
        name: "crash-serving-full",
        tier: Tier::Full,
        about: "A server crashes while a client reads what it wrote and another reads beside it.",
        hides: "A second crash, heartbeats, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a"), get()], &[get()]], scope(2, 5));
            bounded(reduced(scope), |bounds| bounds.restarts = 1)
        },
        goals: &[goals::ALL_DONE, goals::RESTARTED_WITH_LOG, goals::READ_SEES_WRITE],
        unique_states: 29_252_962,
    },
    Check {
        name: "three-terms-full",
        tier: Tier::Full,
        about: "A client reads what it wrote and another reads beside it, to a third term.",
        hides: "Crashes, heartbeats, a fourth term; a third entry beside three that open terms.",
        scope: || reduced(with_clients(&[&[append("a"), get()], &[get()]], scope(3, 5))),
        goals: &[goals::ALL_DONE, goals::FIGURE_8, goals::LOGS_DIVERGE, goals::READ_SEES_WRITE],
        unique_states: 9_866_515,
    },
];
