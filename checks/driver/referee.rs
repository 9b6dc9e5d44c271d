//! The referee: judges a run while it goes on.
//!
//! The referee keeps one more state machine for each group, the *reference*. It applies an entry to
//! it at the moment at which the first replica of the group knows the entry to be committed. The
//! results that this gives are the moments at which operations take effect, in one order for all
//! groups. This order is a *witness*: if each operation gives on the specification, in this order,
//! what it gave in the run, and if its moment lies between its call and its answer, then the run is
//! strictly serializable. So it is judged in linear time, without a search for an order.
//!
//! A transaction takes effect when its coordinator concludes it. All its keys are locked then, in
//! all groups, so nothing else that touches them takes effect before the participants hear of it.

use model::kv::command::{Op, Output};
use model::kv::transaction::Transaction;
use model::limits::Limits;
use model::machine::{self, Applied, Machine};
use model::message::{Answer, Message};
use model::raft::{Entry, Payload};
use model::replica::{Command, Replica};
use model::shard::ownership::Phase;
use model::spec::Spec;
use model::spec::map::Map;
use model::types::{ClientId, Index, RequestId};
use model::violation::{Violation, demand};

use super::coverage::{self, Coverage};
use super::plan::Plan;
use super::turns::Turns;
use super::work;

/// The judge of a run.
pub struct Referee {
    /// The references, by the number of their group; the controller is the first.
    references: Vec<Reference>,
    /// The specification, to which each operation is applied when it takes effect.
    map: Map,
    /// The operations of each session, in order.
    sessions: Vec<Vec<Operation>>,
    /// The waiting transactions, in runs that count who is overtaken.
    turns: Option<Turns>,
    /// Whether the work of each entry is compared with its bound.
    weighs: bool,
    limits: Limits,
    /// The number of operations that have taken effect.
    pub effects: u64,
}

/// The state machine of a group, and the entries that have been applied to it.
pub struct Reference {
    kind: machine::Kind,
    /// The state machine.
    pub machine: Machine,
    log: Vec<Entry<Command>>,
}

/// An operation of a session.
struct Operation {
    op: Option<Op>,
    /// The result, once it has taken effect.
    output: Option<Output>,
    ending: Ending,
}

/// The end of an operation, as its client has seen it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// The client waits.
    Waiting,
    /// The client has a result.
    Done,
    /// The client was told that the operation has not taken effect.
    NotDone,
    /// The client has given up.
    GivenUp,
}

impl Referee {
    /// The referee of an episode with groups that keep these machines.
    #[must_use]
    pub fn new(plan: &Plan, kinds: &[machine::Kind]) -> Self {
        let reference = |kind: &machine::Kind| Reference {
            kind: kind.clone(),
            machine: Machine::new(kind, plan.limits),
            log: Vec::new(),
        };
        Self {
            references: kinds.iter().map(reference).collect(),
            map: Map::within(plan.limits),
            sessions: (0..plan.sessions).map(|_| Vec::new()).collect(),
            turns: plan.load.skew.is_some().then(|| Turns::new(plan)),
            weighs: plan.load.large > 0,
            limits: plan.limits,
            effects: 0,
        }
    }

    /// The reference of a group.
    #[must_use]
    pub fn reference(&self, group: usize) -> &Machine {
        &self.references[group].machine
    }

    /// The number of entries that all groups have committed.
    #[must_use]
    pub fn committed(&self) -> usize {
        self.references.iter().map(|reference| reference.log.len()).sum()
    }

    /// A client begins an operation. It has begun all those with lower numbers.
    pub fn on_call(&mut self, client: usize, number: RequestId, op: Op) {
        let session = &mut self.sessions[client];
        while (session.len() as u64) < number.0 - 1 {
            session.push(Operation { op: None, output: None, ending: Ending::NotDone });
        }
        session.push(Operation { op: Some(op), output: None, ending: Ending::Waiting });
    }

    /// A client has a result.
    ///
    /// # Errors
    /// If it is not the result with which the operation has taken effect before.
    pub fn on_done(
        &mut self,
        client: usize,
        number: RequestId,
        output: &Output,
    ) -> Result<(), Violation> {
        let Some(operation) = self.operation(client, number) else { return Ok(()) };
        operation.ending = Ending::Done;
        let same = operation.output.as_ref() == Some(output);
        demand("linearizable", same, || {
            format!(
                "client {client} is told {output:?} for {number}, which took effect with {:?}",
                operation.output
            )
        })
    }

    /// A client is told that its operation has not taken effect and never will.
    ///
    /// # Errors
    /// If it has taken effect.
    pub fn on_not_done(&mut self, client: usize, number: RequestId) -> Result<(), Violation> {
        let Some(operation) = self.operation(client, number) else { return Ok(()) };
        operation.ending = Ending::NotDone;
        demand("linearizable", operation.output.is_none(), || {
            format!("client {client} is told that {number} is not done, and it is")
        })
    }

