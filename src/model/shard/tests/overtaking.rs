//! Moves of one shard that follow each other faster than the shard: who gets it, and who drops it.

use std::sync::Arc;

use crate::limits::Limits;
use crate::machine::Applied;
use crate::replica;
use crate::shard::Group;
use crate::shard::config::{Configuration, Servers};
use crate::shard::content::Place;
use crate::shard::migration::{Entry, Message, Response};
use crate::shard::ownership::{Ownership, Phase};
use crate::shard::store::Shards;
use crate::types::{ConfigNum, GroupId, NodeId, ShardId};

const SHARD: ShardId = ShardId(0);

/// The one server of a group has the group's number.
fn servers(group: u16) -> Servers {
    [NodeId(group)].into_iter().collect()
}

/// Three groups, and the configurations in which one shard goes from one to the next.
struct Cluster {
    configurations: Vec<Arc<Configuration>>,
    groups: [Shards; 3],
}

impl Cluster {
    /// A cluster in which the shard goes to these groups, one after the other. All groups have
    /// reached the configuration that gives it to the first of them, which serves it.
    fn moving(owners: &[u16]) -> Self {
        let [first, others @ ..] = owners else { panic!("an owner") };
        let all = [1, 2, 3].map(|group| (GroupId(group), servers(group)));
        let mut assigned = Configuration::initial(1).join(&all.into()).expect("three groups");
        assigned.assignment.set(SHARD, Some(GroupId(*first)));
        let mut configurations = vec![Configuration::initial(1), assigned];
        for owner in others {
            let latest = &configurations[configurations.len() - 1];
            configurations.push(latest.move_shard(SHARD, GroupId(*owner)).expect("a move"));
        }
        let groups = [1, 2, 3].map(|group| Shards::new(GroupId(group), 1, Limits::DEFAULT));
        let configurations = configurations.into_iter().map(Arc::new).collect();
        let mut cluster = Self { configurations, groups };
        for group in 1..=3 {
            cluster.advance(group, 1);
        }
        cluster
    }

    fn at(&self, group: u16) -> &Shards {
        &self.groups[usize::from(group) - 1]
    }

    fn phase(&self, group: u16) -> Phase {
        self.at(group).ownership(SHARD).phase()
    }

    /// A group takes the configurations up to this one.
    fn advance(&mut self, group: u16, to: u64) {
        while self.at(group).config.num < ConfigNum(to) {
            let next = self.at(group).config.num.next();
            let config = Arc::clone(&self.configurations[next.0 as usize]);
            assert!(self.at(group).is_ready_for(&config), "it waits for nothing");
            self.apply(group, &Entry::Configure(config));
        }
    }

    /// Applies an entry; gives what its leader says about shards to other groups.
    fn apply(&mut self, group: u16, entry: &Entry) -> Vec<(u16, Message)> {
        let mut applied = Applied::default();
        let shards = &mut self.groups[usize::from(group) - 1];
        shards.apply_entry(&setup(group), entry, &mut applied);
        shards.proceed(&setup(group), &mut applied);
        let of_shards = |(to, message): (NodeId, _)| match message {
            replica::Message::Migration(Message::Ask(_)) => None,
            replica::Message::Migration(message) => Some((to.0, message)),
            other => panic!("{other:?}"),
        };
        applied.said.into_iter().filter_map(of_shards).collect()
    }

    /// The response of a group to a message from another.
    fn hears(&self, group: u16, from: u16, message: Message) -> Response {
        self.at(group).respond(&setup(group), NodeId(from), message, &[])
    }

    /// A group has a message from another, and applies what it logs because of that. Gives what it
    /// says then, and to whom.
    fn deliver(&mut self, group: u16, from: u16, message: Message) -> Vec<(u16, Message)> {
        match self.hears(group, from, message) {
            Response::Ignore => Vec::new(),
            Response::Answer(answer) => vec![(from, answer)],
            Response::Log(entry, answer) => {
                let mut said = self.apply(group, &entry);
                said.extend(answer.map(|answer| (from, answer)));
                said
            }
        }
    }

    /// The offers of all groups are delivered, and whatever comes of them.
    fn settle(&mut self) {
        for group in 1..=3 {
            let mut said = Vec::new();
            self.at(group).offer(&setup(group), SHARD, &mut said);
            let offers = said.into_iter().map(|(to, message)| match message {
                replica::Message::Migration(message) => (group, to.0, message),
                other => panic!("{other:?}"),
            });
            let mut open: Vec<_> = offers.collect();
            while let Some((from, to, message)) = open.pop() {
                let said = self.deliver(to, from, message);
                open.extend(said.into_iter().map(|(next, message)| (to, next, message)));
            }
        }
    }
}

fn setup(group: u16) -> Group {
    let (servers, controllers) = (servers(group), Servers::from_iter([NodeId(0)]));
    Group { id: GroupId(group), shards: 1, servers, controllers, part_bytes: 1 }
}

fn offer(by: u16, since: u64) -> Message {
    Message::Offer { shard: SHARD, since: ConfigNum(since), servers: servers(by) }
}

fn want(since: u64, from: Place) -> Message {
    Message::Want { shard: SHARD, since: ConfigNum(since), from }
}

fn decline(since: u64) -> Message {
    Message::Decline { shard: SHARD, since: ConfigNum(since) }
}

