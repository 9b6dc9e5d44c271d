//! What groups have done.
//!
//! That is what their committed logs say, not what one of their replicas remembers: [`Truth`]
//! applies the longest one that any of a group's servers knows, or knew before a crash. The
//! requests on one key and the transactions that come to pass on the way are carried out by the
//! specification, too.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::clients::Promised;
use super::{Server, groups};
use crate::kv::Machine as Content;
use crate::kv::command::{Key, Op, Output, Request, Value};
use crate::kv::transaction::Transaction;
use crate::limits::Limits;
use crate::machine::{Applied, Command, Kind, Machine};
use crate::raft::{Entry, Payload};
use crate::replica::Answer;
use crate::shard::Group;
use crate::shard::config::{Configuration, Servers};
use crate::shard::controller::Controller;
use crate::shard::migration;
use crate::shard::ownership::Ownership;
use crate::shard::route::shard_of;
use crate::shard::store::Shards;
use crate::shard::txn::coordinator::Stage;
use crate::shard::txn::{self, Attempt, Contents, Decision, Vote};
use crate::spec::Spec;
use crate::spec::map::Map;
use crate::system::HostState;
use crate::types::{ClientId, ConfigNum, GroupId, RequestId, ShardId};

/// What has been decided: by the controller, and by each group.
pub(super) struct Truth {
    pub(super) controller: Controller,
    pub(super) limits: Limits,
    pub(super) groups: BTreeMap<GroupId, Rc<Decided>>,
}

/// What a group has decided.
pub(super) struct Decided {
    pub(super) shards: Shards,
    /// What it has done while it served a shard, by the configuration since which it did.
    pub(super) deeds: BTreeMap<(ShardId, ConfigNum), Vec<Deed>>,
    /// The configurations that it has gone through.
    pub(super) path: Vec<ConfigNum>,
    /// The attempts that it has decided as their coordinator, and what each participant is told.
    pub(super) decisions: BTreeMap<Attempt, BTreeMap<GroupId, Decision>>,
    /// The attempts of others that it has prepared.
    pub(super) prepared: BTreeSet<Attempt>,
    /// Those that it has been told the end of after that.
    pub(super) settled: BTreeMap<Attempt, Decision>,
    /// The answers to transactions, and those that the specification gives, if they differ.
    pub(super) wrong: Vec<String>,
}

/// What has been done to a shard.
pub(super) enum Deed {
    /// A request on one key.
    Request(Request),
    /// A transaction has written this.
    Write(Key, Option<Value>),
    /// A transaction has come to this. Only the shard of its first key remembers that.
    Conclude(ClientId, RequestId, Output),
}

impl Deed {
    /// Does it to what the specification promises of the shard. Gives whether that is right: no
    /// transaction is concluded twice.
    pub(super) fn carry_out(&self, promised: &mut Promised) -> bool {
        match self {
            Self::Request(request) => promised.carry_out(request),
            Self::Write(key, value) => promised.set(key, value.as_ref()),
            Self::Conclude(client, number, output) => {
                return promised.conclude(*client, *number, output);
            }
        }
        true
    }
}

impl Truth {
    /// `None` for a system without groups.
    pub(super) fn of(hosts: &[&HostState]) -> Option<Self> {
        let mut logs = groups(hosts);
        let servers = logs.remove(&None)?;
        let shards = servers[0].1.machine.controller()?.latest().assignment.len() as u16;
        let Machine::Controller(controller) =
            replay(&longest(&servers), &Kind::Controller { shards }, Limits::DEFAULT, |_| {})
        else {
            return None;
        };
        let limits = logs.values().next().map_or(Limits::DEFAULT, |s| s[0].1.machine.limits());
        let groups = logs.into_iter().filter_map(|(group, servers)| {
            let id = group?;
            Some((id, remembered(id, shards, limits, longest(&servers))))
        });
        Some(Self { controller, limits, groups: groups.collect() })
    }

