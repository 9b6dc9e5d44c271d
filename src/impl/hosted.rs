//! Remarks of an actor for the people who look after the cluster, and the end that it may come to.
//!
//! An actor says nothing to people by itself: a step is a function of its state and one event. Its
//! host looks at the state and at each message, and writes to the log what an operator must know.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::actor::NodeActor;
use model::founding::{self, Announcement, Charter, Founder, Refusal};
use model::node::{Node, Setup};
use model::raft::{Incarnation, Members, Outcome, Rpc};
use model::replica::{self, Hearing, Kind, Message, Replica, Room};
use model::shard::config::Servers;
use model::shard::migration;
use model::types::NodeId;
use stateright::actor::{Actor, Id};

use crate::clock;

/// The shortest time between two equal remarks in the log.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Most different remarks to remember.
const MOST_REMARKS: usize = 256;

/// An actor with something to say to people.
pub trait Hosted: Actor {
    /// A remark on a message that has come in, made before the actor's step.
    fn remark(&self, state: &Self::State, from: Id, message: &Self::Msg) -> Option<String> {
        let _ = (state, from, message);
        None
    }

    /// Tells the actor how much room its disk has.
    fn set_room(&self, state: &mut Self::State, room: Room) {
        let _ = (state, room);
    }

    /// Notes the server that is heard by a message that has come in, and tells the actor which
    /// servers were heard lately if its step needs to know that. Called before the step.
    fn hear(&self, state: &mut Self::State, heard: &mut Heard, from: Id, message: &Self::Msg) {
        let _ = (state, heard, from, message);
    }

    /// The trouble that the actor is in for good, if it is.
    fn trouble(&self, state: &Self::State) -> Option<Trouble> {
        let _ = state;
        None
    }
}

/// The trouble that an actor is in for good, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The actor can never do its work: its node stops.
    Ends(String),
    /// The actor takes no part any more, and tells whoever asks.
    Idles(String),
}

/// The time at which each server was last heard.
#[derive(Debug, Default)]
pub struct Heard(BTreeMap<NodeId, Instant>);

impl Heard {
    /// Notes that a server is heard at this moment.
    fn note(&mut self, server: NodeId) {
        self.0.insert(server, clock::now());
    }

    /// Returns the servers that were heard within this time.
    fn within(&self, time: Duration) -> Servers {
        let now = clock::now();
        let is_recent = |heard: &Instant| now.duration_since(*heard) <= time;
        self.0.iter().filter(|(_, heard)| is_recent(heard)).map(|(server, _)| *server).collect()
    }
}

/// Remarks that were written to the log, so that none is written too often.
#[derive(Debug, Default)]
pub(crate) struct Remarks(BTreeMap<String, Instant>);

impl Remarks {
    /// Writes a remark to the log, unless it was written a short time ago.
    pub(crate) fn write(&mut self, remark: &str) {
        let now = clock::now();
        let is_recent = |written: &Instant| now.duration_since(*written) < AGAIN_AFTER;
        if self.0.get(remark).is_some_and(is_recent) {
            return;
        }
        if self.0.len() >= MOST_REMARKS {
            self.0.retain(|_, written| is_recent(written));
        }
        if self.0.len() < MOST_REMARKS {
            self.0.insert(remark.to_owned(), now);
            tracing::warn!("{remark}");
        }
    }
}

impl Hosted for NodeActor {
    fn remark(&self, state: &Node, from: Id, message: &Message) -> Option<String> {
        let Setup::Server(setup) = &self.setup else { return None };
        let from = NodeId(u16::try_from(usize::from(from)).ok()?);
        match (state, message) {
            (Node::Founder(founder), Message::Founding(founding::Message::Announce(theirs))) => {
                remark_of_founder(setup, founder, from, theirs)
            }
            (Node::Server(replica), Message::Founding(founding::Message::Announce(theirs))) => {
                let members = replica.raft.members();
                let is_member = members.incarnation(from) == Some(theirs.incarnation)
                    && theirs.charter == Charter::of(members);
                (!is_member).then(|| refused(from, theirs.incarnation, members))
            }
            (Node::Server(replica), Message::Founding(founding::Message::Founded(theirs))) => {
                let own = replica.raft.members();
                (theirs != own).then(|| {
                    format!(
                        "{from} refuses this server: its group has the members {theirs}, and the \
                         log of this server says {own}"
                    )
                })
            }
            (Node::Server(replica), Message::Raft(message)) => {
                let members = replica.raft.members();
                if !members.admits(from, message.sender) {
                    return Some(refused(from, message.sender.incarnation, members));
                }
                match message.rpc {
                    Rpc::AppendEntriesReply(Outcome::Lost(index)) => Some(format!(
                        "{from} has lost entry {index}, which it had acknowledged: its directory \
                         is an older copy, or has lost data; it does not count any more"
                    )),
                    Rpc::AppendEntriesReply(Outcome::Matched(_) | Outcome::Conflict { .. })
                    | Rpc::AppendEntries { .. }
                    | Rpc::RequestVote { .. }
                    | Rpc::RequestVoteReply => None,
                }
            }
            (
                Node::Founder(_)
                | Node::Server(_)
                | Node::Client { .. }
                | Node::Administrator { .. },
                Message::Raft(_)
                | Message::Request(_)
                | Message::Reply(_)
                | Message::Change(_)
                | Message::Outcome(_)
                | Message::Migration(_)
                | Message::Transaction(_)
                | Message::Founding(_),
            ) => None,
        }
    }

