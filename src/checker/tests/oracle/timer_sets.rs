//! stateright hashes sets without their length, and so takes states for equal that are not.

use std::borrow::Cow;

use checker::Coverage;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};
use stateright::{Checker, Expectation, Model};

use crate::agree::{look, search, system};

/// Sets one timer, once.
#[derive(Clone)]
struct Once;

impl Actor for Once {
    type Msg = ();
    type State = ();
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, out: &mut Out<Self>) {
        out.set_timer((), model_timeout());
    }

    fn on_timeout(&self, _: Id, _: &mut Cow<'_, ()>, (): &(), _: &mut Out<Self>) {}
}

/// Each of two timers has gone off or not: four states. stateright's fingerprints do not tell whose
/// timer it is that is still set: it sees three, and never the fourth step.
#[test]
fn stateright_does_not_tell_whose_timer_is_set() {
    let model = ActorModel::new((), ()).actors([Once, Once]).property(
        Expectation::Always,
        "never broken",
        |_, _| true,
    );
    let theirs = model.clone().checker().spawn_bfs().join();
    assert_eq!(theirs.unique_state_count(), 3);

    let seen = look(&model, 10).expect("few states");
    let report = search(system(&model, false), 1);
    assert_eq!(report.coverage, Coverage::Complete);
    assert_eq!((report.unique, report.generated, report.depth), (4, 5, 3));
    assert_eq!((seen.unique, seen.generated, seen.levels), (4, 5, 3));
}
