//! States a second: checks of the portfolio, to their last state, by the project's own search and
//! by stateright's.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::num::NonZeroUsize;
use std::time::Duration;

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

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .sample_size(10);
    targets = search
}
criterion_main!(benches);
