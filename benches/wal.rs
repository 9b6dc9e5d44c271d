//! Group commit: records made durable together, on the disk that the build is on.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use runtime::wal::{Identity, Options, RealDisk, Record, Wal};

const IDENTITY: Identity = Identity { cluster: 1, node: 0, incarnation: 1 };

/// Small enough to be preallocated quickly, as the benchmark begins.
const OPTIONS: Options = Options { segment_bytes: 16 << 20 };

fn commit(c: &mut Criterion) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = RealDisk::open(directory.path()).unwrap();
    let mut wal = Wal::create(Box::new(disk), IDENTITY, OPTIONS).unwrap();
    let record = Record { kind: 2, index: 1, term: 1, payload: [b'v'; 128] };
    let mut group = c.benchmark_group("wal");
    for batch in [1, 8, 64] {
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::new("append and sync", batch), |b| {
            b.iter(|| {
                (0..batch).for_each(|_| wal.append(&record).unwrap());
                wal.sync().unwrap();
                wal.preallocate().unwrap();
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = commit
}
criterion_main!(benches);
