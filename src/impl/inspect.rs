//! The condition of the servers of a cluster, and what their groups hold, as they tell.
//!
//! Any server tells what it knows; of a group's shards the leader's word counts, since the others
//! may be behind. A deposed leader may be, too: these are figures for people, not a promise.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use model::replica::Message;
use model::shard::holdings::Holdings;
use model::shard::migration;
use model::types::{GroupId, NodeId};

use crate::client::{bind, stranger};
use crate::clock;
use crate::cluster::{Cluster, Sharding};
use crate::transport::Wait;
use crate::wire::Sender;

/// How long to wait for answers before asking again those who have not answered.
const AGAIN: Duration = Duration::from_millis(100);

/// How many messages to take in at once.
const BATCH: usize = 64;

/// Asks all servers of a cluster for their condition, and returns the answers that come within
/// `patience`.
///
/// # Errors
///
/// When no socket can be opened.
pub fn servers(cluster: &Cluster, patience: Duration) -> io::Result<BTreeMap<NodeId, Holdings>> {
    let mut endpoint = stranger(cluster, bind(cluster)?);
    let mut known = BTreeMap::new();
    let deadline = clock::now() + patience;
    loop {
        let silent: Vec<_> =
            cluster.servers().iter().filter(|server| !known.contains_key(server)).collect();
        let now = clock::now();
        if silent.is_empty() || now >= deadline {
            return Ok(known);
        }
        for server in &silent {
            endpoint.push(server.0.into(), &Message::Migration(migration::Message::Inspect));
        }
        endpoint.flush();
        let until = deadline.min(now + AGAIN);
        while known.len() < cluster.node.len() && clock::now() < until {
            endpoint.receive(Wait::Until(until), BATCH, |from: Sender, message: Message| {
                if let Message::Migration(migration::Message::Holdings(told)) = message
                    && let Ok(server) = u16::try_from(from.source)
                    && usize::from(server) < cluster.node.len()
                {
                    known.insert(NodeId(server), told);
                }
            })?;
        }
    }
}

/// Returns the shards that each group holds, as its leader tells, or else the server of the group
/// that knows most.
#[must_use]
pub fn groups(
    cluster: &Cluster,
    servers: &BTreeMap<NodeId, Holdings>,
) -> BTreeMap<GroupId, Holdings> {
    let groups = cluster.sharding.as_ref().map(Sharding::groups).unwrap_or_default();
    let best = |(group, members): (GroupId, model::shard::config::Servers)| {
        let told = members.iter().filter_map(|server| servers.get(&server));
        Some((group, told.max_by_key(|told| (told.leads, told.config))?.clone()))
    };
    groups.into_iter().filter_map(best).collect()
}
