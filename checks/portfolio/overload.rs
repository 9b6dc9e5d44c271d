//! A leader whose backlog is as large as it may be.
//!
//! The bound is one entry, and the entry that opens a term counts. So a leader refuses all requests
//! that come before that entry is committed.

use model::kv::command::Op;
use model::properties::{goals, overload_goals};
use model::replica::Backlog;
use model::system::Scope;

use super::scopes::*;
use super::{Check, Tier};

/// A backlog of one entry.
const ONE: Backlog = Backlog { entries: 1, bytes: usize::MAX };

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "overload",
        tier: Tier::Ci,
        about: "A request that is refused is never carried out, however often it is delivered.",
        hides: "Crashes, heartbeats, a second term.",
        scope: || {
            let clients: &[&[Op]] = &[&[append("a"), get()], &[append("b"), append("c")]];
            Scope { backlog: ONE, ..duplicating(with_clients(clients, scope(1, 5))) }
        },
        goals: &[goals::ALL_DONE, goals::COMMITTED, overload_goals::OVERLOADED],
        unique_states: 1_023_073,
    },
    Check {
        name: "overload-bytes",
        tier: Tier::Ci,
        about: "The same with a bound in bytes, which a large request passes by itself.",
        hides: "Crashes, heartbeats, a third server, a second term.",
        scope: || {
            let scope = with_clients(&[&[append("aaaaa"), get()], &[append("b")]], scope(1, 4));
            let backlog = Backlog { entries: usize::MAX, bytes: 12 };
            Scope { servers: 2, backlog, ..duplicating(scope) }
        },
        goals: &[goals::ALL_DONE, goals::COMMITTED, overload_goals::OVERLOADED],
        unique_states: 356,
    },
    Check {
        name: "overload-in-doubt",
        tier: Tier::Ci,
        about: "A client that has asked twice and is refused does not know whether its first copy \
                is in a log; a client that was redirected knows.",
        hides: "Crashes, duplicates, a third server, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a"), get()]], scope(2, 5));
            let scope = bounded(scope, |bounds| {
                bounds.retries = 1;
                bounds.heartbeats = 2;
            });
            Scope { servers: 2, backlog: ONE, ..scope }
        },
        goals: &[
            goals::ALL_DONE,
            goals::REDIRECTED,
            goals::LEADER_REPLACED,
            overload_goals::OVERLOADED,
            overload_goals::GIVEN_UP_FOR_GOOD,
            overload_goals::REFUSED_IN_DOUBT,
        ],
        unique_states: 91_600,
    },
];
