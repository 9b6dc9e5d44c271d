//! Transactions over several groups: two-phase commit between replicated state machines
//! [Gray-Lamport §3], with locks held from prepare to decision [Bernstein §3].
//!
//! 1. A request goes to the group that owns the transaction's first key, as any request goes to the
//!    owner of its key. That group is its **coordinator** ([`coordinator`]). When the keys that it
//!    owns itself are free it locks them and asks the other owners, the **participants**, to do the
//!    same ([`Message::Prepare`]). If there are none, the transaction is carried out at once, and
//!    that is all.
//! 2. A participant ([`participant`]) locks its keys as soon as they are free, and votes: with the
//!    values that the transaction reads ([`Vote::Yes`]).
//! 3. With the last vote the coordinator carries the transaction out on all values. What comes of
//!    it is the answer to the client, and the decision, which the participants are told
//!    ([`Message::Decide`]) until each has acknowledged it ([`Message::Settled`]).
//!
//! Whatever a group promises or decides is an entry of its log before anybody hears of it, and
//! nothing else is remembered: the next leader goes on where the last one stopped. Each message
//! names the attempt that it belongs to. The next attempt begins only when all have acknowledged
//! the end of the last, so at any time one attempt of a transaction is alive, and whoever has voted
//! has a coordinator that knows what it voted for.
//!
//! **Conflicts** ([`queue`], `turns`). A transaction that finds a key locked waits. The older of
//! two transactions is never kept waiting by what the younger one might yet wait for: it *wounds*
//! the younger ([`Message::Wound`]), whose coordinator gives up the attempt, unless it has decided,
//! and begins another [Rosenkrantz, wound-wait]. Ages come from clocks that groups set forward when
//! they hear of a younger transaction or of another group's clock \[Lamport\], so everybody's turn
//! comes. Operations on one key wait for locks, too, but lock nothing: they are carried out as soon
//! as the locks of their key are gone, and no transaction overtakes them.
//!
//! **Moves.** An attempt belongs to one configuration. A group that is not there yet is asked
//! again; one that has gone further refuses ([`Vote::No`]), and the next attempt is made under a
//! later configuration. A shard with a locked key does not leave: its group takes no new locks on
//! what will leave, gives up attempts that hold some and are not decided, and goes on to the next
//! configuration when the last one there is free. So
//! attempts wait for attempts of earlier configurations or for older ones of their own: never in a
//! circle.
//!
//! **Exactly once.** The session that remembers a transaction is that of its first key's shard, and
//! goes where the shard goes: whoever coordinates it next knows whether it has been carried out.

pub mod coordinator;
pub mod locks;
mod outstanding;
pub mod participant;
pub mod queue;
mod turns;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use im::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use self::coordinator::{Reaction, Record};
use self::locks::Locks;
use self::participant::{Fence, Share};
use self::queue::{Due, Queue};
use super::config::{Configuration, Servers};
use super::migration::Said;
use super::route::shard_of;
use super::store::Shards;
use crate::kv::command::{Key, Value};
use crate::kv::transaction::{Access, Transaction};
use crate::machine::Applied;
use crate::replica;
use crate::types::{ClientId, ConfigNum, GroupId, NodeId, RequestId};

/// A transaction. The older come before the younger; of the same age are those of different
/// coordinators \[Lamport\]. It is another one when another group coordinates it: no two groups,
/// however far apart their clocks are, name two transactions alike.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct TxnId {
    /// When it came, by the clock of its coordinator.
    pub age: u64,
    /// The group that coordinates it.
    pub coordinator: GroupId,
    /// The session that asked.
    pub client: ClientId,
    /// The request's number there.
    pub number: RequestId,
}

/// One attempt to carry out a transaction.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Attempt {
    /// The transaction.
    pub txn: TxnId,
    /// The configuration that says who owns its keys.
    pub config: ConfigNum,
    /// Which attempt of its coordinator it is, from 1 on.
    pub count: u32,
}

/// What a transaction needs of one group: keys, in order, and what each is needed for.
pub type Claim = Vec<(Key, Access)>;

/// Keys, in order, and what is or shall be under each.
pub type Contents = Vec<(Key, Option<Value>)>;

