//! What a thread needs of the parts at every step, side by side in its own memory.
//!
//! The parts themselves are large, shared, and scattered. Of each a thread copies the few words
//! that it looks at millions of times, the first time that it meets it.

use crate::fingerprint::{Sums, mix};
use crate::step::Event;
use crate::store::Store;
use crate::system::{Checkable, History};

/// Of a cell.
#[derive(Clone, Copy)]
pub(crate) struct HotCell {
    pub(crate) actor: u32,
    pub(crate) inside: bool,
    pub(crate) notable: u64,
    /// Its events that need no message: where they begin among all, and how many.
    spontaneous: (u32, u32),
}

/// Of a message.
#[derive(Clone, Copy)]
pub(crate) struct HotMessage {
    pub(crate) dst: u32,
    pub(crate) concerns: u64,
}

/// Of a step.
#[derive(Clone, Copy)]
pub(crate) struct HotStep {
    pub(crate) next: u32,
    pub(crate) recorded: Option<u32>,
    /// Whether it breaks a promise, or panicked.
    pub(crate) bad: bool,
    pub(crate) panicked: bool,
    /// What it sends: where that begins among all, and how many.
    sends: (u32, u32),
}

/// What has not been copied yet. No system has so many actors, and no cell this number.
const UNKNOWN: u32 = u32::MAX;

/// See the module's documentation.
pub(crate) struct Hot<'a, A: Checkable, C, H: History> {
    store: &'a Store<A, C, H>,
    renamings: usize,
    cells: Vec<HotCell>,
    messages: Vec<HotMessage>,
    steps: Vec<HotStep>,
    spontaneous: Vec<(Event, u32)>,
    sends: Vec<u32>,
    views: Table,
    spent: Table,
    cell_sums: Table,
    message_sums: Table,
    shifts: Table,
}

/// Rows of equal length, side by side.
struct Table {
    width: usize,
    words: Vec<u64>,
}

impl Table {
    fn new(width: usize) -> Self {
        Self { width, words: Vec::new() }
    }

    #[inline]
    fn row(&self, row: u32) -> &[u64] {
        let start = row as usize * self.width;
        &self.words[start..start + self.width]
    }

    fn set(&mut self, row: u32, words: impl Iterator<Item = u64>) {
        let start = row as usize * self.width;
        if self.words.len() < start + self.width {
            self.words.resize(start + self.width, 0);
        }
        for (place, word) in self.words[start..].iter_mut().zip(words) {
            *place = word;
        }
    }
}

impl<'a, A: Checkable, C, H: History> Hot<'a, A, C, H> {
    pub(crate) fn new(store: &'a Store<A, C, H>) -> Self {
        let renamings = store.renamings.len();
        Self {
            store,
            renamings,
            cells: Vec::new(),
            messages: Vec::new(),
            steps: Vec::new(),
            spontaneous: Vec::new(),
            sends: Vec::new(),
            views: Table::new(crate::judge::viewers(store).len()),
            spent: Table::new(store.system.budgets.len()),
            cell_sums: Table::new(renamings),
            message_sums: Table::new(renamings),
            shifts: Table::new(renamings),
        }
    }

    #[inline]
    pub(crate) fn cell(&mut self, number: u32) -> HotCell {
        match self.cells.get(number as usize) {
            Some(cell) if cell.actor != UNKNOWN => *cell,
            _ => self.copy_cell(number),
        }
    }

    #[cold]
    fn copy_cell(&mut self, number: u32) -> HotCell {
        let cell = self.store.cells.get(number);
        self.cell_sums.set(number, sums(&cell.sums, self.renamings));
        let place = mix(cell.actor as u64);
        self.views.set(number, cell.views.iter().map(|view| mix(view ^ place)));
        self.spent.set(number, cell.spent.iter().map(|spent| u64::from(*spent)));
        let copy = HotCell {
            actor: cell.actor as u32,
            inside: cell.inside,
            notable: cell.notable,
            spontaneous: (UNKNOWN, 0),
        };
        put(&mut self.cells, number, copy, HotCell { actor: UNKNOWN, ..copy });
        copy
    }

