//! Leader election [Raft §5.2, §5.4.1].

use std::collections::{BTreeMap, BTreeSet};

use super::{Command, Entry, Payload, Position, Progress, Role, Rpc, Step, Timer};
use crate::types::NodeId;

impl<C: Command> Step<'_, C> {
    pub(super) fn on_election_timeout(&mut self) {
        if self.state.persistent.lost.is_some() {
            return; // A server that has lost entries takes no part in elections.
        }
        match self.state.role {
            Role::Follower { .. } | Role::Candidate { .. } => self.become_candidate(),
            // A leader cancels the timer; a host may still have it in hand.
            Role::Leader { .. } => {}
        }
    }

    /// "To begin an election, a follower increments its current term and transitions to candidate
    /// state. It then votes for itself and issues RequestVote RPCs in parallel" [Raft §5.2].
    fn become_candidate(&mut self) {
        let persistent = &mut self.state.persistent;
        persistent.term = persistent.term.next();
        persistent.vote = Some(self.config.id);
        self.state.role = Role::Candidate { votes: BTreeSet::from([self.config.id]) };
        self.persist();
        let last = self.state.last();
        for peer in self.peers() {
            self.send(peer, Rpc::RequestVote { last });
        }
        self.fx.arm(Timer::Election);
        self.try_become_leader();
    }

    /// Grants the vote if it is still to be given and the candidate's log is "at least as
    /// up-to-date" [Raft §5.4.1]. A candidate that asks again, because the answer was lost, is
    /// answered again.
    pub(super) fn on_request_vote(&mut self, from: NodeId, last: Position) {
        let free = match self.state.persistent.vote {
            None => true,
            Some(candidate) => candidate == from,
        };
        if !free || last < self.state.last() {
            return; // Silence is the refusal: see `Rpc::RequestVoteReply`.
        }
        assert!(!self.state.is_leader(), "a leader has voted for itself");
        if self.state.persistent.vote.is_none() {
            self.state.persistent.vote = Some(from);
            self.persist();
        }
        self.send(from, Rpc::RequestVoteReply);
        self.fx.arm(Timer::Election);
    }

    pub(super) fn on_vote(&mut self, from: NodeId) {
        match &mut self.state.role {
            Role::Candidate { votes } => {
                // Each member counts once.
                if votes.insert(from) {
                    self.try_become_leader();
                }
            }
            Role::Follower { .. } | Role::Leader { .. } => {} // The election is over.
        }
    }

    fn try_become_leader(&mut self) {
        match &self.state.role {
            Role::Candidate { votes } if votes.len() >= self.state.members().majority() => {
                self.become_leader();
            }
            Role::Candidate { .. } | Role::Follower { .. } | Role::Leader { .. } => {}
        }
    }

    /// Opens the term with an entry of its own: only such an entry commits what earlier terms have
    /// left behind [Raft §8].
    fn become_leader(&mut self) {
        let next = self.state.last().index.next();
        let progress: BTreeMap<_, _> =
            self.peers().into_iter().map(|peer| (peer, Progress::probe(next))).collect();
        self.state.role = Role::Leader { progress };
        let term = self.state.term();
        self.state.persistent.log.push(Entry { term, payload: Payload::Noop });
        self.persist();
        self.fx.cancel(Timer::Election);
        self.fx.arm(Timer::Heartbeat);
        for peer in self.peers() {
            self.send_append_entries(peer);
        }
        self.try_commit();
        assert_eq!(self.state.persistent.vote, Some(self.config.id), "a leader voted for itself");
        assert_eq!(self.state.last().term, term, "a term opens with an entry of its own");
    }
}
