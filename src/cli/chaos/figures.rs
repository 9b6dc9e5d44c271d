//! What a history shows about how the cluster has done: figures, no verdict.

use std::collections::BTreeSet;
use std::time::Duration;

use checks::recorded::{Knowledge, Recorded};
use model::shard::controller::Change;
use serde::Serialize;

use super::kind::Kind;
use super::nemesis::{Injected, LostDisk};
use super::rest::Sharded;
use super::tenures::Tenures;
use super::waits::Disturbance;

/// How many operations ended how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Operations {
    pub(super) done: u64,
    pub(super) not_done: u64,
    pub(super) unknown: u64,
}

/// How long the operations took that were done, and the longest time in which none was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    pub(super) longest_unavailability_ms: f64,
}

/// The faults of one kind, or the changes of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Faults {
    pub(super) kind: &'static str,
    /// How often there was one.
    pub(super) times: usize,
    /// How many of what they have befallen.
    pub(super) effect: u64,
    pub(super) befell: &'static str,
    /// For each fault, how long it took from its beginning until an operation was done that was
    /// called after it; for each change, until one was done on every shard that it moved. `None` if
    /// there was no such operation.
    pub(super) first_done_after_ms: Vec<Option<f64>>,
}

pub(super) fn operations(history: &[Recorded]) -> Operations {
    let mut operations = Operations::default();
    for recorded in history {
        *match recorded.known() {
            Knowledge::Done(_) => &mut operations.done,
            Knowledge::NotDone => &mut operations.not_done,
            Knowledge::Unknown => &mut operations.unknown,
        } += 1;
    }
    operations
}

/// The calls and returns of what was done, by the times of the calls.
fn done(history: &[Recorded]) -> Vec<(u64, u64)> {
    let done = history.iter().filter(|recorded| matches!(recorded.known(), Knowledge::Done(_)));
    let mut spans: Vec<_> = done
        .filter_map(|recorded| Some((recorded.operation.call, recorded.operation.ret?)))
        .collect();
    spans.sort_unstable();
    spans
}

pub(super) fn latency(history: &[Recorded]) -> Latency {
    let spans = done(history);
    let mut took: Vec<u64> = spans.iter().map(|(call, ret)| ret - call).collect();
    took.sort_unstable();
    let percentile = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or(0);
    let mut returns: Vec<u64> = spans.iter().map(|(_, ret)| *ret).collect();
    returns.sort_unstable();
    let gaps = returns.windows(2).map(|two| two[1] - two[0]);
    Latency {
        p50_ms: milliseconds(percentile(50)),
        p99_ms: milliseconds(percentile(99)),
        max_ms: milliseconds(took.last().copied().unwrap_or(0)),
        longest_unavailability_ms: milliseconds(gaps.max().unwrap_or(0)),
    }
}

/// The faults of each of these kinds.
pub(super) fn faults(kinds: &[Kind], injected: &[Injected], history: &[Recorded]) -> Vec<Faults> {
    let mut spans = done(history);
    // From here on the earliest return of all that were called as late or later.
    for at in (1..spans.len()).rev() {
        spans[at - 1].1 = spans[at - 1].1.min(spans[at].1);
    }
    let first_after = |begin: Duration| {
        let begin = u64::try_from(begin.as_nanos()).unwrap_or(u64::MAX);
        let at = spans.partition_point(|(call, _)| *call < begin);
        spans.get(at).map(|(_, ret)| milliseconds(ret - begin))
    };
    let of_kind = |&kind: &Kind| {
        let these: Vec<_> = injected.iter().filter(|fault| fault.kind == kind).collect();
        Faults {
            kind: kind.name(),
            times: these.len(),
            effect: these.iter().map(|fault| fault.effect).sum(),
            befell: if kind.loses_disk() {
                "servers, refused"
            } else if kind.is_of_servers() {
                "servers"
            } else {
                "datagrams"
            },
            first_done_after_ms: these.iter().map(|fault| first_after(fault.begin)).collect(),
        }
    };
    kinds.iter().map(of_kind).collect()
}

/// Something that befell servers, and when.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    what: &'static str,
    from_ms: f64,
    to_ms: f64,
    servers: BTreeSet<u16>,
}

impl Event {
    pub(super) fn of(what: &'static str, disturbance: &Disturbance) -> Self {
        let Disturbance { lasted, servers, hinders: _ } = disturbance;
        let [from_ms, to_ms] = [lasted.start, lasted.end].map(|at| at.as_secs_f64() * 1e3);
        Self { what, from_ms, to_ms, servers: servers.clone() }
    }

