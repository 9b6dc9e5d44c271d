//! States a second: checks of the portfolio, to their last state, by the project's own search and
//! by stateright's; and two small systems with cheap handlers, on one thread and two.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::num::NonZeroUsize;
use std::time::Duration;

use checks::comparison::{Peer, Run, Subject};
use checks::engine::{self, Engine, Options};
use checks::portfolio;
use checks::report::Verdict;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn search(c: &mut Criterion) {
    for name in ["sessions", "one-term"] {
        let check = portfolio::find(name).unwrap();
        let mut group = c.benchmark_group(format!("checker, {name}, unique states"));
        group.throughput(Throughput::Elements(check.unique_states));
        for engine in [Engine::Own, Engine::Stateright] {
            let options = Options { engine, ..Options::on(NonZeroUsize::MIN) };
            group.bench_function(engine.word(), |b| {
                b.iter(|| {
                    let report = engine::run(check, options, |_| {});
                    assert_eq!(report.verdict, Verdict::Passed);
                });
            });
        }
    }
}

fn examples(c: &mut Criterion) {
    let two = NonZeroUsize::new(2).unwrap();
    for subject in
        [Subject::Register { clients: 3, writes: 2 }, Subject::Lock { clients: 3, retries: 2 }]
    {
        let states = subject.own(NonZeroUsize::MIN).unwrap();
        let mut group = c.benchmark_group(format!("checker, {}, unique states", subject.name()));
        group.throughput(Throughput::Elements(states.unique_states as u64));
        for (threads, number) in [(NonZeroUsize::MIN, "one thread"), (two, "two threads")] {
            let same = |run: Run| assert!(run.agrees(&states), "{run:?}, not {states:?}");
            group.bench_function(format!("own, {number}"), |b| {
                b.iter(|| same(subject.own(threads).unwrap()));
            });
            for (peer, name) in [(Peer::Bfs, "breadth-first"), (Peer::Dfs, "depth-first")] {
                group.bench_function(format!("stateright {name}, {number}"), |b| {
                    b.iter(|| same(subject.peer(threads, peer)));
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .sample_size(10);
    targets = search, examples
}
criterion_main!(benches);
