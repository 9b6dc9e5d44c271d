//! Two actors that count each other's messages, and do something wrong at a certain count.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};

use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    Nothing,
    /// A panic when a message comes.
    Message,
    /// A panic when a timer goes off.
    Timeout,
    /// A panic when a choice is made.
    Random,
    /// A panic when it starts again.
    Recovery,
    /// What it counts depends on what has been counted elsewhere.
    Guess,
    /// What it sends does.
    GuessedMessage,
}

#[derive(Clone)]
pub(crate) struct Host {
    wrong: Wrong,
    at: u8,
}

static CALLS: AtomicU8 = AtomicU8::new(0);

impl Host {
    fn panic_if(&self, wrong: Wrong, count: u8) {
        assert!(self.wrong != wrong || self.at != count, "boom at {count}");
    }
}

impl Actor for Host {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = bool;
    type Storage = u8;

    fn on_start(&self, id: Id, storage: &Option<u8>, out: &mut Out<Self>) -> u8 {
        if let Some(count) = storage {
            self.panic_if(Wrong::Recovery, *count);
        } else {
            out.save(0); // Started again, it sends nothing more.
            out.send(Id::from(1 - usize::from(id)), 0);
        }
        storage.unwrap_or(0)
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, u8>, src: Id, msg: u8, out: &mut Out<Self>) {
        let count = **state;
        self.panic_if(Wrong::Message, count);
        if count >= 4 {
            return;
        }
        let guess = CALLS.fetch_add(1, Ordering::Relaxed) % 100;
        let guesses = |wrong| self.wrong == wrong && self.at == count;
        *state.to_mut() = if guesses(Wrong::Guess) { 10 + guess } else { count + 1 };
        out.send(src, if guesses(Wrong::GuessedMessage) { guess } else { msg + 1 });
        out.save(**state);
        out.set_timer((), model_timeout());
        out.choose_random("stay", vec![false, true]);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, u8>, (): &(), _: &mut Out<Self>) {
        self.panic_if(Wrong::Timeout, **state);
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, u8>, random: &bool, _: &mut Out<Self>) {
        if *random {
            self.panic_if(Wrong::Random, **state);
        }
    }
}

/// Two actors of which the second does wrong at this count.
pub(crate) fn model(wrong: Wrong, at: u8) -> ActorModel<Host, (), ()> {
    ActorModel::new((), ())
        .actors([Host { wrong: Wrong::Nothing, at }, Host { wrong, at }])
        .init_network(Network::new_unordered_nonduplicating([]))
        .max_crashes(1)
}
