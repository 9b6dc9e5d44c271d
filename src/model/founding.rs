//! Founding: how the servers of a new group agree, once, on who they are.
//!
//! A group is founded when *every* server that its configuration lists has promised, on its disk,
//! to belong to one and the same set of [`Members`]: the listed servers, each with the incarnation
//! of its disk. That set is entry 0 of every member's log, and nothing else ever says who belongs
//! to the group.
//!
//! 1. A server with a new disk **gathers**: it announces its incarnation and the servers that it
//!    was configured with ([`Announcement`]). Servers that were configured with other lists never
//!    take part in the same founding.
//! 2. When it has heard from all of them, it **pledges** itself to this set of members. It writes
//!    the pledge to its disk before anybody hears of it, and never makes another.
//! 3. When it has seen the same pledge of all, the group is founded, and the server begins as a
//!    **member** ([`crate::raft`]).
//!
//! A group that is founded never changes in this way again. A server that announces itself to a
//! member is told the members ([`Message::Founded`]). If it has pledged itself to them it begins as
//! one of them, since it has only missed the others' pledges. Otherwise it is **refused**: it is
//! another incarnation of a member, or not one of them, or its disk has forgotten the pledge.
//!
//! **Safety** (`one_membership`). Two servers that both belong to some members have both pledged
//! themselves to them, and no server pledges itself twice. So two foundings have no server in
//! common, and if their lists are the same they are one. A server that loses its disk after its
//! pledge can not take part in another founding with the others: they keep theirs. Then the group
//! can not be founded at all until all its directories are removed, which loses nothing as long as
//! no member has begun.
//!
//! **Progress.** Each announcement that is news to its receiver is answered, and all are repeated
//! when [`Timer::Announce`](crate::node::Timer::Announce) runs out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::raft::{Incarnation, Members, Purpose};
use crate::types::NodeId;

/// The group that a server is configured to belong to: its purpose and its servers.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Charter {
    /// The part that the group has in its cluster.
    pub purpose: Purpose,
    /// Its servers.
    pub servers: BTreeSet<NodeId>,
}

impl Charter {
    /// The charter that a group with these members was founded with.
    #[must_use]
    pub fn of(members: &Members) -> Self {
        Self { purpose: members.purpose().clone(), servers: members.servers().collect() }
    }
}

/// As in `{n0, n1, n2} for the whole store`.
impl Display for Charter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {}", self.servers, self.purpose)
    }
}

/// A message about the founding of a group.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Message {
    /// A server that belongs to no group yet says who it is.
    Announce(Arc<Announcement>),
    /// A member says that its group is founded, and with which members. The answer to an
    /// announcement, and to a message between members whose credentials are wrong.
    Founded(Arc<Members>),
}

/// The description of a server that belongs to no group yet, as it gives it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Announcement {
    /// The group that it is configured to belong to.
    pub charter: Charter,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The members that it has pledged itself to, if it has.
    pub pledge: Option<Arc<Members>>,
}

/// A server that belongs to no group yet.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Founder {
    /// The server collects the announcements of the others.
    Gathering {
        /// The latest of each.
        heard: BTreeMap<NodeId, Arc<Announcement>>,
    },
    /// The server has pledged itself, and collects the pledges of the others.
    Pledged {
        /// The members that it has pledged itself to. All that survives a crash.
        members: Arc<Members>,
        /// The servers that have pledged themselves to the same, itself included.
        agreed: BTreeSet<NodeId>,
    },
    /// The server can never belong to the group, and does nothing more.
    Refused {
        /// The server that has told it so.
        by: NodeId,
        /// The reason.
        refusal: Refusal,
        /// The members that it has pledged itself to before. Its disk keeps the pledge.
        pledge: Option<Arc<Members>>,
    },
}

