//! How shards move between groups while clients go on: what the leaders of groups say to the
//! controller and to each other, and what they log.
//!
//! 1. The controller tells the groups of a new configuration ([`Message::Configuration`]), and a
//!    leader asks for what it has missed ([`Message::Ask`]). It logs the next one
//!    ([`Entry::Configure`]). From that entry on a shard that goes is frozen, and one that comes is
//!    awaited.
//! 2. The new owner says how far it has the shard ([`Message::Want`]), and the former one sends the
//!    next part ([`Message::Part`]), which the new owner logs ([`Entry::Install`]). While a part is
//!    replicated the next is on its way. When the last is applied the shard is served.
//! 3. Before the former owner sends the last part it logs that the new one may have all of the
//!    shard ([`Entry::Release`]). When that is applied the part goes to all servers of the new
//!    owner: a log names no single server of another group.
//! 4. The new owner says that it wants nothing more, and the former one logs that it may forget the
//!    shard ([`Entry::Discard`]).
//!
//! No group waits for another before it takes the next configuration, so a group that is down
//! delays only the shards that it has, or may have. Of a shard that is on its way:
//!
//! - The new owner drops what it has of the shard if a later configuration moves it on.
//! - The former owner directs the shard to its latest owner, perhaps to itself, as long as it has
//!   not released it. Once it has, only the new owner knows whether it has all of the shard. If
//!   not, and if a later configuration moved it, it declines the offer ([`Message::Decline`]), and
//!   the former owner logs that ([`Entry::Decline`]).
//! - A group that is offered a shard by others than the former owner turns to them
//!   ([`Entry::TurnTo`]).
//!
//! All that a leader needs to know for this is in the replicated state, so whoever leads next goes
//! on where the last one stopped. Nothing is remembered of what was sent: every message can be lost
//! or repeated. What a leader has to say it says when something has changed, when it comes to lead,
//! and every time that [`crate::node::Timer::Poll`] fires.
//!
//! A part goes from any leader of the one group to the leader of the other that asked for it. That
//! a shard is there to the end it says only when that is applied; for the next part it asks when it
//! has logged one, as long as no more than one is logged and not applied. So replication and
//! transfer go side by side, and clients of the group wait behind two parts of each shard at most.

mod words;

use std::sync::Arc;

pub use self::words::{Entry, Message};

use super::Group;
use super::config::Servers;
use super::content::{Part, Place};
use super::ownership::{Hold, Ownership};
use super::store::Shards;
use crate::machine::Applied;
use crate::replica;
use crate::types::{ConfigNum, NodeId, ShardId};

/// What a leader does about a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Response {
    /// Nothing: the message is late or early, or not from whom it should be.
    Ignore,
    /// It answers.
    Answer(Message),
    /// It logs an entry, and perhaps answers.
    Log(Entry, Option<Message>),
}

/// What stands in a leader's log, in order, and is not applied yet.
pub type Pending<'a> = [&'a Entry];

/// What a leader says, and to whom.
pub type Said = Vec<(NodeId, replica::Message)>;

impl Shards {
    /// What a leader does about a message from another group, or from one of the controller's
    /// servers.
    #[must_use]
    pub fn respond(
        &self,
        group: &Group,
        from: NodeId,
        message: Message,
        pending: &Pending<'_>,
    ) -> Response {
        let response = match message {
            Message::Configuration(next) => {
                if group.controllers.contains(from) && self.is_ready_for(&next) {
                    Response::Log(Entry::Configure(next), None)
                } else {
                    Response::Ignore
                }
            }
            Message::Offer { shard, since, servers } => self.on_offer(from, shard, since, servers),
            Message::Decline { shard, since } => self.on_decline(from, shard, since),
            Message::Want { shard, since, from: place } => {
                self.on_want(group, from, shard, since, place)
            }
            Message::Part { shard, since, part } => self.on_part(from, shard, since, part, pending),
            // That is for the controller, or a client's business.
            Message::Ask(_) | Message::Inspect | Message::Holdings(_) => Response::Ignore,
        };
        match response {
            // It is there.
            Response::Log(entry, _) if pending.contains(&&entry) => Response::Ignore,
            response => response,
        }
    }

