//! stateright's model with the checker's bounds, written a second time: plainly.

use checker::{Checkable, Faults, History};
use stateright::Model;
use stateright::actor::{ActorModel, ActorModelAction, ActorModelState, Envelope, Id, Network};

/// What an actor has spent of a budget, and what all may spend.
pub(crate) type Limit<A> = (fn(Id, &<A as stateright::actor::Actor>::State) -> u32, u32);

/// A system with bounds.
pub(crate) struct Bounded<A: Checkable, C, H: History> {
    pub(crate) model: ActorModel<A, C, H>,
    pub(crate) faults: Faults,
    pub(crate) budgets: Vec<Limit<A>>,
}

/// What has happened so far, of what is bounded in all.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Tally {
    crashes: u8,
    drops: u8,
    duplications: u8,
}

type Action<A> = ActorModelAction<
    <A as stateright::actor::Actor>::Msg,
    <A as stateright::actor::Actor>::Timer,
    <A as stateright::actor::Actor>::Random,
>;

impl<A: Checkable, C, H: History> Model for Bounded<A, C, H> {
    type State = (ActorModelState<A, H>, Tally);
    /// What happens, and whether the message stays under way.
    type Action = (Action<A>, bool);

    fn init_states(&self) -> Vec<Self::State> {
        self.model.init_states().into_iter().map(|state| (state, Tally::default())).collect()
    }

    fn actions(&self, (state, tally): &Self::State, actions: &mut Vec<Self::Action>) {
        let mut theirs = Vec::new();
        self.model.actions(state, &mut theirs);
        let counted = matches!(state.network, Network::UnorderedNonDuplicating(_));
        for action in theirs {
            match &action {
                ActorModelAction::Drop(_) if !below(tally.drops, self.faults.drops) => continue,
                ActorModelAction::Crash(_) if !below(tally.crashes, self.faults.crashes) => {
                    continue;
                }
                ActorModelAction::Deliver { .. }
                    if counted && tally.duplications < self.faults.duplications =>
                {
                    actions.push((action.clone(), true));
                }
                _ => {}
            }
            actions.push((action, false));
        }
    }

    fn next_state(
        &self,
        (state, tally): &Self::State,
        (action, stays): Self::Action,
    ) -> Option<Self::State> {
        let mut tally = *tally;
        let mut next = self.model.next_state(state, action.clone())?;
        match action {
            ActorModelAction::Drop(_) => tally.drops += u8::from(self.faults.drops.is_some()),
            ActorModelAction::Crash(_) => tally.crashes += u8::from(self.faults.crashes.is_some()),
            ActorModelAction::Deliver { src, dst, msg } if stays => {
                tally.duplications += 1;
                let Network::UnorderedNonDuplicating(counts) = &mut next.network else {
                    return None;
                };
                *counts.entry(Envelope { src, dst, msg }).or_insert(0) += 1;
            }
            _ => {}
        }
        Some((next, tally))
    }

    fn within_boundary(&self, (state, _): &Self::State) -> bool {
        let actors = || state.actor_states.iter().enumerate();
        let affordable = |(spent, limit): &Limit<A>| {
            actors().map(|(i, state)| spent(Id::from(i), state)).sum::<u32>() <= *limit
        };
        self.budgets.iter().all(affordable) && (self.model.within_boundary)(&self.model.cfg, state)
    }
}

fn below(count: u8, most: Option<u8>) -> bool {
    most.is_none_or(|most| count < most)
}
