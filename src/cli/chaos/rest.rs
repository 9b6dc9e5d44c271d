//! The servers at rest: what their logs say, compared with each other and with what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use checks::recorded::Recorded;
use checks::recorded::changes::{self, Asked};
use checks::recorded::logs::{self, Logs};
use checks::recorded::moves::{self, Moves};
use checks::recorded::replay::Replay;
use model::shard::config::Configuration;
use model::shard::controller::{Change, Outcome};
use model::types::{ClientId, ConfigNum, RequestId};

use super::raft_group::RaftGroup;

/// What the logs of servers at rest show.
#[derive(Debug)]
pub(super) struct Rest {
    /// How many entries the logs have, those of each group taken once.
    pub(super) entries: usize,
    /// What has become of the shards, if groups share them.
    pub(super) sharded: Option<Sharded>,
}

/// What has become of the shards.
#[derive(Debug)]
pub(super) struct Sharded {
    /// All configurations, in order.
    pub(super) configurations: Vec<Arc<Configuration>>,
    /// How each but the first was made, in order.
    pub(super) made: Vec<Made>,
    pub(super) moves: Moves,
    /// How many transactions were carried out by several groups together.
    pub(super) across_groups: usize,
    /// In which owner's time each request was carried out: since which configuration it has the
    /// shard.
    pub(super) since: BTreeMap<(ClientId, RequestId), ConfigNum>,
}

/// How a configuration was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) by: Change,
    /// When that was asked for; 0 for what was asked for before the history begins.
    pub(super) asked: u64,
}

/// Why servers are not at rest, or not as they should be.
pub(super) enum Unrest {
    /// It may be so after more time in peace.
    Yet(String),
    /// It must never be so.
    Never(String),
}

/// Judges the logs of servers that were stopped.
pub(super) fn judge(
    logs: &Logs,
    groups: &[RaftGroup],
    history: &[Recorded],
    asked: &[Asked],
) -> Result<Rest, Unrest> {
    let of_group = |group: &RaftGroup| -> Logs {
        let own = logs.iter().filter(|(server, _)| group.servers.contains(&server.0));
        own.map(|(server, log)| (*server, log.clone())).collect()
    };
    let of_groups: Vec<Logs> = groups.iter().map(of_group).collect();
    let replays = groups
        .iter()
        .zip(&of_groups)
        .filter_map(|(group, logs)| Some(Replay::of(&group.kind, logs::most_up_to_date(logs)?)));
    let (controllers, stores): (Vec<_>, Vec<_>) =
        replays.partition(|replay| replay.machine.controller().is_some());
    logs::explain(&stores, history).map_err(|error| Unrest::Never(error.to_string()))?;
    let sharded = match controllers.first() {
        None => None,
        Some(controller) => Some(sharded(controller, &stores, asked)?),
    };

    for logs in &of_groups {
        let differ = |discord| format!("the logs differ, though nothing is wrong: {discord}");
        logs::agree(logs).map_err(|discord| Unrest::Yet(differ(discord)))?;
    }
    if let Some(latest) = sharded.as_ref().and_then(|sharded| sharded.configurations.last()) {
        let late = |unsettled| format!("at {}, though nothing is wrong: {unsettled}", latest.num);
        moves::settled(latest, &stores).map_err(|unsettled| Unrest::Yet(late(unsettled)))?;
    }
    let locked = stores.iter().find(|replay| {
        replay.machine.shards().is_some_and(|shards| !shards.transactions.is_idle())
    });
    if let Some(replay) = locked {
        let group = replay.machine.group();
        return Err(Unrest::Yet(format!(
            "{group:?} has transactions open, though nothing is wrong"
        )));
    }
    let longest = |logs: &Logs| logs.values().map(|log| log.iter().count()).max();
    Ok(Rest { entries: of_groups.iter().filter_map(longest).sum(), sharded })
}

