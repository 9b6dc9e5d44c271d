//! The deciders against other ways of deciding, and against each other.

use std::fmt::Debug;

use super::{Monitor, Violation};
use crate::spec::Spec;
use crate::types::ClientId;

mod anomalies;
mod canonical;
mod draw;
mod joined;
mod judging;
mod oracle;

/// One event of a history of the object `S`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event<S: Spec> {
    Call(u64, S::Op),
    Return(u64, S::Output),
    Fail(u64),
    Abandon(u64),
}

use Event::{Abandon, Call, Fail, Return};

impl<S: Spec> Monitor<S> {
    fn on_event(&mut self, event: &Event<S>) -> Result<(), Violation<S>> {
        match event {
            Call(client, op) => self.invoke(ClientId(*client), op.clone()),
            Return(client, output) => return self.respond(ClientId(*client), output),
            Fail(client) => return self.fail(ClientId(*client)),
            Abandon(client) => self.abandon(ClientId(*client)),
        }
        Ok(())
    }

    fn of(spec: S, events: &[Event<S>]) -> Self {
        let mut monitor = Self::new(spec);
        for event in events {
            let linearizable = monitor.is_linearizable();
            let violation = monitor.on_event(event).err();
            assert_eq!(violation.is_some(), linearizable && !monitor.is_linearizable());
        }
        monitor
    }
}
