//! A group's log, applied from its beginning by the code that the servers run: what it has come to,
//! and what was done on the way.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use model::kv;
use model::kv::command::{Output, Request};
use model::kv::session::Seen;
use model::limits::Limits;
use model::machine::{Command, Kind, Machine, Standing};
use model::raft::{Log, Payload};
use model::replica::{Answer, Message, Reply};
use model::shard::content;
use model::shard::controller::{Change, Outcome};
use model::shard::migration::Entry;
use model::shard::ownership::Ownership;
use model::shard::route::shard_of;
use model::shard::txn::{self, Decision};
use model::types::{ClientId, ConfigNum, Index, RequestId, ShardId};

/// A shard, and the configuration that moves it.
pub type Move = (ShardId, ConfigNum);

/// Where something stands in the history of a shard: in which owner's time, which begins with a
/// configuration, and where in that owner's log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The configuration that gave the shard to the owner. None does where one group has all.
    pub since: ConfigNum,
    /// Where in its log.
    pub index: Index,
}

/// What a request did when it was applied for the first time.
#[derive(Clone, Debug)]
pub struct Effect<'a> {
    /// To which shard. A store by itself has only the first.
    pub shard: ShardId,
    /// When.
    pub place: Place,
    pub(super) request: &'a Request,
    pub(super) output: Output,
}

/// What a log does to the state machine that it drives.
#[derive(Debug)]
pub struct Replay<'a> {
    /// The state machine in the end.
    pub machine: Machine,
    /// What the clients' requests did.
    pub effects: BTreeMap<(ClientId, RequestId), Effect<'a>>,
    /// The administrators' changes in their order, and what each came to.
    pub changes: Vec<(&'a Request<Change>, Outcome)>,
    /// What each shard held when it was given away.
    pub given: BTreeMap<Move, kv::Machine>,
    /// What each shard held when all of it had come.
    pub taken: BTreeMap<Move, kv::Machine>,
    /// The transactions of other groups that it has taken part in, and that were carried out.
    pub taken_part: BTreeSet<(ClientId, RequestId)>,
    /// The shards that are served, each since which configuration.
    serving: BTreeMap<ShardId, ConfigNum>,
    /// The requests that have had to wait for their turn.
    waiting: BTreeMap<(ClientId, RequestId), &'a Request>,
}

