//! Joining: what several messages of one turn say to one receiver, said by one.
//!
//! Everything of a turn leaves at its end, so a leader that took in thirty requests has thirty
//! AppendEntries for each follower in hand, each with one entry. Joined they are one message with
//! thirty entries: to encode, to authenticate, to take a step for, and to answer.

use model::raft::{self, Command, Entry, Outcome, Rpc};
use model::replica::Message;
use stateright::actor::Id;

/// Most bytes of messages to join, as [`Join::bytes`] counts them: a joined message should not be
/// so large that one lost datagram costs much.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// A message that may be joined with the next one to the same receiver.
///
/// The receiver of a joined message must end in the state in which the messages one after the other
/// would have left it, and send nothing that it would not have sent then. So to the protocol
/// joining is nothing but delivery in order, and perhaps the loss of some of the answers.
pub trait Join: Sized {
    /// About how many bytes it would add to a message that it is joined with.
    fn bytes(&self) -> usize;

    /// Says what `next` says, too.
    ///
    /// # Errors
    ///
    /// Gives `next` back if no one message says both; nothing has changed then.
    fn join(&mut self, next: Self) -> Result<(), Self>;
}

impl Join for Message {
    fn bytes(&self) -> usize {
        match self.raft() {
            Some(raft::Message { rpc: Rpc::AppendEntries { entries, .. }, .. }) => {
                entries.iter().map(Entry::bytes).sum()
            }
            Some(_) | None => 0,
        }
    }

    fn join(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Raft(first), Self::Raft(next))
                if (first.sender, first.term) == (next.sender, next.term) =>
            {
                let raft::Message { sender, term, rpc } = next;
                join(&mut first.rpc, rpc)
                    .map_err(|rpc| Self::Raft(raft::Message { sender, term, rpc }))
            }
            (_, next) => Err(next),
        }
    }
}

/// Joins two messages of one sender and one term.
fn join<C: Command>(first: &mut Rpc<C>, next: Rpc<C>) -> Result<(), Rpc<C>> {
    match (first, next) {
        // A leader's log only grows, so what follows in index follows in the log. Where the first
        // request would be refused, the answer to the second is lost. A heartbeat stays by itself:
        // it says that the follower has acknowledged what is before it, and it is to arrive
        // whatever becomes of what is large.
        (
            Rpc::AppendEntries { prev, entries, commit },
            Rpc::AppendEntries { prev: after, entries: more, commit: later },
        ) if entries.is_empty() == more.is_empty()
            && after.index.0 == prev.index.0 + entries.len() as u64 =>
        {
            entries.extend(more);
            *commit = later.max(*commit);
            Ok(())
        }
        // The answer that says less is lost.
        (
            Rpc::AppendEntriesReply(Outcome::Matched(index)),
            Rpc::AppendEntriesReply(Outcome::Matched(later)),
        ) => {
            *index = later.max(*index);
            Ok(())
        }
        (_, next) => Err(next),
    }
}

/// For each receiver the last message of a turn, which the next one may still be joined with.
#[derive(Debug)]
pub(crate) struct Joiner<M>(Vec<Held<M>>);

#[derive(Debug)]
struct Held<M> {
    to: Id,
    message: M,
    bytes: usize,
}

impl<M> Default for Joiner<M> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: Join> Joiner<M> {
    /// Takes a message for `to`, and gives back the one before if the two cannot be joined.
    pub(crate) fn push(&mut self, to: Id, message: M) -> Option<M> {
        let bytes = message.bytes();
        // A server has few peers: searching them is faster than hashing.
        let Some(held) = self.0.iter_mut().find(|held| held.to == to) else {
            self.0.push(Held { to, message, bytes });
            return None;
        };
        let joined = if held.bytes + bytes <= MOST_BYTES {
            held.message.join(message)
        } else {
            Err(message)
        };
        match joined {
            Ok(()) => {
                held.bytes += bytes;
                None
            }
            Err(message) => {
                held.bytes = bytes;
                Some(std::mem::replace(&mut held.message, message))
            }
        }
    }

