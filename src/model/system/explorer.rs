//! A system as a person walks through it, in stateright's Explorer.

use std::fmt::{self, Debug, Formatter};

use stateright::actor::Id;
use stateright::{Model, Path, Property as StaterightProperty};

use super::{Action, System, SystemState, messages, name, story};
use crate::properties::Property;

/// A system for the Explorer: the same steps, and states to be read.
pub struct Explorable(pub System);

/// A state, a line for each node and each message.
#[derive(Clone, Hash, PartialEq)]
pub struct Page {
    state: SystemState,
    names: Vec<String>,
}

impl Explorable {
    fn page(&self, state: SystemState) -> Page {
        let count = state.actor_states.len();
        let names = (0..count).map(|i| name(&self.0, Id::from(i))).collect();
        Page { state, names }
    }
}

impl Page {
    fn name(&self, id: Id) -> &str {
        self.names.get(usize::from(id)).map_or("?", String::as_str)
    }
}

impl Debug for Page {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, host) in self.names.iter().zip(&self.state.actor_states) {
            writeln!(f, "{name}  {host:?}")?;
        }
        for envelope in messages(&self.state) {
            let (src, dst) = (self.name(envelope.src), self.name(envelope.dst));
            writeln!(f, "{src} → {dst}  {:?}", envelope.msg)?;
        }
        write!(f, "seen by clients: {:?}", self.state.history)
    }
}

/// Conditions for stateright, which wants plain functions: one for each place in the list of
/// properties, each of which looks its property up there.
macro_rules! conditions {
    ($name:ident: $model:ty, |$m:ident, $state:ident, $i:ident| $holds:expr) => {
        $crate::system::explorer::conditions!(
            @all $name: $model, |$m, $state, $i| $holds;
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63
        );
    };
    (@all $name:ident: $model:ty, |$m:ident, $state:ident, $i:ident| $holds:expr;
     $($index:literal)*) => {
        const $name: &[fn(&$model, &<$model as stateright::Model>::State) -> bool] =
            &[$(|$m, $state| { let $i: usize = $index; $holds }),*];
    };
}

pub(super) use conditions;

/// The properties for stateright.
pub(super) fn for_stateright<M: Model>(
    properties: &[Property],
    conditions: &[fn(&M, &M::State) -> bool],
) -> Vec<StaterightProperty<M>> {
    assert!(properties.len() <= conditions.len(), "{} properties are too many", properties.len());
    let pairs = properties.iter().zip(conditions.iter().copied());
    pairs.map(|(property, condition)| property.to_stateright(condition)).collect()
}

conditions!(CONDITIONS: Explorable, |it, page, i| it.0.promises[i].holds(&page.state));

impl Model for Explorable {
    type State = Page;
    type Action = Action;

    fn init_states(&self) -> Vec<Page> {
        self.0.init_states().into_iter().map(|state| self.page(state)).collect()
    }

    fn actions(&self, page: &Page, actions: &mut Vec<Action>) {
        self.0.actions(&page.state, actions);
    }

    fn next_state(&self, page: &Page, action: Action) -> Option<Page> {
        self.0.next_state(&page.state, action).map(|state| self.page(state))
    }

    fn properties(&self) -> Vec<StaterightProperty<Self>> {
        for_stateright(&self.0.promises, CONDITIONS)
    }

    fn within_boundary(&self, page: &Page) -> bool {
        self.0.within_boundary(&page.state)
    }

    fn format_action(&self, action: &Action) -> String {
        self.0.format_action(action)
    }

    fn format_step(&self, page: &Page, action: Action) -> Option<String> {
        let next = self.0.next_state(&page.state, action)?;
        Some(story::changes(&self.0, &page.state, &next))
    }

    fn as_svg(&self, path: Path<Page, Action>) -> Option<String> {
        let first = self.0.init_states().into_iter().next()?;
        let actions = path.into_actions();
        self.0.as_svg(Path::from_actions(&self.0, first, &actions)?)
    }
}
