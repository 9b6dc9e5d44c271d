//! The model's sizes are those of the codec: for every kind of message, command and result, and at
//! the ends of what there may be.

use std::collections::BTreeSet;

use model::founding;
use model::machine::Command;
use model::raft::{Entry, Outcome, Payload, Rpc};
use model::replica::Message;
use model::shard::migration;
use model::shard::txn;
use model::size;
use quickcheck::{Arbitrary, Gen, quickcheck};
use serde::Serialize;

use super::draw;
use crate::wire::codec::encode;

fn encoded<T: Serialize>(value: &T) -> usize {
    let mut bytes = Vec::new();
    encode(value, usize::MAX, &mut bytes).unwrap();
    bytes.len()
}

/// A message of any kind.
#[derive(Clone, Debug)]
struct Drawn(Message);

impl Arbitrary for Drawn {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(draw::message(g))
    }
}

quickcheck! {
    fn a_message_has_the_size_of_its_encoding(drawn: Drawn) -> bool {
        size::of(&drawn.0) == encoded(&drawn.0)
    }

    fn an_entry_has_the_size_of_its_encoding(drawn: Drawn) -> bool {
        match drawn.0.raft().map(|message| &message.rpc) {
            Some(Rpc::AppendEntries { entries, .. }) => {
                entries.iter().all(|entry| entry.bytes() == encoded(entry))
            }
            Some(_) | None => true,
        }
    }

    fn any_value_has_the_size_of_its_encoding(
        one: (Vec<(String, Option<i64>)>, bool, char),
        floats: (f32, f64),
        other: (u8, u16, u32, u64, i8, i16, i32, i64)
    ) -> bool {
        size::of(&(&one, floats, other)) == encoded(&(&one, floats, other))
    }

    fn numbers_and_strings_have_known_sizes(drawn: u64, content: Vec<u8>) -> bool {
        let text = "x".repeat(content.len());
        size::number(drawn) == encoded(&drawn)
            && size::length(content.len()) == encoded(&content) - content.len()
            && size::bytes(content.len()) == encoded(&text)
    }
}

/// Which kind a message is: those of its parts that have the longest lists of alternatives, too.
fn kind(message: &Message) -> Vec<u8> {
    match message {
        Message::Raft(message) => match &message.rpc {
            Rpc::RequestVote { .. } => vec![0],
            Rpc::RequestVoteReply => vec![1],
            Rpc::AppendEntries { entries, .. } => {
                [2].into_iter().chain(entries.iter().map(kind_of_entry)).collect()
            }
            Rpc::AppendEntriesReply(Outcome::Matched(_)) => vec![3],
            Rpc::AppendEntriesReply(Outcome::Conflict { .. }) => vec![4],
            Rpc::AppendEntriesReply(Outcome::Lost(_)) => vec![32],
        },
        Message::Request(_) => vec![5],
        Message::Reply(_) => vec![6],
        Message::Change(_) => vec![7],
        Message::Outcome(_) => vec![8],
        Message::Migration(message) => vec![match message {
            migration::Message::Ask(_) => 9,
            migration::Message::Configuration(_) => 10,
            migration::Message::Offer { .. } => 11,
            migration::Message::Decline { .. } => 36,
            migration::Message::Want { .. } => 12,
            migration::Message::Part { .. } => 13,
            migration::Message::Inspect => 14,
            migration::Message::Holdings(_) => 15,
        }],
        Message::Transaction(message) => vec![match message {
            txn::Message::Prepare { .. } => 16,
            txn::Message::Vote { .. } => 17,
            txn::Message::Wound { .. } => 18,
            txn::Message::Decide { .. } => 19,
            txn::Message::Settled { .. } => 20,
        }],
        Message::Founding(message) => vec![match message {
            founding::Message::Announce(_) => 33,
            founding::Message::Founded(_) => 34,
        }],
    }
}

fn kind_of_entry(entry: &Entry<Command>) -> u8 {
    match &entry.payload {
        Payload::Noop => 21,
        Payload::Members(_) => 35,
        Payload::Command(Command::Request(_)) => 22,
        Payload::Command(Command::Change(_)) => 23,
        Payload::Command(Command::Migration(entry)) => match entry {
            migration::Entry::Configure(_) => 24,
            migration::Entry::Install { .. } => 25,
            migration::Entry::TurnTo { .. } => 37,
            migration::Entry::Release { .. } => 38,
            migration::Entry::Decline { .. } => 39,
            migration::Entry::Discard { .. } => 26,
        },
        Payload::Command(Command::Transaction(entry)) => match **entry {
            txn::Entry::Prepare { .. } => 27,
            txn::Entry::Vote { .. } => 28,
            txn::Entry::Wound { .. } => 29,
            txn::Entry::Decide { .. } => 30,
            txn::Entry::Settled { .. } => 31,
        },
    }
}

/// Each is drawn, and its size compared.
#[test]
fn every_kind_of_message_and_entry_has_the_size_of_its_encoding() {
    let mut g = Gen::new(10);
    let mut open: BTreeSet<u8> = (0..40).collect();
    for _ in 0..100_000 {
        let message = draw::message(&mut g);
        assert_eq!(size::of(&message), encoded(&message), "{message:?}");
        kind(&message).iter().for_each(|kind| {
            open.remove(kind);
        });
        if open.is_empty() {
            return;
        }
    }
    panic!("kinds {open:?} were never drawn");
}

/// A sequence of unknown length has no encoding.
#[test]
fn what_has_no_encoding_is_larger_than_any_limit() {
    struct Endless;

    impl Serialize for Endless {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            serde::ser::SerializeSeq::end(to.serialize_seq(None)?)
        }
    }

    assert!(encode(&Endless, usize::MAX, &mut Vec::new()).is_err());
    assert_eq!(size::of(&Endless), usize::MAX);
}
