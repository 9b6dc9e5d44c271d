//! One run, from the first start of its servers to the comparison of their logs.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use checks::recorded::replay::Replay;
use checks::recorded::{Recorded, logs};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use model::kv::command::{Key, Op, Output, Value};
use model::machine::Kind;
use runtime::rng::Rng;
use runtime::transport::Faults;

use super::Trouble;
use super::figures;
use super::fleet::{Fleet, World};
use super::load::{Board, Load};
use super::nemesis::{Injected, Nemesis};
use super::observer::Observer;
use super::report::Report;
use super::schedule;
use super::verdict::Findings;
use super::workload;

/// Runs that last so long must have every kind of fault.
const ALL_KINDS_FROM: Duration = Duration::from_secs(30);

/// How long the servers are left in peace before their logs are compared; longer if that was not
/// enough for the last of them to catch up.
const PEACE: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// What a run is to be.
pub(super) struct Run<'a> {
    pub(super) seconds: u64,
    pub(super) seed: u64,
    pub(super) servers: u16,
    pub(super) clients: u16,
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
    injected: Vec<Injected>,
    history: Vec<Recorded>,
    /// What all keys hold in the end, if it came to that.
    finals: Option<BTreeMap<Key, Option<Value>>>,
    /// How many entries the logs have in the end, if they are equal.
    entries: Option<usize>,
}

impl Run<'_> {
    /// Conducts the run, and judges it.
    pub(super) fn conduct(&self) -> Result<(Report, Vec<Recorded>), Trouble> {
        let mut rng = Rng::seeded(self.seed);
        let mut outcomes = Outcomes {
            beginning: Instant::now(),
            loaded: Duration::ZERO,
            injected: Vec::new(),
            history: Vec::new(),
            finals: None,
            entries: None,
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
        let mut fleet = Fleet::found(self.folder, self.servers, rng.next_u64())?;
        self.make_well(&mut fleet)?;
        outcomes.beginning = Instant::now();
        self.under_faults(&mut fleet, rng, outcomes)?;
        self.make_well(&mut fleet)?;
        self.read(&fleet, outcomes)?;
        self.at_rest(&mut fleet, outcomes)
    }

    /// Heals and starts everything, and waits for an answer.
    fn make_well(&self, fleet: &mut Fleet) -> Result<(), Trouble> {
        fleet.become_as(&World::default())?;
        let mut observer = Observer::connect(fleet.cluster(), Instant::now(), self.interrupted)?;
        observer.demand(&Op::Put("well".into(), "yes".into())).map(|_| ())
    }

    fn under_faults(
        &self,
        fleet: &mut Fleet,
        rng: &mut Rng,
        outcomes: &mut Outcomes,
    ) -> Result<(), Trouble> {
        let Outcomes { beginning, .. } = *outcomes;
        let duration = Duration::from_secs(self.seconds);
        let schedule = schedule::draw(rng.next_u64(), duration, self.servers);
        let faults = Faults::default();
        let load = Load::start(fleet.cluster(), self.clients, &faults, rng.next_u64(), beginning)?;
        let bar = progress_bar();
        let mut nemesis = Nemesis::new(fleet, &faults, beginning);
        let followed = nemesis.run(&schedule, duration, |story| {
            self.check()?;
            bar.set_message(progress(beginning.elapsed(), self.seconds, load.board(), story));
            Ok(load.board().leader())
        });
        bar.finish_and_clear();
        outcomes.injected = nemesis.injected();
        outcomes.history = load.finish()?;
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
        let finals: Result<_, _> = workload::keys(outcomes.loaded).into_iter().map(read).collect();
        outcomes.history.extend(observer.finish());
        outcomes.finals = Some(finals?);
        Ok(())
    }

    /// Leaves the servers in peace until their logs are equal, and compares these with what the
    /// clients were told. That must hold at once, equality once all have caught up.
    fn at_rest(&self, fleet: &mut Fleet, outcomes: &mut Outcomes) -> Result<(), Trouble> {
        let mut differ = String::new();
        for peace in PEACE {
            self.make_well(fleet)?;
            self.sleep(peace)?;
            let logs = fleet.stop()?;
            if let Some(log) = logs::most_up_to_date(&logs) {
                let replay = Replay::of(&Kind::Store, log);
                logs::explain(&[replay], &outcomes.history)
                    .map_err(|unexplained| Trouble::Server(unexplained.to_string()))?;
                outcomes.entries = Some(log.iter().count());
            }
            match logs::agree(&logs) {
                Ok(()) => return Ok(()),
                Err(discord) => differ = discord.to_string(),
            }
        }
        outcomes.entries = None;
        Err(Trouble::Server(format!("the logs differ, though nothing is wrong: {differ}")))
    }

    fn judge(&self, mut findings: Findings, outcomes: Outcomes) -> (Report, Vec<Recorded>) {
        let Outcomes { loaded, injected, history, finals, entries, .. } = outcomes;
        findings.judge(&history, finals.as_ref());
        let (operations, faults) =
            (figures::operations(&history), figures::faults(&injected, &history));
        let all_kinds = Duration::from_secs(self.seconds) >= ALL_KINDS_FROM;
        findings.awake(&faults, all_kinds, operations, loaded.as_secs_f64());
        let report = Report {
            verdict: findings.verdict(),
            seed: self.seed,
            servers: self.servers,
            clients: self.clients,
            seconds: loaded.as_secs_f64(),
            operations,
            latency: figures::latency(&history),
            log_entries: entries,
            faults,
            findings,
        };
        (report, history)
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
    format!("{at} of {seconds} s, {done} done, {unknown} unknown; {story}")
}
