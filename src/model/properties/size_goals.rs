//! States that a check of limits must reach: what is as large as it may be, and what is larger.

use super::goals::{goal, reached};
use super::{Property, Reads, Server, server};

use crate::kv::command::{Op, Output};
use crate::kv::transaction::{Reason, Refusal};
use crate::limits::Limits;
use crate::machine::Command;
use crate::raft::{self, Payload, Rpc};
use crate::replica::{Answer, Message, NotTaken};
use crate::shard::migration;
use crate::shard::store::Shards;
use crate::shard::txn::{Contents, Decision, Entry, Vote};
use crate::size;
use crate::system::{SystemState, messages};
use crate::types::NodeId;

/// An entry cannot be larger.
pub const ENTRY_AT_THE_LIMIT: Property = goal!(
    Server,
    entry_at_the_limit,
    "A log holds a compare-and-set whose key and values are as long as they may be."
);
/// A request is larger.
pub const REFUSED: Property =
    goal!(Message, refused, "A client is told that its request breaks a limit.");
/// A message cannot be larger.
pub const MESSAGE_AT_THE_LIMIT: Property = goal!(
    State,
    message_at_the_limit,
    "A server has sent a message that is as large as a message may be."
);
/// Several entries go together.
pub const BATCH_AT_THE_LIMIT: Property = goal!(
    State,
    batch_at_the_limit,
    "A message with several requests is as large as a message may be."
);
/// A heartbeat goes ahead of what is large.
pub const HEARTBEAT_AHEAD: Property = goal!(
    State,
    heartbeat_ahead,
    "A heartbeat without entries is under way to a follower that lacks some."
);
/// A vote cannot be larger.
pub const VOTE_AT_THE_LIMIT: Property = goal!(
    Server,
    vote_at_the_limit,
    "A participant has voted with as much as a transaction may find."
);
/// It would be larger.
pub const VOTE_TOO_LARGE: Property =
    goal!(Server, vote_too_large, "A participant has found more than a transaction may.");
/// A decision cannot be larger.
pub const DECISION_AT_THE_LIMIT: Property = goal!(
    Server,
    decision_at_the_limit,
    "A participant has been told to write as much as a transaction of two groups may."
);
/// A result cannot be larger.
pub const RESULT_AT_THE_LIMIT: Property = goal!(
    Server,
    result_at_the_limit,
    "A transaction is carried out that could not have given back a byte more."
);
/// A transaction would do more.
pub const TOO_MUCH_WORK: Property =
    goal!(Server, too_much_work, "A transaction is rejected because it would do too much.");
/// A part holds as much as it may.
pub const PART_OF_SEVERAL: Property = goal!(
    State,
    part_of_several,
    "A message carries two keys of a shard and is as large as a message may be."
);
/// A part holds more than it may of several.
pub const PART_OF_ONE: Property = goal!(
    State,
    part_of_one,
    "A message carries nothing but one session of a shard and is as large as a message may be."
);

/// What the least access to a key of one byte counts for.
const LEAST_ACCESS: usize = size::bytes(1) + size::CHOICE;

fn committed<'a>((_, server): Server<'a>) -> impl Iterator<Item = &'a Command> {
    server.raft.committed().filter_map(|entry| match &entry.payload {
        Payload::Command(command) => Some(command),
        Payload::Noop | Payload::Members(_) => None,
    })
}

fn of_transactions<'a>(server: Server<'a>) -> impl Iterator<Item = &'a Entry> {
    committed(server).filter_map(|command| match command {
        Command::Transaction(entry) => Some(&**entry),
        Command::Request(_) | Command::Change(_) | Command::Migration(_) => None,
    })
}

fn entry_at_the_limit(server: Server<'_>) -> bool {
    let limits = server.1.machine.limits();
    committed(server).any(|command| match command {
        Command::Request(request) => match &request.op {
            Op::Cas { key, expected: Some(expected), new } => {
                let values = [expected, new].map(|value| value.0.len());
                key.len() == limits.key && values == [limits.value; 2]
            }
            Op::Get(_)
            | Op::Put(..)
            | Op::Append(..)
            | Op::Cas { expected: None, .. }
            | Op::Delete(_)
            | Op::Transaction(_) => false,
        },
        Command::Change(_) | Command::Migration(_) | Command::Transaction(_) => false,
    })
}

fn refused(message: &Message) -> bool {
    message.reply().is_some_and(|reply| reply.answer == Answer::Refused(NotTaken::TooLarge))
}

/// The messages under way that are as large as the limits of their senders allow.
fn largest_messages(state: &SystemState) -> impl Iterator<Item = &Message> {
    messages(state).filter_map(|envelope| {
        let sender = state.actor_states.get(usize::from(envelope.src))?;
        let limits = sender.node.replica()?.machine.limits();
        (size::of(envelope.msg) == limits.message).then_some(envelope.msg)
    })
}