    /// How long it lasted.
    pub(super) fn milliseconds(&self) -> f64 {
        self.to_ms - self.from_ms
    }
}

/// A disk that was lost, and what came of its server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Disk {
    pub(super) server: u16,
    pub(super) what: &'static str,
    pub(super) lost_ms: f64,
    /// When the server had come back and was refused.
    pub(super) refused_ms: Option<f64>,
    /// The words with which its process has ended.
    pub(super) words: Option<String>,
}

impl Disk {
    pub(super) fn of(lost: &LostDisk) -> Self {
        let (refused, words) = lost.refused.clone().unzip();
        let milliseconds = |at: Duration| at.as_secs_f64() * 1e3;
        Self {
            server: lost.server,
            what: lost.kind.name(),
            lost_ms: milliseconds(lost.at),
            refused_ms: refused.map(milliseconds),
            words,
        }
    }
}

/// The joins, leaves and moves by hand, but for the first join: that moves nothing.
pub(super) fn changes(sharded: &Sharded, tenures: &Tenures) -> Vec<Faults> {
    let row = |kind| Faults {
        kind,
        times: 0,
        effect: 0,
        befell: "shards",
        first_done_after_ms: Vec::new(),
    };
    let [mut join, mut leave, mut moved] = [row("join"), row("leave"), row("move")];
    for (made, before, config) in sharded.steps().filter(|(_, before, _)| before.num.0 > 0) {
        let row = match made.by {
            Change::Join(_) => &mut join,
            Change::Leave(_) => &mut leave,
            Change::Move(..) => &mut moved,
            Change::Query(_) => unreachable!("{} was not made of {}", config.num, before.num),
        };
        let took: Vec<_> = tenures.moved_by(config.num).collect();
        row.times += 1;
        row.effect += took.len() as u64;
        let longest = took.into_iter().try_fold(0, |longest, took| Some(longest.max(took?)));
        row.first_done_after_ms.push(longest.map(milliseconds));
    }
    vec![join, leave, moved]
}

pub(super) fn milliseconds(nanoseconds: u64) -> f64 {
    // To the microsecond.
    (nanoseconds / 1_000) as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use model::history::Operation;
    use model::kv::command::{Op, Output};
    use model::types::{ClientId, RequestId};

    use super::*;

    /// Operations by call and return, in milliseconds.
    fn history(spans: &[(u64, Option<u64>)]) -> Vec<Recorded> {
        let recorded = |&(call, ret): &(u64, Option<u64>)| Recorded {
            number: RequestId(1),
            operation: Operation {
                client: ClientId(1),
                call: call * 1_000_000,
                ret: ret.map(|ret| ret * 1_000_000),
                op: Op::Get("k".into()),
                output: ret.map(|_| Output::Value(None)),
            },
            until: ret.unwrap_or(call) * 1_000_000,
        };
        spans.iter().map(recorded).collect()
    }

    #[test]
    fn latency_and_unavailability_are_of_what_was_done() {
        let history = history(&[(0, Some(10)), (5, None), (20, Some(21)), (20, Some(500))]);
        let expected = Latency {
            p50_ms: 10.0,
            p99_ms: 480.0,
            max_ms: 480.0,
            longest_unavailability_ms: 479.0,
        };
        assert_eq!(latency(&history), expected);
        assert_eq!(operations(&history), Operations { done: 3, not_done: 0, unknown: 1 });
        assert_eq!(latency(&[]), Latency::default());
    }

    #[test]
    fn what_was_called_before_a_fault_does_not_count_as_done_after_it() {
        let history = history(&[(0, Some(100)), (60, Some(90)), (70, Some(80)), (71, None)]);
        let injected = |begin| {
            let begin = Duration::from_millis(begin);
            Injected { kind: Kind::Loss, begin, disturbances: Vec::new(), effect: 2 }
        };
        let injected = [injected(10), injected(65), injected(71)];
        let faults = faults(&[Kind::Loss, Kind::Kill], &injected, &history);
        let expected = Faults {
            kind: "loss",
            times: 3,
            effect: 6,
            befell: "datagrams",
            first_done_after_ms: vec![Some(70.0), Some(15.0), None],
        };
        assert_eq!(faults[0], expected);
        assert_eq!(faults[1].times, 0);
    }
}
