//! The project's own search.

use checker::{Coverage, Report, System, Trouble};
use model::properties::Property;
use model::system::{History, Host, Scope};

use super::{Kept, Options, Progress, Search, system};
use crate::portfolio::Check;
use crate::story::{self, Counterexample};

pub(super) fn search(
    check: &Check,
    options: Options<'_>,
    progress: impl FnMut(Progress),
) -> Search {
    let report = run(check, &check.properties(), true, options, progress);
    Search {
        unique: report.unique,
        total: report.generated,
        depth: report.depth,
        complete: report.coverage == Coverage::Complete,
        discovered: report.found.iter().map(|found| found.property).collect(),
        error: error(&report),
        recovered: report.recovered.first().map(|(_, walked)| *walked),
        peak_memory: Some(report.peak_memory),
        collision_probability: Some(report.collision_probability()),
        counterexample: counterexample(check, &report),
    }
}

/// Searches the system of `check` for what is notable for these properties, and whether it is
/// `recoverable`.
pub(crate) fn run(
    check: &Check,
    properties: &[Property],
    recoverable: bool,
    options: Options<'_>,
    progress: impl FnMut(Progress),
) -> Report<Host, History> {
    let scope = (check.scope)();
    let mut system = system::system(&scope, properties);
    if recoverable {
        system.recoveries.push(system::recovery(&scope));
    }
    if let Some(stage) = options.stage {
        system.stage.clone_from(&stage.actions);
    }
    drive(system, options, progress)
}

/// Searches the system of `check` until this goal is reached.
pub(crate) fn until(
    check: &Check,
    goal: &Property,
    options: Options<'_>,
    progress: impl FnMut(Progress),
) -> Report<Host, History> {
    let mut system = system::system(&(check.scope)(), std::slice::from_ref(goal));
    system.until = Some(goal.name);
    drive(system, options, progress)
}

fn drive(
    system: System<Host, Scope, History>,
    options: Options<'_>,
    mut progress: impl FnMut(Progress),
) -> Report<Host, History> {
    let Options { threads, memory, stop, .. } = options;
    checker::search(system, checker::Options { threads, memory, stop }, |now| {
        progress(Progress {
            unique: now.unique,
            total: now.generated,
            depth: now.depth,
            pending: now.frontier,
            kept: Some(Kept {
                memory: now.memory,
                spilt: now.spilt,
                walked: now.walked,
                parts: now.parts,
            }),
            elapsed: now.elapsed,
        });
    })
}

/// The first broken promise, if one is, with a shortest way to break it.
pub(crate) fn counterexample(
    check: &Check,
    report: &Report<Host, History>,
) -> Option<Counterexample> {
    let found = report.broken().next()?;
    Some(Counterexample {
        property: found.property.to_owned(),
        detail: found.detail.clone(),
        staged: report.staged,
        steps: story::tell(&check.system(), &found.trace),
    })
}

/// Why a search is not complete, or cannot be believed.
pub(crate) fn error(report: &Report<Host, History>) -> Option<String> {
    if let Some(trouble) = &report.trouble {
        return Some(words(trouble));
    }
    match report.coverage {
        Coverage::Complete | Coverage::UntilBroken | Coverage::Troubled => None,
        Coverage::Stopped => Some("it was stopped".into()),
        Coverage::OutOfMemory => {
            Some("the fingerprints would not fit into memory: allow more with --memory".into())
        }
    }
}

fn words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::NotDeterministic { actor, event, first, second } => format!(
            "the handler of actor {actor} is not deterministic: on {event} it made first {first}, \
             then {second}"
        ),
        Trouble::PropertyPanicked { property, message } => {
            format!("the property {property} panicked: {message}")
        }
        Trouble::TooMany { what } => format!("there are more {what} than can be numbered"),
        Trouble::NoSuchStep { number, action } => {
            format!("step {number} of the stage cannot be taken: {action}")
        }
        Trouble::Disk { error } => format!("what does not fit into memory cannot be kept: {error}"),
    }
}
