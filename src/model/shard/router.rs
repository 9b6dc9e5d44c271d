//! Whom a client asks.
//!
//! A key belongs to a shard, a shard to a group, and one of the group's servers leads it. The first
//! is a function, the second stands in a configuration, the third is found out by asking. A client
//! that has fallen behind learns so from a group that does not own the shard, and asks the
//! controller for the latest configuration.
//!
//! A group by itself is the same with one shard, which never moves.

use im::OrdMap;

use super::config::{Configuration, Servers};
use crate::types::{ConfigNum, GroupId, NodeId, ShardId};

/// What a client knows of the servers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Router {
    /// Who can be asked for a newer configuration.
    controllers: Servers,
    /// The latest configuration known.
    config: Configuration,
    /// In each group, whom to ask: the leader, as far as is known. The first server if nothing is.
    targets: OrdMap<GroupId, NodeId>,
}

impl Router {
    /// For a group by itself, of which `first` is asked first.
    #[must_use]
    pub fn alone(servers: Servers, first: NodeId) -> Self {
        let (group, config) = Configuration::alone(servers);
        let controllers = Servers::from_iter([]);
        Self { controllers, config, targets: OrdMap::unit(group, first) }
    }

    /// For a cluster of so many shards, whose controller has these servers. Nothing else is known
    /// yet.
    #[must_use]
    pub fn sharded(controllers: Servers, shards: u16) -> Self {
        Self { controllers, config: Configuration::initial(shards), targets: OrdMap::new() }
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.config.assignment.len() as u16
    }

    /// The number of the latest configuration known.
    #[must_use]
    pub fn known(&self) -> ConfigNum {
        self.config.num
    }

    /// Who can be asked for a newer configuration: the servers of the controller. Any of them may
    /// be down, or behind.
    #[must_use]
    pub fn controllers(&self) -> &Servers {
        &self.controllers
    }

    /// Whom to ask about a shard. Nobody, as long as no configuration with groups is known.
    #[must_use]
    pub fn target(&self, shard: ShardId) -> Option<NodeId> {
        let (group, servers) = self.owner(shard)?;
        self.targets.get(&group).copied().or_else(|| servers.iter().next())
    }

    /// Asks another server about the shard, which is said to lead the group. Gives whether that is
    /// news: a server of another group, or the one that is asked already, is not.
    pub fn follow(&mut self, shard: ShardId, leader: NodeId) -> bool {
        let Some((group, servers)) = self.owner(shard) else { return false };
        let news = servers.contains(leader) && self.target(shard) != Some(leader);
        if news {
            self.targets.insert(group, leader);
        }
        news
    }

    /// Asks the next server of the group about the shard.
    pub fn rotate(&mut self, shard: ShardId) {
        let Some((group, servers)) = self.owner(shard) else { return };
        let asked = self.target(shard);
        let behind = servers.iter().find(|server| Some(*server) > asked);
        if let Some(next) = behind.or_else(|| servers.iter().next()) {
            self.targets.insert(group, next);
        }
    }

    /// Takes a later configuration than the one known. Gives whether it is one.
    pub fn learn(&mut self, from: NodeId, config: &Configuration) -> bool {
        let news = self.controllers.contains(from)
            && config.num > self.known()
            && config.assignment.len() == self.config.assignment.len();
        if news {
            self.config = config.clone();
        }
        news
    }