    /// The copies of a shard that count: where it is served, or where it was and all of it has not
    /// arrived elsewhere yet.
    pub(super) fn authoritative(&self, shard: ShardId) -> Vec<(GroupId, &Content)> {
        let copies = self.groups.iter().filter_map(|(group, decided)| {
            match decided.shards.ownership(shard) {
                Ownership::Serving(content) => Some((*group, content)),
                Ownership::Leaving { to, since, content, .. } => {
                    let to = self.groups.get(to);
                    let arrived = to.is_some_and(|to| to.shards.has_received(shard, *since));
                    (!arrived).then_some((*group, content))
                }
                Ownership::Absent | Ownership::Awaiting { .. } => None,
            }
        });
        copies.collect()
    }

    /// Whether some group has had the shard: the one to which the first configuration with groups
    /// gives it has got there.
    pub(super) fn has_been(&self, shard: ShardId) -> bool {
        let configurations = (0..).map_while(|num| self.controller.configuration(ConfigNum(num)));
        let mut owners = configurations.filter_map(|c| Some((c.num, c.assignment.owner(shard)?)));
        owners.next().is_some_and(|(num, owner)| {
            self.groups.get(&owner).is_some_and(|group| group.shards.config.num >= num)
        })
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.controller.latest().assignment.iter().map(|(shard, _)| shard)
    }
}

impl Decided {
    fn of(group: GroupId, shards: u16, limits: Limits, log: &[Entry<Command>]) -> Self {
        let nobody = || Servers::from_iter([]);
        let (servers, controllers) = (nobody(), nobody());
        let setup = Group { id: group, shards, servers, controllers, part_bytes: 1 };
        let mut decided = Self {
            shards: Shards::new(group, shards, limits),
            deeds: BTreeMap::new(),
            path: vec![ConfigNum(0)],
            decisions: BTreeMap::new(),
            prepared: BTreeSet::new(),
            settled: BTreeMap::new(),
            wrong: Vec::new(),
        };
        let mut asked = BTreeMap::new();
        let mut since = BTreeMap::new();
        replay(log, &Kind::Group(setup), limits, |step| {
            let (Some(before), Some(after)) = (step.before.shards(), step.after.shards()) else {
                return;
            };
            if let Command::Request(request) = step.command {
                asked.insert((request.client, request.number), request.clone());
            }
            if decided.path.last() != Some(&after.config.num) {
                decided.path.push(after.config.num);
            }
            decided.note_stages(after);
            if let Command::Transaction(entry) = step.command
                && let txn::Entry::Decide { attempt, decision, .. } = &**entry
                && before
                    .transactions
                    .shares
                    .get(&attempt.txn)
                    .is_some_and(|s| s.attempt == *attempt)
            {
                decided.settled.insert(*attempt, decision.clone());
            }
            let (deeds, wrong) = (Vec::new(), Vec::new());
            let command = step.command;
            let mut course = Course { before, command, after, asked: &asked, deeds, wrong };
            course.run(step.applied);
            decided.wrong.append(&mut course.wrong);
            for (key, deed) in course.deeds {
                let shard = shard_of(&key, shards);
                let since = since.get(&shard).copied().unwrap_or(after.config.num);
                decided.deeds.entry((shard, since)).or_default().push(deed);
            }
            let serving = after.iter().filter(|(_, o)| matches!(o, Ownership::Serving(_)));
            let now = serving
                .map(|(shard, _)| (shard, since.get(&shard).copied().unwrap_or(after.config.num)));
            since = now.collect();
            decided.shards = after.clone();
        });
        decided
    }

    /// Notes what is prepared and decided, each as soon as it is.
    fn note_stages(&mut self, shards: &Shards) {
        for share in shards.transactions.shares.values().filter(|share| share.prepared) {
            self.prepared.insert(share.attempt);
        }
        for (txn, record) in &shards.transactions.records {
            if let Stage::Decided { config, open, .. } = &record.stage {
                let attempt = Attempt { txn: *txn, config: config.num, count: record.count };
                let told = || open.iter().map(|(group, told)| (*group, told.clone())).collect();
                self.decisions.entry(attempt).or_insert_with(told);
            }
        }
    }
}

/// What is done when one entry is applied.
struct Course<'a> {
    before: &'a Shards,
    command: &'a Command,
    after: &'a Shards,
    asked: &'a BTreeMap<(ClientId, RequestId), Request>,
    deeds: Vec<(Key, Deed)>,
    wrong: Vec<String>,
}

