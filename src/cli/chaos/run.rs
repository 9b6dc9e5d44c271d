//! One run, from the first start of its servers to the comparison of their logs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use checks::recorded::Recorded;
use checks::recorded::changes::Asked;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use model::kv::command::{Key, Op, Output, Value};
use runtime::rng::Rng;
use runtime::transport::Faults;

use super::Trouble;
use super::administration::{self, Administration};
use super::audit::Transactions;
use super::board::Board;
use super::disks;
use super::figures::{self, Disk, Event};
use super::fleet::{Fleet, World};
use super::kind::Kind;
use super::layout::Layout;
use super::ledger;
use super::load::Load;
use super::nemesis::{Injected, LostDisk, Nemesis};
use super::observer::Observer;
use super::pulse::Pulse;
use super::raft_group::RaftGroup;
use super::report::{Report, Sharding};
use super::rest::{self, Rest, Unrest};
use super::schedule;
use super::tenures::Tenures;
use super::verdict::Findings;
use super::waits::{Disturbance, Hinders, Waits};
use super::workload::Keys;

/// Runs that last so long must have every kind of fault; with groups, there are more kinds.
const ALL_KINDS_FROM: Duration = Duration::from_secs(30);
const ALL_KINDS_FROM_WITH_GROUPS: Duration = Duration::from_secs(60);

/// How long the servers are left in peace before their logs are compared; longer if that was not
/// enough for the last of them to catch up.
const PEACE: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// What a run is to be.
pub(super) struct Run<'a> {
    pub(super) seconds: u64,
    pub(super) seed: u64,
    pub(super) layout: Layout,
    pub(super) clients: u16,
    /// Whether there are transactions, too.
    pub(super) transactions: bool,
    /// Where the servers keep their files.
    pub(super) folder: &'a Path,
    /// Whether somebody wants it to end.
    pub(super) interrupted: &'a AtomicBool,
}

/// What has come of a run so far.
struct Outcomes {
    /// Where the clock of the history starts.
    beginning: Instant,
    /// How long the load lasted.
    loaded: Duration,
    groups: Vec<RaftGroup>,
    injected: Vec<Injected>,
    lost: Vec<LostDisk>,
    /// When the machine stood still.
    standstills: Vec<Disturbance>,
    history: Vec<Recorded>,
    /// What was asked of the controller.
    asked: Vec<Asked>,
    /// What all keys hold in the end, if it came to that.
    finals: Option<BTreeMap<Key, Option<Value>>>,
    /// What the servers hold in the end, if they agree.
    rest: Option<Rest>,
}

