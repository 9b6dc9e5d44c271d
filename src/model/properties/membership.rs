//! Membership: a group is founded once, and its log says who belongs to it.

use super::goals::{goal, reached};
use super::{Holds, Property, Reads, Server, promise};
use crate::founding::{Founder, Refusal};
use crate::system::HostState;
use crate::violation::demand;

/// P24.
pub(super) const PROMISES: &[Property] = &[promise!(
    Pair,
    one_membership,
    "P24 Two servers of one group have the same members in their logs."
)];

/// A group is founded once: whoever serves in it counts majorities of the same members.
pub fn one_membership((_, a): Server<'_>, (_, b): Server<'_>) -> Holds {
    let (a, b) = (a.raft.members(), b.raft.members());
    demand("one_membership", a == b, || format!("one log says {a}, the other {b}"))
}

/// The group is founded.
pub const FOUNDED: Property = goal!(Host, founded, "A server without a group becomes a member.");
/// A member has founded the group before another has.
pub const FOUNDED_BEFORE: Property = goal!(
    HostPair,
    founded_before,
    "A server is a member while another has pledged itself and does not know that all have."
);
/// A server is refused because its group is founded without its incarnation.
pub const REFUSED_BY_MEMBER: Property = goal!(
    Host,
    refused_by_member,
    "A server that has lost its disk is refused by a member of its group."
);
/// A server is refused by one that has pledged itself.
pub const REFUSED_BY_PLEDGE: Property = goal!(
    Host,
    refused_by_pledge,
    "A server that has lost its disk is refused by one that has pledged itself without it."
);
/// The group is founded with the second incarnation of a server.
pub const FOUNDED_AFTER_LOSS: Property = goal!(
    Host,
    founded_after_loss,
    "A server that has lost its disk before its group was founded becomes a member."
);
/// A founding that cannot end.
pub const STUCK: Property = goal!(
    HostPair,
    stuck,
    "A server has pledged itself to a member that has lost its disk: nobody can serve."
);

fn founded(host: &HostState) -> bool {
    host.node.replica().is_some()
}

fn founded_after_loss(host: &HostState) -> bool {
    founded(host) && host.spent.lost_disks > 0
}

fn founded_before(a: &HostState, b: &HostState) -> bool {
    let pledged = |host: &HostState| host.node.founder().is_some_and(|f| f.pledge().is_some());
    founded(a) && pledged(b) || founded(b) && pledged(a)
}

fn refusal(host: &HostState) -> Option<&Refusal> {
    match host.node.founder()? {
        Founder::Refused { refusal, .. } => Some(refusal),
        Founder::Gathering { .. } | Founder::Pledged { .. } => None,
    }
}

fn refused_by_member(host: &HostState) -> bool {
    host.spent.lost_disks > 0 && matches!(refusal(host), Some(Refusal::Founded(_)))
}

fn refused_by_pledge(host: &HostState) -> bool {
    host.spent.lost_disks > 0 && matches!(refusal(host), Some(Refusal::Replaced(_)))
}

fn stuck(a: &HostState, b: &HostState) -> bool {
    let pledged = |host: &HostState| host.node.founder().is_some_and(|f| f.pledge().is_some());
    let out = |host: &HostState| refused_by_pledge(host);
    pledged(a) && out(b) || pledged(b) && out(a)
}
