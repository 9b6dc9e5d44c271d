//! A server that has lost its disk, and comes under its number with an empty one.
//!
//! Its group has to refuse it: then its process ends by itself, and says why. As long as nobody is
//! there to refuse it, it waits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

use runtime::transport::{Plan, Tally};

use super::Trouble;
use super::process::{Process, Setup};

/// The exit code of a server that is refused.
const REFUSED: i32 = 1;

/// Words that a server ends with when it is refused because it has lost its disk.
const WORDS: [&str; 2] = ["is refused by", "can not come back under its number"];

/// A server without its disk.
pub(super) struct Newcomer {
    /// What it has to say since it has lost its disk.
    log: PathBuf,
    /// It, while it is there.
    process: Option<Process>,
    refused: Option<Refused>,
    /// What was injected by those of its processes that are gone.
    past: Tally,
}

/// The end of a server that was refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) at: Instant,
    pub(super) words: String,
}

impl Newcomer {
    /// One that is not there yet.
    pub(super) fn new(folder: &Path, server: u16) -> Self {
        let log = folder.join(format!("n{server}-without-its-disk.log"));
        Self { log, process: None, refused: None, past: Tally::default() }
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Its end, if it was refused.
    pub(super) fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// Whether it is down, and has not been refused.
    pub(super) fn is_to_come(&self) -> bool {
        self.process.is_none() && self.refused.is_none()
    }

    pub(super) fn tally(&self) -> Tally {
        self.process.iter().fold(self.past, |sum, process| sum + process.tally())
    }

    /// Starts it. It is not ready yet.
    pub(super) fn start(&mut self, setup: Setup) -> Result<(), Trouble> {
        self.process = Some(Process::start(setup)?);
        Ok(())
    }

    /// Waits until it is ready. A server is, before anybody can refuse it.
    pub(super) fn await_ready(&mut self) -> Result<(), Trouble> {
        self.process.as_mut().map_or(Ok(()), Process::await_ready)
    }

    /// Gives it a new plan, unless it ends.
    pub(super) fn plan(&mut self, plan: &Plan) -> Result<(), Trouble> {
        self.look()?;
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.plan(plan).is_err() {
            let status = process.await_end()?;
            return self.end(status);
        }
        Ok(())
    }

    /// Kills it, if it is there.
    pub(super) fn kill(&mut self) -> Result<(), Trouble> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.kill()?;
        match process.reap_either_way()? {
            Some(status) => self.end(status),
            None => {
                self.past = self.tally();
                self.process = None;
                Ok(())
            }
        }
    }

    /// Sees whether it has ended, and complains if it was not because it is refused.
    pub(super) fn look(&mut self) -> Result<(), Trouble> {
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.ended()? {
            Some(status) => self.end(status),
            None => Ok(()),
        }
    }

    /// It has ended by itself.
    fn end(&mut self, status: ExitStatus) -> Result<(), Trouble> {
        self.past = self.tally();
        let Some(process) = self.process.take() else { return Ok(()) };
        let text = fs::read_to_string(&self.log)?;
        match refusal(status.code(), &text) {
            Some(words) => {
                let words = words.to_owned();
                self.refused = Some(Refused { at: Instant::now(), words });
                Ok(())
            }
            None => Err(process.ended_by_itself(status)),
        }
    }
}

/// The words with which a server has ended that was refused; `None` if it was not.
fn refusal(code: Option<i32>, text: &str) -> Option<&str> {
    let last = text.lines().last()?;
    let is_refused = code == Some(REFUSED) && WORDS.iter().all(|words| last.contains(words));
    is_refused.then(|| last.trim_start_matches("shardwright: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_refused_when_it_ends_with_these_words_and_not_otherwise() {
        let words = "n1 i7f is refused by n2: the group was founded with {n1 i31}; a server that \
                     has lost its disk can not come back under its number: leave it stopped";
        let text = format!("something before\nshardwright: {words}\n");
        assert_eq!(refusal(Some(1), &text), Some(words));
        assert_eq!(refusal(Some(0), &text), None, "it was stopped");
        assert_eq!(refusal(None, &text), None, "it was killed");
        assert_eq!(refusal(Some(1), &format!("{text}shardwright: no space left\n")), None);
        assert_eq!(refusal(Some(1), ""), None);
    }
}
