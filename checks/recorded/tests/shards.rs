//! The same where two groups share the store, and one gives the other a shard.

use std::slice::from_ref;
use std::sync::Arc;

use model::kv;
use model::kv::command::Request;
use model::kv::session::Sessions;
use model::machine::Kind;
use model::raft::{Entry, Log, Payload};
use model::replica::Command;
use model::shard::Group;
use model::shard::config::{Configuration, Refusal, Servers};
use model::shard::content::{Part, Place};
use model::shard::controller::{Change, Controller, Outcome};
use model::shard::migration;
use model::types::{ClientId, ConfigNum, GroupId, NodeId, RequestId, ShardId, Term};

use super::super::changes::{self, Asked, Misruled};
use super::super::logs::{self, Unexplained};
use super::super::moves::{self, Astray, Moves, Unsettled};
use super::super::replay::Replay;
use super::{Recorded, append, get};

/// The shard of two to which the key of these tests belongs, and who has it before and after.
const SHARD: ShardId = ShardId(1);
const FORMER: GroupId = GroupId(2);
const NEW: GroupId = GroupId(1);

fn servers(group: GroupId) -> Servers {
    Servers::from_iter([NodeId(group.0)])
}

fn kind(id: GroupId) -> Kind {
    let controllers = Servers::from_iter([NodeId(0)]);
    Kind::Group(Group { id, shards: 2, servers: servers(id), controllers, part_bytes: 1 })
}

fn join() -> Change {
    Change::Join([NEW, FORMER].map(|group| (group, servers(group))).into())
}

fn ask(number: u64, op: Change) -> Request<Change> {
    Request { client: ClientId(9), number: RequestId(number), op }
}

/// Two groups with a shard each; then one of them has both.
fn configurations() -> [Arc<Configuration>; 2] {
    let mut controller = Controller::new(2);
    controller.apply(&ask(1, join()));
    controller.apply(&ask(2, Change::Move(SHARD, NEW)));
    [1, 2].map(|num| controller.configuration(ConfigNum(num)).unwrap().clone())
}

fn configure(nth: usize) -> Command {
    Command::Migration(migration::Entry::Configure(configurations()[nth].clone()))
}

/// All of a shard that holds this.
fn install(content: &kv::Machine) -> Command {
    let part = Part::of(content, Place::START, usize::MAX);
    Command::Migration(migration::Entry::Install {
        shard: SHARD,
        since: ConfigNum(2),
        part: part.into(),
    })
}

fn release() -> Command {
    Command::Migration(migration::Entry::Release {
        shard: SHARD,
        since: ConfigNum(2),
        from: Place::START,
    })
}

fn discard() -> Command {
    Command::Migration(migration::Entry::Discard { shard: SHARD, since: ConfigNum(2) })
}

fn request(recorded: &Recorded) -> Command {
    Command::Request(Request {
        client: recorded.operation.client,
        number: recorded.number,
        op: recorded.operation.op.clone(),
    })
}

fn log(commands: impl IntoIterator<Item = Command>) -> Log<Command> {
    let entry = |command| Entry { term: Term(1), payload: Payload::Command(command) };
    commands.into_iter().map(entry).collect()
}

/// What the former owner has carried out before it gave the shard away, and lets go of it.
fn former(before: &[&Recorded]) -> Log<Command> {
    let before = before.iter().map(|recorded| request(recorded));
    log([configure(0)].into_iter().chain(before).chain([configure(1), release(), discard()]))
}

/// What the new owner has got, and carried out since.
fn new(content: &kv::Machine, since: &[&Recorded]) -> Log<Command> {
    let since = since.iter().map(|recorded| request(recorded));
    log([configure(0), configure(1), install(content)].into_iter().chain(since))
}

/// What the former owner gives away.
fn given(log: &Log<Command>) -> kv::Machine {
    Replay::of(&kind(FORMER), log).given[&(SHARD, ConfigNum(2))].clone()
}

fn replays<'a>(former: &'a Log<Command>, new: &'a Log<Command>) -> [Replay<'a>; 2] {
    [Replay::of(&kind(FORMER), former), Replay::of(&kind(NEW), new)]
}

