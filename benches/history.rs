//! Deciding whether a history is linearizable: a model's, at each step; a recorded one, at the end.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::history::{Monitor, Operation, judge};
use model::kv::command::{Op, Value};
use model::spec::Spec;
use model::spec::map::Map;
use model::types::ClientId;
use runtime::rng::Rng;

/// Operations in the recorded history, of so many clients on so many keys.
const OPERATIONS: usize = 10_000;
const CLIENTS: usize = 8;
const KEYS: usize = 10;

/// Three clients whose operations overlap, as in a model.
fn monitor(c: &mut Criterion) {
    let [one, two, three] = [1, 2, 3].map(ClientId);
    let append = |value: &str| Op::Append("k".into(), value.into());
    let mut map = Map::default();
    let written = map.apply(&append("a"));
    let read = map.apply(&Op::Get("k".into()));
    c.bench_function("history/monitor, 3 operations at once", |b| {
        b.iter(|| {
            let mut monitor = Monitor::new(Map::default());
            monitor.invoke(one, append("a"));
            monitor.invoke(two, append("b"));
            monitor.invoke(three, Op::Get("k".into()));
            monitor.respond(three, &read).unwrap();
            monitor.respond(two, &written).unwrap();
            monitor.respond(one, &written).unwrap();
            monitor
        });
    });
}

/// A history as clients see it: each operation takes effect at a moment between call and return.
fn recorded() -> Vec<Operation> {
    let mut rng = Rng::seeded(1);
    let mut map = Map::default();
    let step = 1_000;
    (0..OPERATIONS)
        .map(|i| {
            let key = format!("key{}", rng.index(KEYS));
            let op = match rng.index(2) {
                0 => Op::Get(key.into()),
                _ => Op::Put(key.into(), Value::from(i.to_string())),
            };
            let moment = (i + CLIENTS) as u64 * step;
            // Its client's last operation ended before, and others are under way.
            let slack = rng.below(CLIENTS as u64 / 2 * step);
            let output = Some(map.apply(&op));
            let client = ClientId((i % CLIENTS) as u64);
            Operation { client, call: moment - slack, ret: Some(moment + slack), op, output }
        })
        .collect()
}

fn judgement(c: &mut Criterion) {
    let history = recorded();
    let mut group = c.benchmark_group("history");
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    group.bench_function("judge, 8 clients, 10 keys", |b| b.iter(|| judge(&history).unwrap()));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = monitor, judgement
}
criterion_main!(benches);
