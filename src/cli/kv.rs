//! `shardwright get`, `put`, `append`, `cas` and `delete`: one operation on a cluster.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::kv::command::{Key, MAX_KEY_BYTES, MAX_VALUE_BYTES, Op, Output, Value};
use model::limits::Limits;
use model::replica::NotTaken;
use runtime::client::{Client, Outcome};
use runtime::cluster::{Cluster, ClusterError};

use super::{Exit, complain, up};

/// Which cluster, and how long to wait for it.
#[derive(clap::Args)]
pub(super) struct Target {
    /// The cluster's configuration; that of `shardwright up` if not given
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// How long to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, global = true)]
    timeout: u64,
}

impl Target {
    /// The cluster that is meant.
    pub(super) fn cluster(&self) -> Result<Cluster, ClusterError> {
        let local = Path::new(up::DEFAULT_DATA).join(up::CONFIG);
        Cluster::load(self.config.as_deref().unwrap_or(&local))
    }

    /// How long to wait for an answer.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Print the value of a key
#[derive(clap::Args)]
pub(crate) struct Get {
    /// The key
    key: String,
    #[command(flatten)]
    target: Target,
}

/// Set the value of a key
#[derive(clap::Args)]
pub(crate) struct Put {
    /// The key
    key: String,
    /// Its value
    value: String,
    #[command(flatten)]
    target: Target,
}

/// Add to the end of a key's value
#[derive(clap::Args)]
pub(crate) struct Append {
    /// The key
    key: String,
    /// What to add
    value: String,
    #[command(flatten)]
    target: Target,
}

/// Set the value of a key if it is what is expected
#[derive(clap::Args)]
#[command(after_help = "Examples:
  shardwright cas lock free mine     set 'lock' to 'mine' if it is 'free'
  shardwright cas lock --missing mine   ... if there is no 'lock'")]
pub(crate) struct Cas {
    /// The key
    key: String,
    /// The value that must be there, unless --missing
    #[arg(required_unless_present = "missing")]
    expected: Option<String>,
    /// The new value
    #[arg(required_unless_present = "missing")]
    new: Option<String>,
    /// Set it only if there is none; the one value given is the new one
    #[arg(long)]
    missing: bool,
    #[command(flatten)]
    target: Target,
}

/// Remove a key
#[derive(clap::Args)]
pub(crate) struct Delete {
    /// The key
    key: String,
    #[command(flatten)]
    target: Target,
}

impl Get {
    pub(crate) fn run(&self) -> Exit {
        carry_out(&self.target, &Op::Get(Key::from(&self.key)))
    }
}

impl Put {
    pub(crate) fn run(&self) -> Exit {
        carry_out(&self.target, &Op::Put(Key::from(&self.key), Value::from(&self.value)))
    }
}

impl Append {
    pub(crate) fn run(&self) -> Exit {
        carry_out(&self.target, &Op::Append(Key::from(&self.key), Value::from(&self.value)))
    }
}

impl Cas {
    pub(crate) fn run(&self) -> Exit {
        let (expected, new) = match (&self.expected, &self.new, self.missing) {
            (Some(new), None, true) => (None, new),
            (Some(expected), Some(new), false) => (Some(Value::from(expected)), new),
            (_, _, true) => {
                complain("with --missing, give the key and the new value, and nothing else");
                return Exit::Usage;
            }
            (_, _, false) => {
                complain("give the key, the expected value and the new one");
                return Exit::Usage;
            }
        };
        let op = Op::Cas { key: Key::from(&self.key), expected, new: Value::from(new) };
        carry_out(&self.target, &op)
    }
}

impl Delete {
    pub(crate) fn run(&self) -> Exit {
        carry_out(&self.target, &Op::Delete(Key::from(&self.key)))
    }
}

fn carry_out(target: &Target, op: &Op) -> Exit {
    if let Err(excess) = check(op) {
        complain(excess);
        return Exit::Usage;
    }
    match call(target, op) {
        Ok(outcome) => tell(&outcome),
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

fn check(op: &Op) -> Result<(), String> {
    let key = op.key().len();
    if key > MAX_KEY_BYTES {
        return Err(format!("the key has {key} bytes, the limit is {MAX_KEY_BYTES}: shorten it"));
    }
    if !op.within_limits(&Limits::DEFAULT) {
        return Err(format!("the value is over the limit of {MAX_VALUE_BYTES} bytes: split it"));
    }
    Ok(())
}

/// Carries out one operation.
pub(super) fn call(target: &Target, op: &Op) -> Result<Outcome, Box<dyn std::error::Error>> {
    let mut client = Client::connect(&target.cluster()?)?;
    let session = client.open();
    Ok(client.insist(session, op, target.patience())?)
}

/// Says how the operation has ended. A value goes to standard output as it is, and nothing else
/// does, so that it can be piped on.
fn tell(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Done(Output::Value(Some(value))) => print(value),
        Outcome::Done(Output::Value(None)) | Outcome::Done(Output::Deleted(false)) => {
            complain("there is no such key");
            Exit::Failed
        }
        Outcome::Done(Output::Written | Output::Swapped | Output::Deleted(true)) => Exit::Ok,
        Outcome::Done(Output::Mismatch(present)) => {
            match present {
                Some(value) => complain(format!("nothing was changed: the value is {value:?}")),
                None => complain("nothing was changed: there is no such key"),
            }
            Exit::Failed
        }
        Outcome::Done(output @ (Output::Committed(_) | Output::Rejected(_))) => {
            unreachable!("an operation on one key has ended as {output:?}")
        }
        Outcome::Done(Output::TooLarge) | Outcome::NotDone(NotTaken::TooLarge) => {
            complain(format!("nothing was changed: over the limit of {MAX_VALUE_BYTES} bytes"));
            Exit::Failed
        }
        Outcome::NotDone(
            why @ (NotTaken::Overloaded | NotTaken::DiskFull | NotTaken::Silent(_)),
        ) => {
            complain(format!("nothing was changed: {why}"));
            Exit::Failed
        }
        Outcome::Unknown => {
            complain("no answer in time: it may or may not have been done; is a majority up?");
            Exit::Failed
        }
    }
}

fn print(value: &Value) -> Exit {
    let mut out = stdout().lock();
    match out.write_all(&value.0).and_then(|()| out.write_all(b"\n")) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            complain(format!("cannot print the value: {error}"));
            Exit::Failed
        }
    }
}
