//! A broken promise, told: step by step, as a picture, and for a machine to take again.

use std::fmt::Write;
use std::iter;

use checker::Trace;
use model::system::{Action, History, Host, System, SystemState, name};
use serde::{Deserialize, Serialize};
use stateright::Model;
use stateright::actor::{ActorModelAction, Id};

/// A shortest way to a state in which a promise does not hold.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Counterexample {
    /// The promise.
    pub property: String,
    /// What is wrong in the last state.
    pub detail: String,
    /// How many of the steps only lead to where the search started: see [`crate::stage`].
    #[serde(default)]
    pub staged: usize,
    /// The steps to it.
    pub steps: Vec<Step>,
}

/// One step of a way.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Step {
    /// What happens, in words; no two steps that can be taken in one state have the same.
    pub action: String,
    /// Whose message comes in; nobody's if nobody sent one.
    pub from: Option<String>,
    /// Whom it happens to.
    pub at: String,
    /// What it is: the message, or the event.
    pub what: String,
    /// What it changes: before and after, and what is sent.
    pub changes: String,
}

impl Step {
    /// Writes down what happens between two states.
    #[must_use]
    pub fn new(
        system: &System,
        before: &SystemState,
        action: &Action,
        after: &SystemState,
    ) -> Self {
        let name = |id: Id| name(system, id);
        let words = system.format_action(action);
        let (from, at, what) = match action {
            ActorModelAction::Deliver { src, dst, msg } => {
                (Some(name(*src)), name(*dst), format!("{msg:?}"))
            }
            ActorModelAction::Drop(envelope) => {
                (Some(name(envelope.src)), name(envelope.dst), format!("lost: {:?}", envelope.msg))
            }
            ActorModelAction::Timeout(id, _)
            | ActorModelAction::Crash(id)
            | ActorModelAction::Recover(id)
            | ActorModelAction::SelectRandom { actor: id, .. } => {
                let at = name(*id);
                let what = words.strip_prefix(&format!("{at} ")).unwrap_or(&words).to_owned();
                (None, at, what)
            }
        };
        Self { action: words, from, at, what, changes: system.changes(before, after) }
    }
}

/// Writes down what happens on a way that the checker has found.
#[must_use]
pub fn tell(system: &System, trace: &Trace<Host, History>) -> Vec<Step> {
    let before = iter::once(&trace.first).chain(trace.steps.iter().map(|(_, state)| state));
    let steps = before.zip(&trace.steps);
    steps.map(|(before, (action, after))| Step::new(system, before, action, after)).collect()
}

impl Counterexample {
    /// How many steps it takes, and that it takes no fewer: in words, for a whole sentence.
    #[must_use]
    pub fn length(&self) -> String {
        let (all, staged) = (self.steps.len(), self.staged);
        match staged {
            0 => format!("It takes {all} steps, and no fewer"),
            _ => format!(
                "It takes {all} steps: {staged} to where the search started, and from there {}, \
                 and no fewer",
                all - staged
            ),
        }
    }

    /// The story as a page: what is wrong, a sequence diagram, and every step with what it changes.
    #[must_use]
    pub fn to_markdown(&self, check: &str) -> String {
        let Self { property, detail, steps, .. } = self;
        let mut page = format!("# {property} is broken in {check}\n\n{detail}\n\n");
        page += &format!("{}.\n\n", self.length());
        page += &format!("```mermaid\n{}```\n", self.to_mermaid());
        for (number, step) in steps.iter().enumerate() {
            let _infallible = write!(page, "\n{}. {}\n", number + 1, step.action);
            if !step.changes.is_empty() {
                let _infallible = write!(page, "\n   ```\n");
                for line in step.changes.lines() {
                    let _infallible = writeln!(page, "   {line}");
                }
                page += "   ```\n";
            }
        }
        page
    }

    /// The steps as a sequence diagram, for Mermaid.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for step in &self.steps {
            names.extend(step.from.as_deref());
            names.push(&step.at);
        }
        names.sort_unstable_by_key(|name| (name.len(), *name));
        names.dedup();
        let mut diagram = String::from("sequenceDiagram\n");
        for name in names {
            let _infallible = writeln!(diagram, "    participant {name}");
        }
        for Step { from, at, what, .. } in &self.steps {
            let what = plain(what);
            let _infallible = match from {
                Some(from) => writeln!(diagram, "    {from}->>{at}: {what}"),
                None => writeln!(diagram, "    Note over {at}: {what}"),
            };
        }
        diagram
    }
}

/// Text without the characters that mean something to Mermaid.
fn plain(text: &str) -> String {
    text.replace('#', "at ").replace(';', ",").replace(['\n', '\r'], " ")
}
