//! Servers that are not members, and what a member tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Effects, Message, Replica};
use crate::founding::{self, Announcement, Charter};
use crate::raft::Incarnation;
use crate::types::NodeId;

/// A disagreement with another server about the membership of the group.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Dispute {
    /// The other server is not a member, or not in this incarnation: its messages have no effect.
    Refused(Incarnation),
    /// The other server belongs to a group with other members: it refuses the messages of this one.
    RefusedBy,
}

impl Replica {
    /// A message about the founding of a group has come in, to a member of one that is founded.
    pub fn on_founding(&mut self, from: NodeId, message: founding::Message, fx: &mut Effects) {
        match message {
            founding::Message::Announce(announcement) => self.on_announce(from, &announcement, fx),
            founding::Message::Founded(members) => {
                if members != *self.raft.members() {
                    self.disputes.insert(from, Dispute::RefusedBy);
                }
            }
        }
    }

    /// A server that belongs to no group asks. A member that has missed the others' pledges learns
    /// that the group is founded; any other server, that it can not belong to it.
    fn on_announce(&mut self, from: NodeId, theirs: &Announcement, fx: &mut Effects) {
        let members = self.raft.members();
        let is_member = members.incarnation(from) == Some(theirs.incarnation)
            && theirs.charter == Charter::of(members);
        if is_member {
            let members = Arc::clone(members);
            fx.send(from, Message::Founding(founding::Message::Founded(members)));
        } else {
            self.refuse(from, theirs.incarnation, fx);
        }
    }

    /// Tells a server that is not a member who the members are, and remembers that it was there.
    pub(super) fn refuse(&mut self, from: NodeId, incarnation: Incarnation, fx: &mut Effects) {
        let members = Arc::clone(self.raft.members());
        fx.send(from, Message::Founding(founding::Message::Founded(members)));
        self.disputes.insert(from, Dispute::Refused(incarnation));
    }

    /// Disagreements about the membership of the group, by the other server.
    #[must_use]
    pub fn disputes(&self) -> &BTreeMap<NodeId, Dispute> {
        &self.disputes
    }

    pub(crate) fn disputes_mut(&mut self) -> &mut BTreeMap<NodeId, Dispute> {
        &mut self.disputes
    }
}
