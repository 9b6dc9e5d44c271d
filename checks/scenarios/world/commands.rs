//! Commands offered to servers directly, without a client library in between.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use model::kv::command::{Op, Request};
use model::raft::{Payload, Position};
use model::replica::{Command, Message};
use model::types::{ClientId, Index, NodeId, RequestId};
use stateright::actor::Id;

use super::watch::lock;
use super::{AGREEMENT, World};

/// How long an offered command may take before it is offered again, perhaps to another leader.
const ATTEMPT: Duration = Duration::from_secs(2);

impl World {
    /// Offers a command to a server. Gives its place in the log if the server led.
    pub fn propose(&self, server: NodeId, command: &str) -> Option<Position> {
        self.offer(server, &self.request(command))
    }

    /// Has a command committed by all servers that can, offering it again where it gets lost.
    /// Gives its place in the log.
    pub fn agree(&self, command: &str) -> Position {
        let request = self.request(command);
        let deadline = Instant::now() + AGREEMENT;
        while Instant::now() < deadline {
            let leader = self.leader();
            let Some(position) = self.offer(leader, &request) else { continue };
            let all_have = || {
                let able = self.able();
                let have = self.committed_by(position);
                (!able.is_empty() && able.iter().all(|server| have.contains(server)))
                    .then_some(true)
            };
            let lost = || {
                let kept = self.look(leader, |view| view.replica.raft.log().contains(position));
                (!kept).then_some(false)
            };
            if self.within(ATTEMPT, || all_have().or_else(lost)) == Some(true) {
                return position;
            }
        }
        panic!("no agreement on {command:.20}");
    }

    /// The servers that know the entry there to be committed.
    #[must_use]
    pub fn committed_by(&self, position: Position) -> Vec<NodeId> {
        let has = |server: &NodeId| self.look(*server, |view| view.has_committed(position));
        self.servers().into_iter().filter(has).collect()
    }

    /// The commands a server knows to be committed, in order, each where it takes effect.
    #[must_use]
    pub fn commands(&self, server: NodeId) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut commands = Vec::new();
        self.look(server, |view| {
            for entry in view.replica.raft.committed() {
                if let Payload::Command(Command::Request(request)) = &entry.payload
                    && let Request { client, number, op } = request
                    && seen.insert((*client, *number))
                {
                    let value = op.value().map_or(&[][..], |value| &value.0);
                    commands.push(String::from_utf8_lossy(value).into_owned());
                }
            }
        });
        commands
    }

    /// The highest index that any server knows to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        let commit = |server| self.look(server, |view| view.replica.raft.commit);
        self.servers().into_iter().map(commit).max().unwrap_or_default()
    }

    /// A command as the only request of a client of its own.
    fn request(&self, command: &str) -> Request {
        let client = ClientId(self.proposers.fetch_add(1, Ordering::Relaxed));
        let op = Op::Put(client.to_string().into(), command.into());
        Request { client, number: RequestId(1), op }
    }

    fn offer(&self, server: NodeId, request: &Request) -> Option<Position> {
        let client = request.client;
        let handle = self.server(server).handle()?;
        lock(&self.server(server).view).proposals.remove(&client);
        handle.inject(Id::from(client.0 as usize), Message::Request(request.clone()));
        self.eventually("a server takes notice of a proposal", || {
            let placed = self.look(server, |view| view.proposals.get(&client).copied());
            placed.or_else(|| (!self.is_running(server)).then_some(None))
        })
    }
}
