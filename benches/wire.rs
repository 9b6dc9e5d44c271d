//! An AppendEntries as it is under load, to bytes and back; and the same with frame and tag.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::kv::command::{Op, Request};
use model::raft::{self, Credentials, Entry, Payload, Position, Rpc};
use model::replica::{Command, Message};
use model::types::{ClientId, Index, RequestId, Term};
use runtime::wire::{Identity, Key, Limits, Opener, Sealer, codec};

/// Puts in one message.
const ENTRIES: u64 = 32;

fn append_entries() -> Message {
    let entry = |number| {
        let op = Op::Put(format!("key{number:08}").into(), [b'v'; 100].into());
        let client = ClientId(ClientId::FIRST_DRAWN);
        let request = Request { client, number: RequestId(number), op };
        Entry { term: Term(3), payload: Payload::Command(Command::Request(request)) }
    };
    let prev = Position { term: Term(3), index: Index(100_000) };
    let entries = (0..ENTRIES).map(entry).collect();
    let rpc = Rpc::AppendEntries { prev, entries, commit: Index(99_990) };
    Message::Raft(raft::Message { sender: Credentials::default(), term: Term(3), rpc })
}

fn bytes(c: &mut Criterion) {
    let message = append_entries();
    let mut encoded = Vec::new();
    codec::encode(&message, usize::MAX, &mut encoded).unwrap();
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    let mut buffer = Vec::new();
    group.bench_function("encode", |b| {
        b.iter(|| {
            buffer.clear();
            codec::encode(black_box(&message), usize::MAX, &mut buffer)
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| codec::decode::<Message>(black_box(&encoded)).unwrap());
    });
}

fn datagrams(c: &mut Criterion) {
    let message = append_entries();
    let identity = |id| Identity { cluster: 7, id, incarnation: 70 + id, schema: 1 };
    let (key, limits) = (Key::new([5; 16]), Limits::default());
    let mut sealer = Sealer::new(identity(1), key, limits);
    let mut opener = Opener::new(identity(2), key, limits);
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(1));
    group.bench_function("seal and open", |b| {
        b.iter(|| {
            let mut received = 0;
            sealer.push(2, &message).unwrap();
            sealer.drain(true, |_, datagrams, size| {
                for datagram in datagrams.chunks(size) {
                    opener.open(datagram, |_, _: Message| received += 1).unwrap();
                }
            });
            assert_eq!(received, 1, "the message has arrived");
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    targets = bytes, datagrams
}
criterion_main!(benches);
