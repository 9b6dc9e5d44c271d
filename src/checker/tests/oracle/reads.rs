//! Properties of every kind: broken and reached where a plain search finds them, with the words.

use checker::examples::register::{self, Host, Msg, Past, State};
use checker::{Coverage, Expectation, Holds, Property, Reads, System, property, view};
use stateright::actor::{ActorModel, Id, Network};

use crate::agree::{assert_leads, search, steps, system};
use crate::plain::{self, Predicate};

type Asked = Property<Host, Past>;

fn model() -> ActorModel<Host, (), Past> {
    register::model(2, 1).init_network(Network::new_unordered_nonduplicating([]))
}

/// Holds of the register's value.
fn unless(wrong: bool, words: impl Fn() -> String) -> Holds {
    if wrong { Err(words()) } else { Ok(()) }
}

fn value(state: &State) -> Option<u8> {
    match state {
        State::Server(value) => Some(*value),
        State::Client { .. } => None,
    }
}

fn read(state: &State) -> Option<u8> {
    match state {
        State::Client { read, .. } => *read,
        State::Server(_) => None,
    }
}

/// Of each kind that looks at states one that some states break and some do not.
fn kinds() -> Vec<(&'static str, Reads<Host, Past>)> {
    let some_read = |actors: &[&State], but: u8| {
        unless(actors.iter().any(|state| read(state).is_some_and(|read| read > but)), || {
            format!("more than {but} is read")
        })
    };
    vec![
        (
            "actor",
            Reads::Actor(Box::new(|id, state| {
                unless(value(state) == Some(20), || format!("{id:?} is 20"))
            })),
        ),
        (
            "history",
            Reads::History(Box::new(|past| {
                unless(past.len() >= 3, || format!("{} notes", past.len()))
            })),
        ),
        (
            "pair",
            Reads::Pair(Box::new(|(first, a), (second, b)| {
                assert!(first < second, "in order");
                unless(read(a).is_some() && read(a) == read(b), || {
                    format!("{first:?} and {second:?} have read the same")
                })
            })),
        ),
        ("actors", Reads::Actors { view: None, judge: Box::new(move |all| some_read(all, 10)) }),
        (
            "actors in view",
            Reads::Actors {
                view: Some(Box::new(|_, state| view(&read(state)))),
                judge: Box::new(move |all| some_read(all, 15)),
            },
        ),
        (
            "message",
            Reads::Message {
                concerns: Box::new(|msg| matches!(msg, Msg::GetOk(..))),
                view: None,
                judge: Box::new(|all, envelope| {
                    let Msg::GetOk(_, told) = envelope.msg else { return Ok(()) };
                    let now = value(all[usize::from(envelope.src)]);
                    unless(now != Some(*told), || format!("{told} is told, and is {now:?}"))
                }),
            },
        ),
        (
            "message in view",
            Reads::Message {
                concerns: Box::new(|msg| matches!(msg, Msg::GetOk(..))),
                view: Some(Box::new(|_, state| view(&read(state)))),
                judge: Box::new(|all, envelope| {
                    let others = all.iter().filter(|state| read(state).is_some()).count();
                    unless(others > 0, || format!("{:?} comes second", envelope.msg))
                }),
            },
        ),
        (
            "state",
            Reads::State(Box::new(|state| {
                let count = state.network.len();
                unless(count == 0, || format!("{count} under way"))
            })),
        ),
    ]
}

fn asked(expectation: Expectation) -> Vec<Asked> {
    let kinds = kinds().into_iter();
    kinds.map(|(name, reads)| Property { name, expectation, reads }).collect()
}

fn with(properties: Vec<Asked>) -> System<Host, (), Past> {
    let mut system = system(&model(), true);
    system.properties = properties;
    system
}

/// How far the nearest state is for which each property is notable.
fn nearest(expectation: Expectation) -> Vec<Option<usize>> {
    let properties = asked(expectation);
    let notable = properties.iter().map(|property| -> Predicate<'_, _> {
        let always = expectation == Expectation::Always;
        Box::new(move |state| property.judge(state).is_ok() != always)
    });
    let notable: Vec<_> = notable.collect();
    plain::search(&model(), &notable, 100_000).expect("few states").nearest
}

#[test]
fn promises_of_every_kind_are_broken_at_the_shortest_distance() {
    let nearest = nearest(Expectation::Always);
    for (place, nearest) in nearest.into_iter().enumerate() {
        for threads in [1, 2] {
            // One at a time: a search ends with the first that is broken.
            let property = asked(Expectation::Always).swap_remove(place);
            let name = property.name;
            let report = search(with(vec![property]), threads);
            assert_eq!(report.coverage, Coverage::UntilBroken, "{name}");
            assert!(nearest.is_some_and(|nearest| nearest > 0), "{name}");
            assert_eq!(steps(&report, name), nearest, "{name}");
            let found = report.found(name).expect("the broken promise");
            let judged = asked(Expectation::Always)[place].judge(found.trace.last());
            assert_eq!(Err(found.detail.clone()), judged, "{name}");
            assert_leads(&model(), found);
        }
    }
}

