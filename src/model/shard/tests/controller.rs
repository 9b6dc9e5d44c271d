//! The controller: what it refuses, and that it answers once and for all.

use std::collections::BTreeMap;

use crate::kv::command::Request;
use crate::shard::config::Refusal;
use crate::shard::controller::{Change, Controller, MAX_NAMED, Outcome};
use crate::types::{ClientId, ConfigNum, GroupId, NodeId, RequestId, ShardId};

fn join(groups: &[(u16, u16)]) -> Change {
    let group =
        |(group, server): &(u16, u16)| (GroupId(*group), [NodeId(*server)].into_iter().collect());
    Change::Join(groups.iter().map(group).collect())
}

fn leave(groups: &[u16]) -> Change {
    Change::Leave(groups.iter().map(|group| GroupId(*group)).collect())
}

struct Administrator {
    controller: Controller,
    number: u64,
}

impl Administrator {
    fn new() -> Self {
        Self { controller: Controller::new(4), number: 0 }
    }

    fn asks(&mut self, op: Change) -> Outcome {
        self.number += 1;
        self.repeats(op, self.number).expect("an answer")
    }

    fn repeats(&mut self, op: Change, number: u64) -> Option<Outcome> {
        let number = RequestId(number);
        self.controller.apply(&Request { client: ClientId(1), number, op })
    }
}

#[test]
fn changes_are_numbered_and_refusals_take_no_number() {
    let mut admin = Administrator::new();
    assert_eq!(admin.asks(leave(&[1])), Outcome::Refused(Refusal::UnknownGroup(GroupId(1))));
    assert_eq!(admin.asks(join(&[(1, 1), (2, 2)])), Outcome::Changed(ConfigNum(1)));
    let there = Outcome::Refused(Refusal::AlreadyThere(ShardId(0)));
    assert_eq!(admin.asks(Change::Move(ShardId(0), GroupId(1))), there);
    assert_eq!(admin.asks(Change::Move(ShardId(0), GroupId(2))), Outcome::Changed(ConfigNum(2)));
    assert_eq!(admin.controller.latest().num, ConfigNum(2));
}

#[test]
fn a_repeated_change_has_its_first_answer_and_does_nothing() {
    let mut admin = Administrator::new();
    admin.asks(join(&[(1, 1), (2, 2)]));
    let there = Change::Move(ShardId(0), GroupId(2));
    admin.asks(there.clone());
    admin.asks(Change::Move(ShardId(0), GroupId(1)));
    let before = admin.controller.clone();
    assert_eq!(admin.repeats(there, 2), None, "the client has moved on");
    let back = Change::Move(ShardId(0), GroupId(1));
    assert_eq!(admin.repeats(back, 3), Some(Outcome::Changed(ConfigNum(3))));
    assert_eq!(admin.controller, before);
}

#[test]
fn a_query_gives_any_configuration_as_it_was() {
    let mut admin = Administrator::new();
    admin.asks(join(&[(1, 1)]));
    let first = admin.asks(Change::Query(None));
    admin.asks(join(&[(2, 2)]));
    assert_eq!(admin.asks(Change::Query(Some(ConfigNum(1)))), first);
    let latest = admin.asks(Change::Query(None));
    assert_ne!(latest, first);
    assert_eq!(admin.asks(Change::Query(Some(ConfigNum(9)))), latest, "the latest, if none is so");
}

#[test]
fn the_last_groups_cannot_leave() {
    let mut admin = Administrator::new();
    admin.asks(join(&[(1, 1), (2, 2)]));
    assert_eq!(admin.asks(leave(&[1, 2])), Outcome::Refused(Refusal::LastGroup));
    assert_eq!(admin.asks(leave(&[1])), Outcome::Changed(ConfigNum(2)));
    assert_eq!(admin.asks(leave(&[2])), Outcome::Refused(Refusal::LastGroup));
}

#[test]
fn a_group_comes_back_only_as_what_it_was() {
    let mut admin = Administrator::new();
    admin.asks(join(&[(1, 1), (2, 2)]));
    admin.asks(leave(&[1]));
    let others = Outcome::Refused(Refusal::OtherServers(GroupId(1)));
    assert_eq!(admin.asks(join(&[(1, 7)])), others);
    let taken = Outcome::Refused(Refusal::ServerTaken(NodeId(1)));
    assert_eq!(admin.asks(join(&[(3, 1)])), taken, "a server stays with its group");
    assert_eq!(admin.asks(join(&[(1, 1)])), Outcome::Changed(ConfigNum(3)));
}

#[test]
fn a_change_that_names_too_much_is_not_within_limits() {
    let groups = |count: u16| -> BTreeMap<_, _> {
        let group = |i| (GroupId(i), [NodeId(i)].into_iter().collect());
        (0..count).map(group).collect()
    };
    assert!(Change::Join(groups(MAX_NAMED as u16 / 2)).within_limits());
    assert!(!Change::Join(groups(MAX_NAMED as u16 / 2 + 1)).within_limits());
    assert!(!Change::Leave((0..=MAX_NAMED as u16).map(GroupId).collect()).within_limits());
    assert!(Change::Query(None).within_limits());
}
