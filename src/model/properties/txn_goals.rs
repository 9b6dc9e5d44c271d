//! States that a check of transactions must reach to be about anything.

use super::goals::{goal, reached};
use super::{Property, Reads, Server, server};

use crate::kv::command::Output;
use crate::machine::Command;
use crate::raft::Payload;
use crate::shard::store::Shards;
use crate::shard::txn::coordinator::Stage;
use crate::shard::txn::{Decision, Entry, Vote};

/// A transaction of two groups.
pub const COMMITTED_ACROSS: Property =
    goal!(Server, committed_across, "A group has written what another one's transaction says.");
/// One of three groups.
pub const COMMITTED_BY_THREE: Property = goal!(
    Server,
    committed_by_three,
    "A coordinator has the votes of two other groups for one attempt."
);
/// A check fails.
pub const REJECTED: Property =
    goal!(Server, rejected, "A transaction is refused because of what another group has found.");
/// It is tried again.
pub const RETRIED: Property =
    goal!(Server, retried, "A transaction is in its second attempt, or in a later one.");
/// A transaction waits where it holds nothing.
pub const WAITS_AT_HOME: Property =
    goal!(Server, waits_at_home, "A transaction waits for keys of its coordinator.");
/// A transaction waits where it is to take part.
pub const WAITS_ABROAD: Property =
    goal!(Server, waits_abroad, "A transaction waits for keys of a participant.");
/// A transaction stops another.
pub const WOUNDED: Property =
    goal!(Server, wounded, "A coordinator gives up an attempt because an older one waits.");
/// An operation on one key waits.
pub const STALLED: Property = goal!(Server, stalled, "A request for one key waits for a lock.");
/// A configuration waits.
pub const KEPT_BACK: Property =
    goal!(Server, kept_back, "A group takes the next configuration later, because of a lock.");
/// A group has gone further.
pub const REFUSED_LATE: Property = goal!(
    Server,
    refused_late,
    "A participant has refused an attempt that was made under an earlier configuration."
);
/// The coordinator crashes.
pub const RESTARTED_PREPARING: Property = goal!(
    Server,
    restarted_preparing,
    "A coordinator has restarted, leads again, and an attempt is being prepared or told."
);
/// The participant crashes.
pub const RESTARTED_PREPARED: Property = goal!(
    Server,
    restarted_prepared,
    "A participant has restarted, leads again, and has prepared an attempt."
);
/// The leader changes.
pub const LED_ON: Property = goal!(
    Server,
    led_on,
    "A leader of the second term has an attempt that is being prepared, or has been."
);

fn shards<'a>((_, server): Server<'a>) -> Option<&'a Shards> {
    server.machine.shards()
}

fn entries<'a>((_, server): Server<'a>) -> impl Iterator<Item = &'a Entry> {
    server.raft.committed().filter_map(|entry| match &entry.payload {
        Payload::Command(Command::Transaction(entry)) => Some(&**entry),
        Payload::Command(Command::Request(_) | Command::Change(_) | Command::Migration(_))
        | Payload::Noop
        | Payload::Members(_) => None,
    })
}

fn committed_across(server: Server<'_>) -> bool {
    entries(server).any(|entry| match entry {
        Entry::Decide { decision: Decision::Commit(writes), .. } => !writes.is_empty(),
        Entry::Decide { decision: Decision::Abort, .. }
        | Entry::Prepare { .. }
        | Entry::Vote { .. }
        | Entry::Wound { .. }
        | Entry::Settled { .. } => false,
    })
}

fn votes(server: Server<'_>) -> impl Iterator<Item = &Vote> {
    entries(server).filter_map(|entry| match entry {
        Entry::Vote { vote, .. } => Some(vote),
        Entry::Prepare { .. }
        | Entry::Decide { .. }
        | Entry::Wound { .. }
        | Entry::Settled { .. } => None,
    })
}

fn committed_by_three(server: Server<'_>) -> bool {
    shards(server).is_some_and(|shards| {
        shards.transactions.records.values().any(|record| match &record.stage {
            Stage::Decided { open, .. } => {
                open.values().filter(|told| matches!(told, Decision::Commit(_))).count() == 2
            }
            Stage::Waiting { .. } | Stage::Preparing { .. } => false,
        })
    })
}

fn rejected(server: Server<'_>) -> bool {
    votes(server).any(|vote| matches!(vote, Vote::Yes(_)))
        && shards(server).is_some_and(|shards| {
            shards.iter().filter_map(|(_, ownership)| ownership.machine()).any(|content| {
                let mut sessions = content.sessions.behind(None);
                sessions.any(|(_, session)| matches!(session.output, Output::Rejected(_)))
            })
        })
}

fn retried(server: Server<'_>) -> bool {
    shards(server)
        .is_some_and(|shards| shards.transactions.records.values().any(|record| record.count > 1))
}

fn waits_at_home(server: Server<'_>) -> bool {
    shards(server).is_some_and(|shards| {
        let mut records = shards.transactions.records.values();
        records.any(|record| matches!(record.stage, Stage::Waiting { .. }))
    })
}

fn waits_abroad(server: Server<'_>) -> bool {
    shards(server)
        .is_some_and(|shards| shards.transactions.shares.values().any(|share| !share.prepared))
}

fn wounded(server: Server<'_>) -> bool {
    entries(server).any(|entry| matches!(entry, Entry::Wound { .. }))
}

fn stalled(server: Server<'_>) -> bool {
    shards(server).is_some_and(|shards| shards.transactions.queue.requests().next().is_some())
}

fn kept_back(server: Server<'_>) -> bool {
    shards(server).is_some_and(|shards| shards.coming().is_some())
}

fn refused_late(server: Server<'_>) -> bool {
    votes(server).any(|vote| matches!(vote, Vote::No(_)))
}

fn has_restarted((host, server): Server<'_>) -> bool {
    host.spent.restarts > 0 && server.raft.is_leader()
}

fn coordinates(server: Server<'_>) -> bool {
    shards(server).is_some_and(|shards| {
        let mut records = shards.transactions.records.values();
        records.any(|record| match &record.stage {
            Stage::Preparing { .. } | Stage::Decided { .. } => true,
            Stage::Waiting { .. } => false,
        })
    })
}

fn takes_part(server: Server<'_>) -> bool {
    shards(server)
        .is_some_and(|shards| shards.transactions.shares.values().any(|share| share.prepared))
}

fn restarted_preparing(server: Server<'_>) -> bool {
    has_restarted(server) && coordinates(server)
}

fn restarted_prepared(server: Server<'_>) -> bool {
    has_restarted(server) && takes_part(server)
}

fn led_on(server: Server<'_>) -> bool {
    server.1.raft.is_leader()
        && server.1.raft.term().0 > 1
        && (coordinates(server) || takes_part(server))
}