    /// A client gives up. Its operation may take effect even now.
    pub fn on_given_up(&mut self, client: usize, number: RequestId) {
        if let Some(operation) = self.operation(client, number) {
            operation.ending = Ending::GivenUp;
        }
        if let Some(turns) = &mut self.turns {
            turns.on_given_up();
        }
    }

    /// A replica knows all entries up to its commit index to be committed. Those behind `known` are
    /// new to it.
    ///
    /// # Errors
    /// If they contradict what another replica knows, or the results contradict the specification.
    pub fn on_commit(
        &mut self,
        group: usize,
        known: Index,
        replica: &Replica,
        to_client: impl Fn(ClientId) -> Option<usize>,
        coverage: &mut Coverage,
    ) -> Result<(), Violation> {
        for (entry, place) in replica.raft.log().range(known, replica.raft.commit).zip(known.0..) {
            let reference = &mut self.references[group];
            match reference.log.get(place as usize) {
                Some(before) => demand("state_machine_safety", before == entry, || {
                    format!("{before:?} was committed at {}, now {entry:?}", place + 1)
                })?,
                None => {
                    reference.log.push(entry.clone());
                    self.apply(group, entry, &to_client, coverage)?;
                }
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        group: usize,
        entry: &Entry<Command>,
        to_client: &impl Fn(ClientId) -> Option<usize>,
        coverage: &mut Coverage,
    ) -> Result<(), Violation> {
        let Payload::Command(command) = &entry.payload else { return Ok(()) };
        coverage.count(coverage::of_entry(command));
        let Reference { kind, machine, .. } = &mut self.references[group];
        let before = self.weighs.then(|| machine.clone());
        let Applied { reply, others, said: _, work } = machine.apply(kind, command);
        if let Some(before) = before {
            work::demand_bound(&before, machine, command, work, &self.limits)?;
        }
        if let Some(turns) = &mut self.turns {
            turns.on_applied(group, machine, command);
        }
        let first = match reply {
            Some(Message::Reply(reply)) => Some(reply),
            Some(Message::Outcome(reply)) => {
                if let Answer::Done(outcome) = &reply.answer {
                    coverage.count(coverage::of_outcome(outcome));
                }
                None
            }
            Some(
                Message::Raft(_)
                | Message::Request(_)
                | Message::Change(_)
                | Message::Migration(_)
                | Message::Transaction(_)
                | Message::Founding(_),
            )
            | None => None,
        };
        for reply in first.into_iter().chain(others) {
            if let (Answer::Done(output), Some(client)) = (&reply.answer, to_client(reply.client)) {
                self.on_effect(client, reply.number, output, coverage)?;
            }
        }
        Ok(())
    }

    /// An operation has taken effect with this result, or had before.
    fn on_effect(
        &mut self,
        client: usize,
        number: RequestId,
        output: &Output,
        coverage: &mut Coverage,
    ) -> Result<(), Violation> {
        let operation = self.operation(client, number);
        let Some(operation) = operation.filter(|operation| operation.op.is_some()) else {
            let detail = format!("client {client} has not asked for {number}: {output:?}");
            return Err(Violation::new("linearizable", detail));
        };
        if let Some(before) = &operation.output {
            return demand("exactly_once", before == output, || {
                format!("{number} of client {client} gave {before:?}, now {output:?}")
            });
        }
        operation.output = Some(output.clone());
        let ending = operation.ending;
        demand("linearizable", ending != Ending::NotDone, || {
            format!("client {client} was told that {number} is not done, now {output:?}")
        })?;
        let Some(op) = operation.op.clone() else { return Ok(()) };
        self.effects += 1;
        coverage.count(coverage::of_output(output));
        let expected = self.map.apply(&op);
        demand("linearizable", expected == *output, || {
            format!("{number} of client {client}, {op:?}, gives {output:?} for {expected:?}")
        })?;
        match (&mut self.turns, output, &op) {
            (Some(turns), Output::Committed(_), Op::Transaction(transaction)) => {
                turns.on_carried_out(client, number, transaction)
            }
            (Some(_) | None, _, _) => Ok(()),
        }
    }

    /// Compares what the groups keep with the specification.
    ///
    /// # Errors
    /// If a key has another value than it should have.
    pub fn demand_contents<'a>(
        &self,
        groups: impl Iterator<Item = &'a Machine>,
    ) -> Result<(), Violation> {
        let mut all = Map::within(self.limits);
        for machine in groups {
            let stores: Vec<_> = match machine {
                Machine::Store(machine) => vec![machine],
                Machine::Group(shards) => shards
                    .iter()
                    .filter(|(_, ownership)| ownership.phase() == Phase::Serving)
                    .filter_map(|(_, ownership)| ownership.machine())
                    .collect(),
                Machine::Controller(_) => Vec::new(),
            };
            for (key, value) in stores.iter().flat_map(|machine| machine.store.iter()) {
                all.apply(&Op::Put(key.clone(), value.clone()));
            }
        }
        demand("all_or_nothing", all == self.map, || {
            format!("the groups keep {all:?}, and should keep {:?}", self.map)
        })
    }

    fn operation(&mut self, client: usize, number: RequestId) -> Option<&mut Operation> {
        let place = usize::try_from(number.0).ok()?.checked_sub(1)?;
        self.sessions.get_mut(client)?.get_mut(place)
    }
}

/// The transaction that a command asks for.
#[must_use]
pub fn asked(command: &Command) -> Option<&Transaction> {
    match command {
        Command::Request(request) => request.op.transaction(),
        Command::Change(_) | Command::Migration(_) | Command::Transaction(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Family;
    use super::*;

    const FIRST: RequestId = RequestId(1);

    /// A referee of whom client 0 has asked this.
    fn asked(op: Op) -> Referee {
        let mut referee = Referee::new(&Plan::of(Family::Ones, 1), &[]);
        referee.on_call(0, FIRST, op);
        referee
    }

    fn append() -> Op {
        Op::Append("k".into(), "a".into())
    }

    fn effect(referee: &mut Referee, number: RequestId, output: &Output) -> Result<(), Violation> {
        referee.on_effect(0, number, output, &mut Coverage::default())
    }

    fn broken(judged: Result<(), Violation>) -> &'static str {
        judged.expect_err("a wrong history").property
    }

    #[test]
    fn right_history_is_right() {
        let mut referee = asked(append());
        assert_eq!(effect(&mut referee, FIRST, &Output::Written), Ok(()));
        assert_eq!(effect(&mut referee, FIRST, &Output::Written), Ok(()), "told again");
        assert_eq!(referee.on_done(0, FIRST, &Output::Written), Ok(()));
        referee.on_call(0, RequestId(2), Op::Get("k".into()));
        let found = Output::Value(Some("a".into()));
        assert_eq!(effect(&mut referee, RequestId(2), &found), Ok(()));
        assert_eq!(referee.effects, 2);
    }

    #[test]
    fn result_that_the_specification_does_not_give_is_found() {
        let mut referee = asked(Op::Get("k".into()));
        let judged = effect(&mut referee, FIRST, &Output::Value(Some("a".into())));
        assert_eq!(broken(judged), "linearizable");
    }

    #[test]
    fn operation_with_two_results_is_found() {
        let mut referee = asked(Op::Delete("k".into()));
        assert_eq!(effect(&mut referee, FIRST, &Output::Deleted(false)), Ok(()));
        let judged = effect(&mut referee, FIRST, &Output::Deleted(true));
        assert_eq!(broken(judged), "exactly_once");
    }

    #[test]
    fn answer_without_effect_is_found_and_one_with_another_result() {
        let mut referee = asked(append());
        assert_eq!(broken(referee.on_done(0, FIRST, &Output::Written)), "linearizable");
        let mut referee = asked(append());
        assert_eq!(effect(&mut referee, FIRST, &Output::Written), Ok(()));
        assert_eq!(broken(referee.on_done(0, FIRST, &Output::TooLarge)), "linearizable");
    }

    #[test]
    fn effect_of_what_is_not_done_is_found() {
        let mut referee = asked(append());
        assert_eq!(referee.on_not_done(0, FIRST), Ok(()));
        assert_eq!(broken(effect(&mut referee, FIRST, &Output::Written)), "linearizable");
        let mut referee = asked(append());
        assert_eq!(effect(&mut referee, FIRST, &Output::Written), Ok(()));
        assert_eq!(broken(referee.on_not_done(0, FIRST)), "linearizable");
    }

    #[test]
    fn what_was_given_up_may_take_effect_and_what_was_not_asked_must_not() {
        let mut referee = asked(append());
        referee.on_given_up(0, FIRST);
        assert_eq!(effect(&mut referee, FIRST, &Output::Written), Ok(()));
        assert_eq!(broken(effect(&mut referee, RequestId(2), &Output::Written)), "linearizable");
    }

    #[test]
    fn contents_that_differ_from_the_specification_are_found() {
        let mut referee = asked(append());
        assert_eq!(referee.demand_contents([].into_iter()), Ok(()));
        assert_eq!(effect(&mut referee, FIRST, &Output::Written), Ok(()));
        assert_eq!(broken(referee.demand_contents([].into_iter())), "all_or_nothing");
    }
}
