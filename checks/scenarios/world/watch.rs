//! What is seen of a server from outside, and what holds of all servers together at every step.
//!
//! [`Observed`] stands around a server's actor and changes nothing: after each step it shows the
//! state the step has led to. The [`Ledger`] is the judge of what no server can see alone, and
//! [`Configurations`] of what no group can. A server that contradicts them panics, so that it stops
//! and its scenario fails.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::actor::NodeActor;
use model::kv::command::Request;
use model::limits::Limits;
use model::node::{Node, Storage, Timer};
use model::raft::{Entry, Log, Outcome, Payload, Persistent, Position, Rpc};
use model::replica::{Command as Logged, Kind, Message, Replica};
use model::shard::config::Configuration;
use model::types::{ClientId, ConfigNum, Index, NodeId, Term};
use runtime::hosted::{Heard, Hosted};
use stateright::actor::{Actor, Command, Id, Out};

use super::sharding::reached;

/// What a server has shown of itself, in all its lives.
#[derive(Debug)]
pub struct View {
    /// Its state after its last step.
    pub replica: Replica,
    /// What it has sent to other servers.
    pub sent: Sent,
    /// What became of the scenario's own proposals: where the server put them, if it led.
    pub proposals: BTreeMap<ClientId, Option<Position>>,
}

impl View {
    /// Before it has shown anything.
    pub fn new(kind: &Kind) -> Self {
        let replica = Replica::restart(kind, Limits::DEFAULT, Persistent::default());
        Self { replica, sent: Sent::default(), proposals: BTreeMap::new() }
    }

    /// Whether this server knows the entry at `position` to be committed.
    pub fn has_committed(&self, position: Position) -> bool {
        self.replica.raft.commit >= position.index && self.replica.raft.log().contains(position)
    }
}

/// Messages between servers, by what they are for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// RequestVote and AppendEntries.
    pub requests: u64,
    /// Answers to either.
    pub replies: u64,
    /// Those answers that say that the logs differ: each is one more round trip of a catch-up.
    pub conflicts: u64,
}

impl Sent {
    fn count(&mut self, rpc: &Rpc<Logged>) {
        match rpc {
            Rpc::RequestVote { .. } | Rpc::AppendEntries { .. } => self.requests += 1,
            Rpc::RequestVoteReply | Rpc::AppendEntriesReply(Outcome::Matched(_)) => {
                self.replies += 1;
            }
            Rpc::AppendEntriesReply(Outcome::Conflict { .. }) => {
                self.replies += 1;
                self.conflicts += 1;
            }
            Rpc::AppendEntriesReply(Outcome::Lost(_)) => self.replies += 1,
        }
    }
}

/// What all servers of one group must agree on.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The committed entries, as the first server to commit each had it.
    committed: Vec<Entry<Logged>>,
    leaders: BTreeMap<Term, NodeId>,
}

impl Ledger {
    /// Holds a server's step against what is known.
    ///
    /// # Panics
    /// If it breaks election safety or state machine safety [Raft Fig. 3].
    fn enter(&mut self, server: NodeId, before: &Replica, after: &Replica) {
        let raft = &after.raft;
        if raft.is_leader() {
            let leader = *self.leaders.entry(raft.term()).or_insert(server);
            assert_eq!(leader, server, "{} has two leaders", raft.term());
        }
        let known = before.raft.commit.min(raft.commit);
        for (at, entry) in (known.0 as usize..).zip(raft.log().range(known, raft.commit)) {
            match self.committed.get(at) {
                Some(committed) => {
                    assert_eq!(committed, entry, "{server} commits another entry at #{}", at + 1);
                }
                None => self.committed.push(entry.clone()),
            }
        }
    }
}

/// What the controller and all groups must agree on: each configuration, as the first server to
/// reach it had it.
#[derive(Debug, Default)]
pub struct Configurations(BTreeMap<ConfigNum, Configuration>);

impl Configurations {
    /// Holds the configuration that a server has reached against what is known.
    ///
    /// # Panics
    /// If another server had another one under this number.
    fn enter(&mut self, server: NodeId, reached: &Configuration) {
        let known = self.0.entry(reached.num).or_insert_with(|| reached.clone());
        assert_eq!(known, reached, "{server} has another {}", reached.num);
    }
}

/// A server's actor, watched.
pub struct Observed {
    /// The server.
    pub server: NodeId,
    /// What it keeps.
    pub kind: Kind,
    /// Its actor.
    pub actor: NodeActor,
    /// Where it is shown.
    pub view: Arc<Mutex<View>>,
    /// What it is held against, with its peers.
    pub ledger: Arc<Mutex<Ledger>>,
    /// What it is held against, with all servers.
    pub configurations: Arc<Mutex<Configurations>>,
}

