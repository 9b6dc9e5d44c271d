//! One server as a process of its own, which can be killed and paused.
//!
//! The child is `shardwright serve --faults`: each line of its standard input is a plan of network
//! faults, answered by a line of what it has injected so far; the end of its input is its end. So
//! no child outlives this process, however that ends.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use runtime::threads;
use runtime::transport::{Plan, Tally};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::Trouble;

/// Longer than anything takes that ends at all, also on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How to start a server.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) node: u16,
    /// The cluster's configuration.
    pub(super) config: PathBuf,
    /// Where its standard error goes.
    pub(super) log: PathBuf,
    pub(super) first_start: bool,
    pub(super) segment_bytes: u32,
    /// What its network faults are drawn from.
    pub(super) seed: u64,
}

/// A server that runs or stands still.
pub(super) struct Process {
    setup: Setup,
    child: Child,
    /// Its standard input, until it is told to stop.
    plans: Option<ChildStdin>,
    lines: Receiver<String>,
    tally: Tally,
    paused: bool,
}

impl Process {
    /// Starts a server. It is not ready yet.
    pub(super) fn start(setup: Setup) -> Result<Self, Trouble> {
        let host = |error: io::Error| Trouble::Host(format!("cannot start a server: {error}"));
        let log = File::options().create(true).append(true).open(&setup.log).map_err(host)?;
        let mut command = Command::new(env::current_exe().map_err(host)?);
        command.arg("serve").arg("--config").arg(&setup.config);
        command.args(["--node", &setup.node.to_string(), "--faults", &setup.seed.to_string()]);
        command.args(["--segment-bytes", &setup.segment_bytes.to_string()]);
        if setup.first_start {
            command.arg("--first-start");
        }
        command.env("RUST_BACKTRACE", "0"); // Its last words are to be short.
        // A group of its own, so that Ctrl-C ends this process, and this process the child.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut child = command.spawn().map_err(host)?;
        let (plans, output) = (child.stdin.take(), child.stdout.take());
        let lines = output.map(|output| follow(setup.node, output)).transpose().map_err(host)?;
        let lines = lines.unwrap_or_else(|| channel().1);
        Ok(Self { setup, child, plans, lines, tally: Tally::default(), paused: false })
    }

    /// Waits until the server is ready.
    pub(super) fn await_ready(&mut self) -> Result<(), Trouble> {
        self.line().map(|_| ())
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What it has injected, as of the last plan.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// Gives it a new plan.
    pub(super) fn plan(&mut self, plan: &Plan) -> Result<(), Trouble> {
        let line = serde_json::to_string(plan).map_err(|error| self.trouble(error))?;
        let sent = match &mut self.plans {
            Some(plans) => writeln!(plans, "{line}").and_then(|()| plans.flush()),
            None => return Err(self.trouble("it was told to stop")),
        };
        sent.map_err(|error| self.trouble(error))?;
        let answer = self.line()?;
        self.tally = serde_json::from_str(&answer).map_err(|error| self.trouble(error))?;
        Ok(())
    }

    /// Stops it in the midst of whatever it does. Returns once it stands still.
    pub(super) fn pause(&mut self) -> Result<(), Trouble> {
        self.signal(Signal::STOP)?;
        self.await_change(WaitIdOptions::STOPPED)?;
        self.paused = true;
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self) -> Result<(), Trouble> {
        self.signal(Signal::CONT)?;
        self.await_change(WaitIdOptions::CONTINUED)?;
        self.paused = false;
        Ok(())
    }

    /// Kills it, as `kill -9` does. It is gone once [reaped](Self::reap).
    pub(super) fn kill(&self) -> Result<(), Trouble> {
        self.signal(Signal::KILL)
    }

    /// Waits for its death by [`kill`](Self::kill).
    pub(super) fn reap(&mut self) -> Result<(), Trouble> {
        match self.reap_either_way()? {
            None => Ok(()),
            Some(status) => Err(self.ended_by_itself(status)),
        }
    }

    /// Waits for its death. Returns its exit status if it had ended by itself before it was killed.
    pub(super) fn reap_either_way(&mut self) -> Result<Option<ExitStatus>, Trouble> {
        let status = self.child.wait().map_err(|error| self.trouble(error))?;
        Ok((status.signal() != Some(Signal::KILL.as_raw())).then_some(status))
    }

    /// Complains if it has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Trouble> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(self.ended_by_itself(status)),
        }
    }

    /// Its exit status, if it has ended.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Trouble> {
        self.child.try_wait().map_err(|error| self.trouble(error))
    }

    /// Waits until it has ended by itself.
    pub(super) fn await_end(&mut self) -> Result<ExitStatus, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.ended()? {
                Some(status) => return Ok(status),
                None => thread::sleep(LOOK_EVERY),
            }
        }
        Err(self.trouble("it does not end"))
    }

    /// Stops it in good order.
    pub(super) fn stop(mut self) -> Result<(), Trouble> {
        self.plans = None;
        let status = self.await_end()?;
        if status.success() {
            Ok(())
        } else {
            Err(self.trouble(format_args!("it ended with {status}")))
        }
    }

    /// The next line that it prints.
    fn line(&mut self) -> Result<String, Trouble> {
        self.lines.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.trouble("it does not answer"),
            RecvTimeoutError::Disconnected => match self.child.wait() {
                Ok(status) => self.ended_by_itself(status),
                Err(error) => self.trouble(error),
            },
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn signal(&self, signal: Signal) -> Result<(), Trouble> {
        kill_process(self.pid(), signal).map_err(|error| self.trouble(error))
    }

    /// Waits until the operating system says that it has stopped or goes on.
    fn await_change(&self, change: WaitIdOptions) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let status = waitid(WaitId::Pid(self.pid()), change | WaitIdOptions::NOHANG);
            match status.map_err(|error| self.trouble(error))? {
                Some(_) => return Ok(()),
                None => thread::sleep(LOOK_EVERY),
            }
        }
        Err(self.trouble("it takes no signal"))
    }

    pub(super) fn ended_by_itself(&self, status: ExitStatus) -> Trouble {
        self.trouble(format_args!("it ended by itself: {status}"))
    }

    /// What is wrong with this server, and its last words.
    pub(super) fn trouble(&self, what: impl std::fmt::Display) -> Trouble {
        let words = last_words(&self.setup.log);
        Trouble::Server(format!("n{}: {what}{words}", self.setup.node))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a child's lines on a thread of its own, so that waiting for one can have an end.
fn follow(node: u16, output: ChildStdout) -> io::Result<Receiver<String>> {
    let (sender, lines) = channel();
    threads::spawn(&format!("lines of n{node}"), move || {
        for line in io::BufRead::lines(io::BufReader::new(output)).map_while(Result::ok) {
            if sender.send(line).is_err() {
                return; // Nobody listens any more.
            }
        }
    })?;
    Ok(lines)
}

fn last_words(log: &Path) -> String {
    const LINES: usize = 10;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("\n  {line}")).collect()
}
