//! Actors that count on their own: every combination of counts is one state.

use std::borrow::Cow;

use checker::{Boundary, Property, Reads, System};
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};

#[derive(Clone)]
pub(crate) struct Wheel {
    most: u8,
}

impl Actor for Wheel {
    type Msg = ();
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) -> u8 {
        if self.most > 0 {
            out.set_timer((), model_timeout());
        }
        0
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, (): &(), out: &mut Out<Self>) {
        *state.to_mut() += 1;
        if **state < self.most {
            out.set_timer((), model_timeout());
        }
    }
}

/// So many wheels, which count from 0 to `most`.
pub(crate) fn system(wheels: u32, most: u8) -> System<Wheel, (), ()> {
    let model = ActorModel::new((), ());
    System::new(model.actors((0..wheels).map(|_| Wheel { most })), Boundary::Open)
}

/// How many states and steps that makes, the first state counted as a step to it.
pub(crate) fn size(wheels: u32, most: u8) -> (usize, usize) {
    let states = usize::from(most) + 1;
    let steps = wheels as usize * usize::from(most) * states.pow(wheels - 1);
    (states.pow(wheels), 1 + steps)
}

/// That the counts never add up to this.
pub(crate) fn never_adds_up_to(sum: u32) -> Property<Wheel, ()> {
    let judge = move |counts: &[&u8]| {
        let now: u32 = counts.iter().map(|count| u32::from(**count)).sum();
        if now == sum { Err(format!("they add up to {now}")) } else { Ok(()) }
    };
    Property::always("sum", Reads::Actors { view: None, judge: Box::new(judge) })
}