    fn set_room(&self, state: &mut Node, room: Room) {
        state.set_room(room);
    }

    /// The controller hears a group when the leader of the group asks for a configuration.
    fn hear(&self, state: &mut Node, heard: &mut Heard, from: Id, message: &Message) {
        let Setup::Server(replica::Setup { kind: Kind::Controller { .. }, .. }) = &self.setup
        else {
            return;
        };
        if let Message::Migration(migration::Message::Ask(_)) = message
            && let Ok(server) = u16::try_from(usize::from(from))
        {
            heard.note(NodeId(server));
        }
        if let Message::Change(_) = message {
            state.set_hearing(Hearing::Only(heard.within(self.timing.hearing())));
        }
    }

    fn trouble(&self, state: &Node) -> Option<Trouble> {
        let Setup::Server(setup) = &self.setup else { return None };
        match state {
            Node::Founder(Founder::Refused { by, refusal, pledge: _ }) => {
                Some(Trouble::Ends(cannot_belong(setup, *by, refusal)))
            }
            Node::Server(replica) => has_lost(setup, replica).map(Trouble::Idles),
            Node::Founder(Founder::Gathering { .. } | Founder::Pledged { .. })
            | Node::Client { .. }
            | Node::Administrator { .. } => None,
        }
    }
}

fn refused(from: NodeId, incarnation: Incarnation, members: &Members) -> String {
    format!(
        "refused {from} in incarnation {incarnation}: the members of this group are {members}; if \
         {from} has lost its disk, it can not come back under its number"
    )
}

/// A remark on an announcement with which the group can not be founded.
fn remark_of_founder(
    setup: &replica::Setup,
    founder: &Founder,
    from: NodeId,
    theirs: &Announcement,
) -> Option<String> {
    if theirs.charter != setup.charter {
        return Some(format!(
            "{from} is configured to found a group of {}, and this server one of {}: no group is \
             founded before all its servers have the same configuration",
            theirs.charter, setup.charter
        ));
    }
    let pledge = founder.pledge()?;
    let is_stuck = pledge.incarnation(from) != Some(theirs.incarnation)
        || theirs.pledge.as_ref().is_some_and(|theirs| theirs != pledge);
    is_stuck.then(|| {
        format!(
            "this server has agreed to found its group with {pledge}, and {from} is there as {}: \
             the group can not be founded; if no server of it has ever served a client, stop them \
             all, remove their directories and start again",
            theirs.incarnation
        )
    })
}

fn cannot_belong(setup: &replica::Setup, by: NodeId, refusal: &Refusal) -> String {
    let (id, incarnation) = (setup.raft.id, setup.raft.incarnation);
    let members = match refusal {
        Refusal::Founded(members) | Refusal::Forgotten(members) | Refusal::Replaced(members) => {
            members
        }
    };
    let advice = if members.incarnation(id).is_none() {
        "servers can not be added to a group that is founded: take it out of the configuration"
    } else {
        "a server that has lost its disk can not come back under its number: if its directory \
         still exists as the server has left it, not as an older copy, put it back; otherwise \
         leave the server stopped, its group goes on while a majority of the members runs"
    };
    format!("{id} {incarnation} is refused by {by}: {refusal}; {advice}")
}

fn has_lost(setup: &replica::Setup, replica: &Replica) -> Option<String> {
    let index = replica.raft.persistent.lost?;
    Some(format!(
        "{} has lost entry {index}, which it had acknowledged: its directory is an older copy, or \
         has lost data; it takes no part in its group any more, which goes on while a majority of \
         the members runs",
        setup.raft.id
    ))
}

#[cfg(test)]
mod tests {
    use model::actor::Timing;
    use model::node::Storage;
    use model::raft::{Config, Limits};
    use model::shard;
    use model::types::{ConfigNum, GroupId};
    use stateright::actor::Out;

    use super::*;

    /// The servers that a server hears when a server and a client have asked for a configuration,
    /// and another server has said something else.
    fn heard_by(kind: Kind) -> Servers {
        let (id, incarnation) = (NodeId(0), Incarnation::default());
        let raft = Config { id, incarnation, limits: Limits::DEFAULT };
        let setup = replica::Setup::new(raft, kind, [id]);
        let members = Members::new(setup.kind.purpose(), [(id, incarnation)].into());
        let storage = Some(Storage::founded(members.into()));
        let actor =
            NodeActor { setup: Setup::Server(setup), servers: u16::MAX, timing: Timing::LAN };
        let mut state = actor.on_start(Id::from(0), &storage, &mut Out::new());
        let mut heard = Heard::default();
        let ask = Message::Migration(migration::Message::Ask(ConfigNum(1)));
        let other = Message::Migration(migration::Message::Inspect);
        for (from, message) in [(7, &ask), (1 << 32, &ask), (8, &other)] {
            actor.hear(&mut state, &mut heard, Id::from(from), message);
        }
        heard.within(Duration::MAX)
    }

    #[test]
    fn controller_hears_servers_that_ask_for_a_configuration() {
        let servers = |numbers: &[u16]| numbers.iter().copied().map(NodeId).collect::<Servers>();
        assert_eq!(heard_by(Kind::Controller { shards: 1 }), servers(&[7]));
        let group = shard::Group {
            id: GroupId(1),
            shards: 1,
            servers: servers(&[0]),
            controllers: servers(&[9]),
            part_bytes: usize::MAX,
        };
        assert_eq!(heard_by(Kind::Group(group)), servers(&[]), "it needs to hear nobody");
    }
}
