//! Groups that have left: whether their servers may be stopped for good.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use model::shard::config::Configuration;
use model::shard::holdings::{Holdings, is_needed};
use model::types::GroupId;
use runtime::cluster::{Cluster, Sharding};
use serde::Serialize;

/// A group of the configuration file that the latest configuration does not have.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(super) struct Left {
    group: u16,
    /// The reason why its servers may not be stopped for good, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<String>,
    /// Other groups that have left and do not answer. If one of them was not stopped for good it
    /// may still need this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unheard: Vec<u16>,
}

impl Left {
    /// All such groups, in order, by what the groups have told since that configuration was made.
    pub(super) fn all(
        cluster: &Cluster,
        latest: &Configuration,
        told: &BTreeMap<GroupId, Holdings>,
    ) -> Vec<Self> {
        let configured = cluster.sharding.as_ref().map(Sharding::groups).unwrap_or_default();
        let all: Vec<GroupId> = configured.into_keys().collect();
        let has_left = |group: &&GroupId| !latest.groups.contains_key(group);
        all.iter().filter(has_left).map(|group| Self::of(*group, &all, latest, told)).collect()
    }

    fn of(
        group: GroupId,
        all: &[GroupId],
        latest: &Configuration,
        told: &BTreeMap<GroupId, Holdings>,
    ) -> Self {
        let is_unheard = |other: &GroupId| {
            *other != group && !told.contains_key(other) && !latest.groups.contains_key(other)
        };
        let (unheard, others): (Vec<_>, Vec<_>) = all.iter().copied().partition(is_unheard);
        let needed = is_needed(group, others, latest, told).map(|why| why.to_string());
        let unheard = unheard.iter().map(|other| other.0).collect();
        Self { group: group.0, needed, unheard }
    }

    /// The group.
    pub(super) fn group(&self) -> GroupId {
        GroupId(self.group)
    }

    /// Whether its servers may be stopped for good, as far as those tell that answer.
    pub(super) fn may_be_stopped(&self) -> bool {
        self.needed.is_none()
    }
}

impl Display for Left {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = self.group();
        if let Some(why) = &self.needed {
            return write!(f, "{group} has left and is still needed: {why}");
        }
        write!(f, "{group} has left: its servers may be stopped")?;
        match &self.unheard[..] {
            [] => Ok(()),
            unheard => {
                let names: Vec<_> =
                    unheard.iter().map(|other| GroupId(*other).to_string()).collect();
                write!(f, ", if {} not answering were stopped as well", names.join(" and "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::health::Health;
    use model::types::{ConfigNum, NodeId};

    use super::*;

    /// A configuration with group 1, and before it groups 2 and 3 have left.
    fn latest() -> Configuration {
        let servers = |n| [NodeId(n)].into_iter().collect();
        let groups = [1, 2, 3].map(|n| (GroupId(n), servers(n)));
        let all = Configuration::initial(4).join(&groups.into()).unwrap();
        all.leave(&[GroupId(2), GroupId(3)].into()).unwrap()
    }

    fn at(config: u64) -> Holdings {
        let server = Health::Founding { heard: BTreeSet::new(), pledge: None };
        Holdings { config: ConfigNum(config), ..Holdings::none(server, true) }
    }

    fn said(told: &[(u16, Holdings)]) -> String {
        let told = told.iter().map(|(group, told)| (GroupId(*group), told.clone())).collect();
        Left::of(GroupId(2), &[1, 2, 3].map(GroupId), &latest(), &told).to_string()
    }

    #[test]
    fn a_group_is_needed_until_nobody_waits_for_it() {
        let free = "g2 has left: its servers may be stopped";
        assert_eq!(said(&[(1, at(2)), (2, at(2)), (3, at(2))]), free);
        let unheard = format!("{free}, if g3 not answering were stopped as well");
        assert_eq!(said(&[(1, at(2)), (2, at(2))]), unheard);
        let needed = |why: &str| format!("g2 has left and is still needed: {why}");
        let open = Holdings { transactions: 1, ..at(2) };
        let transaction = "it has a transaction that has not ended";
        assert_eq!(said(&[(1, at(2)), (2, open), (3, at(2))]), needed(transaction));
        let waits = Holdings { needs: [GroupId(2)].into(), ..at(2) };
        let by = |other| needed(&format!("{other} waits for its answer"));
        assert_eq!(said(&[(1, waits.clone()), (2, at(2))]), by("g1"));
        assert_eq!(said(&[(1, at(2)), (2, at(2)), (3, waits)]), by("g3"));
        let behind = |group| needed(&format!("{group} has not reached the latest configuration"));
        assert_eq!(said(&[(1, at(1)), (2, at(2)), (3, at(2))]), behind("g1"));
        assert_eq!(said(&[(1, at(2)), (2, at(1)), (3, at(2))]), behind("g2"));
        assert_eq!(said(&[(2, at(2)), (3, at(2))]), needed("g1 does not answer"));
        assert_eq!(said(&[(1, at(2)), (3, at(2))]), needed("g2 does not answer"));
    }
}
