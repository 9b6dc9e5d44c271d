//! Rebalancing: what a replica of the controller does when groups come and go.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use model::shard::config::{Configuration, Servers};
use model::shard::rebalance;
use model::types::{GroupId, NodeId};

const SHARDS: u16 = 10_000;
const GROUPS: u16 = 1_000;

/// So many groups, of three servers each.
fn groups(numbers: impl IntoIterator<Item = u16>) -> BTreeMap<GroupId, Servers> {
    let three = |group| (3 * group..3 * group + 3).map(NodeId).collect();
    numbers.into_iter().map(|group| (GroupId(group), three(group))).collect()
}

fn rebalancing(c: &mut Criterion) {
    let full = Configuration::initial(SHARDS).join(&groups(0..GROUPS)).unwrap();
    let ids = |stays: fn(&u16) -> bool| (0..=GROUPS).filter(stays).map(GroupId).collect::<Vec<_>>();
    let cases = [
        ("nothing changes", ids(|group| *group < GROUPS)),
        ("one group joins", ids(|_| true)),
        ("one group leaves", ids(|group| (1..GROUPS).contains(group))),
        ("a tenth of the groups leave", ids(|group| *group < GROUPS && group % 10 != 0)),
    ];
    let mut group = c.benchmark_group(format!("rebalance/{SHARDS} shards, {GROUPS} groups"));
    for (name, groups) in cases {
        group.bench_function(name, |b| {
            b.iter(|| rebalance(black_box(&full.assignment), groups.iter().copied()));
        });
    }
}

/// The whole change, with its checks: no server may be in two groups.
fn change(c: &mut Criterion) {
    let full = Configuration::initial(SHARDS).join(&groups(0..GROUPS)).unwrap();
    let one_more = groups([GROUPS]);
    c.bench_function(&format!("join/{SHARDS} shards, {GROUPS} groups"), |b| {
        b.iter(|| full.join(black_box(&one_more)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = rebalancing, change
}
criterion_main!(benches);