/// What groups tell each other about transactions.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Message {
    /// The coordinator asks for locks.
    Prepare {
        /// For this attempt.
        attempt: Attempt,
        /// The servers of the coordinator.
        coordinator: Servers,
        /// The keys.
        claim: Arc<Claim>,
    },
    /// The participant answers, when it has them.
    Vote {
        /// The attempt.
        attempt: Attempt,
        /// Its answer.
        vote: Vote,
        /// Clock of the participant: that of the coordinator runs ahead of it from then on.
        clock: u64,
    },
    /// An older transaction needs what the attempt has locked.
    Wound {
        /// The attempt.
        attempt: Attempt,
    },
    /// The coordinator has decided.
    Decide {
        /// What the attempt comes to.
        attempt: Attempt,
        /// The servers of the coordinator.
        coordinator: Servers,
        /// For this participant.
        decision: Decision,
    },
    /// The participant has done as it was told, or had before.
    Settled {
        /// The attempt.
        attempt: Attempt,
    },
}

/// A participant's answer.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Vote {
    /// The keys are locked until the decision. This is under those that are read.
    Yes(Arc<Contents>),
    /// What is under them is too much for a message.
    TooLarge,
    /// The group has reached or is about to reach this configuration, a later one than the
    /// attempt's.
    No(ConfigNum),
    /// A later transaction of the client has been here.
    Late,
}

/// What an attempt comes to, for one participant.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Decision {
    /// The transaction is carried out, and this is what it leaves there.
    Commit(Arc<Contents>),
    /// It is not, this time.
    Abort,
}

/// What a group logs. Each says what has come in and has not been known yet.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Entry {
    /// See [`Message::Prepare`].
    Prepare {
        /// The attempt.
        attempt: Attempt,
        /// The servers of the coordinator.
        coordinator: Servers,
        /// The keys.
        claim: Arc<Claim>,
    },
    /// See [`Message::Vote`].
    Vote {
        /// The attempt.
        attempt: Attempt,
        /// Whose.
        group: GroupId,
        /// Its answer.
        vote: Vote,
        /// Clock of the participant.
        clock: u64,
    },
    /// See [`Message::Wound`].
    Wound {
        /// The attempt.
        attempt: Attempt,
    },
    /// See [`Message::Decide`].
    Decide {
        /// The attempt.
        attempt: Attempt,
        /// The servers of the coordinator.
        coordinator: Servers,
        /// The decision.
        decision: Decision,
    },
    /// See [`Message::Settled`].
    Settled {
        /// The attempt.
        attempt: Attempt,
        /// Whose.
        group: GroupId,
    },
}

impl Entry {
    /// Whether it makes another entry needless that would follow. A participant votes once in an
    /// attempt; when it says its vote again its clock may be another one.
    fn is_as_good_as(&self, later: &Self) -> bool {
        match (self, later) {
            (
                Self::Vote { attempt, group, .. },
                Self::Vote { attempt: later, group: whose, .. },
            ) => (attempt, group) == (later, whose),
            (
                Self::Prepare { .. }
                | Self::Vote { .. }
                | Self::Wound { .. }
                | Self::Decide { .. }
                | Self::Settled { .. },
                _,
            ) => self == later,
        }
    }
}

/// What a group has to do with transactions, apart from those that it carries out at once.
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Transactions {
    /// The age of the youngest transaction that the group has heard of.
    pub clock: u64,
    /// Who holds which keys.
    pub locks: Locks,
    /// Those that the group coordinates.
    pub records: OrdMap<TxnId, Record>,
    /// The requests that these came with.
    in_hand: OrdSet<(ClientId, RequestId)>,
    /// The attempts of others that it takes part in, or will when it can.
    pub shares: OrdMap<TxnId, Share>,
    /// What must not begin again here.
    fences: OrdMap<ClientId, Fence>,
    /// Requests and transactions that wait for keys.
    pub queue: Queue,
    /// Keys and turns that the entry being applied has set free.
    due: Due,
}

impl Transactions {
    /// Whether a request is waiting for its turn, or being carried out.
    #[must_use]
    pub fn has_in_hand(&self, client: ClientId, number: RequestId) -> bool {
        self.in_hand.contains(&(client, number)) || self.queue.has_request(client, number)
    }

    /// Number of transactions that the group coordinates or takes part in.
    #[must_use]
    pub fn open(&self) -> usize {
        self.records.len() + self.shares.len()
    }

    /// Whether nobody holds a key, waits for one, or has to be told a decision.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.locks.is_empty()
            && self.records.is_empty()
            && self.shares.is_empty()
            && self.queue.is_empty()
    }

    /// Whether an entry has changed something that may let somebody go on.
    #[must_use]
    pub fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Notes that the group has other shards than before, or is about to.
    pub(super) fn on_other_shards(&mut self) {
        self.due.everything = true;
    }

    /// Takes the keys of a claim from a transaction.
    fn release(&mut self, txn: TxnId, claim: &Claim) {
        self.locks.release(txn, claim);
        self.due.free(claim);
    }

    /// There is nothing left of a transaction that the group coordinates.
    fn forget(&mut self, txn: TxnId) {
        self.records.remove(&txn);
        self.in_hand.remove(&(txn.client, txn.number));
    }
}

