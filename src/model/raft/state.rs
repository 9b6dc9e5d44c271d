//! The state of one server [Raft Fig. 2], with each role's data inside the role.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::log::{Command, Entry, Log, Position};
use super::membership::{Incarnation, Members};
use super::progress::Progress;
use crate::types::{Index, NodeId, Term};

/// The identity of a server and its bounds, which never change. The members of its group are in its
/// log.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Config {
    /// This server.
    pub id: NodeId,
    /// The number that this server drew when its disk was new.
    pub incarnation: Incarnation,
    /// How much goes into one message, and how many may be under way.
    pub limits: Limits,
}

/// Bounds on what is sent together. They shape messages and change no outcome.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Limits {
    /// Most entries in one AppendEntries; at least 1.
    pub batch_entries: usize,
    /// Most bytes of entries in one AppendEntries. An entry larger than that travels alone.
    pub batch_bytes: usize,
    /// Another AppendEntries goes to a follower as long as fewer entries than this are unanswered.
    /// With 1 each request waits for the answer to the one before, and carries whatever has
    /// gathered in between.
    pub window: usize,
}

impl Limits {
    /// Those of the runtime.
    pub const DEFAULT: Self = Self { batch_entries: 1024, batch_bytes: 64 << 10, window: 1 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What must survive a crash [Raft Fig. 2, "persistent state on all servers"].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Persistent<C: Clone> {
    /// The latest term this server has seen.
    pub term: Term,
    /// The candidate it voted for in that term.
    pub vote: Option<NodeId>,
    /// The log, which begins with the members of the group.
    pub log: Log<C>,
    /// The index of an entry that the server has acknowledged and that is not in its log: its disk
    /// was replaced by an older copy, or has lost data. Such a server takes no part in the group
    /// any more: what else it has promised it may have forgotten, too.
    pub lost: Option<Index>,
}

/// The state of a server that belongs to no group, for those who look at states only.
impl<C: Clone> Default for Persistent<C> {
    fn default() -> Self {
        Self::founded(Arc::default())
    }
}

impl<C: Clone> Persistent<C> {
    /// The state of every member when its group has just been founded.
    #[must_use]
    pub fn founded(members: Arc<Members>) -> Self {
        Self { term: Term::default(), vote: None, log: Log::founded(members), lost: None }
    }
}

/// What a server is at the moment [Raft §5.1].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Role {
    /// Takes what the leader of its term sends, if it has heard of one.
    Follower {
        /// The leader of the current term, once it is known.
        leader: Option<NodeId>,
    },
    /// Wants to lead its term.
    Candidate {
        /// The servers that voted for it, itself among them. A set: the network may deliver a vote
        /// twice.
        votes: BTreeSet<NodeId>,
    },
    /// Leads its term.
    Leader {
        /// What it knows of each other server.
        progress: BTreeMap<NodeId, Progress>,
    },
}

/// All that a server is and knows.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct State<C: Clone> {
    /// What survives a crash.
    pub persistent: Persistent<C>,
    /// The highest index known to be committed. Lost in a crash, and learnt again.
    pub commit: Index,
    /// What the server is at the moment.
    pub role: Role,
}

impl<C: Clone> State<C> {
    /// A server as it starts, for the first time or after a crash: a follower that knows no leader.
    #[must_use]
    pub fn restart(persistent: Persistent<C>) -> Self {
        Self { persistent, commit: Index::ZERO, role: Role::Follower { leader: None } }
    }

    /// The latest term this server has seen.
    #[must_use]
    pub fn term(&self) -> Term {
        self.persistent.term
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log<C> {
        &self.persistent.log
    }

    /// The members of the group, as this server's log says.
    #[must_use]
    pub fn members(&self) -> &Arc<Members> {
        self.persistent.log.members()
    }

    /// Where the log ends.
    #[must_use]
    pub fn last(&self) -> Position {
        self.persistent.log.last()
    }

    /// Whether this server leads its term.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// What a leader knows of the other servers.
    #[must_use]
    pub fn progress(&self) -> Option<&BTreeMap<NodeId, Progress>> {
        match &self.role {
            Role::Leader { progress } => Some(progress),
            Role::Follower { .. } | Role::Candidate { .. } => None,
        }
    }

    /// The entries known to be committed, in order.
    pub fn committed(&self) -> impl Iterator<Item = &Entry<C>> {
        self.log().range(Index::ZERO, self.commit)
    }
}

impl<C: Command> State<C> {
    /// The entries behind `after` that go into one message: those that fit together, or the next
    /// one alone.
    #[must_use]
    pub fn batch(&self, after: Index, limits: &Limits) -> Vec<Entry<C>> {
        let mut bytes = 0;
        let fits = |entry: &&Entry<C>| {
            let first = bytes == 0;
            bytes += entry.bytes();
            first || bytes <= limits.batch_bytes
        };
        let last = Index(after.0 + limits.batch_entries as u64);
        self.log().range(after, last).take_while(fits).cloned().collect()
    }
}

// States are read by people, in counterexamples and in the Explorer: a line each.

impl<C: Clone + Debug> Debug for Persistent<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.term.to_string())?;
        if let Some(vote) = self.vote {
            write!(f, " voted {vote}")?;
        }
        // Entries on one line even where the rest is spread out.
        write!(f, " log {:?}", self.log)?;
        match self.lost {
            None => Ok(()),
            Some(index) => write!(f, " has lost {index}"),
        }
    }
}

impl Debug for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Follower { leader: None } => f.write_str("follower"),
            Self::Follower { leader: Some(leader) } => write!(f, "follower of {leader}"),
            Self::Candidate { votes } => write!(f, "candidate with {votes:?}"),
            Self::Leader { progress } => write!(f, "leader {progress:?}"),
        }
    }
}

impl<C: Clone + Debug> Debug for State<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} commit {}", self.role, self.persistent, self.commit)
    }
}
