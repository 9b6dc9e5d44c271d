//! The network of a state: messages join it and leave it, and the sums follow.

use crate::expand::Stepper;
use crate::state::State;
use crate::step::Reaction;
use crate::store::Travel;
use crate::system::{Checkable, History};

impl<A: Checkable, C, H: History> Stepper<'_, A, C, H> {
    /// Puts a message under way.
    pub(crate) fn join(&mut self, state: &mut State, message: u32) {
        match self.store.travel {
            Travel::Set if state.holds(message) => {}
            Travel::Set | Travel::Counted => {
                state.insert(message);
                self.hot.message(message);
                self.sums.add(self.hot.message_sums(message));
            }
            Travel::Ordered => self.queue(state, message),
        }
    }

    /// Takes a message out of the network: one copy, or the head of its queue.
    pub(crate) fn leave(&mut self, state: &mut State, message: u32) {
        if self.store.travel != Travel::Ordered {
            state.remove(message);
            self.hot.message(message);
            self.sums.remove(self.hot.message_sums(message));
            return;
        }
        let Some(flow) = self.flow_of(state, message) else { return };
        self.drop_flow(state, flow);
        let (src, dst, rest) = {
            let flow = self.store.flows.get(flow);
            (flow.src, flow.dst, flow.queue[1..].to_vec())
        };
        if !rest.is_empty() {
            let rest = self.store.flow(src, dst, rest);
            self.add_flow(state, rest);
        }
    }

    /// Puts a message at the end of its queue.
    fn queue(&mut self, state: &mut State, message: u32) {
        let mut queue = Vec::new();
        if let Some(flow) = self.flow_of(state, message) {
            queue.clone_from(&self.store.flows.get(flow).queue);
            self.drop_flow(state, flow);
        }
        queue.push(message);
        let message = self.store.messages.get(message);
        let flow = self.store.flow(message.src, message.dst, queue);
        self.add_flow(state, flow);
    }

    fn add_flow(&mut self, state: &mut State, flow: u32) {
        state.insert(flow);
        self.sums.add(self.store.flows.get(flow).sums.all());
    }

    fn drop_flow(&mut self, state: &mut State, flow: u32) {
        state.remove(flow);
        self.sums.remove(self.store.flows.get(flow).sums.all());
    }

    /// The flow that a message travels, or would travel, in, if something is under way there.
    fn flow_of(&self, state: &State, message: u32) -> Option<u32> {
        let message = self.store.messages.get(message);
        let same = |flow: &&u32| {
            let flow = self.store.flows.get(**flow);
            (flow.src, flow.dst) == (message.src, message.dst)
        };
        state.net.iter().find(same).copied()
    }

    /// Whether a message can never again have an effect in this state.
    pub(crate) fn is_dead(&mut self, state: &State, message: u32) -> bool {
        let dst = self.hot.message(message).dst;
        let cell = state.cells.get(dst as usize).copied();
        let Some(cell) = cell else { return true };
        let reaction = self.react(cell, message, true);
        if reaction == Reaction::REVIVED {
            self.revived.get_or_insert((cell, message));
        }
        reaction.is_dead()
    }

    /// Forgets the dead messages to one actor, or all of them.
    pub(crate) fn forget(&mut self, state: &mut State, only_to: Option<u32>) {
        let mut i = 0;
        while i < state.net.len() {
            let item = state.net[i];
            let asked = only_to.is_none_or(|actor| self.hot.message(item).dst == actor);
            if asked && self.is_dead(state, item) {
                self.leave(state, item);
            } else {
                i += 1;
            }
        }
    }
}
