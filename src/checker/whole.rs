//! States as stateright has them, for properties that read all of one and for people.

use std::sync::Arc;

use stateright::actor::{ActorModelState, Envelope, Id, Network, RandomChoices};

use crate::state::State;
use crate::store::{Content, Store, Travel};
use crate::system::{Checkable, History};

impl<A: Checkable, C, H: History> Store<A, C, H> {
    /// The state that these numbers stand for.
    pub(crate) fn whole(&self, state: &State) -> ActorModelState<A, H> {
        let mut whole = ActorModelState {
            actor_states: Vec::with_capacity(state.cells.len()),
            network: self.network(state),
            timers_set: Vec::new(),
            random_choices: Vec::new(),
            crashed: Vec::new(),
            history: self.pasts.get(state.past).content.clone(),
            actor_storages: Vec::new(),
        };
        for cell in &state.cells {
            let Content { state, timers, storage, choices, crashed } =
                &self.cells.get(*cell).content;
            whole.actor_states.push(Arc::clone(state));
            whole.timers_set.push(Default::default());
            if let Some(set) = whole.timers_set.last_mut() {
                for timer in timers {
                    set.set(timer.clone());
                }
            }
            let mut random = RandomChoices::default();
            choices.iter().for_each(|(key, all)| random.insert(key.clone(), all.clone()));
            whole.random_choices.push(random);
            whole.crashed.push(*crashed);
            whole.actor_storages.push(storage.clone());
        }
        whole
    }

    /// The messages that are under way before any actor has started.
    pub(crate) fn under_way_at_first(&self) -> Vec<u32> {
        let number = |envelope: &Envelope<A::Msg>| {
            self.message(envelope.src, envelope.dst, envelope.msg.clone())
        };
        // Not by stateright's `iter_all`: it yields a counted message once too often, and never
        // ends on an ordered network.
        match &self.system.model.init_network {
            Network::UnorderedDuplicating(set, _) => set.iter().map(number).collect(),
            Network::UnorderedNonDuplicating(counts) => counts
                .iter()
                .flat_map(|(envelope, count)| std::iter::repeat_n(number(envelope), *count))
                .collect(),
            Network::Ordered(flows) => flows
                .iter()
                .flat_map(|((src, dst), queue)| {
                    queue.iter().map(|msg| self.message(*src, *dst, msg.clone()))
                })
                .collect(),
        }
    }

    fn network(&self, state: &State) -> Network<A::Msg> {
        let owned = |message: u32| self.envelope(message).to_cloned_msg();
        match self.travel {
            Travel::Counted => {
                Network::new_unordered_nonduplicating(state.net.iter().map(|m| owned(*m)))
            }
            Travel::Set => Network::new_unordered_duplicating_with_last_msg(
                state.net.iter().map(|m| owned(*m)),
                state.last.checked_sub(1).map(owned),
            ),
            Travel::Ordered => {
                let flows = state.net.iter().map(|flow| self.flows.get(*flow));
                Network::new_ordered(flows.flat_map(|flow| {
                    let envelope = |message: &u32| Envelope {
                        src: flow.src,
                        dst: Id::from(flow.dst),
                        msg: self.messages.get(*message).content.clone(),
                    };
                    flow.queue.iter().map(envelope)
                }))
            }
        }
    }
}