impl Shards {
    /// What a leader does about what another group has said, if anything.
    #[must_use]
    pub fn react(&self, from: NodeId, message: Message, pending: &[&Entry]) -> Option<Reaction> {
        let reaction = match message {
            Message::Prepare { attempt, coordinator, claim } if coordinator.contains(from) => {
                self.on_prepare(attempt, coordinator, claim)
            }
            Message::Decide { attempt, coordinator, decision } if coordinator.contains(from) => {
                self.on_decide(attempt, coordinator, decision)
            }
            // It speaks for another group.
            Message::Prepare { .. } | Message::Decide { .. } => None,
            Message::Vote { attempt, vote, clock } => self.on_vote(from, attempt, vote, clock),
            Message::Wound { attempt } => self.on_wound(attempt),
            Message::Settled { attempt } => self.on_settled(from, attempt),
        };
        match reaction {
            // It is there.
            Some(Reaction::Log(entry)) if pending.iter().any(|it| it.is_as_good_as(&entry)) => None,
            reaction => reaction,
        }
    }

    /// Applies a committed entry. One that does not fit is a repetition, and changes nothing.
    pub fn apply_transaction(&mut self, entry: &Entry, out: &mut Applied) {
        match entry {
            Entry::Prepare { attempt, coordinator, claim } => {
                self.prepare(*attempt, coordinator, claim, out);
            }
            Entry::Vote { attempt, group, vote, clock } => {
                self.count_vote(*attempt, *group, (vote, *clock), out);
            }
            Entry::Wound { attempt } => self.wound(*attempt, out),
            Entry::Decide { attempt, coordinator, decision } => {
                self.settle(*attempt, coordinator, decision, out);
            }
            Entry::Settled { attempt, group } => self.count_settled(*attempt, *group, out),
        }
    }
}

/// To all of them: only one leads, and who that is only they know.
fn say(said: &mut Said, servers: &Servers, message: &Message) {
    let message = |server| (server, replica::Message::Transaction(message.clone()));
    said.extend(servers.iter().map(message));
}

/// What a transaction needs of each group.
#[must_use]
pub fn claims(transaction: &Transaction, config: &Configuration) -> BTreeMap<GroupId, Claim> {
    let shards = config.assignment.len() as u16;
    let mut claims: BTreeMap<GroupId, Claim> = BTreeMap::new();
    for (key, access) in transaction.accesses() {
        if let Some(owner) = config.assignment.owner(shard_of(key, shards)) {
            claims.entry(owner).or_default().push((key.clone(), *access));
        }
    }
    claims
}

impl Debug for TxnId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}@{}:{}", self.client, self.number, self.coordinator, self.age)
    }
}

impl Debug for Attempt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}/{}", self.txn, self.config, self.count)
    }
}

impl Debug for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare { attempt, claim, .. } => write!(f, "Prepare({attempt:?} {claim:?})"),
            Self::Vote { attempt, vote, clock } => {
                write!(f, "Vote({attempt:?} {vote:?} at {clock})")
            }
            Self::Wound { attempt } => write!(f, "Wound({attempt:?})"),
            Self::Decide { attempt, decision, .. } => {
                write!(f, "Decide({attempt:?} {decision:?})")
            }
            Self::Settled { attempt } => write!(f, "Settled({attempt:?})"),
        }
    }
}

impl Debug for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare { attempt, claim, .. } => write!(f, "prepare {attempt:?} {claim:?}"),
            Self::Vote { attempt, group, vote, clock } => {
                write!(f, "{group} votes {attempt:?} {vote:?} at {clock}")
            }
            Self::Wound { attempt } => write!(f, "wound {attempt:?}"),
            Self::Decide { attempt, decision, .. } => write!(f, "decide {attempt:?} {decision:?}"),
            Self::Settled { attempt, group } => write!(f, "{group} has settled {attempt:?}"),
        }
    }
}

impl Debug for Transactions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "clock {} {:?} records {:?}", self.clock, self.locks, self.records)?;
        write!(f, " shares {:?} fences {:?} {:?}", self.shares, self.fences, self.queue)
    }
}