impl Course<'_> {
    fn run(&mut self, applied: &Applied) {
        match self.command {
            Command::Request(request) if applied.reply.as_ref().is_some_and(is_done) => {
                if request.op.transaction().is_none() {
                    self.deeds.push((request.op.key().clone(), Deed::Request(request.clone())));
                }
            }
            Command::Transaction(entry) => {
                if let txn::Entry::Decide { attempt, decision: Decision::Commit(writes), .. } =
                    &**entry
                    && self.before.transactions.shares.contains_key(&attempt.txn)
                {
                    self.write(writes);
                }
            }
            Command::Request(_) | Command::Change(_) | Command::Migration(_) => {}
        }
        for reply in &applied.others {
            let Answer::Done(output) = &reply.answer else { continue };
            let Some(request) = self.asked.get(&(reply.client, reply.number)) else { continue };
            match request.op.transaction() {
                None => self.deeds.push((request.op.key().clone(), Deed::Request(request.clone()))),
                Some(transaction) => self.conclude(request, transaction, output),
            }
        }
    }

    fn write(&mut self, writes: &Contents) {
        for (key, value) in writes {
            self.deeds.push((key.clone(), Deed::Write(key.clone(), value.clone())));
        }
    }

    /// A coordinator has carried out a transaction: so does the specification, on what the group
    /// has itself and what the votes say.
    fn conclude(&mut self, request: &Request, transaction: &Transaction, output: &Output) {
        let home = transaction.first_key().clone();
        let (client, number) = (request.client, request.number);
        let (config, votes) = self.prepared(client, number);
        let too_large = votes.is_none();
        let mut map = Map::within(self.before.limits);
        let mut own = Vec::new();
        for (key, _) in transaction.accesses() {
            let value = match votes.as_ref().and_then(|votes| votes.get(key)) {
                Some(value) => value.clone(),
                None => self.present(key),
            };
            if let Some(value) = value {
                map.apply(&Op::Put(key.clone(), value));
            }
            let shard = shard_of(key, config.assignment.len() as u16);
            if config.assignment.owner(shard) == Some(self.before.group) {
                own.push(key.clone());
            }
        }
        let expected = map.apply(&request.op);
        if !too_large && expected != *output {
            self.wrong.push(format!("{request:?} gave {output:?}, not {expected:?}"));
        }
        if let Output::Committed(_) = output {
            for key in own {
                let Output::Value(value) = map.apply(&Op::Get(key.clone())) else { continue };
                if value != self.present(&key) {
                    self.deeds.push((key.clone(), Deed::Write(key, value)));
                }
            }
        }
        self.deeds.push((home, Deed::Conclude(client, number, output.clone())));
    }

    /// The configuration of the attempt that is decided, and what the participants have found,
    /// unless that was too much for one of them.
    fn prepared(
        &self,
        client: ClientId,
        number: RequestId,
    ) -> (&Configuration, Option<BTreeMap<Key, Option<Value>>>) {
        let mut records = self.before.transactions.records.iter();
        let record = records.find(|(txn, _)| (txn.client, txn.number) == (client, number));
        let (mut found, mut under) = (BTreeMap::new(), &*self.after.config);
        if let Some((txn, record)) = record
            && let Stage::Preparing { config, votes } = &record.stage
        {
            under = config;
            found.extend(votes.values().flat_map(|found| found.iter().cloned()));
            if let Command::Transaction(entry) = self.command
                && let txn::Entry::Vote { attempt, vote, .. } = &**entry
                && attempt.txn == *txn
            {
                match vote {
                    Vote::Yes(last) => found.extend(last.iter().cloned()),
                    Vote::TooLarge => return (under, None),
                    Vote::No(_) | Vote::Late => {}
                }
            }
        }
        (under, Some(found))
    }

    /// Content of a shard that the group serves, or serves with this entry: the entry may have the
    /// last part, or take the shard back.
    fn content(&self, shard: ShardId) -> Option<Content> {
        match (self.before.ownership(shard), self.command) {
            (Ownership::Serving(content) | Ownership::Leaving { content, .. }, _) => {
                Some(content.clone())
            }
            (
                Ownership::Awaiting { arrived, .. },
                Command::Migration(migration::Entry::Install { shard: of, part, .. }),
            ) if *of == shard => {
                let mut content = arrived.clone();
                part.install(&mut content);
                Some(content)
            }
            (Ownership::Awaiting { .. } | Ownership::Absent, _) => None,
        }
    }

    /// What is under a key that the group serves, by now.
    fn present(&self, key: &Key) -> Option<Value> {
        let mut promised = Map::within(self.before.limits);
        let shard = shard_of(key, self.before.config.assignment.len() as u16);
        if let Some(value) = self.content(shard).and_then(|content| content.store.get(key).cloned())
        {
            promised.apply(&Op::Put(key.clone(), value));
        }
        for (_, deed) in self.deeds.iter().filter(|(of, _)| of == key) {
            match deed {
                Deed::Request(request) => drop(promised.apply(&request.op)),
                Deed::Write(key, Some(value)) => {
                    drop(promised.apply(&Op::Put(key.clone(), value.clone())));
                }
                Deed::Write(key, None) => drop(promised.apply(&Op::Delete(key.clone()))),
                Deed::Conclude(..) => {}
            }
        }
        match promised.apply(&Op::Get(key.clone())) {
            Output::Value(value) => value,
            _ => unreachable!("a read gives a value"),
        }
    }
}

