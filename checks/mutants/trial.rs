//! Trying mutants: build each, ask it, and judge.

use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Error;
use super::finding::Finding;
use super::mutant::Mutant;
use super::tree::Tree;

/// Whether a mutant is killed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its property falls.
    Killed {
        /// How many states were looked at before that was seen.
        states: usize,
        /// A shortest way to see it; nothing if a goal is out of reach, which no path shows.
        counterexample: Option<Counterexample>,
    },
    /// Its property holds: the check is asleep.
    Survived,
    /// It does not apply, does not build, or nothing is known.
    Broken(String),
}

/// A shortest way to see a bug.
#[derive(Clone, Debug, Serialize)]
pub struct Counterexample {
    /// What is wrong in the last state.
    pub detail: String,
    /// The steps to it.
    pub steps: Vec<String>,
}

/// A mutant, tried.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// Which.
    #[serde(flatten)]
    pub mutant: Mutant,
    /// Whether it is killed.
    pub outcome: Outcome,
    /// How long it took to build.
    pub build_seconds: f64,
    /// How long it took to search.
    pub search_seconds: f64,
}

impl Trial {
    /// Whether it is killed.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        matches!(self.outcome, Outcome::Killed { .. })
    }
}

/// What goes on, for whoever waits.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The unchanged tree is built, and must pass this check.
    Control(&'a str),
    /// This mutant is searched.
    Search(&'a Mutant),
    /// A mutant is done.
    Done(&'a Trial),
}

/// Longer than any check takes in the unchanged tree, several times over. A mutant may have many
/// more states, or run for ever.
const PATIENCE: Duration = Duration::from_secs(900);

/// Tries `mutants`, one after the other; each is built while the one before is searched.
///
/// # Errors
/// If the tree cannot be copied, or does not pass the checks unchanged.
pub fn run(
    mut tree: Tree,
    mutants: &[Mutant],
    threads: NonZeroUsize,
    mut report: impl FnMut(Event<'_>),
) -> Result<Vec<Trial>, Error> {
    let probe = tree.build("control")?.map_err(|words| {
        Error::Control(format!("the tree does not build without any change:\n{words}"))
    })?;
    let mut checks: Vec<_> = mutants.iter().map(check_of).collect();
    checks.sort_unstable();
    checks.dedup();
    for (check, seed) in checks {
        report(Event::Control(check));
        match ask(&probe, threads, &[check, &seed.to_string()])? {
            Finding::Holds => {}
            other => {
                let why = format!("without any change {check} does not pass: {other:?}");
                return Err(Error::Control(why));
            }
        }
    }
    thread::scope(|scope| {
        let (send, built) = mpsc::sync_channel(0);
        scope.spawn(move || {
            for mutant in mutants {
                let start = Instant::now();
                let probe = build(&mut tree, mutant);
                if send.send((mutant, probe, start.elapsed())).is_err() {
                    return; // Whoever waits has given up.
                }
            }
        });
        search_all(&built, threads, &mut report)
    })
}

/// The check of a mutant, and the seed from which the driver begins if it is one of the driver.
fn check_of(mutant: &Mutant) -> (&str, u64) {
    (&mutant.check, mutant.seed)
}

/// The program of a mutant, or why there is none.
type Built = Result<Result<PathBuf, String>, Error>;

fn build(tree: &mut Tree, mutant: &Mutant) -> Built {
    let changes = match mutant.apply(tree.original()) {
        Ok(changes) => changes,
        Err(error @ Error::Malformed { .. }) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error),
    };
    tree.change(&changes)?;
    tree.build(&mutant.id)
}

fn search_all(
    built: &Receiver<(&Mutant, Built, Duration)>,
    threads: NonZeroUsize,
    report: &mut impl FnMut(Event<'_>),
) -> Result<Vec<Trial>, Error> {
    let mut trials = Vec::new();
    for (mutant, probe, build_time) in built {
        report(Event::Search(mutant));
        let start = Instant::now();
        let outcome = match probe? {
            Ok(probe) => {
                let (check, seed) = check_of(mutant);
                let finding = ask(&probe, threads, &[check, &seed.to_string(), &mutant.property])?;
                fs::remove_file(&probe).map_err(Error::file(&probe))?;
                judge(finding)
            }
            Err(words) => Outcome::Broken(words),
        };
        let trial = Trial {
            mutant: mutant.clone(),
            outcome,
            build_seconds: build_time.as_secs_f64(),
            search_seconds: start.elapsed().as_secs_f64(),
        };
        report(Event::Done(&trial));
        trials.push(trial);
    }
    Ok(trials)
}

fn judge(finding: Finding) -> Outcome {
    match finding {
        Finding::Falls { states, detail, steps } => {
            let counterexample = Some(Counterexample { detail, steps });
            Outcome::Killed { states, counterexample }
        }
        Finding::OutOfReach { states } => Outcome::Killed { states, counterexample: None },
        Finding::Holds => Outcome::Survived,
        Finding::Unclear(why) => Outcome::Broken(why),
    }
}

/// Asks a tree how a check, or one of its properties, does in it.
fn ask(probe: &Path, threads: NonZeroUsize, names: &[&str]) -> Result<Finding, Error> {
    let failed = |source| Error::Program { program: probe.display().to_string(), source };
    let mut child = Command::new(probe)
        .arg(threads.to_string())
        .args(names)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let answer = child.stdout.take().map(|mut stdout| {
        thread::spawn(move || {
            let mut answer = String::new();
            stdout.read_to_string(&mut answer).map(|_| answer)
        })
    });
    if !ends(&mut child).map_err(failed)? {
        return Ok(Finding::Unclear(format!("no answer in {} seconds", PATIENCE.as_secs())));
    }
    let answer = match answer.map(thread::JoinHandle::join) {
        Some(Ok(Ok(answer))) => answer,
        Some(Ok(Err(_)) | Err(_)) | None => String::new(),
    };
    Ok(serde_json::from_str(&answer)
        .unwrap_or_else(|error| Finding::Unclear(format!("it broke down ({error}): {answer}"))))
}

/// Waits for a program; ends it if that takes too long.
fn ends(child: &mut Child) -> std::io::Result<bool> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}
