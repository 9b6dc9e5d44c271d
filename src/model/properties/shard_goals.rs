//! States that a check of several groups must reach to be about anything.

use std::collections::BTreeSet;

use super::goals::{goal, reached};
use super::{Property, Reads, Server, server, servers};

use crate::machine::Command;
use crate::raft::Payload;
use crate::replica::Message;
use crate::shard::migration::{Entry, Message as Migration};
use crate::shard::ownership::Ownership;
use crate::shard::store::Shards;
use crate::system::{HostState, SystemState, messages};
use crate::types::ShardId;

/// A shard has moved.
pub const SHARD_MOVED: Property =
    goal!(Server, shard_moved, "A group serves a shard with a value that it got from another.");
/// A shard has come back.
pub const SHARD_RETURNED: Property =
    goal!(Server, shard_returned, "A group serves a shard that it has had before and given away.");
/// A move is taken back before the other group has the shard.
pub const TAKEN_BACK: Property = goal!(
    Server,
    taken_back,
    "A configuration gives a shard back to a group that still has it, and the group serves it."
);
/// A move is over before the shard has arrived, when it can not be taken back any more.
pub const DECLINED: Property = goal!(
    Server,
    declined,
    "A group has learnt that another will never have all of a shard that it has released."
);
/// A shard comes back that a group has not let go of.
pub const AWAITED_AGAIN: Property = goal!(
    Server,
    awaited_again,
    "A group awaits a shard as soon as it learns that another has had all of it."
);
/// A shard comes from another group than the former owner.
pub const TURNED_TO: Property = goal!(
    Server,
    turned_to,
    "A group serves a shard that it has asked of others than its owner by the last configuration."
);
/// Two shards cross.
pub const SHARDS_SWAPPED: Property =
    goal!(Server, shards_swapped, "A group awaits one shard while another is leaving it.");
/// The rest goes on.
pub const SERVES_MEANWHILE: Property = goal!(
    Server,
    serves_meanwhile,
    "A group has carried out a request on one shard while another is on its way."
);
/// A request comes too late.
pub const REQUEST_OVERTAKEN: Property = goal!(
    Server,
    request_overtaken,
    "A request is logged behind the entry that gave its shard away."
);
/// A client asks twice, here and there.
pub const ASKED_IN_TWO_GROUPS: Property =
    goal!(State, asked_in_two_groups, "Two groups have logged the same request.");
/// A shard goes in parts.
pub const MOVED_IN_PARTS: Property =
    goal!(Server, moved_in_parts, "A part of a shard has arrived, and not all of it.");
/// Replication and transfer go side by side.
pub const LOGGED_AHEAD: Property = goal!(
    Server,
    logged_ahead,
    "A leader has logged a part behind another one that is not committed."
);
/// A group is behind.
pub const WANTED_EARLY: Property = goal!(
    State,
    wanted_early,
    "A shard is wanted of a group that does not know yet that it has to give it away."
);
/// A group has crashed with a shard on its way.
pub const RESTARTED_MIDWAY: Property = goal!(
    Server,
    restarted_midway,
    "A server has restarted, leads again, and a shard is leaving or awaited."
);

fn shards<'a>((_, server): Server<'a>) -> Option<&'a Shards> {
    server.machine.shards()
}

fn committed<'a>((_, server): Server<'a>) -> impl Iterator<Item = &'a Command> {
    server.raft.committed().filter_map(|entry| match &entry.payload {
        Payload::Command(command) => Some(command),
        Payload::Noop | Payload::Members(_) => None,
    })
}

/// The shards that a group has got from others, as far as its log tells; and given away.
fn got_and_given(server: Server<'_>) -> (BTreeSet<ShardId>, BTreeSet<ShardId>) {
    let (mut got, mut given) = (BTreeSet::new(), BTreeSet::new());
    for command in committed(server) {
        match command {
            Command::Migration(Entry::Install { shard, .. }) => drop(got.insert(*shard)),
            Command::Migration(Entry::Discard { shard, .. }) => drop(given.insert(*shard)),
            Command::Migration(
                Entry::Configure(_)
                | Entry::TurnTo { .. }
                | Entry::Release { .. }
                | Entry::Decline { .. },
            )
            | Command::Request(_)
            | Command::Change(_)
            | Command::Transaction(_) => {}
        }
    }
    (got, given)
}

fn logged_ahead((_, server): Server<'_>) -> bool {
    let open = server.raft.log().range(server.raft.commit, server.raft.last().index);
    let is_part = |payload: &Payload<Command>| {
        matches!(payload, Payload::Command(Command::Migration(Entry::Install { .. })))
    };
    server.raft.is_leader() && open.filter(|entry| is_part(&entry.payload)).count() > 1
}

fn shard_moved(server: Server<'_>) -> bool {
    let (got, _) = got_and_given(server);
    shards(server).is_some_and(|shards| {
        shards.iter().any(|(shard, ownership)| match ownership {
            Ownership::Serving(content) => {
                got.contains(&shard) && content.store.iter().next().is_some()
            }
            Ownership::Absent | Ownership::Awaiting { .. } | Ownership::Leaving { .. } => false,
        })
    })
}