impl Run<'_> {
    /// Conducts the run, and judges it.
    pub(super) fn conduct(&self) -> Result<(Report, Vec<Recorded>), Trouble> {
        let mut rng = Rng::seeded(self.seed);
        let mut outcomes = Outcomes {
            beginning: Instant::now(),
            loaded: Duration::ZERO,
            groups: Vec::new(),
            injected: Vec::new(),
            lost: Vec::new(),
            standstills: Vec::new(),
            history: Vec::new(),
            asked: Vec::new(),
            finals: None,
            rest: None,
        };
        let mut findings = Findings::default();
        match self.phases(&mut rng, &mut outcomes) {
            Ok(()) => {}
            Err(Trouble::Server(finding)) => findings.violations.push(finding),
            Err(trouble @ (Trouble::Host(_) | Trouble::Interrupted)) => return Err(trouble),
        }
        Ok(self.judge(findings, outcomes))
    }

    /// The phases of a run, one after the other: well, under faults, well again, and at rest.
    fn phases(&self, rng: &mut Rng, outcomes: &mut Outcomes) -> Result<(), Trouble> {
        let mut fleet = Fleet::found(self.folder, &self.layout, rng.next_u64())?;
        outcomes.groups = fleet.groups().to_vec();
        fleet.become_as(&World::default())?;
        if let Some(sharding) = &fleet.cluster().sharding {
            administration::found(fleet.cluster(), sharding, self.interrupted)?;
        }
        self.make_well(&mut fleet)?;
        outcomes.beginning = Instant::now();
        let pulse = Pulse::start(self.folder, outcomes.beginning)?;
        let loaded = self.loaded(&mut fleet, rng, outcomes);
        let servers: BTreeSet<u16> = (0..fleet.size()).collect();
        let hinders = Hinders::Everything;
        let standstill = |lasted| Disturbance { lasted, servers: servers.clone(), hinders };
        outcomes.standstills = pulse.finish()?.into_iter().map(standstill).collect();
        loaded?;
        self.at_rest(&mut fleet, outcomes)
    }

    /// The phases in which clients ask.
    fn loaded(
        &self,
        fleet: &mut Fleet,
        rng: &mut Rng,
        outcomes: &mut Outcomes,
    ) -> Result<(), Trouble> {
        self.under_faults(fleet, rng, outcomes)?;
        self.make_well(fleet)?;
        self.read(fleet, outcomes)
    }

    /// Heals and starts everything, and waits for an answer for each shard.
    fn make_well(&self, fleet: &mut Fleet) -> Result<(), Trouble> {
        fleet.become_as(&World::default())?;
        let mut observer = Observer::connect(fleet.cluster(), Instant::now(), self.interrupted)?;
        for key in self.keys().watched() {
            observer.demand(&Op::Get(key.clone()))?;
        }
        Ok(())
    }

    fn under_faults(
        &self,
        fleet: &mut Fleet,
        rng: &mut Rng,
        outcomes: &mut Outcomes,
    ) -> Result<(), Trouble> {
        let Outcomes { beginning, .. } = *outcomes;
        let duration = Duration::from_secs(self.seconds);
        let schedule = schedule::draw(rng.next_u64(), duration, fleet.groups());
        let faults = Faults::default();
        let board = Arc::new(Board::new(fleet.groups()));
        let (cluster, keys) = (fleet.cluster(), self.keys());
        let (load, seed) = (rng.next_u64(), rng.next_u64());
        let (clients, transactions) = (self.clients, self.transactions);
        let load =
            Load::start(cluster, clients, transactions, &faults, &board, &keys, load, beginning)?;
        let administration = match cluster.sharding {
            None => None,
            Some(_) => Some(Administration::start(cluster, &board, seed, beginning)?),
        };
        let bar = progress_bar();
        let mut nemesis = Nemesis::new(fleet, &faults, &board, beginning);
        let followed = nemesis.run(&schedule, duration, |story| {
            self.check()?;
            bar.set_message(progress(beginning.elapsed(), self.seconds, &board, story));
            Ok(())
        });
        bar.finish_and_clear();
        (outcomes.injected, outcomes.lost) = nemesis.finish();
        outcomes.history = load.finish()?;
        outcomes.asked = administration.map_or(Ok(Vec::new()), Administration::finish)?;
        outcomes.loaded = beginning.elapsed();
        followed
    }

    /// Reads what all keys hold, as a part of the history.
    fn read(&self, fleet: &Fleet, outcomes: &mut Outcomes) -> Result<(), Trouble> {
        let mut observer =
            Observer::connect(fleet.cluster(), outcomes.beginning, self.interrupted)?;
        let read = |key: Key| match observer.demand(&Op::Get(key.clone()))? {
            Output::Value(value) => Ok((key, value)),
            output => Err(Trouble::Server(format!("get {key:?} was answered {output:?}"))),
        };
        let mut keys = self.keys().all(outcomes.loaded);
        if self.transactions {
            keys.extend(ledger::lists(outcomes.loaded));
        }
        let finals: Result<_, _> = keys.into_iter().map(read).collect();
        outcomes.history.extend(observer.finish());
        outcomes.finals = Some(finals?);
        Ok(())
    }

    /// Leaves the servers in peace until their logs are equal and all shards are where they should
    /// be, and compares the logs with what the clients were told. That must hold at once, the
    /// others when all have caught up.
    fn at_rest(&self, fleet: &mut Fleet, outcomes: &mut Outcomes) -> Result<(), Trouble> {
        let mut unrest = String::new();
        for peace in PEACE {
            self.make_well(fleet)?;
            self.sleep(peace)?;
            let logs = fleet.stop()?;
            match rest::judge(&logs, &outcomes.groups, &outcomes.history, &outcomes.asked) {
                Ok(rest) => {
                    outcomes.rest = Some(rest);
                    return Ok(());
                }
                Err(Unrest::Yet(why)) => unrest = why,
                Err(Unrest::Never(why)) => return Err(Trouble::Server(why)),
            }
        }
        Err(Trouble::Server(unrest))
    }

    fn judge(&self, mut findings: Findings, outcomes: Outcomes) -> (Report, Vec<Recorded>) {
        let Outcomes { loaded, groups, injected, lost, standstills, history, finals, rest, .. } =
            outcomes;
        let seconds = loaded.as_secs_f64();
        let of_ledger = |recorded: &&Recorded| ledger::owns(recorded.operation.op.key());
        let (of_ledger, others): (Vec<_>, Vec<_>) = history.iter().partition(of_ledger);
        let [of_ledger, others] =
            [of_ledger, others].map(|part| part.into_iter().cloned().collect::<Vec<Recorded>>());
        findings.judge(&others, finals.as_ref());
        let (kinds, from) = match self.layout.groups {
            None => (&Kind::ALONE[..], ALL_KINDS_FROM),
            Some(_) => (&Kind::SHARDED[..], ALL_KINDS_FROM_WITH_GROUPS),
        };
        let all_kinds = Duration::from_secs(self.seconds) >= from;
        let operations = figures::operations(&history);
        let kinds = [kinds, &disks::kinds(&groups, &lost)].concat();
        let mut faults = figures::faults(&kinds, &injected, &history);
        let sharding = rest.as_ref().and_then(|rest| rest.sharded.as_ref()).map(|sharded| {
            let tenures = Tenures::of(&history, sharded);
            let injected = injected.iter().flat_map(|injected| &injected.disturbances);
            let missing = lost.iter().map(LostDisk::disturbance);
            let disturbances: Vec<_> =
                injected.chain(&standstills).cloned().chain(missing).collect();
            // A transaction may wait for another group than its own.
            let (waits, complaints) = Waits::judge(&others, &tenures, &groups, &disturbances);
            findings.violations.extend(complaints);
            findings.moving(sharded.moves, &waits, all_kinds, seconds);
            faults.extend(figures::changes(sharded, &tenures));
            Sharding {
                configurations: sharded.configurations.len(),
                moves: sharded.moves.completed,
                moves_of_keys: sharded.moves.of_keys,
                waits,
            }
        });
        let transactions = self.transactions.then(|| {
            let (mut transactions, complaints) = Transactions::audit(&of_ledger);
            findings.violations.extend(complaints);
            let sharded = rest.as_ref().and_then(|rest| rest.sharded.as_ref());
            transactions.across_groups = sharded.map_or(0, |sharded| sharded.across_groups);
            findings.transacting(&transactions, seconds);
            transactions
        });
        findings.awake(&faults, all_kinds, operations, seconds);
        let events = |fault: &Injected| {
            let events = fault.disturbances.iter().map(|d| Event::of(fault.kind.name(), d));
            events.collect::<Vec<_>>()
        };
        let report = Report {
            verdict: findings.verdict(),
            seed: self.seed,
            layout: self.layout,
            clients: self.clients,
            seconds,
            operations,
            latency: figures::latency(&history),
            log_entries: rest.map(|rest| rest.entries),
            sharding,
            transactions,
            faults,
            standstills: standstills.iter().map(|still| Event::of("standstill", still)).collect(),
            disks: lost.iter().map(Disk::of).collect(),
            timeline: injected.iter().flat_map(events).collect(),
            findings,
        };
        (report, history)
    }

    fn keys(&self) -> Keys {
        Keys::of(self.layout.shards())
    }

    fn check(&self) -> Result<(), Trouble> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Trouble::Interrupted) } else { Ok(()) }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.check()?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn progress_bar() -> ProgressBar {
    let bar =
        if stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::default_spinner());
    bar
}

fn progress(elapsed: Duration, seconds: u64, board: &Board, story: &str) -> String {
    let (done, unknown) = board.ended();
    let at = elapsed.as_secs();
    let (done, unknown) = (HumanCount(done), HumanCount(unknown));
    let configuration = board.configuration().map_or(String::new(), |num| format!(", at {num}"));
    format!("{at} of {seconds} s, {done} done, {unknown} unknown{configuration}; {story}")
}