#[test]
fn goals_of_every_kind_are_reached_at_the_shortest_distance() {
    let nearest = nearest(Expectation::Sometimes);
    let report = search(with(asked(Expectation::Sometimes)), 2);
    assert_eq!(report.coverage, Coverage::Complete);
    for (property, nearest) in asked(Expectation::Sometimes).iter().zip(nearest) {
        assert!(nearest.is_some(), "{}", property.name);
        assert_eq!(steps(&report, property.name), nearest, "{}", property.name);
        assert_eq!(report.found(property.name).expect("the goal").detail, "");
    }
}

#[test]
fn promises_that_hold_and_goals_out_of_reach_are_not_found() {
    let never = |_: &State| false;
    let system = with(vec![
        Property::always("client reads", Reads::Actor(Box::new(|_, _| Ok(())))),
        Property::sometimes(
            "30 is read",
            Reads::Actor(Box::new(move |_, state| unless(!never(state), || "never".into()))),
        ),
        Property::sometimes("none", Reads::Pair(Box::new(|_, _| Err("no pair".into())))),
        Property::always(
            "any message",
            Reads::Message {
                concerns: Box::new(|msg| *msg == Msg::Get(77)),
                view: None,
                judge: Box::new(|_, _| Err("nobody sends it".into())),
            },
        ),
    ]);
    let report = search(system, 1);
    assert_eq!(report.coverage, Coverage::Complete);
    assert!(report.found.is_empty());
}

/// A step is shown with what is before and after it, what happens, and what is sent.
#[test]
fn broken_step_is_found_at_the_shortest_distance() {
    let judge = |step: &property::ActorStep<'_, Host>| {
        let sends: Vec<_> = step.sends.iter().map(|sent| (sent.dst, sent.msg)).collect();
        let wrong = value(step.before) == Some(10)
            && value(step.after) == Some(20)
            && sends == [(Id::from(2), &Msg::PutOk(0))];
        unless(wrong, || format!("{:?} at {:?}", step.event, step.actor))
    };
    for threads in [1, 2] {
        let property = Property::always("step", Reads::Step(Box::new(judge)));
        let report = search(with(vec![property]), threads);
        assert_eq!((report.coverage, steps(&report, "step")), (Coverage::UntilBroken, Some(2)));
        let found = report.found("step").expect("the broken promise");
        assert!(found.detail.starts_with("Deliver") && found.detail.ends_with("at Id(0)"));
        assert_leads(&model(), found);
    }
}

/// The words of a property that panics, and which it is.
#[test]
fn property_that_panics_is_trouble() {
    fn boom(sure: bool) -> Holds {
        assert!(sure, "boom");
        Ok(())
    }
    let kinds: Vec<Reads<Host, Past>> = vec![
        Reads::Actor(Box::new(|_, state| boom(value(state) != Some(20)))),
        Reads::Step(Box::new(|step| boom(value(step.after) != Some(20)))),
        Reads::History(Box::new(|past| boom(past.len() < 4))),
        Reads::Pair(Box::new(|(_, a), (_, b)| boom(value(a) != Some(20) || read(b).is_none()))),
        Reads::Actors { view: None, judge: Box::new(|all| boom(value(all[0]) != Some(20))) },
        Reads::Actors {
            view: Some(Box::new(|_, state| u64::from(boom(value(state) != Some(20)).is_ok()))),
            judge: Box::new(|_| Ok(())),
        },
        Reads::Message {
            concerns: Box::new(|msg| boom(*msg != Msg::GetOk(1, 10)).is_ok()),
            view: None,
            judge: Box::new(|_, _| Ok(())),
        },
        Reads::Message {
            concerns: Box::new(|_| true),
            view: None,
            judge: Box::new(|_, envelope| boom(*envelope.msg != Msg::GetOk(1, 10))),
        },
        Reads::State(Box::new(|state| boom(state.network.len() > 0))),
    ];
    for reads in kinds {
        let report = search(with(vec![Property::always("sure", reads)]), 2);
        assert_eq!(report.coverage, Coverage::Troubled);
        let Some(checker::Trouble::PropertyPanicked { property, message }) = report.trouble else {
            panic!("no such trouble: {:?}", report.trouble);
        };
        assert_eq!((property, message.as_str()), ("sure", "boom"));
    }
}