    fn on_offer(
        &self,
        from: NodeId,
        shard: ShardId,
        config: ConfigNum,
        offering: Servers,
    ) -> Response {
        if !offering.contains(from) || config > self.config.num {
            return Response::Ignore; // A forgery, or early: the group will ask when it gets there.
        }
        match self.ownership(shard) {
            Ownership::Awaiting { servers, since, place, .. } if *since == config => {
                if offering == *servers {
                    let from = place.clone();
                    Response::Answer(Message::Want { shard, since: config, from })
                } else {
                    let (since, servers) = (config, offering);
                    Response::Log(Entry::TurnTo { shard, since, servers }, None)
                }
            }
            // The group that this one gave the shard to has handed it on.
            Ownership::Leaving { since, .. } if *since < config => {
                Response::Log(Entry::Discard { shard, since: *since }, None)
            }
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => Response::Answer(if self.has_received(shard, config) {
                Message::Want { shard, since: config, from: Place::End }
            } else {
                Message::Decline { shard, since: config }
            }),
        }
    }

    fn on_decline(&self, from: NodeId, shard: ShardId, config: ConfigNum) -> Response {
        match self.ownership(shard) {
            Ownership::Leaving { servers, since, hold: Hold::Released(Some(_)), .. }
                if *since == config && servers.contains(from) =>
            {
                Response::Log(Entry::Decline { shard, since: config }, None)
            }
            // Early: the configuration that moves the shard on will come. Or settled long since.
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => Response::Ignore,
        }
    }

    fn on_want(
        &self,
        group: &Group,
        from: NodeId,
        shard: ShardId,
        config: ConfigNum,
        place: Place,
    ) -> Response {
        match self.ownership(shard) {
            Ownership::Leaving { servers, since, content, hold, .. }
                if *since == config && servers.contains(from) =>
            {
                if place == Place::End {
                    return Response::Log(Entry::Discard { shard, since: config }, None);
                }
                let part = Arc::new(Part::of(content, place, group.part_bytes));
                if part.to == Place::End && *hold == Hold::Kept {
                    let from = part.from.clone();
                    return Response::Log(Entry::Release { shard, since: config, from }, None);
                }
                Response::Answer(Message::Part { shard, since: config, part })
            }
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => Response::Ignore, // Early, or settled long since.
        }
    }

    fn on_part(
        &self,
        from: NodeId,
        shard: ShardId,
        config: ConfigNum,
        part: Arc<Part>,
        pending: &Pending<'_>,
    ) -> Response {
        match self.ownership(shard) {
            Ownership::Awaiting { servers, since, place, .. }
                if *since == config && servers.contains(from) =>
            {
                let logged = logged(pending, shard, config);
                if logged.len() > 1 || **logged.last().unwrap_or(&place) != part.from {
                    return Response::Ignore; // It has enough to replicate, or has that part.
                }
                let next = Message::Want { shard, since: config, from: part.to.clone() };
                let asks = part.from == *place && part.to != Place::End;
                let entry = Entry::Install { shard, since: config, part };
                Response::Log(entry, asks.then_some(next))
            }
            Ownership::Absent
            | Ownership::Serving(_)
            | Ownership::Awaiting { .. }
            | Ownership::Leaving { .. } => Response::Ignore, // It has all of it, or will ask.
        }
    }

    /// Applies a committed entry. An entry that does
    /// not fit is a repetition: it was applied before, and changes nothing.
    ///
    /// What it has to say about what follows in its log, [`Self::ask_ahead`] gives.
    pub fn apply_entry(&mut self, group: &Group, entry: &Entry, out: &mut Applied) {
        match entry {
            Entry::Configure(next) => {
                if self.is_ready_for(next) {
                    self.next = Some(Arc::clone(next));
                    self.transactions.on_other_shards();
                    self.refuse_attempts(next.num, out);
                    self.make_way(next.num, out);
                }
            }
            Entry::Install { shard, since, part } => {
                if let Some(servers) = self.install(*shard, *since, part)
                    && part.to == Place::End
                {
                    let (shard, since, from) = (*shard, *since, Place::End);
                    say(&mut out.said, &servers, &Message::Want { shard, since, from });
                }
            }
            Entry::TurnTo { shard, since, servers } => {
                if self.turn_to(*shard, *since, servers) {
                    self.ask_for_rest(*shard, &mut out.said);
                }
            }
            Entry::Release { shard, since, from } => {
                if let Some((servers, content)) = self.release(*shard, *since) {
                    let part = Arc::new(Part::of(content, from.clone(), group.part_bytes));
                    let (shard, since) = (*shard, *since);
                    say(&mut out.said, servers, &Message::Part { shard, since, part });
                }
            }
            Entry::Decline { shard, since } => {
                if self.redirect(*shard, *since) {
                    self.offer(group, *shard, &mut out.said);
                }
            }
            Entry::Discard { shard, since } => {
                self.discard(*shard, *since);
                self.ask_for_rest(*shard, &mut out.said);
            }
        }
    }

