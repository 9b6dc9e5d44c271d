//! Hearing: from which servers the controller has heard lately, and so which groups it gives shards
//! to.
//!
//! A group whose servers are down cannot take a shard, and no group serves the shard once its
//! former owner has adopted the configuration that gives it away. A group is *silent* if none of
//! its servers was heard lately. The controller's leader refuses a change that gives a shard to a
//! silent group, unless the administrator forces the change. A group that is starting is heard as
//! soon as it has a leader.
//!
//! Hearing decides about admission only. What is logged is carried out, whichever servers are heard
//! by then, so all replicas of the controller agree.

use super::{Command, Replica};
use crate::shard::config::Servers;
use crate::types::GroupId;

/// The servers that were heard lately. The host knows them; in a model it is everybody.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Hearing {
    /// Every server counts as heard.
    #[default]
    Everybody,
    /// These servers were heard, and no others.
    Only(Servers),
}

impl Replica {
    /// Takes note of the servers that the host has heard lately.
    pub fn set_hearing(&mut self, hearing: Hearing) {
        self.admission.hearing = hearing;
    }

    /// The first group that would gain a shard by a change and was not heard lately, if there is
    /// one. The change meets the state to which the entries before it in the log lead. One that is
    /// refused there, or was carried out before, gives nothing to anybody.
    pub(super) fn silent_group(&self, command: &Command) -> Option<GroupId> {
        let Hearing::Only(heard) = &self.admission.hearing else { return None };
        let Command::Change(request) = command else { return None };
        let mut controller = self.machine.controller()?.clone();
        let earlier = self.unapplied(|command| match command {
            Command::Change(request) => Some(request),
            Command::Request(_) | Command::Migration(_) | Command::Transaction(_) => None,
        });
        for request in earlier {
            controller.apply(request);
        }
        let is_silent = |servers: &Servers| !servers.iter().any(|server| heard.contains(server));
        let gaining = controller.gaining(request);
        gaining.into_iter().find(|(_, servers)| is_silent(servers)).map(|(group, _)| group)
    }
}

#[cfg(test)]
mod tests;