impl Observed {
    /// Shows a step: the state it has led to, and what it sends.
    fn show(&self, node: &Node, sent: Out<NodeActor>, out: &mut Out<Self>) {
        let mut sent = sent;
        let mut view = lock(&self.view);
        for command in sent.iter() {
            if let Command::Send(_, Message::Raft(message)) = command {
                view.sent.count(&message.rpc);
            }
        }
        out.append(&mut sent);
        let Some(replica) = node.replica().cloned() else { return }; // It belongs to no group yet.
        lock(&self.ledger).enter(self.server, &view.replica, &replica);
        if let Some(config) = reached(&replica.machine)
            && Some(config) != reached(&view.replica.machine)
        {
            lock(&self.configurations).enter(self.server, config);
        }
        view.replica = replica;
    }

    /// Shows what became of a scenario's proposal. Those of real clients have larger numbers.
    fn show_proposal(&self, request: &Request) {
        if request.client.0 < ClientId::FIRST_DRAWN {
            let mut view = lock(&self.view);
            let raft = &view.replica.raft;
            let position = if raft.is_leader() { find(raft.log(), request) } else { None };
            view.proposals.insert(request.client, position);
        }
    }
}

/// Where a command stands in a log: at the end, if it was not offered before.
fn find(log: &Log<Logged>, request: &Request) -> Option<Position> {
    let payload = Payload::Command(Logged::Request(request.clone()));
    let holds = |index: &Index| log.get(*index).is_some_and(|entry| entry.payload == payload);
    (1..=log.last_index().0).rev().map(Index).find(holds).and_then(|index| log.position(index))
}

impl Hosted for Observed {
    fn hear(&self, state: &mut Node, heard: &mut Heard, from: Id, message: &Message) {
        self.actor.hear(state, heard, from, message);
    }
}

impl Actor for Observed {
    type Msg = Message;
    type Timer = Timer;
    type State = Node;
    type Storage = Storage;
    type Random = ();

    fn on_start(&self, id: Id, storage: &Option<Storage>, out: &mut Out<Self>) -> Node {
        let mut sent = Out::new();
        let node = self.actor.on_start(id, storage, &mut sent);
        lock(&self.view).replica =
            Replica::restart(&self.kind, Limits::DEFAULT, Persistent::default());
        self.show(&node, sent, out);
        node
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, Node>,
        from: Id,
        message: Message,
        out: &mut Out<Self>,
    ) {
        let request = message.request().cloned();
        let mut sent = Out::new();
        self.actor.on_msg(id, state, from, message, &mut sent);
        self.show(state, sent, out);
        if let Some(request) = request {
            self.show_proposal(&request);
        }
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<'_, Node>, timer: &Timer, out: &mut Out<Self>) {
        let mut sent = Out::new();
        self.actor.on_timeout(id, state, timer, &mut sent);
        self.show(state, sent, out);
    }
}

/// Locks what a thread may have left in a panic; that panic fails the scenario by itself.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use model::raft::{Role, State};
    use model::types::GroupId;

    use super::*;

    /// A server that has committed one entry of this term, which it leads or not.
    fn server(term: u64, leads: bool) -> Replica {
        let entry = Entry { term: Term(term), payload: Payload::Noop };
        let log = [entry].into_iter().collect();
        let persistent = Persistent { term: Term(term), log, ..Persistent::default() };
        let raft = State::restart(persistent);
        let mut replica = Replica::restart(&Kind::Store, Limits::DEFAULT, Persistent::default());
        replica.raft = State { commit: Index(1), ..raft };
        if leads {
            replica.raft.role = Role::Leader { progress: BTreeMap::new() };
        }
        replica
    }

    fn enter(steps: &[(u16, Replica)]) {
        let new = View::new(&Kind::Store).replica;
        let mut ledger = Ledger::default();
        steps.iter().for_each(|(id, replica)| ledger.enter(NodeId(*id), &new, replica));
    }

    #[test]
    fn servers_that_agree_pass() {
        enter(&[(0, server(1, true)), (1, server(1, false)), (0, server(1, true))]);
    }

    #[test]
    #[should_panic(expected = "t1 has two leaders")]
    fn two_leaders_in_a_term_are_noticed() {
        enter(&[(0, server(1, true)), (1, server(1, true))]);
    }

    #[test]
    #[should_panic(expected = "n1 commits another entry at #1")]
    fn two_entries_at_an_index_are_noticed() {
        enter(&[(0, server(1, false)), (1, server(2, false))]);
    }

    #[test]
    #[should_panic(expected = "n2 has another v1")]
    fn two_configurations_under_a_number_are_noticed() {
        let [one, two] = [1, 2].map(|group| {
            let groups = [(GroupId(group), [NodeId(group)].into_iter().collect())];
            Configuration::initial(2).join(&groups.into()).unwrap()
        });
        let mut configurations = Configurations::default();
        for (server, config) in [(0, &one), (1, &one), (2, &two)] {
            configurations.enter(NodeId(server), config);
        }
    }
}
