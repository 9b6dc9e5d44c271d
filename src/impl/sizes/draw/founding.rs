//! Drawn messages about members: founding, credentials, and the condition of a server.

use std::collections::{BTreeMap, BTreeSet};

use model::founding::{Announcement, Charter, Message};
use model::health::{Follower, Health, Member};
use model::raft::{Credentials, Incarnation, Members, Purpose};
use model::replica::{Dispute, Room};
use model::types::{GroupId, NodeId, Term};
use quickcheck::{Arbitrary, Gen};

use super::{index, list, number, one_of};

fn node(g: &mut Gen) -> NodeId {
    NodeId(number(g) as u16)
}

fn nodes(g: &mut Gen) -> BTreeSet<NodeId> {
    list(g, node).into_iter().collect()
}

fn incarnation(g: &mut Gen) -> Incarnation {
    Incarnation(number(g))
}

fn purpose(g: &mut Gen) -> Purpose {
    one_of(
        g,
        &[
            |_| Purpose::Store,
            |g| Purpose::Controller { shards: number(g) as u16 },
            |g| Purpose::Shards {
                group: GroupId(number(g) as u16),
                shards: number(g) as u16,
                controllers: nodes(g),
            },
        ],
    )
}

pub(super) fn members(g: &mut Gen) -> Members {
    let servers: BTreeMap<_, _> = list(g, |g| (node(g), incarnation(g))).into_iter().collect();
    Members::new(purpose(g), servers)
}

pub(super) fn credentials(g: &mut Gen) -> Credentials {
    let incarnation = incarnation(g);
    members(g).credentials(incarnation)
}

pub(super) fn message(g: &mut Gen) -> Message {
    if bool::arbitrary(g) {
        return Message::Founded(members(g).into());
    }
    let charter = Charter { purpose: purpose(g), servers: nodes(g) };
    let pledge = bool::arbitrary(g).then(|| members(g).into());
    Message::Announce(Announcement { charter, incarnation: incarnation(g), pledge }.into())
}

pub(super) fn health(g: &mut Gen) -> Health {
    if bool::arbitrary(g) {
        let pledge = bool::arbitrary(g).then(|| members(g).into());
        return Health::Founding { heard: nodes(g), pledge };
    }
    let dispute = |g: &mut Gen| {
        let refused = Dispute::Refused(incarnation(g));
        (node(g), if bool::arbitrary(g) { refused } else { Dispute::RefusedBy })
    };
    let follower =
        |g: &mut Gen| (node(g), Follower { matched: index(g), lost: bool::arbitrary(g) });
    Health::Member(Member {
        members: members(g).into(),
        term: Term(number(g)),
        leader: bool::arbitrary(g).then(|| node(g)),
        commit: index(g),
        last: index(g),
        lost: bool::arbitrary(g).then(|| index(g)),
        room: *g.choose(&[Room::Ample, Room::Scarce, Room::None]).expect("there are some"),
        overloaded: bool::arbitrary(g),
        disputes: list(g, dispute).into_iter().collect(),
        followers: list(g, follower).into_iter().collect(),
    })
}