    /// What a leader has to say when it has applied so many parts of a shard at once and these
    /// entries follow: whether it can do with another. When it logged the last of them it has asked
    /// for the next, unless another was open then.
    #[must_use]
    pub fn ask_ahead(
        &self,
        (shard, since): (ShardId, ConfigNum),
        applied: usize,
        pending: &Pending<'_>,
    ) -> Said {
        let mut said = Vec::new();
        match (self.ownership(shard), &logged(pending, shard, since)[..]) {
            (Ownership::Awaiting { .. }, [to]) => self.ask_for(shard, to, &mut said),
            (Ownership::Awaiting { place, .. }, []) if applied > 1 => {
                self.ask_for(shard, place, &mut said);
            }
            (Ownership::Awaiting { .. }, _)
            | (Ownership::Absent | Ownership::Serving(_) | Ownership::Leaving { .. }, _) => {}
        }
        said
    }

    /// What a leader has to say when it begins to lead, and now and then: whatever was said before
    /// may be lost.
    #[must_use]
    pub fn say_again(&self, group: &Group, pending: &Pending<'_>) -> Said {
        let mut said = Vec::new();
        self.ask_for_what_comes(group, pending, &mut said);
        for (shard, _) in self.iter() {
            self.offer(group, shard, &mut said);
        }
        self.say_transactions_again(&mut said);
        said
    }

    /// Offers a shard to its new owner, if it is leaving.
    pub(super) fn offer(&self, group: &Group, shard: ShardId, said: &mut Said) {
        if let Ownership::Leaving { servers: theirs, since, .. } = self.ownership(shard) {
            let (since, servers) = (*since, group.servers.clone());
            say(said, theirs, &Message::Offer { shard, since, servers });
        }
    }

    /// Asks for the shards that are awaited, and for the next configuration.
    pub(super) fn ask_for_what_comes(&self, group: &Group, pending: &Pending<'_>, said: &mut Said) {
        for (shard, ownership) in self.iter() {
            if let Ownership::Awaiting { since, place, .. } = ownership {
                let logged = logged(pending, shard, *since);
                if logged.len() < 2 {
                    self.ask_for(shard, logged.last().unwrap_or(&place), said);
                }
            }
        }
        // Also while the group must wait with the one that it has: so the controller hears it.
        let next = Message::Ask(self.config.num.next());
        say(said, &group.controllers, &next);
    }

    /// Asks for what is missing of a shard, if it is awaited.
    fn ask_for_rest(&self, shard: ShardId, said: &mut Said) {
        if let Ownership::Awaiting { place, .. } = self.ownership(shard) {
            self.ask_for(shard, place, said);
        }
    }

    /// Asks for the part of a shard that begins at `from`, if it is awaited and there is one. That
    /// it has all of it the group does not say before it is applied.
    fn ask_for(&self, shard: ShardId, from: &Place, said: &mut Said) {
        if let Ownership::Awaiting { servers, since, .. } = self.ownership(shard)
            && *from != Place::End
        {
            say(said, servers, &Message::Want { shard, since: *since, from: from.clone() });
        }
    }
}

/// How far each part of this move reaches that is logged and not applied.
fn logged<'a>(pending: &Pending<'a>, shard: ShardId, config: ConfigNum) -> Vec<&'a Place> {
    let reaches = |entry: &&'a Entry| match entry {
        Entry::Install { shard: of, since, part } if (*of, *since) == (shard, config) => {
            Some(&part.to)
        }
        Entry::Install { .. }
        | Entry::Configure(_)
        | Entry::TurnTo { .. }
        | Entry::Release { .. }
        | Entry::Decline { .. }
        | Entry::Discard { .. } => None,
    };
    pending.iter().filter_map(reaches).collect()
}

/// To all of them: only one leads, and who that is only they know.
fn say(said: &mut Said, servers: &Servers, message: &Message) {
    let message = |server| (server, replica::Message::Migration(message.clone()));
    said.extend(servers.iter().map(message));
}
