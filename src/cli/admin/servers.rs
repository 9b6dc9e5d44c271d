//! The condition of each server of a cluster, as it tells.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use model::health::{Health, Member};
use model::replica::{Dispute, Kind, Room};
use model::shard::holdings::Holdings;
use model::types::NodeId;
use runtime::cluster::Cluster;
use serde::Serialize;

/// The condition of one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    server: u16,
    group: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    /// The last entry that it knows to be committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<u64>,
    /// The last entry of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    /// The problems that it tells of, in words.
    problems: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// The server leads its group.
    Leader,
    /// The server follows a leader.
    Follower,
    /// The server knows no leader.
    NoLeader,
    /// The server belongs to no group yet.
    Founding,
    /// The server has lost entries, and takes no part in its group any more.
    Lost,
    /// The server does not answer.
    NoAnswer,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::NoLeader => "no leader",
            Self::Founding => "founding",
            Self::Lost => "lost entries",
            Self::NoAnswer => "no answer",
        }
    }
}

/// The condition of every server of the cluster, in order.
pub(super) fn rows(cluster: &Cluster, told: &BTreeMap<NodeId, Holdings>) -> Vec<Row> {
    let row = |server: NodeId| {
        let (kind, peers) = cluster.role(server);
        let group = match kind {
            Kind::Store => "-".to_owned(),
            Kind::Controller { .. } => "controller".to_owned(),
            Kind::Group(group) => group.id.to_string(),
        };
        let silent = Row {
            server: server.0,
            group,
            state: State::NoAnswer,
            term: None,
            commit: None,
            last: None,
            problems: Vec::new(),
        };
        match told.get(&server).map(|holdings| &holdings.server) {
            None => silent,
            Some(Health::Founding { heard, .. }) => {
                let missing = peers.iter().filter(|peer| *peer != server && !heard.contains(peer));
                let missing: Vec<_> = missing.map(|peer| peer.to_string()).collect();
                let problem = if missing.is_empty() {
                    "waits for the others to agree on the members".to_owned()
                } else {
                    format!("waits for {} to found the group", missing.join(", "))
                };
                Row { state: State::Founding, problems: vec![problem], ..silent }
            }
            Some(Health::Member(member)) => Row {
                state: state(server, member),
                term: Some(member.term.0),
                commit: Some(member.commit.0),
                last: Some(member.last.0),
                problems: problems(member),
                ..silent
            },
        }
    };
    cluster.servers().iter().map(row).collect()
}

fn state(server: NodeId, member: &Member) -> State {
    match (member.lost, member.leader) {
        (Some(_), _) => State::Lost,
        (None, Some(leader)) if leader == server => State::Leader,
        (None, Some(_)) => State::Follower,
        (None, None) => State::NoLeader,
    }
}

fn problems(member: &Member) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(index) = member.lost {
        problems.push(format!("has lost entry {index}, which it had acknowledged"));
    }
    match member.room {
        Room::Ample => {}
        Room::Scarce => problems.push("disk full: serves reads, refuses writes".to_owned()),
        Room::None => problems.push("disk full: takes no entries".to_owned()),
    }
    if member.overloaded {
        problems.push("overloaded: refuses requests".to_owned());
    }
    for (follower, progress) in &member.followers {
        if progress.lost {
            problems.push(format!("{follower} has lost entries and does not count"));
        }
    }
    for (other, dispute) in &member.disputes {
        problems.push(match dispute {
            Dispute::Refused(incarnation) => {
                format!("refuses {other} {incarnation}: the members are {}", member.members)
            }
            Dispute::RefusedBy => format!("is refused by {other}, whose group has other members"),
        });
    }
    problems
}

/// The rows as a table.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["server", "group", "state", "term", "committed", "log", "problems"]);
    for row in rows {
        let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        table.add_row([
            NodeId(row.server).to_string(),
            row.group.clone(),
            row.state.name().to_owned(),
            number(row.term),
            number(row.commit),
            number(row.last),
            row.problems.join("\n"),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