    fn owner(&self, shard: ShardId) -> Option<(GroupId, &Servers)> {
        let group = self.config.assignment.owner(shard)?;
        Some((group, self.config.groups.get(&group)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::controller::{Change, Controller};
    use super::*;
    use crate::kv::command::Request;
    use crate::types::{ClientId, RequestId};

    fn servers(numbers: impl IntoIterator<Item = u16>) -> Servers {
        numbers.into_iter().map(NodeId).collect()
    }

    /// What a controller of two shards has made of these changes: all configurations in order.
    fn configurations(changes: &[Change]) -> Vec<Configuration> {
        let mut controller = Controller::new(2);
        for (op, number) in changes.iter().zip(1..) {
            let request =
                Request { client: ClientId(9), number: RequestId(number), op: op.clone() };
            controller.apply(&request);
        }
        (0..)
            .map_while(|num| Some(controller.configuration(ConfigNum(num))?.as_ref().clone()))
            .collect()
    }

    /// Two groups of two, with a shard each; then the first group gets both.
    fn two_groups() -> Vec<Configuration> {
        let groups = [(GroupId(1), servers([2, 3])), (GroupId(2), servers([4, 5]))];
        let moved = Change::Move(ShardId(1), GroupId(1));
        configurations(&[Change::Join(groups.into()), moved])
    }

    fn router() -> Router {
        Router::sharded(servers([0, 1]), 2)
    }

    #[test]
    fn a_group_by_itself_is_asked_around() {
        let mut router = Router::alone(servers(0..3), NodeId(1));
        let mut asked = Vec::new();
        for _ in 0..4 {
            asked.extend(router.target(ShardId(0)));
            router.rotate(ShardId(0));
        }
        assert_eq!(asked, [1, 2, 0, 1].map(NodeId));
        assert!(router.follow(ShardId(0), NodeId(0)));
        assert!(!router.follow(ShardId(0), NodeId(0)), "it is asked already");
        assert!(!router.follow(ShardId(0), NodeId(3)), "there is no such server");
        assert_eq!(router.target(ShardId(0)), Some(NodeId(0)));
        assert!(router.controllers().is_empty());
    }

    #[test]
    fn nobody_is_asked_before_there_are_groups() {
        let mut router = router();
        assert_eq!(router.target(ShardId(0)), None);
        router.rotate(ShardId(0));
        assert!(!router.follow(ShardId(0), NodeId(2)));
        assert_eq!(router, self::router());
    }

    #[test]
    fn the_owner_of_the_latest_configuration_is_asked() {
        let made = two_groups();
        let mut router = router();
        assert!(router.learn(NodeId(1), &made[1]));
        assert_eq!(router.target(ShardId(0)), Some(NodeId(2)));
        assert_eq!(router.target(ShardId(1)), Some(NodeId(4)));
        assert!(router.learn(NodeId(0), &made[2]));
        assert_eq!(router.target(ShardId(1)), Some(NodeId(2)));
        assert_eq!(router.known(), ConfigNum(2));
    }

    #[test]
    fn only_the_controller_is_believed_and_only_what_is_newer() {
        let made = two_groups();
        let mut router = router();
        assert!(!router.learn(NodeId(2), &made[1]), "a group's server");
        assert!(router.learn(NodeId(0), &made[2]));
        assert!(!router.learn(NodeId(0), &made[2]), "known");
        assert!(!router.learn(NodeId(0), &made[1]), "older");
        let other = Configuration { num: ConfigNum(3), ..Configuration::initial(5) };
        assert!(!router.learn(NodeId(0), &other), "of another number of shards");
        assert_eq!(router.known(), ConfigNum(2));
    }

    #[test]
    fn each_group_has_a_leader_of_its_own_that_is_remembered() {
        let made = two_groups();
        let mut router = router();
        router.learn(NodeId(0), &made[1]);
        router.rotate(ShardId(0));
        assert!(router.follow(ShardId(1), NodeId(5)));
        assert!(!router.follow(ShardId(1), NodeId(3)), "a server of the other group");
        let targets = [ShardId(0), ShardId(1)].map(|shard| router.target(shard));
        assert_eq!(targets, [Some(NodeId(3)), Some(NodeId(5))]);
        router.learn(NodeId(0), &made[2]);
        assert_eq!(router.target(ShardId(1)), Some(NodeId(3)));
        router.rotate(ShardId(1));
        assert_eq!(router.target(ShardId(0)), Some(NodeId(2)), "both are the first group's");
    }
}
