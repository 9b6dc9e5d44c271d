//! Log replication and commitment [Raft §5.3, §5.4.2].

use super::{Command, Entry, Outcome, Payload, Position, Progress, Role, Rpc, Step, Timer, quorum};
use crate::types::{Index, NodeId};

impl<C: Command> Step<'_, C> {
    /// Adds a command to the leader's log and starts to replicate it. Says whether this server
    /// leads; only a leader takes commands.
    pub fn propose(&mut self, command: C) -> bool {
        if !self.state.is_leader() {
            return false;
        }
        let term = self.state.term();
        self.state.persistent.log.push(Entry { term, payload: Payload::Command(command) });
        self.persist();
        for peer in self.peers() {
            self.try_send_append_entries(peer);
        }
        self.try_commit();
        true
    }

    /// Shows the followers that the leader is there, and sends again what they have not answered.
    pub(super) fn on_heartbeat_timeout(&mut self) {
        match &mut self.state.role {
            Role::Leader { progress } => progress.values_mut().for_each(Progress::rewind),
            // A deposed leader cancels the timer; a host may still have it in hand.
            Role::Follower { .. } | Role::Candidate { .. } => return,
        }
        for peer in self.peers() {
            self.send_heartbeat(peer);
            self.send_again(peer);
        }
        self.fx.arm(Timer::Heartbeat);
    }

    /// Sends the follower an AppendEntries without entries, behind the last one that it has
    /// acknowledged; if it has acknowledged none, behind entry 0, which every member has. It is
    /// small, whatever the follower lacks. A follower that does not have that entry has lost it.
    fn send_heartbeat(&mut self, to: NodeId) {
        let Some(progress) = self.state.progress() else { return };
        let prev = self.position(progress[&to].matched);
        let commit = self.state.commit;
        self.send(to, Rpc::AppendEntries { prev, entries: Vec::new(), commit });
    }

    /// Sends the follower again the entries that it has not acknowledged.
    fn send_again(&mut self, to: NodeId) {
        let Some(progress) = self.state.progress() else { return };
        let progress = progress[&to];
        if !progress.lost && progress.next <= self.state.last().index {
            self.send_append_entries(to);
        }
    }

    /// Sends the follower what it lacks, unless it has not yet answered for what it was sent.
    fn try_send_append_entries(&mut self, to: NodeId) {
        let Some(progress) = self.state.progress() else { return };
        let progress = progress[&to];
        if progress.has_room(self.config.limits.window) && progress.next <= self.state.last().index
        {
            self.send_append_entries(to);
        }
    }

    /// Sends the follower the entries from its `next` on, as many as one message takes.
    pub(super) fn send_append_entries(&mut self, to: NodeId) {
        let limits = self.config.limits;
        let Some(progress) = self.state.progress() else { return };
        let prev = self.position(progress[&to].next.previous());
        let entries = self.state.batch(prev.index, &limits);
        let next = Index(prev.index.0 + entries.len() as u64).next();
        let commit = self.state.commit;
        if let Role::Leader { progress } = &mut self.state.role
            && let Some(progress) = progress.get_mut(&to)
            && !progress.is_probing()
        {
            progress.next = next;
        }
        self.send(to, Rpc::AppendEntries { prev, entries, commit });
    }

    /// Takes the leader's entries if the logs agree before them [Raft Fig. 2, AppendEntries].
    pub(super) fn on_append_entries(
        &mut self,
        from: NodeId,
        prev: Position,
        entries: Vec<Entry<C>>,
        commit: Index,
    ) {
        assert!(!self.state.is_leader(), "{} has two leaders", self.state.term());
        self.state.role = Role::Follower { leader: Some(from) };
        self.fx.arm(Timer::Election);

        if !self.state.log().contains(prev) {
            if entries.is_empty() {
                self.become_lost(from, prev.index);
                return;
            }
            let hint = self.state.log().last_at_or_below(prev.index, prev.term);
            let outcome = Outcome::Conflict { rejected: prev.index, hint };
            self.send(from, Rpc::AppendEntriesReply(outcome));
            return;
        }
        let is_heartbeat = entries.is_empty();
        let matched = Index(prev.index.0 + entries.len() as u64);
        self.take_entries(prev, entries);
        // Only what this request has shown to agree with the leader's log: behind `matched` there
        // may be entries of a deposed leader [Raft Fig. 2, "index of last new entry"].
        self.state.commit = self.state.commit.max(commit.min(matched));
        if !is_heartbeat {
            self.send(from, Rpc::AppendEntriesReply(Outcome::Matched(matched)));
        }
    }

    /// The leader's heartbeat stands behind an entry that this server has acknowledged, and the log
    /// does not hold it. Remembers that for ever, since after a restart nobody may notice.
    fn become_lost(&mut self, leader: NodeId, index: Index) {
        self.state.persistent.lost = Some(index);
        self.persist();
        self.send(leader, Rpc::AppendEntriesReply(Outcome::Lost(index)));
    }

    /// A server that has lost an entry tells each leader so, and does nothing else.
    pub(super) fn refuse_part(&mut self, from: NodeId, rpc: &Rpc<C>, lost: Index) {
        match rpc {
            Rpc::AppendEntries { .. } => {
                self.send(from, Rpc::AppendEntriesReply(Outcome::Lost(lost)));
            }
            Rpc::RequestVote { .. } | Rpc::RequestVoteReply | Rpc::AppendEntriesReply(_) => {}
        }
    }

    /// "If an existing entry conflicts with a new one (same index but different terms), delete the
    /// existing entry and all that follow it" [Raft Fig. 2]. Without a conflict nothing is deleted:
    /// the request may be an old one, and what follows may already be acknowledged.
    fn take_entries(&mut self, prev: Position, entries: Vec<Entry<C>>) {
        let log = &mut self.state.persistent.log;
        let mut index = prev.index;
        let mut changed = false;
        for entry in entries {
            index = index.next();
            match log.get(index) {
                Some(present) if present.term == entry.term => continue,
                Some(_) => {
                    assert!(index > self.state.commit, "{index} is committed and contradicted");
                    log.truncate(index);
                }
                None => {}
            }
            log.push(entry);
            changed = true;
        }
        if changed {
            self.persist();
        }
    }

    pub(super) fn on_append_entries_reply(&mut self, from: NodeId, outcome: Outcome) {
        let progress = match &mut self.state.role {
            Role::Leader { progress } => progress,
            Role::Follower { .. } | Role::Candidate { .. } => return, // A term led before a crash.
        };
        let Some(progress) = progress.get_mut(&from) else { return }; // Not a member.
        match outcome {
            Outcome::Matched(index) => {
                if progress.on_matched(index) {
                    self.try_commit();
                    self.try_send_append_entries(from);
                }
            }
            Outcome::Conflict { rejected, hint } => {
                let agreed = self.state.persistent.log.last_at_or_below(hint.index, hint.term);
                if progress.on_conflict(rejected, agreed.index) {
                    self.send_append_entries(from);
                }
            }
            // What it has acknowledged does not count any more, from now on.
            Outcome::Lost(_) => progress.lost = true,
        }
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
    /// log[N].term == currentTerm: set commitIndex = N" [Raft Fig. 2]. An entry of an earlier term
    /// may be held by a majority and still be overwritten [Raft Fig. 8]; it is committed by the
    /// first entry of this term that is.
    pub(super) fn try_commit(&mut self) {
        let Some(progress) = self.state.progress() else { return };
        let held = |p: &Progress| if p.lost { Index::ZERO } else { p.matched };
        let mut reached: Vec<_> = progress.values().map(held).collect();
        reached.push(self.state.last().index); // Its own log is durable before anyone hears of it.
        let reached = quorum::reached(reached);
        if reached > self.state.commit && self.position(reached).term == self.state.term() {
            self.state.commit = reached;
        }
    }
}