fn unexplained(replays: &[Replay<'_>], history: &[Recorded]) -> Option<Unexplained> {
    logs::explain(replays, history).err().map(|unexplained| *unexplained)
}

#[test]
fn what_moved_with_its_shard_is_explained_by_both_logs() {
    let history = [append(1, 1, 0), append(2, 1, 2), get(1, 2, 4, Some("1.1;2.1;"))];
    let former = former(&[&history[0]]);
    // The new owner is also asked for what was done before, and answers as the former did.
    let new = new(&given(&former), &[&history[0], &history[1], &history[2]]);
    let replays = replays(&former, &new);
    assert_eq!(unexplained(&replays, &history), None);
    assert_eq!(moves::judge(&replays), Ok(Moves { completed: 1, of_keys: 1 }));
    assert_eq!(moves::settled(&configurations()[1], &replays), Ok(()));
}

#[test]
fn an_empty_shard_moves_without_keys() {
    let (former, new) = (former(&[]), new(&kv::Machine::default(), &[]));
    let moved = moves::judge(&replays(&former, &new));
    assert_eq!(moved, Ok(Moves { completed: 1, of_keys: 0 }));
}

#[test]
fn a_request_that_two_groups_have_carried_out_is_found() {
    let history = [append(1, 1, 0)];
    let former = former(&[&history[0]]);
    // The sessions were left behind.
    let keys = kv::Machine { sessions: Sessions::default(), ..given(&former) };
    let new = new(&keys, &[&history[0]]);
    let replays = replays(&former, &new);
    let twice = unexplained(&replays, &history);
    assert!(matches!(twice, Some(Unexplained::Twice(request)) if request.client == ClientId(1)));
    assert_eq!(moves::judge(&replays), Err(Astray::Altered((SHARD, ConfigNum(2)))));
}

#[test]
fn an_answer_of_the_former_owner_after_one_of_the_new_is_found() {
    // The read gives the answer of its place, but that was no more when it was called.
    let history = [append(1, 1, 0), append(2, 1, 2), get(1, 2, 4, Some("1.1;"))];
    let former = former(&[&history[0], &history[2]]);
    let new = new(&given(&former), &[&history[1]]);
    let stale = Unexplained::Overtaken(history[1].operation.clone(), history[2].operation.clone());
    assert_eq!(unexplained(&replays(&former, &new), &history), Some(stale));
}

#[test]
fn shards_that_nobody_or_two_gave_away_are_found() {
    let former = former(&[]);
    let new = new(&given(&former), &[]);
    let replay = |id, log| Replay::of(&kind(id), log);
    let of = (SHARD, ConfigNum(2));
    assert_eq!(moves::judge(&[replay(NEW, &new)]), Err(Astray::Conjured(of)));
    let twice = [replay(FORMER, &former), replay(FORMER, &former)];
    assert_eq!(moves::judge(&twice), Err(Astray::Doubled(of)));
}

#[test]
fn what_is_not_settled_is_told_apart() {
    let latest = &configurations()[1];
    let unsettled = |former: &[Command], new: &[Command]| {
        let (former, new) = (log(former.iter().cloned()), log(new.iter().cloned()));
        moves::settled(latest, &replays(&former, &new))
    };
    let configured = [configure(0), configure(1)];
    let given = [&configured[..], &[release(), discard()]].concat();
    let taken = [&configured[..], &[install(&kv::Machine::default())]].concat();
    assert_eq!(unsettled(&given, &taken), Ok(()));
    let behind = Unsettled::Behind(FORMER, ConfigNum(1));
    assert_eq!(unsettled(&configured[..1], &taken), Err(behind));
    assert_eq!(unsettled(&given, &configured), Err(Unsettled::Unserved(NEW, SHARD)));
    assert_eq!(unsettled(&configured, &taken), Err(Unsettled::Held(FORMER, SHARD)));
}

#[test]
fn changes_are_answered_as_the_controllers_log_says() {
    let kind = Kind::Controller { shards: 2 };
    let requests = [ask(1, join()), ask(2, join()), ask(4, Change::Move(SHARD, NEW))];
    let log = log(requests.into_iter().map(Command::Change));
    let replay = Replay::of(&kind, &log);
    let asked = |number, change, outcome| Asked {
        client: ClientId(9),
        number: RequestId(number),
        change,
        call: 0,
        outcome,
    };
    let changed = |num| Some(Outcome::Changed(ConfigNum(num)));
    let refused = Outcome::Refused(Refusal::GroupExists(NEW));
    let told = [asked(1, join(), changed(1)), asked(2, join(), Some(refused.clone()))];
    assert_eq!(changes::judge(&replay, &told), Ok(()));
    assert_eq!(changes::judge(&replay, &[asked(3, join(), None)]), Ok(()));

    let misruled = |asked: &Asked| changes::judge(&replay, from_ref(asked)).unwrap_err();
    let lost = asked(3, join(), changed(2));
    assert_eq!(*misruled(&lost), Misruled::Lost(lost));
    let differs = asked(2, join(), changed(2));
    assert_eq!(*misruled(&differs), Misruled::Differs(differs, refused));
}