    /// The hashes of a cell that is known already.
    #[inline]
    pub(crate) fn cell_sums(&self, number: u32) -> &[u64] {
        self.cell_sums.row(number)
    }

    /// What a cell that is known already shows to each property with a view, and whose it is.
    #[inline]
    pub(crate) fn views(&self, number: u32) -> &[u64] {
        self.views.row(number)
    }

    /// What a cell that is known already has spent of each budget.
    #[inline]
    pub(crate) fn spent(&self, number: u32) -> &[u64] {
        self.spent.row(number)
    }

    #[inline]
    pub(crate) fn message(&mut self, number: u32) -> HotMessage {
        match self.messages.get(number as usize) {
            Some(message) if message.dst != UNKNOWN => *message,
            _ => self.copy_message(number),
        }
    }

    #[cold]
    fn copy_message(&mut self, number: u32) -> HotMessage {
        let message = self.store.messages.get(number);
        self.message_sums.set(number, sums(&message.sums, self.renamings));
        // Nobody is an actor, too: one beyond the last.
        let dst = message.dst.min(self.store.actors()) as u32;
        let copy = HotMessage { dst, concerns: message.concerns };
        put(&mut self.messages, number, copy, HotMessage { dst: UNKNOWN, ..copy });
        copy
    }

    /// The hashes of a message that is known already.
    #[inline]
    pub(crate) fn message_sums(&self, number: u32) -> &[u64] {
        self.message_sums.row(number)
    }

    #[inline]
    pub(crate) fn step(&mut self, number: u32) -> HotStep {
        match self.steps.get(number as usize) {
            Some(step) if step.next != UNKNOWN => *step,
            _ => self.copy_step(number),
        }
    }

    #[cold]
    fn copy_step(&mut self, number: u32) -> HotStep {
        let step = &self.store.steps[number as usize];
        self.shifts.set(number, sums(&step.shift, self.renamings));
        let begin = self.sends.len() as u32;
        self.sends.extend_from_slice(&step.sends);
        let copy = HotStep {
            next: step.next,
            recorded: step.recorded,
            bad: step.broken != 0 || step.panic.is_some(),
            panicked: step.panic.is_some(),
            sends: (begin, step.sends.len() as u32),
        };
        put(&mut self.steps, number, copy, HotStep { next: UNKNOWN, ..copy });
        copy
    }

    /// What a step that is known already adds to the sums.
    #[inline]
    pub(crate) fn shift(&self, number: u32) -> &[u64] {
        self.shifts.row(number)
    }

    /// The message that a step sends as its `i`th, if it sends so many.
    #[inline]
    pub(crate) fn send(&self, step: HotStep, i: u32) -> Option<u32> {
        let (begin, count) = step.sends;
        (i < count).then(|| self.sends[(begin + i) as usize])
    }

    /// The `i`th event of a cell that needs no message, with its step, if there are so many.
    #[inline]
    pub(crate) fn spontaneous(&mut self, number: u32, i: u32) -> Option<(Event, u32)> {
        let (begin, count) = match self.cell(number).spontaneous {
            (UNKNOWN, _) => self.copy_spontaneous(number),
            known => known,
        };
        (i < count).then(|| self.spontaneous[(begin + i) as usize])
    }

    #[cold]
    fn copy_spontaneous(&mut self, number: u32) -> (u32, u32) {
        let events = self.store.spontaneous(number);
        let range = (self.spontaneous.len() as u32, events.len() as u32);
        self.spontaneous.extend_from_slice(events);
        self.cells[number as usize].spontaneous = range;
        range
    }
}

fn sums(sums: &Sums, renamings: usize) -> impl Iterator<Item = u64> {
    (0..renamings).map(|i| sums.at(i))
}

fn put<T: Copy>(all: &mut Vec<T>, number: u32, item: T, unknown: T) {
    if all.len() <= number as usize {
        all.resize(number as usize + 1, unknown);
    }
    all[number as usize] = item;
}
