//! Founding a group, and servers that lose their disks.

use model::properties::{goals, membership};
use model::system::Scope;

use super::scopes::*;
use super::{Check, Tier};

/// See the module's documentation.
pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "founding",
        tier: Tier::Ci,
        about: "Three servers with new disks found their group, with two crashes and a lost disk.",
        hides: "A third crash, a second lost disk, elections, servers with different lists.",
        scope: || {
            let scope = Scope { founded: false, ..duplicating(scope(0, 0)) };
            bounded(scope, |bounds| {
                bounds.restarts = 2;
                bounds.lost_disks = 1;
            })
        },
        goals: &[
            membership::FOUNDED,
            membership::FOUNDED_BEFORE,
            membership::FOUNDED_AFTER_LOSS,
            membership::REFUSED_BY_MEMBER,
            membership::REFUSED_BY_PLEDGE,
            membership::STUCK,
        ],
        unique_states: 31_900,
    },
    Check {
        name: "founded-and-elected",
        tier: Tier::Ci,
        about: "Servers with new disks found their group, elect a leader and serve a client.",
        hides: "Crashes, lost disks, a second term.",
        scope: || {
            let scope = with_clients(&[&[append("a")]], scope(1, 2));
            Scope { founded: false, ..duplicating(scope) }
        },
        goals: &[membership::FOUNDED, membership::FOUNDED_BEFORE, goals::ALL_DONE],
        unique_states: 1_277,
    },
    Check {
        name: "disk-lost",
        tier: Tier::Ci,
        about: "A server loses its disk and comes back under its number, while any of the others \
                may be down: it has no voice, and nothing that was acknowledged is lost.",
        hides: "A second lost disk, crashes, heartbeats, a third term.",
        scope: || {
            let scope = with_clients(&[&[append("a")], &[get()]], scope(2, 3));
            bounded(reduced(scope), |bounds| bounds.lost_disks = 1)
        },
        goals: &[
            membership::REFUSED_BY_MEMBER,
            goals::LEADER_REPLACED,
            goals::ALL_DONE,
            goals::READ_SEES_WRITE,
        ],
        unique_states: 772_185,
    },
];
