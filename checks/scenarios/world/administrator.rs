//! A client of the controller of a world.

use std::sync::Arc;

use model::shard::config::{Configuration, Refusal};
use model::shard::controller::{Change, Order, Outcome as Answer};
use model::types::{ConfigNum, GroupId, ShardId};
use runtime::client::{self, Outcome, SessionId};
use runtime::transport::{Faulty, Memory};

use super::{PATIENCE, World};

/// A real administrator, one change at a time.
pub struct Administrator<'w> {
    world: &'w World,
    client: client::Administrator<Faulty<Memory>>,
    session: SessionId,
    /// Whether its changes are forced: where groups are only names, none of them is heard.
    force: bool,
}

impl<'w> Administrator<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        let (_, port) = world.site.network.attach_client(world.draw());
        let mut client =
            client::Administrator::administer_on(&world.site.cluster, port).expect("a controller");
        let session = client.open();
        let sharding = world.site.cluster.sharding.as_ref();
        let force = sharding.is_some_and(|sharding| sharding.group.is_empty());
        Self { world, client, session, force }
    }

    /// Lets groups of the world join, all at once.
    pub fn join(&mut self, groups: &[u16]) -> ConfigNum {
        let named = groups.iter().map(|group| (GroupId(*group), self.world.group(*group)));
        let named = named.map(|(group, servers)| (group, servers.into_iter().collect()));
        self.change(Change::Join(named.collect()))
    }

    /// Lets groups leave, all at once.
    pub fn leave(&mut self, groups: &[u16]) -> ConfigNum {
        self.change(Change::Leave(groups.iter().copied().map(GroupId).collect()))
    }

    /// Gives a shard to a group.
    pub fn move_shard(&mut self, shard: u16, group: u16) -> ConfigNum {
        self.change(Change::Move(ShardId(shard), GroupId(group)))
    }

    /// The latest configuration.
    pub fn latest(&mut self) -> Arc<Configuration> {
        self.query(None)
    }

    /// The configuration with this number, or the latest if there is none such.
    pub fn query(&mut self, num: Option<u64>) -> Arc<Configuration> {
        match self.ask(Change::Query(num.map(ConfigNum))) {
            Answer::Configuration(configuration) => configuration,
            answer @ (Answer::Changed(_) | Answer::Refused(_)) => panic!("a query made {answer:?}"),
        }
    }

    /// Has a change made, and gives the number of the configuration that it has made.
    pub fn change(&mut self, change: Change) -> ConfigNum {
        let what = format!("{change:?}");
        match self.ask(change) {
            Answer::Changed(num) => num,
            answer @ (Answer::Refused(_) | Answer::Configuration(_)) => {
                panic!("{what}: {answer:?}")
            }
        }
    }

    /// Asks for a change that is refused, and gives the reason.
    pub fn refusal(&mut self, change: Change) -> Refusal {
        let what = format!("{change:?}");
        match self.ask(change) {
            Answer::Refused(refusal) => refusal,
            answer @ (Answer::Changed(_) | Answer::Configuration(_)) => {
                panic!("{what}: {answer:?}")
            }
        }
    }

    fn ask(&mut self, change: Change) -> Answer {
        let what = format!("{change:?}");
        let order = Order { change, force: self.force };
        let outcome = self.client.insist(self.session, &order, PATIENCE);
        match outcome.expect("memory does not fail") {
            Outcome::Done(answer) => answer,
            outcome @ (Outcome::NotDone(_) | Outcome::Unknown) => {
                panic!("{what} ends as {outcome:?}")
            }
        }
    }
}