fn shard_returned(server: Server<'_>) -> bool {
    let (got, given) = got_and_given(server);
    shards(server).is_some_and(|shards| {
        shards.iter().any(|(shard, ownership)| {
            matches!(ownership, Ownership::Serving(_))
                && got.contains(&shard)
                && given.contains(&shard)
        })
    })
}

/// The last entry that a group has committed, if it is about moves, and what has come of it.
fn last_of_moves<'a>(server: Server<'a>) -> Option<(&'a Entry, &'a Shards)> {
    match committed(server).last()? {
        Command::Migration(entry) => Some((entry, shards(server)?)),
        Command::Request(_) | Command::Change(_) | Command::Transaction(_) => None,
    }
}

fn taken_back(server: Server<'_>) -> bool {
    let Some((Entry::Configure(config), shards)) = last_of_moves(server) else { return false };
    let configurations = committed(server).filter_map(|command| match command {
        Command::Migration(Entry::Configure(config)) => Some(config),
        Command::Migration(_)
        | Command::Request(_)
        | Command::Change(_)
        | Command::Transaction(_) => None,
    });
    let before = configurations.filter(|before| before.num < config.num).last();
    before.is_some_and(|before| {
        shards.iter().any(|(shard, ownership)| {
            matches!(ownership, Ownership::Serving(_))
                && before.assignment.owner(shard) != Some(shards.group)
        })
    })
}

fn declined(server: Server<'_>) -> bool {
    matches!(last_of_moves(server), Some((Entry::Decline { .. }, _)))
}

fn awaited_again(server: Server<'_>) -> bool {
    match last_of_moves(server) {
        Some((Entry::Discard { shard, .. }, shards)) => {
            matches!(shards.ownership(*shard), Ownership::Awaiting { .. })
        }
        Some(_) | None => false,
    }
}

fn turned_to(server: Server<'_>) -> bool {
    let turned = committed(server).filter_map(|command| match command {
        Command::Migration(Entry::TurnTo { shard, .. }) => Some(*shard),
        Command::Migration(_)
        | Command::Request(_)
        | Command::Change(_)
        | Command::Transaction(_) => None,
    });
    let serves = |shards: &Shards, shard| matches!(shards.ownership(shard), Ownership::Serving(_));
    shards(server).is_some_and(|shards| turned.into_iter().any(|shard| serves(shards, shard)))
}

fn shards_swapped(server: Server<'_>) -> bool {
    shards(server).is_some_and(|shards| {
        let any = |is: fn(&Ownership) -> bool| shards.iter().any(|(_, ownership)| is(ownership));
        any(|o| matches!(o, Ownership::Awaiting { .. }))
            && any(|o| matches!(o, Ownership::Leaving { .. }))
    })
}

fn serves_meanwhile(server: Server<'_>) -> bool {
    let last = committed(server).last();
    let Some((Command::Request(request), shards)) = last.zip(shards(server)) else { return false };
    let client = (request.client, request.number);
    let mut moving = false;
    let mut served = false;
    for (_, ownership) in shards.iter() {
        match ownership {
            Ownership::Serving(content) => {
                served |= content.sessions.last(client.0) == Some(client.1);
            }
            Ownership::Awaiting { .. } | Ownership::Leaving { .. } => moving = true,
            Ownership::Absent => {}
        }
    }
    moving && served
}

fn request_overtaken(server: Server<'_>) -> bool {
    let last = committed(server).last();
    let Some((Command::Request(request), shards)) = last.zip(shards(server)) else { return false };
    let known = shards.iter().any(|(_, ownership)| match ownership {
        Ownership::Serving(content) => content.sessions.last(request.client).is_some(),
        Ownership::Absent | Ownership::Awaiting { .. } | Ownership::Leaving { .. } => false,
    });
    !known && shards.config.num.0 > 1
}

fn asked_in_two_groups(state: &SystemState) -> bool {
    let hosts: Vec<&HostState> = state.actor_states.iter().map(|host| &**host).collect();
    let requests = |server| {
        committed(server).filter_map(|command| match command {
            Command::Request(request) => Some(request),
            Command::Change(_) | Command::Migration(_) | Command::Transaction(_) => None,
        })
    };
    servers(&hosts).any(|one| {
        servers(&hosts).any(|other| {
            one.1.machine.group() != other.1.machine.group()
                && requests(one).any(|request| requests(other).any(|again| request == again))
        })
    })
}

fn moved_in_parts(server: Server<'_>) -> bool {
    let (got, _) = got_and_given(server);
    shards(server).is_some_and(|shards| {
        shards.iter().any(|(shard, ownership)| {
            matches!(ownership, Ownership::Awaiting { .. }) && got.contains(&shard)
        })
    })
}

fn wanted_early(state: &SystemState) -> bool {
    messages(state).any(|envelope| match envelope.msg {
        Message::Migration(Migration::Want { since, .. }) => {
            let host = state.actor_states.get(usize::from(envelope.dst));
            let shards = host.and_then(|host| host.node.replica()?.machine.shards());
            shards.is_some_and(|shards| shards.config.num < *since)
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

fn restarted_midway((host, server): Server<'_>) -> bool {
    host.spent.restarts > 0
        && server.raft.is_leader()
        && shards((host, server)).is_some_and(|shards| {
            let moving =
                |o: &Ownership| matches!(o, Ownership::Awaiting { .. } | Ownership::Leaving { .. });
            shards.iter().any(|(_, ownership)| moving(ownership))
        })
}