fn is_done(message: &crate::replica::Message) -> bool {
    message.reply().is_some_and(|reply| matches!(reply.answer, Answer::Done(_)))
}

/// An entry that is applied.
struct Step<'a> {
    before: &'a Machine,
    command: &'a Command,
    after: &'a Machine,
    applied: &'a Applied,
}

/// The longest committed log that one of the servers knows.
fn longest(servers: &[Server<'_>]) -> Vec<Entry<Command>> {
    let logs = servers.iter().map(|(host, server)| host.known_entries(server));
    logs.max_by_key(Vec::len).unwrap_or_default()
}

/// Groups' logs, by a hash of each, and what each comes to.
type Memory = BTreeMap<(GroupId, u64), (Vec<Entry<Command>>, Rc<Decided>)>;

thread_local! {
    /// A group has far fewer logs than the system has states: each is looked at once.
    static MEMORY: RefCell<Memory> = const { RefCell::new(BTreeMap::new()) };
}

/// Most logs that are remembered at a time.
const REMEMBERED: usize = 20_000;

/// What a group's log comes to.
fn remembered(
    group: GroupId,
    shards: u16,
    limits: Limits,
    log: Vec<Entry<Command>>,
) -> Rc<Decided> {
    let mut hasher = DefaultHasher::new();
    (shards, limits, &log).hash(&mut hasher);
    let key = (group, hasher.finish());
    MEMORY.with_borrow_mut(|memory| {
        if let Some((known, decided)) = memory.get(&key)
            && *known == log
            && decided.shards.limits == limits
        {
            return Rc::clone(decided);
        }
        if memory.len() == REMEMBERED {
            memory.clear();
        }
        let decided = Rc::new(Decided::of(group, shards, limits, &log));
        memory.insert(key, (log, Rc::clone(&decided)));
        decided
    })
}

/// Applies a log, and shows each step.
fn replay(
    log: &[Entry<Command>],
    kind: &Kind,
    limits: Limits,
    mut show: impl FnMut(&Step<'_>),
) -> Machine {
    let mut machine = Machine::new(kind, limits);
    for entry in log {
        if let Payload::Command(command) = &entry.payload {
            let before = machine.clone();
            let applied = machine.apply(kind, command);
            show(&Step { before: &before, command, after: &machine, applied: &applied });
        }
    }
    machine
}

/// What a server knows to be committed.
pub(super) fn view_of_logs(host: &HostState, mut hasher: &mut dyn Hasher) {
    let Some(replica) = host.node.replica() else { return };
    if replica.machine.store().is_none() {
        replica.machine.group().hash(&mut hasher);
        host.known_entries(replica).hash(&mut hasher);
    }
}