impl<'a> Replay<'a> {
    /// Applies a log.
    #[must_use]
    pub fn of(kind: &Kind, log: &'a Log<Command>) -> Self {
        let mut replay = Self {
            machine: Machine::new(kind, Limits::DEFAULT),
            effects: BTreeMap::new(),
            changes: Vec::new(),
            given: BTreeMap::new(),
            taken: BTreeMap::new(),
            taken_part: BTreeSet::new(),
            serving: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        for (index, entry) in (1..).map(Index).zip(log.iter()) {
            let Payload::Command(command) = &entry.payload else { continue };
            match command {
                Command::Request(request) => replay.request(kind, command, request, index),
                Command::Change(request) => replay.change(kind, command, request),
                Command::Migration(_) | Command::Transaction(_) => {
                    replay.note_part(command);
                    replay.note_arrival(command);
                    let applied = replay.machine.apply(kind, command);
                    replay.note_begun(command);
                    replay.note_turns(applied.others, index);
                    replay.note_ended();
                }
            }
        }
        replay
    }

    fn request(&mut self, kind: &Kind, command: &Command, request: &'a Request, index: Index) {
        let shards = self.machine.shards().map_or(1, |s| s.config.assignment.len() as u16);
        let shard = shard_of(request.op.key(), shards);
        let (client, number) = (request.client, request.number);
        let first = self.content(shard).is_some_and(|c| c.seen(client, number) == Seen::Not);
        if first {
            self.waiting.insert((client, number), request);
        }
        let applied = self.machine.apply(kind, command);
        self.note_begun(command);
        if let Some(Message::Reply(reply)) = applied.reply {
            self.note_turns(vec![reply], index);
        }
        self.note_turns(applied.others, index);
        self.note_ended();
    }

    /// Notes what a shard holds whose last part is about to be installed: with the same entry those
    /// who have waited for it have their turn.
    fn note_arrival(&mut self, command: &Command) {
        if let Command::Migration(Entry::Install { shard, since, part }) = command
            && let Some(shards) = self.machine.shards()
            && let Ownership::Awaiting { since: awaited, arrived, place, .. } =
                shards.ownership(*shard)
            && (awaited, place, &part.to) == (since, &part.from, &content::Place::End)
        {
            let mut content = arrived.clone();
            part.install(&mut content);
            self.taken.insert((*shard, *since), content);
        }
    }

    /// Notes that the group takes its part in a transaction that is carried out.
    fn note_part(&mut self, command: &Command) {
        if let Command::Transaction(entry) = command
            && let txn::Entry::Decide { attempt, decision: Decision::Commit(_), .. } = &**entry
            && let Some(shards) = self.machine.shards()
            && shards.transactions.shares.get(&attempt.txn).is_some_and(|share| share.prepared)
        {
            self.taken_part.insert((attempt.txn.client, attempt.txn.number));
        }
    }

    /// Notes what has become of requests whose turn has come with an entry just applied.
    fn note_turns(&mut self, replies: Vec<Reply>, index: Index) {
        for reply in replies {
            let id = (reply.client, reply.number);
            let Some(request) = self.waiting.remove(&id) else { continue };
            if let Answer::Done(output) = reply.answer {
                let shards = self.machine.shards().map_or(1, |s| s.config.assignment.len() as u16);
                let shard = shard_of(request.op.key(), shards);
                let since = self.serving.get(&shard).copied().unwrap_or_default();
                let effect = Effect { shard, place: Place { since, index }, request, output };
                self.effects.insert(id, effect);
            }
        }
    }

    /// What a shard holds that is served.
    fn content(&self, shard: ShardId) -> Option<&kv::Machine> {
        let Some(shards) = self.machine.shards() else { return self.machine.store() };
        match shards.ownership(shard) {
            Ownership::Serving(content) => Some(content),
            Ownership::Awaiting { .. } | Ownership::Leaving { .. } | Ownership::Absent => None,
        }
    }

    fn change(&mut self, kind: &Kind, command: &Command, request: &'a Request<Change>) {
        let first = self.machine.standing_of_change(request) == Standing::New;
        if let Some(Message::Outcome(reply)) = self.machine.apply(kind, command).reply
            && let Answer::Done(outcome) = reply.answer
            && first
        {
            self.changes.push((request, outcome));
        }
    }

    /// Notes what has begun to be served by an entry just applied: a shard whose last part has
    /// come, or what a configuration gives to this group and no other has.
    fn note_begun(&mut self, command: &Command) {
        let Some(shards) = self.machine.shards() else { return };
        for (shard, ownership) in shards.iter() {
            if let (Ownership::Serving(_), Slot::Vacant(slot)) =
                (ownership, self.serving.entry(shard))
            {
                slot.insert(match command {
                    Command::Migration(Entry::Install { shard: of, since, .. }) if *of == shard => {
                        *since
                    }
                    Command::Migration(_)
                    | Command::Request(_)
                    | Command::Change(_)
                    | Command::Transaction(_) => shards.config.num,
                });
            }
        }
    }

    /// Notes what has ceased to be served by an entry just applied, and what is given to whom.
    fn note_ended(&mut self) {
        let Some(shards) = self.machine.shards() else { return };
        for (shard, ownership) in shards.iter() {
            if let Ownership::Leaving { since, content, .. } = ownership {
                self.serving.remove(&shard);
                self.given.entry((shard, *since)).or_insert_with(|| content.clone());
            }
        }
    }
}