    /// Takes all that is held.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (Id, M)> {
        self.0.drain(..).map(|held| (held.to, held.message))
    }
}

#[cfg(test)]
mod tests {
    use model::effects::Effect;
    use model::kv::command::{Op, Request};
    use model::raft::{
        Config, Effects, Incarnation, Limits, Log, Members, Payload, Persistent, Position, Purpose,
        State, Step,
    };
    use model::replica::Command;
    use model::types::{ClientId, Index, NodeId, RequestId, Term};
    use quickcheck::quickcheck;

    use super::*;

    const LEADER: NodeId = NodeId(1);

    /// The incarnation of all servers.
    const LIFE: Incarnation = Incarnation(7);

    fn members() -> Members {
        Members::new(Purpose::Store, (0..3).map(|id| (NodeId(id), LIFE)).collect())
    }

    fn raft(term: u64, rpc: Rpc<Command>) -> Message {
        Message::Raft(raft::Message { sender: members().credentials(LIFE), term: Term(term), rpc })
    }

    fn entry(term: u64, number: u64) -> Entry<Command> {
        let op = Op::Put("key".into(), "value".into());
        let request = Request { client: ClientId(9), number: RequestId(number), op };
        Entry { term: Term(term), payload: Payload::Command(Command::Request(request)) }
    }

    fn log(terms: &[u64]) -> Log<Command> {
        let mut log = Log::founded(members().into());
        terms.iter().zip(1..).for_each(|(&term, number)| log.push(entry(term, number)));
        log
    }

    /// What a leader of term 5 with this log sends: so many entries behind `after`.
    fn append(log: &Log<Command>, after: u64, count: u64, commit: u64) -> Message {
        let prev = log.position(Index(after)).unwrap();
        let entries = log.range(Index(after), Index(after + count)).cloned().collect();
        raft(5, Rpc::AppendEntries { prev, entries, commit: Index(commit) })
    }

    fn matched(term: u64, index: u64) -> Message {
        raft(term, Rpc::AppendEntriesReply(Outcome::Matched(Index(index))))
    }

    /// What becomes of a follower that takes these messages, and what it sends.
    fn follow(log: Log<Command>, messages: Vec<Message>) -> (State<Command>, Vec<Rpc<Command>>) {
        let config = Config { id: NodeId(0), incarnation: LIFE, limits: Limits::default() };
        let persistent = Persistent { term: Term(5), log, ..Persistent::default() };
        let (mut state, mut sent) = (State::restart(persistent), vec![]);
        for message in messages {
            let Message::Raft(message) = message else { unreachable!("all are Raft's") };
            let mut fx = Effects::default();
            Step { config: &config, state: &mut state, fx: &mut fx }.on_message(LEADER, message);
            sent.extend(fx.into_iter().filter_map(|effect| match effect {
                Effect::Send(_, message) => Some(message.rpc),
                Effect::Persist(_) | Effect::Arm(_) | Effect::Cancel(_) => None,
            }));
        }
        (state, sent)
    }

    quickcheck! {
        /// The follower has some of the leader's log, and perhaps entries that the leader has not.
        fn joined_requests_are_the_requests_in_order(
            common: u8, stale: u8, after: u8, counts: Vec<u8>, commit: u8
        ) -> bool {
            let leader = log(&[1, 1, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5]);
            let (common, mut next) = (usize::from(common % 5), u64::from(after % 8));
            let mut terms = vec![1, 1, 3, 3][..common].to_vec();
            // Of a term that is nowhere in the leader's log.
            terms.extend(vec![if common < 3 { 2 } else { 4 }; usize::from(stale % 4)]);
            let follower = log(&terms);
            let commit = u64::from(commit) % (common as u64 + 1);
            let mut messages = vec![];
            for (count, later) in counts.into_iter().zip(0..) {
                let count = u64::from(1 + count % 2).min(leader.last_index().0 - next);
                if count == 0 {
                    break; // A heartbeat is not joined.
                }
                messages.push(append(&leader, next, count, commit + later));
                next += count;
            }
            let mut joined: Vec<Message> = vec![];
            for message in messages.clone() {
                let left = match joined.last_mut() {
                    Some(last) => last.join(message).err(),
                    None => Some(message),
                };
                joined.extend(left);
            }
            let is_heartbeat = |message: &Message| message.bytes() == 0;
            let mut kinds = joined.chunk_by(|one, next| is_heartbeat(one) == is_heartbeat(next));
            if !kinds.all(|alike| alike.len() == 1) {
                return false;
            }
            let (in_order, all) = follow(follower.clone(), messages);
            let (at_once, some) = follow(follower, joined);
            in_order == at_once && some.iter().all(|answer| all.contains(answer))
        }
    }