#[test]
fn a_move_to_a_group_that_is_down_is_taken_back() {
    let mut cluster = Cluster::moving(&[1, 2, 1]);
    cluster.advance(1, 2);
    assert_eq!(cluster.phase(1), Phase::Leaving);
    cluster.advance(1, 3);
    assert_eq!(cluster.phase(1), Phase::Serving, "the second group has never heard of it");
    cluster.advance(2, 2);
    assert_eq!(cluster.phase(2), Phase::Awaiting);
    assert_eq!(cluster.hears(1, 2, want(2, Place::START)), Response::Ignore);
    cluster.advance(2, 3);
    assert_eq!(cluster.phase(2), Phase::Absent, "it is up again, and learns the same");
}

#[test]
fn a_move_to_a_group_that_is_down_goes_to_a_third() {
    let mut cluster = Cluster::moving(&[1, 2, 3]);
    cluster.advance(1, 3);
    cluster.advance(3, 3);
    assert_eq!((cluster.phase(1), cluster.phase(3)), (Phase::Leaving, Phase::Awaiting));
    let turn = Entry::TurnTo { shard: SHARD, since: ConfigNum(3), servers: servers(1) };
    assert_eq!(cluster.hears(3, 1, offer(1, 3)), Response::Log(turn.clone(), None));
    assert_eq!(cluster.hears(3, 2, offer(1, 3)), Response::Ignore, "it speaks for another group");
    let said = cluster.apply(3, &turn);
    assert_eq!(said, [(1, want(3, Place::START))], "it asks whoever has the shard");
    cluster.settle();
    assert_eq!((cluster.phase(1), cluster.phase(3)), (Phase::Absent, Phase::Serving));
    assert!(cluster.at(3).has_received(SHARD, ConfigNum(3)));
}

#[test]
fn a_shard_that_is_released_is_not_taken_back() {
    let mut cluster = Cluster::moving(&[1, 2, 1]);
    cluster.advance(1, 2);
    cluster.advance(2, 2);
    let said = cluster.deliver(1, 2, want(2, Place::START));
    assert!(matches!(said[..], [(2, Message::Part { .. })]), "{said:?}");
    cluster.advance(1, 3);
    assert_eq!(cluster.phase(1), Phase::Leaving, "the second group may have all of it");
    // It has, and gives it back.
    for (to, message) in said {
        cluster.deliver(to, 1, message);
    }
    assert_eq!(cluster.phase(2), Phase::Serving);
    cluster.advance(2, 3);
    assert_eq!(cluster.phase(2), Phase::Leaving);
    // Its offer says that it had all.
    assert_eq!(cluster.deliver(1, 2, offer(2, 3)), [(2, want(3, Place::START))]);
    assert_eq!(cluster.phase(1), Phase::Awaiting);
    cluster.settle();
    assert_eq!((cluster.phase(1), cluster.phase(2)), (Phase::Serving, Phase::Absent));
}

#[test]
fn a_shard_that_is_released_and_declined_comes_back() {
    let mut cluster = Cluster::moving(&[1, 2, 1]);
    cluster.advance(1, 2);
    cluster.advance(2, 2);
    cluster.deliver(1, 2, want(2, Place::START));
    cluster.advance(2, 3);
    assert_eq!(cluster.phase(2), Phase::Absent, "the part is lost, and the move is over");
    assert_eq!(cluster.hears(2, 1, offer(1, 2)), Response::Answer(decline(2)));
    assert_eq!(cluster.hears(1, 2, decline(2)), Response::Ignore, "where to, it does not know yet");
    cluster.advance(1, 3);
    assert_eq!(cluster.hears(1, 3, decline(2)), Response::Ignore, "not from the new owner");
    assert_eq!(cluster.deliver(1, 2, decline(2)), []);
    assert_eq!(cluster.phase(1), Phase::Serving);
    assert_eq!(cluster.deliver(1, 2, decline(2)), [], "a repetition");
}

#[test]
fn a_shard_that_is_released_and_declined_goes_to_its_latest_owner() {
    let mut cluster = Cluster::moving(&[1, 2, 1, 3]);
    cluster.advance(1, 2);
    cluster.advance(2, 2);
    cluster.deliver(1, 2, want(2, Place::START));
    cluster.advance(2, 4);
    cluster.advance(1, 4);
    assert_eq!(cluster.phase(1), Phase::Leaving);
    let said = cluster.deliver(1, 2, decline(2));
    assert_eq!(said, [(3, offer(1, 4))]);
    cluster.advance(3, 4);
    cluster.settle();
    assert_eq!((cluster.phase(1), cluster.phase(3)), (Phase::Absent, Phase::Serving));
}

#[test]
fn what_a_group_had_before_it_is_not_declined() {
    let mut cluster = Cluster::moving(&[1, 2, 3]);
    for group in 1..=2 {
        cluster.advance(group, 2);
    }
    for (to, part) in cluster.deliver(1, 2, want(2, Place::START)) {
        cluster.deliver(to, 1, part);
    }
    cluster.advance(2, 3);
    cluster.advance(3, 3);
    cluster.deliver(2, 3, want(3, Place::START));
    cluster.settle();
    assert_eq!(cluster.phase(3), Phase::Serving);
    assert_eq!(cluster.phase(2), Phase::Absent);
    let end = Response::Answer(want(2, Place::End));
    assert_eq!(cluster.hears(2, 1, offer(1, 2)), end, "it had all of it once");
    assert_eq!(cluster.at(1).ownership(SHARD), &Ownership::Absent);
}
