//! What holds of every server at every moment, and of every step it takes.
//!
//! Cheap enough to be checked always: by the checker and the simulator at every step they explore,
//! and in the running system, where a violation stops the process before it can do harm. What
//! concerns several servers at once is in [`crate::properties`].

use super::{Command, Persistent, Position, Role, State};
use crate::types::{Index, NodeId, Term};
use crate::violation::{Violation, demand};

/// What a step may not take back, noted before it.
#[derive(Clone, Debug)]
pub struct Summary {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    last: Position,
    committed: Position,
    lost: Option<Index>,
    leader: bool,
    matched: Vec<Index>,
}

impl Summary {
    /// Notes what `state` may not take back.
    #[must_use]
    pub fn of<C: Command>(state: &State<C>) -> Self {
        Self {
            term: state.term(),
            vote: state.persistent.vote,
            commit: state.commit,
            last: state.last(),
            committed: state.log().position(state.commit).unwrap_or_default(),
            lost: state.persistent.lost,
            leader: state.is_leader(),
            matched: matched(state).collect(),
        }
    }

    /// Whether the server led.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader
    }

    /// Whether `after` is the persistent state that was there before the step.
    #[must_use]
    pub fn is_durably<C: Command>(&self, after: &Persistent<C>) -> bool {
        self.term == after.term
            && self.vote == after.vote
            && self.last == after.log.last()
            && self.lost == after.lost
    }

    /// Checks `after`, the state after a crash and restart, which may have lost only what is not
    /// durable.
    ///
    /// # Errors
    /// The first property that is violated.
    pub fn check_restart<C: Command>(&self, after: &State<C>) -> Result<(), Violation> {
        self.check_terms(after)?;
        check_state(after)
    }

    /// Checks `after`, the state after one step without a crash, in which a follower may have
    /// acknowledged that its log matches up to an index.
    ///
    /// # Errors
    /// The first property that is violated.
    pub fn check_step<C: Command>(
        &self,
        after: &State<C>,
        acknowledged: Option<(NodeId, Index)>,
    ) -> Result<(), Violation> {
        self.check_terms(after)?;
        let same_reign = self.leader && after.is_leader() && self.term == after.term();
        demand("leader_append_only", !same_reign || after.log().contains(self.last), || {
            format!("a leader's log that ended at {:?} is now {:?}", self.last, after.log())
        })?;
        demand("committed_stays", after.log().contains(self.committed), || {
            format!("{:?} was committed, the log is now {:?}", self.committed, after.log())
        })?;
        demand("monotone", self.commit <= after.commit, || {
            format!("commit fell from {} to {}", self.commit, after.commit)
        })?;
        let fell = same_reign && self.matched.iter().zip(matched(after)).any(|(was, is)| is < *was);
        demand("monotone", !fell, || {
            let is: Vec<_> = matched(after).collect();
            format!("matched fell from {:?} to {is:?}", self.matched)
        })?;
        self.check_matched(after, same_reign, acknowledged)?;
        self.check_commit_rule(after)?;
        check_state(after)
    }

    /// A leader knows of a follower what that has told it, "initialized to 0" [Raft Fig. 2].
    fn check_matched<C: Command>(
        &self,
        after: &State<C>,
        same_reign: bool,
        acknowledged: Option<(NodeId, Index)>,
    ) -> Result<(), Violation> {
        let before = if same_reign { &self.matched[..] } else { &[] };
        for (place, (peer, progress)) in after.progress().into_iter().flatten().enumerate() {
            let known = before.get(place).copied().unwrap_or_default();
            let told = acknowledged.filter(|(from, _)| from == peer).map_or(known, |(_, i)| i);
            demand("matched_is_acknowledged", progress.matched <= known.max(told), || {
                format!("{peer} is taken to match up to {}, {known} was known", progress.matched)
            })?;
        }
        Ok(())
    }

    /// Terms only grow, and a term's vote, once given, stays: "each server will vote for at most
    /// one candidate in a given term" [Raft §5.2].
    fn check_terms<C: Command>(&self, after: &State<C>) -> Result<(), Violation> {
        demand("monotone", self.term <= after.term(), || {
            format!("the term fell from {} to {}", self.term, after.term())
        })?;
        let revoked =
            self.term == after.term() && self.vote.is_some() && self.vote != after.persistent.vote;
        demand("vote_once", !revoked, || {
            format!("{}'s vote: {:?}, then {:?}", self.term, self.vote, after.persistent.vote)
        })
    }

    /// "Only log entries from the leader's current term are committed by counting replicas"
    /// [Raft §5.4.2].
    fn check_commit_rule<C: Command>(&self, after: &State<C>) -> Result<(), Violation> {
        let advanced = after.is_leader() && after.commit > self.commit;
        let last = after.log().position(after.commit).unwrap_or_default();
        demand("commit_rule", !advanced || last.term == after.term(), || {
            format!("the leader of {} committed {last:?} by counting", after.term())
        })
    }
}

fn matched<C: Command>(state: &State<C>) -> impl Iterator<Item = Index> {
    state.progress().into_iter().flat_map(|progress| progress.values()).map(|p| p.matched)
}

/// What holds of one server between steps.
fn check_state<C: Command>(state: &State<C>) -> Result<(), Violation> {
    let last = state.last();
    demand("in_range", state.commit <= last.index, || {
        format!("commit {} is beyond the log's end {last:?}", state.commit)
    })?;
    demand("in_range", last.term <= state.term(), || {
        format!("the log ends at {last:?}, in the future of {}", state.term())
    })?;
    let before = state.log().position(Index(last.index.0.saturating_sub(1))).unwrap_or_default();
    demand("in_range", before.term <= last.term, || {
        format!("terms fall along the log: {before:?}, then {last:?}")
    })?;
    match &state.role {
        Role::Follower { .. } => Ok(()),
        Role::Candidate { votes } => {
            let own = state.persistent.vote;
            demand("in_range", own.is_some_and(|id| votes.contains(&id)), || {
                format!("a candidate voted for {own:?} and counts {votes:?}")
            })
        }
        Role::Leader { progress } => {
            let bad =
                progress.iter().find(|(_, p)| p.matched >= p.next || p.next > last.index.next());
            demand("in_range", bad.is_none(), || format!("{bad:?}, the log ends at {last:?}"))?;
            let left_waiting = progress.iter().find(|(_, p)| {
                !p.lost && !p.is_probing() && p.next == p.matched.next() && p.next <= last.index
            });
            demand("sends_on", left_waiting.is_none(), || {
                format!("{left_waiting:?} with nothing under way, the log ends at {last:?}")
            })
        }
    }
}