fn sharded(
    controller: &Replay<'_>,
    groups: &[Replay<'_>],
    asked: &[Asked],
) -> Result<Sharded, Unrest> {
    changes::judge(controller, asked).map_err(|error| Unrest::Never(error.to_string()))?;
    let moves = moves::judge(groups).map_err(|astray| Unrest::Never(astray.to_string()))?;
    let machine = controller.machine.controller();
    let configuration = |num| machine.and_then(|machine| machine.configuration(ConfigNum(num)));
    let made = controller.changes.iter().filter_map(|(request, outcome)| {
        let this =
            |asked: &&Asked| (asked.client, asked.number) == (request.client, request.number);
        let call = asked.iter().find(this).map_or(0, |asked| asked.call);
        matches!(outcome, Outcome::Changed(_)).then(|| Made { by: request.op.clone(), asked: call })
    });
    let effects = groups.iter().flat_map(|replay| &replay.effects);
    let across: BTreeSet<_> = groups.iter().flat_map(|replay| &replay.taken_part).collect();
    Ok(Sharded {
        configurations: (0..).map_while(configuration).cloned().collect(),
        made: made.collect(),
        moves,
        across_groups: across.len(),
        since: effects.map(|(id, effect)| (*id, effect.place.since)).collect(),
    })
}

impl Sharded {
    /// Each configuration but the first, with the one before it and how it was made.
    pub(super) fn steps(&self) -> impl Iterator<Item = (&Made, &Configuration, &Configuration)> {
        let pairs = self.configurations.windows(2);
        self.made.iter().zip(pairs).map(|(made, pair)| (made, &*pair[0], &*pair[1]))
    }
}

#[cfg(test)]
mod tests {
    use model::history::Operation;
    use model::kv::command::{Op, Output, Request};
    use model::machine::{Command, Kind};
    use model::raft::{Entry, Log, Payload};
    use model::types::{NodeId, Term};

    use super::*;

    fn append(number: u64) -> Recorded {
        let operation = Operation {
            client: ClientId(1),
            call: 10 * number,
            ret: Some(10 * number + 1),
            op: Op::Append("log".into(), "a;".into()),
            output: Some(Output::Written),
        };
        Recorded { number: RequestId(number), operation, until: 10 * number + 1 }
    }

    fn log(recorded: &[Recorded]) -> Log<Command> {
        let entry = |recorded: &Recorded| {
            let op = recorded.operation.op.clone();
            let request = Request { client: ClientId(1), number: recorded.number, op };
            Entry { term: Term(1), payload: Payload::Command(Command::Request(request)) }
        };
        recorded.iter().map(entry).collect()
    }

    /// Three servers, of which these logs are left, after such a history.
    fn judged<const LEFT: usize>(
        logs: [&[Recorded]; LEFT],
        history: &[Recorded],
    ) -> Result<Rest, Unrest> {
        let groups = [RaftGroup { kind: Kind::Store, servers: (0..3).collect() }];
        let logs = (0..).map(NodeId).zip(logs.map(log)).collect();
        judge(&logs, &groups, history, &[])
    }

    #[test]
    fn what_may_still_come_right_is_told_from_what_must_never_be() {
        let both = [append(1), append(2)];
        let rest = judged([&both; 3], &both).ok().unwrap();
        assert!(rest.entries == 2 && rest.sharded.is_none());
        assert!(matches!(judged([&both, &both[..1], &both], &both), Err(Unrest::Yet(_))));
        assert!(matches!(judged([&both[..1]; 3], &both), Err(Unrest::Never(_))));
    }
    #[test]
    fn what_was_acknowledged_is_on_the_disks_that_are_left() {
        let both = [append(1), append(2)];
        assert!(judged([&both; 2], &both).is_ok());
        assert!(matches!(judged([&both, &both[..1]], &both), Err(Unrest::Yet(_))));
        assert!(matches!(judged([&both[..1]; 2], &both), Err(Unrest::Never(_))));
    }
}
