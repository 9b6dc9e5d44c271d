//! A closed loop of clients on an etcd cluster, measured as `shardwright bench cluster` measures.
//!
//! `etcd-load put|get CLIENTS CONNECTIONS SECONDS VALUE_BYTES KEYS ENDPOINT...` prints operations a
//! second and latencies as JSON. Before that it warms up for an eighth of the time.
//!
//! All connections are to the leader, where etcd is fastest: a follower passes requests on.

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use etcd_client::Client;
use hdrhistogram::Histogram;

const USAGE: &str = "usage: etcd-load put|get CLIENTS CONNECTIONS SECONDS VALUE_BYTES KEYS \
                     ENDPOINT...";

#[derive(Clone, Copy)]
struct Load {
    puts: bool,
    value_bytes: usize,
    keys: u64,
    begin: Instant,
    end: Instant,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [operation, clients, connections, seconds, value_bytes, keys, endpoints @ ..] =
        &arguments[..]
    else {
        return Err(USAGE.into());
    };
    let seconds: f64 = seconds.parse()?;
    let leader = leader(endpoints).await?;
    let mut connected = Vec::new();
    for _ in 0..connections.parse::<usize>()? {
        connected.push(Client::connect([leader], None).await?);
    }
    let begin = Instant::now() + Duration::from_secs_f64(seconds / 8.0);
    let load = Load {
        puts: operation == "put",
        value_bytes: value_bytes.parse()?,
        keys: keys.parse()?,
        begin,
        end: begin + Duration::from_secs_f64(seconds),
    };
    let mut tasks = Vec::new();
    for number in 0..clients.parse::<usize>()? {
        let client = connected[number % connected.len()].clone();
        tasks.push(tokio::spawn(ask(client, load, number as u64)));
    }
    let mut latencies = histogram();
    for task in tasks {
        latencies += task.await?.map_err(|error| format!("a client failed: {error}"))?;
    }
    let micros = |q| latencies.value_at_quantile(q) as f64 / 1e3;
    println!(
        "{{\"operation\":\"{operation}\",\"per_second\":{:.1},\"p50_us\":{},\"p90_us\":{},\
         \"p99_us\":{},\"p999_us\":{},\"max_us\":{}}}",
        latencies.len() as f64 / seconds,
        micros(0.5),
        micros(0.9),
        micros(0.99),
        micros(0.999),
        micros(1.0),
    );
    Ok(())
}

async fn leader(endpoints: &[String]) -> Result<&String, Box<dyn Error>> {
    for endpoint in endpoints {
        let status = Client::connect([endpoint], None).await?.status().await?;
        if status.header().is_some_and(|header| header.member_id() == status.leader()) {
            return Ok(endpoint);
        }
    }
    Err("none of the members is the leader".into())
}

async fn ask(
    mut client: Client,
    load: Load,
    number: u64,
) -> Result<Histogram<u64>, etcd_client::Error> {
    let mut latencies = histogram();
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let value = vec![b'v'; load.value_bytes];
    while Instant::now() < load.end {
        // Xorshift: any spread over the keys will do.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = format!("key{:08}", random % load.keys);
        let began = Instant::now();
        if load.puts {
            client.put(key, value.clone(), None).await?;
        } else {
            client.get(key, None).await?; // Linearizable, unless asked to be serializable.
        }
        let now = Instant::now();
        if (load.begin..load.end).contains(&now) {
            latencies.saturating_record(now.duration_since(began).as_nanos() as u64);
        }
    }
    Ok(latencies)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are possible")
}
