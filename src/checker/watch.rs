//! Which properties a newly reached state is notable for.

use rustc_hash::FxHashMap;

use crate::fingerprint::mix;
use crate::hot::Hot;
use crate::judge;
use crate::property::Reads;
use crate::state::State;
use crate::store::{Store, Travel};
use crate::system::{Checkable, History};

/// Where judgements of pairs are shared: at the place of no property.
const PAIRS: usize = judge::MOST_PROPERTIES;

/// Evaluates properties about more than one part, each once for each thing that it reads. Each
/// thread has its own.
pub(crate) struct Watch<'a, A: Checkable, C, H: History> {
    store: &'a Store<A, C, H>,
    /// For pairs of cells that have been judged, the properties that they are notable for.
    pairs: FxHashMap<u64, u64>,
    /// Whether any property reads pairs.
    reads_pairs: bool,
    /// The properties that view all actors, and what they have seen.
    viewers: Vec<(usize, FxHashMap<u64, u64>)>,
    /// The properties that read whole states.
    whole: Vec<usize>,
    /// The properties about messages.
    messages: u64,
}

impl<'a, A: Checkable, C, H: History> Watch<'a, A, C, H> {
    pub(crate) fn new(store: &'a Store<A, C, H>) -> Self {
        let places = |wanted: fn(&Reads<A, H>) -> bool| {
            let properties = judge::properties(store);
            properties.filter(move |(_, p)| wanted(&p.reads)).map(|(place, _)| place)
        };
        Self {
            store,
            pairs: FxHashMap::default(),
            reads_pairs: places(|reads| matches!(reads, Reads::Pair(_))).next().is_some(),
            viewers: judge::viewers(store).into_iter().map(|p| (p, FxHashMap::default())).collect(),
            whole: places(|reads| matches!(reads, Reads::State(_))).collect(),
            messages: places(|reads| matches!(reads, Reads::Message { .. }))
                .fold(0, |all, place| all | 1 << place),
        }
    }

    /// Which of the `open` properties the state is notable for. `changed` is the actor that the
    /// state owes to; of a first state all have changed.
    pub(crate) fn look(
        &mut self,
        hot: &mut Hot<'a, A, C, H>,
        state: &State,
        changed: Option<u32>,
        open: u64,
    ) -> u64 {
        let store = self.store;
        let mut notable = store.pasts.get(state.past).notable;
        for (actor, cell) in state.cells.iter().enumerate() {
            if changed.is_none_or(|changed| changed as usize == actor) {
                notable |= hot.cell(*cell).notable;
            }
        }
        if self.reads_pairs {
            notable |= self.pairs(state, changed.map(|changed| changed as usize));
        }
        notable |= self.views(hot, state, open);
        for place in &self.whole {
            if open & 1 << place != 0 {
                let property = &store.system.properties[*place];
                notable |= judge::bit(store, *place, || property.judge(&store.whole(state)));
            }
        }
        notable & open
    }

    fn pairs(&mut self, state: &State, changed: Option<usize>) -> u64 {
        let mut notable = 0;
        for (i, first) in state.cells.iter().enumerate() {
            for (j, second) in state.cells.iter().enumerate().skip(i + 1) {
                if changed.is_none_or(|changed| changed == i || changed == j) {
                    let key = u64::from(*first) << 32 | u64::from(*second);
                    let judge = || {
                        let judge = || judge::pair(self.store, *first, *second);
                        self.store.judged((PAIRS, key), judge)
                    };
                    notable |= *self.pairs.entry(key).or_insert_with(judge);
                }
            }
        }
        notable
    }

    fn views(&mut self, hot: &mut Hot<'a, A, C, H>, state: &State, open: u64) -> u64 {
        let (store, mut notable) = (self.store, 0);
        let mut concerned = 0;
        if self.messages & open != 0 {
            for message in under_way(store, state) {
                concerned |= hot.message(message).concerns;
            }
        }
        for (view, (place, seen)) in self.viewers.iter_mut().enumerate() {
            let (place, bit) = (*place, 1 << *place);
            let about_messages = self.messages & bit != 0;
            if open & bit == 0 || about_messages && concerned & bit == 0 {
                continue;
            }
            let shown = |cell: &u32| {
                hot.cell(*cell);
                hot.views(*cell)[view]
            };
            let key = state.cells.iter().map(shown).fold(0, u64::wrapping_add);
            if !about_messages {
                let judge =
                    || store.judged((place, key), || judge::all_actors(store, place, &state.cells));
                notable |= *seen.entry(key).or_insert_with(judge);
                continue;
            }
            for message in under_way(store, state) {
                if hot.message(message).concerns & bit != 0 {
                    let key = key ^ mix(hot.message_sums(message)[0]);
                    let envelope = store.envelope(message);
                    let judge = || judge::message(store, place, &state.cells, envelope);
                    notable |= *seen.entry(key).or_insert_with(judge);
                }
            }
        }
        notable
    }
}

/// The messages that can be delivered.
fn under_way<A: Checkable, C, H: History>(
    store: &Store<A, C, H>,
    state: &State,
) -> impl Iterator<Item = u32> {
    state.net.iter().map(|item| match store.travel {
        Travel::Counted | Travel::Set => *item,
        Travel::Ordered => store.flows.get(*item).queue[0],
    })
}
