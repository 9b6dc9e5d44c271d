//! What a protocol step may ask of its host.
//!
//! A step is a function of the node's state and one event; whatever it wants done in the world it
//! writes down here, in order, and the host does it. The order carries one promise: an effect that
//! reveals state to others stands behind the `Persist` it depends on ([Raft Fig. 2]: "updated on
//! stable storage before responding to RPCs"). [`crate::actor`] checks it at every step.

use crate::types::Address;

/// One thing asked of the host. `S` is what survives a crash, `M` the messages, `T` the timers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect<S, M, T> {
    /// Make this state durable before doing anything that stands behind it.
    Persist(S),
    /// Send a message; it may be lost, delayed, reordered and delivered more than once.
    Send(Address, M),
    /// Start this timer, or start it again.
    Arm(T),
    /// Stop this timer.
    Cancel(T),
}

/// The effects of one step, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Effects<S, M, T>(Vec<Effect<S, M, T>>);

impl<S, M, T> Default for Effects<S, M, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S, M, T> Effects<S, M, T> {
    /// Asks for `state` to be durable before the effects that follow.
    pub fn persist(&mut self, state: &S)
    where
        S: Clone,
    {
        self.0.push(Effect::Persist(state.clone()));
    }

    /// Asks for a message to be sent.
    pub fn send(&mut self, to: impl Into<Address>, message: M) {
        self.0.push(Effect::Send(to.into(), message));
    }

    /// Asks for a timer to be started, or started again.
    pub fn arm(&mut self, timer: T) {
        self.0.push(Effect::Arm(timer));
    }

    /// Asks for a timer to be stopped.
    pub fn cancel(&mut self, timer: T) {
        self.0.push(Effect::Cancel(timer));
    }

    /// Saves once, before all else, what would be saved last: that is what all else may depend on.
    pub fn save_first(&mut self) {
        let saves = self.0.extract_if(.., |effect| matches!(effect, Effect::Persist(_)));
        if let Some(last) = saves.last() {
            self.0.insert(0, last);
        }
    }

    /// Takes over the effects of an inner protocol, which has its own vocabulary of durable states,
    /// messages and timers.
    pub fn absorb<R, N, U>(
        &mut self,
        inner: Effects<R, N, U>,
        state: impl Fn(R) -> S,
        message: impl Fn(N) -> M,
        timer: impl Fn(U) -> T,
    ) {
        self.0.extend(inner.into_iter().map(|effect| match effect {
            Effect::Persist(inner) => Effect::Persist(state(inner)),
            Effect::Send(to, inner) => Effect::Send(to, message(inner)),
            Effect::Arm(inner) => Effect::Arm(timer(inner)),
            Effect::Cancel(inner) => Effect::Cancel(timer(inner)),
        }));
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, S, M, T> IntoIterator for &'a Effects<S, M, T> {
    type Item = &'a Effect<S, M, T>;
    type IntoIter = std::slice::Iter<'a, Effect<S, M, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<S, M, T> IntoIterator for Effects<S, M, T> {
    type Item = Effect<S, M, T>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
