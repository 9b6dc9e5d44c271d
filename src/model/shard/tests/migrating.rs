//! What a group makes of messages and entries that come early, late, twice, or from strangers.

use std::sync::Arc;

use crate::kv::command::{Op, Request};
use crate::limits::Limits;
use crate::machine::Applied;
use crate::replica::{self, Answer, Standing};
use crate::shard::Group;
use crate::shard::config::{Configuration, Servers};
use crate::shard::content::{Part, Place};
use crate::shard::migration::{Entry, Message, Response, Said};
use crate::shard::ownership::{Ownership, Phase};
use crate::shard::route::shard_of;
use crate::shard::store::Shards;
use crate::types::{ClientId, ConfigNum, GroupId, NodeId, RequestId, ShardId};

const CONTROLLER: NodeId = NodeId(0);
/// The one server of each group.
const SERVERS: [NodeId; 2] = [NodeId(1), NodeId(2)];
/// A key of shard 1 of two.
const KEY: &str = "k";
const SHARD: ShardId = ShardId(1);

fn servers(group: u16) -> Servers {
    [SERVERS[usize::from(group) - 1]].into_iter().collect()
}

fn setup(group: u16) -> Group {
    let controllers = [CONTROLLER].into_iter().collect();
    let servers = servers(group);
    Group { id: GroupId(group), shards: 2, servers, controllers, part_bytes: usize::MAX }
}

/// Configurations 0 to 2: nothing, a shard for each group, both for the first.
fn configurations() -> [Arc<Configuration>; 3] {
    let group = |i: u16| (GroupId(i), servers(i));
    let none = Configuration::initial(2);
    let one = none.join(&[group(1), group(2)].into()).expect("two groups");
    let two = one.move_shard(SHARD, GroupId(1)).expect("a move");
    [none, one, two].map(Arc::new)
}

fn configure(
    shards: &mut Shards,
    group: u16,
    config: &Arc<Configuration>,
) -> Vec<(NodeId, Message)> {
    apply(shards, &setup(group), &Entry::Configure(config.clone()))
}

/// Applies an entry; gives what a leader says of shards.
fn apply(shards: &mut Shards, group: &Group, entry: &Entry) -> Vec<(NodeId, Message)> {
    let mut applied = Applied::default();
    shards.apply_entry(group, entry, &mut applied);
    shards.proceed(group, &mut applied);
    of_shards(applied.said)
}

fn of_shards(said: Said) -> Vec<(NodeId, Message)> {
    let of_shards = |(to, message)| match message {
        replica::Message::Migration(message) => (to, message),
        other => panic!("{other:?}"),
    };
    said.into_iter().map(of_shards).collect()
}

fn append(number: u64) -> Request {
    let op = Op::Append(KEY.into(), number.to_string().into());
    Request { client: ClientId(9), number: RequestId(number), op }
}

/// Both groups at configuration 1, after one append to the shard, which the second has.
fn settled() -> [Shards; 2] {
    let [_, one, _] = configurations();
    let mut groups = [1, 2].map(|group| Shards::new(GroupId(group), 2, Limits::DEFAULT));
    configure(&mut groups[0], 1, &one);
    configure(&mut groups[1], 2, &one);
    assert!(matches!(groups[1].apply(&append(1), &mut Applied::default()), Some(Answer::Done(_))));
    groups
}

#[test]
fn the_key_is_in_the_shard() {
    assert_eq!(shard_of(&KEY.into(), 2), SHARD);
}

#[test]
fn a_request_is_answered_where_the_shard_is() {
    let [mut first, second] = settled();
    assert_eq!(
        first.apply(&append(2), &mut Applied::default()),
        Some(Answer::Elsewhere(ConfigNum(1)))
    );
    assert_eq!(first.standing(&append(2)), Standing::Elsewhere(ConfigNum(1)));
    assert_eq!(second.standing(&append(2)), Standing::New);
}

