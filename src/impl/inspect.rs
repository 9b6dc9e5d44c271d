//! What the groups of a cluster hold, as their servers tell.
//!
//! Any server tells what it knows; the leader's word counts, since the others may be behind. A
//! deposed leader may be, too: these are figures for people, not a promise.

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

/// What each group holds, as far as one of its servers answers within `patience`. A group without a
/// leader is waited for so long, and has what the one of its servers says that knows most.
///
/// # Errors
///
/// When no socket can be opened.
pub fn holdings(cluster: &Cluster, patience: Duration) -> io::Result<BTreeMap<GroupId, Holdings>> {
    let groups = cluster.sharding.as_ref().map(Sharding::groups).unwrap_or_default();
    let mut endpoint = stranger(cluster, bind(cluster)?);
    let mut known: BTreeMap<GroupId, Holdings> = BTreeMap::new();
    let deadline = clock::now() + patience;
    loop {
        let is_settled = |group: &GroupId| known.get(group).is_some_and(|holdings| holdings.leads);
        let open: Vec<_> = groups.iter().filter(|(group, _)| !is_settled(group)).collect();
        let now = clock::now();
        if open.is_empty() || now >= deadline {
            return Ok(known);
        }
        for server in open.iter().flat_map(|(_, servers)| servers.iter()) {
            endpoint.push(server.0.into(), &Message::Migration(migration::Message::Inspect));
        }
        endpoint.flush();
        let until = deadline.min(now + AGAIN);
        let mut missing = open.len();
        while missing > 0 && clock::now() < until {
            endpoint.receive(Wait::Until(until), BATCH, |from: Sender, message: Message| {
                let server = u16::try_from(from.source).map(NodeId);
                let of = |server| groups.iter().find(|(_, servers)| servers.contains(server));
                if let Message::Migration(migration::Message::Holdings(told)) = message
                    && let Some((group, _)) = server.ok().and_then(of)
                {
                    missing -= usize::from(told.leads).min(missing);
                    let best = known.entry(*group).or_insert_with(|| told.clone());
                    if (told.leads, told.config) > (best.leads, best.config) {
                        *best = told;
                    }
                }
            })?;
        }
    }
}