/// The reason why a server can not belong to the group that it is configured to belong to.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// The group is founded, and these are its members. The server is not one of them, or another
    /// incarnation of one.
    Founded(Arc<Members>),
    /// The group is founded with this very server, whose disk does not hold its pledge.
    Forgotten(Arc<Members>),
    /// Another server has pledged itself to these members, with another incarnation of this one.
    Replaced(Arc<Members>),
}

/// An event in the life of a server that belongs to no group yet.
#[derive(Clone, Debug)]
pub enum Event {
    /// The server has started, for the first time or again.
    Start,
    /// The announcements may be lost, and are repeated.
    Timeout,
    /// A message has come in from a server.
    Message(NodeId, Message),
}

/// Requests of a founding step to its host.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The servers to send the present announcement to.
    pub announce: BTreeSet<NodeId>,
    /// Whether the pledge is new, and must be durable before anything is sent.
    pub pledged: bool,
    /// The members, if the group is founded and the server is one of them.
    pub founded: Option<Arc<Members>>,
}

/// One step of founding: the identity of the server, and its state.
pub struct Step<'a> {
    /// The server.
    pub id: NodeId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The group that it is configured to belong to.
    pub charter: &'a Charter,
    /// Its state.
    pub state: &'a mut Founder,
}

impl Founder {
    /// A server as it starts, with the pledge that its disk holds.
    #[must_use]
    pub fn restart(id: NodeId, pledge: Option<Arc<Members>>) -> Self {
        match pledge {
            None => Self::Gathering { heard: BTreeMap::new() },
            Some(members) => Self::Pledged { members, agreed: BTreeSet::from([id]) },
        }
    }

    /// The members that the server has pledged itself to.
    #[must_use]
    pub fn pledge(&self) -> Option<&Arc<Members>> {
        match self {
            Self::Pledged { members, .. } => Some(members),
            Self::Refused { pledge, .. } => pledge.as_ref(),
            Self::Gathering { .. } => None,
        }
    }
}