    #[test]
    fn what_does_not_follow_is_not_joined() {
        let log = log(&[1, 1, 2, 3]);
        let first = append(&log, 1, 1, 0);
        let position = Position { term: Term(1), index: Index(1) };
        for next in [
            append(&log, 1, 1, 0),
            append(&log, 3, 1, 0),
            raft(5, Rpc::AppendEntries { prev: position, entries: vec![], commit: Index(0) }),
            matched(5, 2),
            raft(5, Rpc::RequestVote { last: position }),
            raft(6, Rpc::AppendEntries { prev: position, entries: vec![], commit: Index(0) }),
        ] {
            let mut joined = first.clone();
            assert_eq!(joined.join(next.clone()), Err(next));
            assert!(joined == first);
        }
    }

    #[test]
    fn a_heartbeat_is_joined_with_heartbeats_only() {
        let log = log(&[1, 1, 2, 3]);
        let (heartbeat, entries) = (append(&log, 1, 0, 0), append(&log, 1, 1, 0));
        assert!(heartbeat.clone().join(entries.clone()).is_err(), "the entries may be large");
        assert!(entries.clone().join(append(&log, 2, 0, 1)).is_err());
        let mut two = heartbeat;
        assert!(two.join(append(&log, 1, 0, 1)).is_ok());
        assert!(two == append(&log, 1, 0, 1));
    }

    #[test]
    fn of_two_answers_the_one_that_says_more_is_left() {
        for (first, next) in [(4, 7), (7, 4)] {
            let mut answer = matched(3, first);
            answer.join(matched(3, next)).unwrap();
            assert!(answer == matched(3, 7));
        }
        assert!(matched(3, 1).join(matched(4, 2)).is_err());
        let outcome = Outcome::Conflict { rejected: Index(2), hint: Position::default() };
        let conflict = raft(3, Rpc::AppendEntriesReply(outcome));
        assert!(matched(3, 1).join(conflict).is_err());
    }

    #[test]
    fn each_receiver_gets_its_messages_in_order_and_none_too_large() {
        let log = log(&[3; 6_000]);
        let mut joiner = Joiner::default();
        let (mut before, mut left) = (vec![], [0_usize; 2]);
        for index in 0..6_000 {
            for to in 0..2 {
                before.extend(joiner.push(Id::from(to), append(&log, index, 1, index)));
            }
        }
        for (to, message) in joiner.drain() {
            let Message::Raft(raft::Message { rpc, .. }) = message else { unreachable!() };
            let Rpc::AppendEntries { entries, .. } = rpc else { unreachable!() };
            left[usize::from(to)] = entries.len();
        }
        assert_eq!(left[0], left[1]);
        assert!(!before.is_empty() && before.iter().all(|message| message.bytes() <= MOST_BYTES));
        let sent: usize = before
            .iter()
            .map(|message| match message.raft() {
                Some(raft::Message { rpc: Rpc::AppendEntries { entries, .. }, .. }) => {
                    entries.len()
                }
                Some(_) | None => 0,
            })
            .sum();
        assert_eq!(sent + left[0] + left[1], 12_000);
        assert_eq!(joiner.drain().count(), 0);
    }
}
