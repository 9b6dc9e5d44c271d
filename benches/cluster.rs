//! One client of three servers in memory, over UDP on the loopback interface: what an operation
//! takes from the client's call to its return. Mostly the time it takes to wake five threads.
//!
//! `shardwright bench cluster` measures many clients at once, and the disk.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has nothing to report")]

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use model::kv::command::Op;
use runtime::client::{Client, Outcome};
use runtime::cluster::Cluster;
use runtime::server::{Place, Server};

const PATIENCE: Duration = Duration::from_secs(10);

fn operations(c: &mut Criterion) {
    let sockets = [(); 3].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let addresses: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    drop(sockets);
    let cluster = Cluster::draw(&addresses).unwrap();
    let start = |node| Server::start(&cluster, node, Place::Memory).unwrap();
    let servers = [0, 1, 2].map(start);

    let mut client = Client::connect(&cluster).unwrap();
    let session = client.open();
    let mut call = |op: Op| match client.call(session, op, PATIENCE).unwrap() {
        Outcome::Done(output) => output,
        Outcome::NotDone(_) | Outcome::Unknown => panic!("the cluster does not answer"),
    };
    let put = Op::Put("key".into(), [b'v'; 100].into());
    call(put.clone()); // The first waits for an election.
    let mut group = c.benchmark_group("cluster");
    group.bench_function("put", |b| b.iter(|| call(put.clone())));
    group.bench_function("get", |b| b.iter(|| call(Op::Get("key".into()))));
    group.finish();
    servers.into_iter().for_each(|server| server.stop().unwrap());
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = operations
}
criterion_main!(benches);
