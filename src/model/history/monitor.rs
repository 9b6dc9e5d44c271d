//! The monitor that rides along in every state of the checker.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::configuration::{Configuration, Pending, reach, uncovered};
use crate::spec::Spec;
use crate::types::ClientId;

/// Follows a history and knows at every moment whether it is linearizable so far.
///
/// It keeps the set of *configurations* that the events so far allow: a state of the object, and
/// for each pending operation whether it has taken effect and with which answer [Herlihy-Wing §4,
/// "possibilities"]. A call changes no configuration. A return keeps those in which the operation
/// has taken effect with that answer, after letting pending operations take effect in every order
/// that ends with it; others are left until they are needed [Lowe, just-in-time linearization].
/// When none is left, no order explains the history, and none ever will.
///
/// # Equal futures, equal monitors
///
/// Order, past answers and names of finished operations are not kept. Of the configurations only
/// those are kept that no other *covers*: none leads to them by further operations taking effect,
/// where abandoned operations left over do no harm. Covered ones add no future, so equal monitors
/// have equal futures. Conversely, let two monitors have the same futures, among them reads of the
/// whole state by fresh clients. For a configuration kept by one, take this future: read the state
/// it has; let each client whose operation has taken effect in it return, with that answer, and let
/// the others fail; read the same state again. A configuration of the other monitor that allows it
/// leads to this one, except that it may lack abandoned operations; and a future in which each of
/// those shows, on a state prepared for it, rules this out. So each monitor's configurations are
/// covered by the other's, and as neither holds a covered one, they are the same.
///
/// The last step fails where one abandoned operation can do another's work: an abandoned `Put` of
/// `v` can stand in for an abandoned `Cas` to `v`. Monitors that differ only in having used up the
/// one or the other may have the same futures and yet be unequal. Also, a pending operation is kept
/// for reports even when it has taken effect in every configuration; the client that waits for it
/// knows it too. Both cost states, never a verdict. All violated monitors are equal.
///
/// # Cost
///
/// A clone shares everything. A return takes time exponential in the number of open operations, of
/// which a model has a handful; for recorded histories there is [`judge`](super::judge()).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Monitor<S: Spec> {
    pending: Arc<Pending<S>>,
    /// The uncovered configurations; empty once the history is not linearizable.
    pub(super) frontier: Arc<BTreeSet<Configuration<S>>>,
}

impl<S: Spec> Monitor<S> {
    /// The empty history of an object that begins in the given state.
    #[must_use]
    pub fn new(spec: S) -> Self {
        Self {
            pending: Arc::default(),
            frontier: Arc::new(BTreeSet::from([Configuration::new(spec)])),
        }
    }

    /// Whether the history is linearizable so far.
    #[must_use]
    pub fn is_linearizable(&self) -> bool {
        !self.frontier.is_empty()
    }

    /// The operation that the client waits for, if any. After a violation there is none.
    #[must_use]
    pub fn pending(&self, client: ClientId) -> Option<&S::Op> {
        self.pending.get(&client)
    }

    /// The client calls an operation.
    ///
    /// # Panics
    /// If the client already waits for one: a history is well-formed [Herlihy-Wing §2.1].
    pub fn invoke(&mut self, client: ClientId, op: S::Op) {
        if self.is_linearizable() {
            let before = Arc::make_mut(&mut self.pending).insert(client, op);
            assert!(before.is_none(), "{client} calls while it waits for {before:?}");
        }
    }

    /// The client's operation returns.
    ///
    /// # Errors
    /// If that makes the history not linearizable. Then, and only then: what comes after a
    /// violation is ignored. The monitor does not remember it; to see it again, replay the history.
    ///
    /// # Panics
    /// If the client waits for nothing.
    pub fn respond(&mut self, client: ClientId, output: &S::Output) -> Result<(), Violation<S>> {
        if !self.is_linearizable() {
            return Ok(());
        }
        let reached = reach(self.frontier.iter(), &self.pending, Some(client));
        let op = self.close(client);
        let explained: BTreeSet<_> = reached
            .iter()
            .filter(|configuration| configuration.done.get(&client) == Some(output))
            .cloned()
            .map(|mut configuration| {
                configuration.done.remove(&client);
                configuration
            })
            .collect();
        if explained.is_empty() {
            return Err(self.violate(client, op, Claim::Returned(output.clone()), &reached));
        }
        self.frontier = Arc::new(uncovered(explained, &self.pending));
        Ok(())
    }

