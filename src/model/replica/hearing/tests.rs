//! Changes that the controller's leader admits or refuses, by the servers that it has heard.

use std::sync::Arc;

use super::super::Setup;
use super::*;
use crate::effects::Effect;
use crate::kv::command::Request;
use crate::machine::Kind;
use crate::raft::{self, Incarnation, Members, Payload, Persistent, Rpc};
use crate::replica::{Answer, Effects, Message, NotTaken, Timer};
use crate::shard::config::Refusal;
use crate::shard::controller::{Change, Order, Outcome};
use crate::types::{Address, ClientId, ConfigNum, Index, NodeId, RequestId, ShardId, Term};

const ADMINISTRATOR: ClientId = ClientId(99);

/// The two servers of a group.
fn servers(group: u16) -> Servers {
    [10 * group, 10 * group + 1].map(NodeId).into_iter().collect()
}

fn join(groups: &[u16]) -> Change {
    Change::Join(groups.iter().map(|group| (GroupId(*group), servers(*group))).collect())
}

fn leave(group: u16) -> Change {
    Change::Leave([GroupId(group)].into())
}

fn to_group(shard: u16, group: u16) -> Change {
    Change::Move(ShardId(shard), GroupId(group))
}

fn silent(group: u16) -> Option<Answer<Outcome>> {
    Some(Answer::Refused(NotTaken::Silent(GroupId(group))))
}

fn changed(num: u64) -> Option<Answer<Outcome>> {
    Some(Answer::Done(Outcome::Changed(ConfigNum(num))))
}

fn refused(refusal: Refusal) -> Option<Answer<Outcome>> {
    Some(Answer::Done(Outcome::Refused(refusal)))
}

/// A replica that leads its group, with its administrator and the number of the last request.
struct Leader {
    setup: Setup,
    replica: Replica,
    administrator: ClientId,
    number: u64,
}

impl Leader {
    /// The leader of so many servers. If there are others, none of them answers once it leads.
    fn of(kind: Kind, count: u16) -> Self {
        let all: Vec<_> = (0..count).map(NodeId).collect();
        let raft = raft::Config {
            id: NodeId(0),
            incarnation: Incarnation::default(),
            limits: raft::Limits::DEFAULT,
        };
        let setup = Setup::new(raft, kind, all.iter().copied());
        let incarnations = all.iter().map(|server| (*server, Incarnation::default())).collect();
        let members = Members::new(setup.kind.purpose(), incarnations);
        let sender = members.credentials(Incarnation::default());
        let persistent = Persistent::founded(Arc::new(members));
        let mut replica = Replica::restart(&setup.kind, setup.limits, persistent);
        let mut fx = Effects::default();
        replica.on_timeout(&setup, Timer::Raft(raft::Timer::Election), &mut fx);
        for peer in all.into_iter().skip(1) {
            let vote = raft::Message { sender, term: Term(1), rpc: Rpc::RequestVoteReply };
            replica.on_raft(&setup, peer, vote, &mut fx);
        }
        assert!(replica.raft.is_leader());
        Self { setup, replica, administrator: ADMINISTRATOR, number: 0 }
    }

    /// A controller of four shards that has heard only these groups.
    fn hearing(groups: &[u16]) -> Self {
        let mut leader = Self::of(Kind::Controller { shards: 4 }, 1);
        leader.hear(groups);
        leader
    }

    /// The controller has heard a server of each of these groups, and no other server.
    fn hear(&mut self, groups: &[u16]) {
        let heard = groups.iter().filter_map(|group| servers(*group).iter().last()).collect();
        self.replica.set_hearing(Hearing::Only(heard));
    }

    /// Two heartbeats go out, after which no refusal is remembered.
    fn beat_twice(&mut self) {
        for _ in 0..2 {
            let timer = Timer::Raft(raft::Timer::Heartbeat);
            self.replica.on_timeout(&self.setup, timer, &mut Effects::default());
        }
    }

    /// Asks again what was asked last, and returns the answer if there is one at once.
    fn asks_again(&mut self, order: impl Into<Order>) -> Option<Answer<Outcome>> {
        let (client, number) = (self.administrator, RequestId(self.number));
        let mut fx = Effects::default();
        let request = Request { client, number, op: order.into() };
        self.replica.on_change(&self.setup, request, &mut fx);
        let mut answers = fx.into_iter().filter_map(|effect| match effect {
            Effect::Send(to, Message::Outcome(reply)) => {
                assert_eq!((to, reply.number), (Address::Client(client), number));
                Some(reply.answer)
            }
            Effect::Send(..) | Effect::Persist(_) | Effect::Arm(_) | Effect::Cancel(_) => None,
        });
        answers.next()
    }

    fn asks(&mut self, order: impl Into<Order>) -> Option<Answer<Outcome>> {
        self.number += 1;
        self.asks_again(order)
    }