fn message_at_the_limit(state: &SystemState) -> bool {
    largest_messages(state).next().is_some()
}

fn batch_at_the_limit(state: &SystemState) -> bool {
    largest_messages(state).any(|message| match message.raft().map(|message| &message.rpc) {
        Some(Rpc::AppendEntries { entries, .. }) => {
            entries.iter().filter(|entry| entry.payload != Payload::Noop).count() > 1
        }
        Some(Rpc::RequestVote { .. } | Rpc::RequestVoteReply | Rpc::AppendEntriesReply(_))
        | None => false,
    })
}

fn heartbeat_ahead(state: &SystemState) -> bool {
    messages(state).any(|envelope| {
        let Some(raft::Message { term, rpc: Rpc::AppendEntries { entries, .. }, .. }) =
            envelope.msg.raft()
        else {
            return false;
        };
        let sender = state.actor_states.get(usize::from(envelope.src));
        let leader = sender.and_then(|host| host.node.replica());
        let follower = NodeId(usize::from(envelope.dst) as u16);
        entries.is_empty()
            && leader.is_some_and(|leader| {
                let progress = leader.raft.progress().and_then(|all| all.get(&follower));
                leader.raft.term() == *term
                    && progress.is_some_and(|p| p.matched < leader.raft.last().index)
            })
    })
}

fn vote(server: Server<'_>, such: impl Fn(&Vote, Limits) -> bool) -> bool {
    let limits = server.1.machine.limits();
    of_transactions(server).any(|entry| match entry {
        Entry::Vote { vote, .. } => such(vote, limits),
        Entry::Prepare { .. }
        | Entry::Decide { .. }
        | Entry::Wound { .. }
        | Entry::Settled { .. } => false,
    })
}

fn content(contents: &Contents) -> usize {
    contents.iter().map(size::of).sum()
}

fn vote_at_the_limit(server: Server<'_>) -> bool {
    vote(server, |vote, limits| match vote {
        Vote::Yes(found) => content(found) == limits.work,
        Vote::TooLarge | Vote::No(_) | Vote::Late => false,
    })
}

fn vote_too_large(server: Server<'_>) -> bool {
    vote(server, |vote, _| *vote == Vote::TooLarge)
}

fn decision_at_the_limit(server: Server<'_>) -> bool {
    let limits = server.1.machine.limits();
    of_transactions(server).any(|entry| match entry {
        Entry::Decide { decision: Decision::Commit(writes), .. } => {
            content(writes) + LEAST_ACCESS == limits.work
        }
        Entry::Decide { decision: Decision::Abort, .. }
        | Entry::Prepare { .. }
        | Entry::Vote { .. }
        | Entry::Wound { .. }
        | Entry::Settled { .. } => false,
    })
}

/// The results of transactions that are remembered, of those that a store by itself carries out.
fn result_at_the_limit(server: Server<'_>) -> bool {
    let Some(store) = server.1.machine.store() else { return false };
    let less = Limits { work: store.limits.work - 1, ..store.limits };
    let Some(Command::Request(request)) = committed(server).last() else { return false };
    let mut sessions = store.sessions.behind(None);
    let is_committed = sessions.any(|(client, session)| {
        (client, session.number) == (request.client, request.number)
            && matches!(session.output, Output::Committed(_))
    });
    is_committed
        && request.op.transaction().is_some_and(|transaction| {
            transaction.carry_out(&less, |key| store.store.get(key).cloned()).0.is_err()
        })
}

fn too_much_work((_, server): Server<'_>) -> bool {
    let store = server.machine.store();
    let shards = server.machine.shards().into_iter().flat_map(Shards::iter);
    let mut contents = store.into_iter().chain(shards.filter_map(|(_, shard)| shard.machine()));
    contents.any(|content| {
        content.sessions.behind(None).any(|(_, session)| {
            matches!(&session.output, Output::Rejected(Refusal { reason: Reason::TooLarge, .. }))
        })
    })
}

fn largest_part(state: &SystemState, keys: usize, sessions: usize) -> bool {
    largest_messages(state).any(|message| match message {
        Message::Migration(migration::Message::Part { part, .. }) => {
            part.count() == (keys, sessions)
        }
        Message::Migration(_)
        | Message::Raft(_)
        | Message::Request(_)
        | Message::Reply(_)
        | Message::Change(_)
        | Message::Outcome(_)
        | Message::Transaction(_)
        | Message::Founding(_) => false,
    })
}

fn part_of_several(state: &SystemState) -> bool {
    largest_part(state, 2, 0)
}

fn part_of_one(state: &SystemState) -> bool {
    largest_part(state, 0, 1)
}