    /// The client learns that its operation has not taken effect and never will.
    ///
    /// # Errors
    /// As for [`respond`](Self::respond): somebody has seen the effect.
    ///
    /// # Panics
    /// If the client waits for nothing.
    pub fn fail(&mut self, client: ClientId) -> Result<(), Violation<S>> {
        if !self.is_linearizable() {
            return Ok(());
        }
        // A configuration in which it has not taken effect is led to by others of that kind only,
        // so those that remain are uncovered still, and cover what the others covered.
        let undone = |configuration: &&Configuration<S>| !configuration.done.contains_key(&client);
        let remaining: BTreeSet<_> = self.frontier.iter().filter(undone).cloned().collect();
        let before = Arc::clone(&self.frontier);
        let op = self.close(client);
        if remaining.is_empty() {
            return Err(self.violate(client, op, Claim::Failed, &before));
        }
        self.frontier = Arc::new(remaining);
        Ok(())
    }

    /// The client stops waiting and may call again. Its operation may have taken effect, may do so
    /// at any later time, and may never.
    ///
    /// # Panics
    /// If the client waits for nothing.
    pub fn abandon(&mut self, client: ClientId) {
        if !self.is_linearizable() {
            return;
        }
        let op = self.close(client);
        let abandoned = self.frontier.iter().cloned().map(|mut configuration| {
            configuration.abandon(client, &op);
            configuration
        });
        self.frontier = Arc::new(uncovered(abandoned.collect(), &self.pending));
    }

    /// Removes the client's pending operation.
    fn close(&mut self, client: ClientId) -> S::Op {
        let op = Arc::make_mut(&mut self.pending).remove(&client);
        op.unwrap_or_else(|| panic!("{client} is answered but waits for nothing"))
    }

    /// Enters the one state of all monitors whose history is not linearizable.
    fn violate(
        &mut self,
        client: ClientId,
        op: S::Op,
        claim: Claim<S::Output>,
        before: &BTreeSet<Configuration<S>>,
    ) -> Violation<S> {
        *self = Self { pending: Arc::default(), frontier: Arc::default() };
        let mut states: BTreeMap<S, BTreeSet<S::Output>> = BTreeMap::new();
        for configuration in before {
            let mut state = configuration.state.clone();
            let outputs = states.entry(state.clone()).or_default();
            outputs.insert(match configuration.done.get(&client) {
                Some(output) => output.clone(),
                None => state.apply(&op),
            });
        }
        Violation { client, op, claim, states }
    }
}

/// What a client was told about its operation.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Claim<Output> {
    /// It took effect, with this answer.
    Returned(Output),
    /// It did not take effect.
    Failed,
}

/// An answer that no order of the operations explains.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Violation<S: Spec> {
    /// Who got the answer.
    pub client: ClientId,
    /// To which operation.
    pub op: S::Op,
    /// The answer.
    pub claim: Claim<S::Output>,
    /// The states in which the object may have been, each with the right answers in it: what the
    /// operation has answered if it has taken effect, or would answer.
    pub states: BTreeMap<S, BTreeSet<S::Output>>,
}

impl<S: Spec> Display for Violation<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { client, op, claim, states } = self;
        match claim {
            Claim::Returned(output) => write!(f, "{client}: {op:?} answered {output:?}")?,
            Claim::Failed => write!(f, "{client}: {op:?} did not take effect, it was told")?,
        }
        write!(f, ", which no order explains. Possible states and what they answer:")?;
        for (state, outputs) in states {
            write!(f, "\n  {state:?}")?;
            for output in outputs {
                write!(f, " -> {output:?}")?;
            }
        }
        Ok(())
    }
}