#[test]
fn a_move_takes_content_and_sessions_along_and_leaves_nothing() {
    let [mut first, mut second] = settled();
    let [_, _, two] = configurations();
    let said = configure(&mut first, 1, &two);
    let want = Message::Want { shard: SHARD, since: ConfigNum(2), from: Place::START };
    let asks = [(SERVERS[1], want.clone()), (CONTROLLER, Message::Ask(ConfigNum(3)))];
    assert_eq!(said, asks, "it asks the former owner, and for what comes next");
    assert_eq!(first.standing(&append(2)), Standing::NotYet);
    let to_second = |second: &Shards, message| second.respond(&setup(2), SERVERS[0], message, &[]);
    assert_eq!(to_second(&second, want.clone()), Response::Ignore, "it is early");
    configure(&mut second, 2, &two);
    let Response::Log(release @ Entry::Release { .. }, None) = to_second(&second, want.clone())
    else {
        panic!("it is the last part");
    };
    let said = apply(&mut second, &setup(2), &release);
    let [(to, Message::Part { shard, since, part })] = &said[..] else { panic!("a part") };
    let (shard, since) = (*shard, *since);
    assert_eq!(*to, SERVERS[0], "the one server of the new owner");
    assert_eq!(apply(&mut second, &setup(2), &release), [], "a repetition has nothing to say");
    let again = Message::Part { shard, since, part: part.clone() };
    assert_eq!(to_second(&second, want.clone()), Response::Answer(again));
    let entry = Entry::Install { shard, since, part: part.clone() };
    let message = Message::Part { shard, since, part: part.clone() };
    let stranger = first.respond(&setup(1), NodeId(7), message.clone(), &[]);
    assert_eq!(stranger, Response::Ignore);
    assert_eq!(
        first.respond(&setup(1), SERVERS[1], message.clone(), &[]),
        Response::Log(entry.clone(), None)
    );
    let said = apply(&mut first, &setup(1), &entry);
    let end = Message::Want { shard: SHARD, since: ConfigNum(2), from: Place::End };
    assert_eq!(said, [(SERVERS[1], end.clone())]);
    assert!(matches!(first.standing(&append(1)), Standing::Done(_)), "it knows what was done");
    assert!(matches!(first.apply(&append(2), &mut Applied::default()), Some(Answer::Done(_))));
    let after = first.clone();
    assert!(apply(&mut first, &setup(1), &entry).is_empty(), "a repetition has nothing to say");
    assert_eq!(first, after);
    assert_eq!(first.respond(&setup(1), SERVERS[1], message, &[]), Response::Ignore);
    let Response::Log(discard, None) = to_second(&second, end) else { panic!("an entry") };
    apply(&mut second, &setup(2), &discard);
    assert_eq!(second.ownership(SHARD), &Ownership::Absent);
    assert_eq!(to_second(&second, want), Response::Ignore, "it is late");
}

#[test]
fn an_offer_is_answered_with_how_far_the_shard_has_come() {
    let [mut first, _] = settled();
    let [_, _, two] = configurations();
    let offer = || Message::Offer { shard: SHARD, since: ConfigNum(2), servers: servers(2) };
    assert_eq!(first.respond(&setup(1), SERVERS[1], offer(), &[]), Response::Ignore, "it is early");
    configure(&mut first, 1, &two);
    let want = |from| Response::Answer(Message::Want { shard: SHARD, since: ConfigNum(2), from });
    assert_eq!(first.respond(&setup(1), SERVERS[1], offer(), &[]), want(Place::START));
    assert_eq!(first.respond(&setup(1), NodeId(7), offer(), &[]), Response::Ignore, "a stranger's");
    let part = Part::of(&Default::default(), Place::START, 1);
    let entry = Entry::Install { shard: SHARD, since: ConfigNum(2), part: Arc::new(part) };
    apply(&mut first, &setup(1), &entry);
    assert_eq!(first.respond(&setup(1), SERVERS[1], offer(), &[]), want(Place::End));
}

#[test]
fn configurations_are_taken_in_order_from_the_controller() {
    let [none, one, two] = configurations();
    let mut first = Shards::new(GroupId(1), 2, Limits::DEFAULT);
    let hears = |shards: &Shards, from, config: &Arc<Configuration>| {
        shards.respond(&setup(1), from, Message::Configuration(config.clone()), &[])
    };
    assert_eq!(hears(&first, CONTROLLER, &two), Response::Ignore, "one is missing");
    assert_eq!(hears(&first, SERVERS[1], &one), Response::Ignore, "not from the controller");
    let entry = Entry::Configure(one.clone());
    assert_eq!(hears(&first, CONTROLLER, &one), Response::Log(entry, None));
    configure(&mut first, 1, &one);
    assert_eq!(hears(&first, CONTROLLER, &none), Response::Ignore);
    let other = Configuration { num: ConfigNum(2), ..Configuration::initial(3) };
    assert_eq!(hears(&first, CONTROLLER, &other.into()), Response::Ignore, "of another cluster");
    configure(&mut first, 1, &two);
    let three = two.move_shard(SHARD, GroupId(2)).expect("a move");
    let three = Arc::new(three);
    let entry = Entry::Configure(three.clone());
    let response = hears(&first, CONTROLLER, &three);
    assert_eq!(response, Response::Log(entry, None), "though a shard is on its way");
}

#[test]
fn phases_follow_each_other_as_the_table_says() {
    let [mut first, mut second] = settled();
    let [_, _, two] = configurations();
    assert_eq!(first.ownership(SHARD).phase(), Phase::Absent);
    configure(&mut first, 1, &two);
    configure(&mut second, 2, &two);
    let (awaiting, leaving) = (first.ownership(SHARD), second.ownership(SHARD));
    assert_eq!((awaiting.phase(), leaving.phase()), (Phase::Awaiting, Phase::Leaving));
    assert!(awaiting.may_become(&Ownership::Serving(Default::default())));
    assert!(awaiting.may_become(&Ownership::Absent) && !awaiting.may_become(leaving));
    assert!(leaving.may_become(&Ownership::Absent) && leaving.may_become(awaiting));
    assert!(leaving.may_become(&Ownership::Serving(Default::default())));
    assert!(!Ownership::Absent.may_become(leaving));
}

