//! States a second: a small check of the portfolio, to its last state.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::time::Duration;

use checks::portfolio;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stateright::{Checker, Model};

fn search(c: &mut Criterion) {
    let check = portfolio::find("sessions").unwrap();
    let mut group = c.benchmark_group("checker");
    group.throughput(Throughput::Elements(check.unique_states));
    group.bench_function("sessions, unique states", |b| {
        b.iter(|| {
            let checker = check.system().checker().spawn_dfs().join();
            assert_eq!(checker.unique_state_count() as u64, check.unique_states);
        });
    });
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
