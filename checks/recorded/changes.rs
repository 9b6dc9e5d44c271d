//! The controller's log after a run, and what the administrators were told.

use std::fmt::{self, Display, Formatter};

use model::properties::changes::History;
use model::shard::controller::{Change, Outcome};
use model::types::{ClientId, RequestId};
use model::violation::Violation;

use super::replay::Replay;

/// A change of the configuration as its administrator saw it. Times are those of the operations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// The administrator's session.
    pub client: ClientId,
    /// The number there.
    pub number: RequestId,
    /// What was asked.
    pub change: Change,
    /// When.
    pub call: u64,
    /// What was answered; `None` if it may have been done or not.
    pub outcome: Option<Outcome>,
}

/// What is wrong with the configurations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Misruled {
    /// The change was acknowledged and is not in the log.
    Lost(Asked),
    /// The log gives another answer.
    Differs(Asked, Outcome),
    /// A change has not made the configuration that it should.
    Broken(Violation),
}

impl Display for Misruled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(asked) => write!(f, "acknowledged, and not in the log: {:?}", asked.change),
            Self::Differs(Asked { change, outcome, .. }, other) => {
                write!(f, "{change:?}: it was answered {outcome:?}, by the log it is {other:?}")
            }
            Self::Broken(violation) => violation.fmt(f),
        }
    }
}

/// Whether the controller's log gives every answer that administrators got, and each change in it
/// has made one configuration, balanced with the fewest moves if it was a join or a leave.
///
/// # Errors
/// The first that is wrong.
pub fn judge(controller: &Replay<'_>, asked: &[Asked]) -> Result<(), Box<Misruled>> {
    for asked in asked {
        let Some(told) = &asked.outcome else { continue };
        let asked_for = |client, number| (client, number) == (asked.client, asked.number);
        let changes = &controller.changes;
        match changes.iter().find(|(request, _)| asked_for(request.client, request.number)) {
            None => return Err(Box::new(Misruled::Lost(asked.clone()))),
            Some((_, outcome)) if outcome != told => {
                return Err(Box::new(Misruled::Differs(asked.clone(), outcome.clone())));
            }
            Some(_) => {}
        }
    }
    let Some(machine) = controller.machine.controller() else { return Ok(()) };
    let mut history = History::new(machine);
    let mut took = controller.changes.iter().try_for_each(|(request, _)| history.take(&request.op));
    if took.is_ok() {
        took = history.end();
    }
    took.map_err(|violation| Box::new(Misruled::Broken(violation)))
}