/// While a part is replicated the next one comes, and no more than that; that all is there the
/// group says when it is so.
#[test]
fn the_next_part_is_asked_for_when_one_is_logged() {
    let [mut first, mut second] = settled();
    let [_, _, two] = configurations();
    // In part after part the shard has a key, a session, and another.
    second.apply(&Request { client: ClientId(8), ..append(1) }, &mut Applied::default());
    let small = |group| Group { part_bytes: 1, ..setup(group) };
    configure(&mut first, 1, &two);
    configure(&mut second, 2, &two);
    let want = |from| Message::Want { shard: SHARD, since: ConfigNum(2), from };
    let mut parts = Vec::new();
    let mut from = Place::START;
    while from != Place::End {
        let part = match second.respond(&small(2), SERVERS[0], want(from), &[]) {
            Response::Answer(Message::Part { part, .. }) => part,
            Response::Log(release, None) => match &apply(&mut second, &small(2), &release)[..] {
                [(_, Message::Part { part, .. })] => part.clone(),
                said => panic!("{said:?}"),
            },
            other => panic!("{other:?}"),
        };
        from = part.to.clone();
        parts.push(Entry::Install { shard: SHARD, since: ConfigNum(2), part });
    }
    let [key, session, end] = &parts[..] else { panic!("{parts:?}") };
    let hears = |first: &Shards, entry: &Entry, pending: &[&Entry]| {
        let Entry::Install { shard, since, part } = entry.clone() else { panic!("a part") };
        first.respond(&small(1), SERVERS[1], Message::Part { shard, since, part }, pending)
    };
    let to = |entry: &Entry| match entry {
        Entry::Install { part, .. } => part.to.clone(),
        entry => panic!("{entry:?} is no part"),
    };
    let logs = |entry: &Entry, answer| Response::Log(entry.clone(), answer);

    assert_eq!(hears(&first, session, &[]), Response::Ignore, "the one before it is missing");
    assert_eq!(hears(&first, key, &[]), logs(key, Some(want(to(key)))));
    assert_eq!(hears(&first, key, &[key]), Response::Ignore, "it is logged");
    assert_eq!(hears(&first, session, &[key]), logs(session, None), "two are enough");
    let again = of_shards(first.say_again(&small(1), &[key]));
    let next = (CONTROLLER, Message::Ask(ConfigNum(3)));
    let asks = [(SERVERS[1], want(to(key))), next.clone()];
    assert_eq!(again, asks, "it asks for what is not logged");
    let again = |pending: &[&Entry]| of_shards(first.say_again(&small(1), pending));
    assert_eq!(again(&[key, session]), std::slice::from_ref(&next), "two are enough");
    assert_eq!(hears(&first, end, &[key, session]), Response::Ignore, "two are enough");

    assert!(apply(&mut first, &small(1), key).is_empty());
    let ahead = |first: &Shards, applied, pending: &[&Entry]| {
        of_shards(first.ask_ahead((SHARD, ConfigNum(2)), applied, pending))
    };
    assert_eq!(ahead(&first, 1, &[session]), [(SERVERS[1], want(to(session)))]);
    assert_eq!(ahead(&first, 1, &[]), [], "it has asked before");
    assert_eq!(ahead(&first, 2, &[]), [(SERVERS[1], want(to(key)))], "two were open");
    assert_eq!(hears(&first, end, &[session]), logs(end, None));
    apply(&mut first, &small(1), session);
    assert_eq!(ahead(&first, 1, &[end]), [], "not before it is applied");
    assert_eq!(of_shards(first.say_again(&small(1), &[end])), [next]);
    assert_eq!(apply(&mut first, &small(1), end)[0], (SERVERS[1], want(Place::End)));
}

/// The controller gives shards only to a group that it hears. So a group asks at every poll, also
/// when it can not take the answer.
#[test]
fn a_group_asks_for_the_next_configuration_whatever_it_waits_for() {
    let [mut first, mut second] = settled();
    let [_, _, two] = configurations();
    let asks = |shards: &Shards, group, number| {
        let said = of_shards(shards.say_again(&setup(group), &[]));
        said.contains(&(CONTROLLER, Message::Ask(ConfigNum(number))))
    };
    configure(&mut first, 1, &two);
    assert!(asks(&first, 1, 3), "it awaits a shard");
    second.next = Some(two);
    assert!(asks(&second, 2, 2), "keys are locked");
}