    /// Number of the commands in its log.
    fn commands(&self) -> usize {
        let entries = self.replica.raft.log().range(Index::ZERO, Index::MAX);
        entries.filter(|entry| matches!(entry.payload, Payload::Command(_))).count()
    }
}

fn forced(change: Change) -> Order {
    Order { change, force: true }
}

#[test]
fn join_of_a_silent_group_is_refused_and_logs_nothing() {
    let mut leader = Leader::hearing(&[1]);
    assert_eq!(leader.asks(join(&[1])), changed(1));
    assert_eq!(leader.asks(join(&[3, 2])), silent(2), "the first of them is named");
    assert_eq!(leader.asks_again(join(&[3, 2])), silent(2), "a copy of the request");
    assert_eq!(leader.commands(), 1);
}

#[test]
fn group_is_taken_when_it_is_heard() {
    let mut leader = Leader::hearing(&[1]);
    assert_eq!(leader.asks(join(&[1, 2])), silent(2));
    leader.hear(&[1, 2]);
    assert_eq!(
        leader.asks_again(join(&[1, 2])),
        silent(2),
        "a copy has the same answer for a while"
    );
    leader.beat_twice();
    assert_eq!(leader.asks_again(join(&[1, 2])), changed(1));
}

#[test]
fn forced_change_is_taken_and_logged_as_any_other() {
    let mut leader = Leader::hearing(&[]);
    assert_eq!(leader.asks(forced(join(&[1, 2]))), changed(1));
    let log = leader.replica.raft.log();
    let mut commands = log.range(Index::ZERO, Index::MAX).map(|entry| &entry.payload);
    let request = Request { client: ADMINISTRATOR, number: RequestId(1), op: join(&[1, 2]) };
    assert!(commands.any(|payload| *payload == Payload::Command(Command::Change(request.clone()))));
}

#[test]
fn leave_and_move_ask_who_takes_the_shards() {
    let mut leader = Leader::hearing(&[1, 2]);
    assert_eq!(leader.asks(join(&[1, 2])), changed(1));
    leader.hear(&[1]);
    assert_eq!(leader.asks(leave(1)), silent(2), "the others take the shards");
    assert_eq!(leader.asks(to_group(0, 2)), silent(2));
    assert_eq!(leader.asks(to_group(2, 1)), changed(2), "it gives a shard away");
    assert_eq!(leader.asks(leave(2)), changed(3), "it takes nothing");
    assert_eq!(leader.asks(forced(join(&[2]))), changed(4));
}

#[test]
fn group_that_gains_nothing_need_not_be_heard() {
    let mut leader = Leader::hearing(&[1, 2, 3, 4]);
    assert_eq!(leader.asks(join(&[1, 2, 3, 4])), changed(1));
    leader.hear(&[]);
    assert_eq!(leader.asks(join(&[5])), changed(2), "four shards on five groups");
    let query = leader.asks(Change::Query(None));
    assert!(matches!(query, Some(Answer::Done(Outcome::Configuration(_)))), "{query:?}");
}

#[test]
fn change_that_has_no_effect_is_answered_whoever_is_heard() {
    let mut leader = Leader::hearing(&[1, 2]);
    assert_eq!(leader.asks(join(&[1, 2])), changed(1));
    leader.hear(&[]);
    assert_eq!(leader.asks_again(join(&[1, 2])), changed(1), "it was carried out before");
    assert_eq!(leader.asks(join(&[2])), refused(Refusal::GroupExists(GroupId(2))));
    assert_eq!(leader.asks(to_group(3, 2)), refused(Refusal::AlreadyThere(ShardId(3))));
    assert_eq!(leader.asks(to_group(0, 3)), refused(Refusal::UnknownGroup(GroupId(3))));
}

/// Changes that stand in the log and are not committed count: the change will meet their effect.
#[test]
fn change_is_judged_by_what_the_log_leads_to() {
    let mut leader = Leader::of(Kind::Controller { shards: 4 }, 3);
    leader.hear(&[1]);
    assert_eq!(leader.asks(forced(join(&[1, 2]))), None, "logged, and not committed");
    let logged = leader.commands();
    leader.administrator = ClientId(98);
    assert_eq!(leader.asks(to_group(0, 2)), silent(2));
    assert_eq!(leader.commands(), logged);
}

#[test]
fn everybody_counts_as_heard_where_no_host_says_otherwise() {
    let mut leader = Leader::of(Kind::Controller { shards: 4 }, 1);
    assert_eq!(leader.asks(join(&[1, 2])), changed(1));
}

#[test]
fn refusal_says_what_to_do() {
    let text = NotTaken::Silent(GroupId(2)).to_string();
    assert_eq!(
        text,
        "group g2 has not answered the controller lately: start its servers, or give it shards all \
         the same with --force"
    );
}
