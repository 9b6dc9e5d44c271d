//! The four messages of Raft, and why each is there.
//!
//! A message that Raft does not need is paid for at every explored state, and in datagrams. So
//! nothing here answers a stale request, no vote is refused in words, and an empty
//! AppendEntries that finds all well is not answered. `docs/protocol/raft.md` argues why liveness
//! does not need what is left out.

use std::fmt::{self, Debug, Formatter};

use serde::{Deserialize, Serialize};

use super::log::{Entry, Position};
use super::membership::Credentials;
use crate::types::{Index, Term};

/// A message from one server to another.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Message<C> {
    /// The proof that the sender is a member. A message with other credentials has no effect.
    pub sender: Credentials,
    /// The sender's term. Whoever sees a higher one than its own adopts it; a lower one is
    /// ignored [Raft §5.1].
    pub term: Term,
    /// What is asked or answered.
    pub rpc: Rpc<C>,
}

impl<C> Message<C> {
    /// Whether it is an AppendEntries with entries.
    #[must_use]
    pub fn has_entries(&self) -> bool {
        match &self.rpc {
            Rpc::AppendEntries { entries, .. } => !entries.is_empty(),
            Rpc::RequestVote { .. } | Rpc::RequestVoteReply | Rpc::AppendEntriesReply(_) => false,
        }
    }

    /// Up to where its sender says that its log matches, if it says so.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Index> {
        match &self.rpc {
            Rpc::AppendEntriesReply(Outcome::Matched(index)) => Some(*index),
            Rpc::RequestVote { .. }
            | Rpc::RequestVoteReply
            | Rpc::AppendEntries { .. }
            | Rpc::AppendEntriesReply(Outcome::Conflict { .. } | Outcome::Lost(_)) => None,
        }
    }
}

/// What a message asks or answers [Raft Fig. 2].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Rpc<C> {
    /// A candidate asks for a vote in its term.
    RequestVote {
        /// Where the candidate's log ends: voters refuse one whose log is behind theirs.
        last: Position,
    },
    /// The vote is granted. There is no word for a refusal: a candidate that hears nothing
    /// campaigns again when its election timer runs out, and that is all a refusal could tell it.
    RequestVoteReply,
    /// The leader hands on entries, and says how far the log is committed. Without entries it is
    /// the heartbeat, and `prev` is the last entry that the follower has acknowledged.
    AppendEntries {
        /// What must stand directly before the entries.
        prev: Position,
        /// The entries, in order.
        entries: Vec<Entry<C>>,
        /// The leader's commit index.
        commit: Index,
    },
    /// How an AppendEntries went. It says which request it answers, so that a late reply is not
    /// taken for the answer to another request.
    AppendEntriesReply(Outcome),
}

/// How an AppendEntries went.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Outcome {
    /// The follower's log agrees with the leader's up to here, durably. Sent for entries only: a
    /// leader sends an AppendEntries without entries only where it knows that it will match.
    Matched(Index),
    /// `prev` did not match.
    Conflict {
        /// The `prev` that was asked for: identifies the request.
        rejected: Index,
        /// The follower's best guess where the logs may agree: its last entry at or before
        /// `rejected` whose term is not above the asked one. Skips whole terms [Raft §5.3].
        hint: Position,
    },
    /// The follower's log does not hold the entry at this index, although the follower has
    /// acknowledged it: its disk has lost what it had promised to keep. The follower takes no part
    /// in the group any more, see [`Persistent::lost`](super::Persistent::lost).
    Lost(Index),
}

impl<C: Debug> Debug for Message<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.term)?;
        match &self.rpc {
            Rpc::RequestVote { last } => write!(f, "RequestVote(last {last:?})"),
            Rpc::RequestVoteReply => f.write_str("Vote"),
            Rpc::AppendEntries { prev, entries, commit } => {
                write!(f, "AppendEntries(after {prev:?} {entries:?} commit {commit})")
            }
            Rpc::AppendEntriesReply(Outcome::Matched(index)) => write!(f, "Matched({index})"),
            Rpc::AppendEntriesReply(Outcome::Conflict { rejected, hint }) => {
                write!(f, "Conflict({rejected}, try {hint:?})")
            }
            Rpc::AppendEntriesReply(Outcome::Lost(index)) => write!(f, "Lost({index})"),
        }
    }
}