impl Step<'_> {
    /// Takes a step.
    pub fn on_event(&mut self, event: Event) -> Outcome {
        let mut out = Outcome::default();
        match event {
            Event::Start => {
                self.announce_to_all(&mut out);
                self.try_pledge(&mut out);
                self.try_found(&mut out);
            }
            Event::Timeout => match self.state {
                Founder::Gathering { .. } | Founder::Pledged { .. } => {
                    self.announce_to_all(&mut out);
                }
                Founder::Refused { .. } => {}
            },
            Event::Message(from, Message::Announce(theirs)) => {
                self.on_announce(from, &theirs, &mut out);
            }
            Event::Message(from, Message::Founded(members)) => {
                self.on_founded(from, members, &mut out);
            }
        }
        out
    }

    /// The announcement that describes the server now.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        Announcement {
            charter: self.charter.clone(),
            incarnation: self.incarnation,
            pledge: self.state.pledge().cloned(),
        }
    }

    fn on_announce(&mut self, from: NodeId, theirs: &Arc<Announcement>, out: &mut Outcome) {
        if theirs.charter != *self.charter || !self.charter.servers.contains(&from) {
            return; // It is configured to belong to another group.
        }
        match self.state {
            Founder::Gathering { heard } => {
                if heard.get(&from) == Some(theirs) {
                    return;
                }
                heard.insert(from, Arc::clone(theirs));
                out.announce.insert(from);
                match &theirs.pledge {
                    None => self.try_pledge(out),
                    Some(members) => self.join_pledge(from, members, out),
                }
            }
            Founder::Pledged { members, agreed } => {
                if theirs.pledge.as_ref() == Some(members) {
                    if agreed.insert(from) {
                        out.announce.insert(from);
                    }
                } else {
                    out.announce.insert(from); // It has not heard all that this server knows.
                }
            }
            Founder::Refused { .. } => {}
        }
        self.try_found(out);
    }

    /// The group is founded. Whoever has pledged itself to its members is one of them.
    fn on_founded(&mut self, from: NodeId, members: Arc<Members>, out: &mut Outcome) {
        if !self.charter.servers.contains(&from) {
            return; // It belongs to another group.
        }
        let refusal = match self.state {
            Founder::Pledged { members: pledge, .. } if *pledge == members => {
                out.founded = Some(members);
                return;
            }
            Founder::Refused { .. } => return,
            Founder::Gathering { .. } | Founder::Pledged { .. } => {
                if members.incarnation(self.id) == Some(self.incarnation) {
                    Refusal::Forgotten(members)
                } else {
                    Refusal::Founded(members)
                }
            }
        };
        self.become_refused(from, refusal);
    }

    fn become_refused(&mut self, by: NodeId, refusal: Refusal) {
        let pledge = self.state.pledge().cloned();
        *self.state = Founder::Refused { by, refusal, pledge };
    }

    /// Pledges the server to the members, when all have announced themselves.
    fn try_pledge(&mut self, out: &mut Outcome) {
        let Founder::Gathering { heard } = &*self.state else { return };
        let others = || self.charter.servers.iter().filter(|server| **server != self.id);
        if !others().all(|server| heard.contains_key(server)) {
            return;
        }
        let own = (self.id, self.incarnation);
        let theirs = heard.iter().map(|(server, theirs)| (*server, theirs.incarnation));
        let servers = theirs.chain([own]).collect();
        self.pledge(Members::new(self.charter.purpose.clone(), servers).into(), out);
    }

    /// Another server has pledged itself. As it never makes another pledge, no other members than
    /// these can found the group: this server pledges itself to them, too, if it is one of them.
    fn join_pledge(&mut self, from: NodeId, members: &Arc<Members>, out: &mut Outcome) {
        if members.incarnation(self.id) != Some(self.incarnation) {
            self.become_refused(from, Refusal::Replaced(Arc::clone(members)));
        } else if Charter::of(members) == *self.charter {
            self.pledge(Arc::clone(members), out);
        }
    }

    fn pledge(&mut self, members: Arc<Members>, out: &mut Outcome) {
        let Founder::Gathering { heard } = &*self.state else { return };
        let agrees = |theirs: &Announcement| theirs.pledge.as_ref() == Some(&members);
        let agreed = heard.iter().filter(|(_, theirs)| agrees(theirs)).map(|(server, _)| *server);
        let agreed = agreed.chain([self.id]).collect();
        *self.state = Founder::Pledged { members, agreed };
        out.pledged = true;
        self.announce_to_all(out);
    }

    /// The group is founded when all members have pledged themselves to be its members.
    fn try_found(&self, out: &mut Outcome) {
        if let Founder::Pledged { members, agreed } = &*self.state
            && members.servers().all(|server| agreed.contains(&server))
        {
            out.founded = Some(Arc::clone(members));
        }
    }

    fn announce_to_all(&self, out: &mut Outcome) {
        out.announce.extend(self.charter.servers.iter().filter(|server| **server != self.id));
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Founded(members) => write!(f, "the group was founded with {members}"),
            Self::Forgotten(members) => write!(
                f,
                "the group was founded with {members}, and the disk of this server does not hold \
                 its part in that"
            ),
            Self::Replaced(members) => {
                write!(f, "that server has agreed to found the group with {members}")
            }
        }
    }
}

impl Debug for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announce(announcement) => match &announcement.pledge {
                None => write!(f, "Announce({})", announcement.incarnation),
                Some(members) => write!(f, "Announce({} {members})", announcement.incarnation),
            },
            Self::Founded(members) => write!(f, "Founded({members})"),
        }
    }
}

impl Debug for Founder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gathering { heard } => {
                let heard = heard.iter().map(|(server, theirs)| (server, theirs.incarnation));
                f.write_str("gathering ")?;
                f.debug_map().entries(heard).finish()
            }
            Self::Pledged { members, agreed } => {
                write!(f, "pledged to {members}, as have {agreed:?}")
            }
            Self::Refused { by, refusal, pledge: _ } => write!(f, "refused by {by}: {refusal}"),
        }
    }
}

#[cfg(test)]
mod tests;
