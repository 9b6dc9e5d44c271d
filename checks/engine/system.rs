//! A system of the model, for the checker.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use checker::{
    Boundary, Budget, Dead, Expectation, Property, Reads, Recovery, Renaming, Symmetry, System,
};
use model::properties::{self, View, progress};
use model::replica::Message;
use model::symmetry;
use model::system::{History, Host, HostState, Reductions, Scope, is_dead};
use model::types::NodeId;
use stateright::actor::Id;

/// The system of `scope` for the checker, with what is promised of it.
#[must_use]
pub fn system(scope: &Scope, promises: &[properties::Property]) -> System<Host, Scope, History> {
    let bounds = scope.bounds;
    let inside = move |_, host: &HostState| bounds.contain_host(host);
    let mut system = System::new(scope.model(), Boundary::Actors(Box::new(inside)));
    let crashes = u32::from(bounds.restarts) + u32::from(bounds.lost_disks);
    system.budgets = vec![
        Budget { spent: |_, host| host.spent.crashes(), limit: crashes },
        Budget { spent: |_, host| host.spent.restarts.into(), limit: bounds.restarts.into() },
        Budget { spent: |_, host| host.spent.heartbeats.into(), limit: bounds.heartbeats.into() },
        Budget { spent: |_, host| host.spent.polls.into(), limit: bounds.polls.into() },
        Budget { spent: |_, host| host.spent.lost_disks.into(), limit: bounds.lost_disks.into() },
    ];
    let Reductions { forget_dead, forget_last, any_server, symmetry } = scope.reductions;
    system.dead = forget_dead.then_some(Dead {
        is_dead: |_, host, src, message| is_dead(host, src, message),
        once_spent: Some(0), // While a server may crash, its memory is under test.
        verify: promises.iter().any(|promise| promise.name == checker::report::DEAD_MESSAGES),
    });
    assert!(!symmetry || any_server || scope.clients.is_empty(), "a client tells servers apart");
    if symmetry {
        system.symmetry =
            Some(Arc::new(Servers { classes: scope.classes(), actors: system.model.actors.len() }));
    }
    system.remember_last = !forget_last;
    system.recorded = Some(|message| match message {
        Message::Request(_) | Message::Reply(_) => true,
        Message::Raft(_)
        | Message::Change(_)
        | Message::Outcome(_)
        | Message::Migration(_)
        | Message::Transaction(_)
        | Message::Founding(_) => false,
    });
    system.properties = promises.iter().map(property).collect();
    system
}

/// That everything can still get done, in a system of this scope.
pub fn recovery(scope: &Scope) -> Recovery<Host> {
    let (of_goal, of_room) = (scope.clone(), scope.clone());
    Recovery {
        name: progress::NAME,
        goal: Box::new(move |hosts| progress::is_done(&of_goal, hosts)),
        has_room: Box::new(move |hosts| progress::has_room(&of_room, hosts)),
        is_fault: progress::is_fault,
    }
}

/// The servers of a group can be exchanged for each other; clients keep their names.
struct Servers {
    classes: Vec<Vec<usize>>,
    actors: usize,
}

impl Symmetry<Host, History> for Servers {
    fn renamings(&self) -> Vec<Renaming> {
        Renaming::within(self.actors, &self.classes)
    }

    fn state(&self, renaming: &Renaming, state: &HostState) -> HostState {
        symmetry::host(state, &|server| node(renaming, server))
    }

    fn message(&self, renaming: &Renaming, message: &Message) -> Message {
        symmetry::message(message, &|server| node(renaming, server))
    }

    /// Hosts keep their storage in their state.
    fn storage(&self, _: &Renaming, (): &()) {}

    /// Clients keep their names.
    fn history(&self, _: &Renaming, history: &History) -> History {
        history.clone()
    }
}

fn node(renaming: &Renaming, server: NodeId) -> NodeId {
    NodeId(usize::from(renaming.of(Id::from(usize::from(server.0)))) as u16)
}

fn property(promise: &properties::Property) -> Property<Host, History> {
    let expectation = if promise.goal { Expectation::Sometimes } else { Expectation::Always };
    Property { name: promise.name, expectation, reads: reads(promise.reads) }
}

fn reads(reads: properties::Reads) -> Reads<Host, History> {
    use properties::Reads as Promised;
    match reads {
        Promised::Step(judge) | Promised::Host(judge) => {
            Reads::Actor(Box::new(move |_, host| told(judge(host))))
        }
        Promised::Pair(judge) => {
            Reads::Pair(Box::new(move |(_, first), (_, second)| told(judge(first, second))))
        }
        Promised::Hosts(view, judge) => Reads::Actors {
            view: Some(digest(view)),
            judge: Box::new(move |hosts| told(judge(hosts))),
        },
        Promised::Message(view, concerns, judge) => Reads::Message {
            concerns: Box::new(concerns),
            view: Some(digest(view)),
            judge: Box::new(move |hosts, envelope| told(judge(hosts, envelope))),
        },
        Promised::History(judge) => Reads::History(Box::new(move |past| told(judge(past)))),
        Promised::State(judge) => Reads::State(Box::new(move |state| told(judge(state)))),
    }
}

fn digest(view: View) -> checker::property::View<Host> {
    Box::new(move |_, host| {
        let mut hasher = DefaultHasher::new();
        view(host, &mut hasher);
        hasher.finish()
    })
}

fn told(holds: properties::Holds) -> checker::Holds {
    holds.map_err(|violation| violation.detail)
}
