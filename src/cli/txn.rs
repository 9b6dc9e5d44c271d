//! `shardwright txn`: several operations on several keys that take effect as one, or not at all.

use std::fs;
use std::io::{self, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::kv::command::{Key, MAX_VALUE_BYTES, Op, Output, Value};
use model::kv::transaction::{MAX_WORK_BYTES, Reason, Refusal, Step, Transaction};
use model::kv::words;
use model::replica::NotTaken;
use runtime::client::Outcome;
use serde_json::json;

use super::{Exit, complain, kv};

/// Most characters of a step that are shown in a complaint.
const MAX_SHOWN: usize = 80;

/// Carry out several steps as one: all of them take effect, or none does
#[derive(clap::Args)]
#[command(after_help = "A step is one argument:
  get KEY              print the value
  check KEY CONDITION  go on only if this holds: missing, present, or one of
                       = != >= <= and a VALUE; the last two compare numbers
  put KEY VALUE        set the value
  append KEY VALUE     add to its end
  add KEY NUMBER       add to it as a number; a missing value is 0
  delete KEY           remove the key
  swap KEY KEY         exchange what is under two keys

A VALUE of $KEY is what is under that key; $$ is a dollar sign at the beginning of a value.
Words with blanks are quoted as in a shell. Each step sees what those before it have done.
At most 1,000 keys, 131,072 steps and 1 MiB; it may find, give back and write 4 MiB in all, and
compare 64 MiB. A number has at most 20 digits, its sign among them.

Examples:
  shardwright txn 'check a >= 10' 'add a -10' 'add b 10' 'get a' 'get b'   from a to b, if a has it
  shardwright txn 'swap today tomorrow'
  shardwright txn 'check lock missing' 'put lock mine' 'put motto \"divide and rule\"'
  shardwright txn 'put copy $original'
  echo '[[\"add\",\"a\",\"-10\"],[\"get\",\"a\"]]' | shardwright txn --file -

Exit code: 0 committed, 1 refused by a check, not done, or no answer, 2 usage.")]
pub(crate) struct Arguments {
    /// The steps, in order
    #[arg(value_name = "STEP", required_unless_present = "file", conflicts_with = "file")]
    steps: Vec<String>,
    /// Read the steps from this file, or from standard input if it is '-': a JSON list of lists of
    /// words
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print what has come of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: kv::Target,
}

/// A transaction, and its steps as they were written.
struct Asked {
    transaction: Arc<Transaction>,
    written: Vec<Written>,
}

/// A step as it was written.
struct Written {
    /// For complaints: in one line, and not all of it if it is long.
    text: String,
    words: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let asked = match Asked::read(arguments) {
        Ok(asked) => asked,
        Err(complaint) => {
            complain(complaint);
            return Exit::Usage;
        }
    };
    let op = Op::Transaction(Arc::clone(&asked.transaction));
    let outcome = match kv::call(&arguments.target, &op) {
        Ok(outcome) => outcome,
        Err(error) => {
            complain(error);
            return Exit::Failed;
        }
    };
    let told = if arguments.json { asked.report(&outcome) } else { asked.tell(&outcome) };
    if let Err(error) = told {
        complain(format!("cannot print what has come of it: {error}"));
        return Exit::Failed;
    }
    match outcome {
        Outcome::Done(Output::Committed(_)) => Exit::Ok,
        Outcome::Done(_) | Outcome::NotDone(_) | Outcome::Unknown => Exit::Failed,
    }
}

impl Asked {
    /// What the arguments ask for, or what is wrong with it.
    fn read(arguments: &Arguments) -> Result<Self, String> {
        let written = match &arguments.file {
            Some(file) => listed(file)?,
            None => numbered(&arguments.steps, |text| split(text))?,
        };
        let steps = numbered(&written, |Written { text, words }| {
            words::read(words).map_err(|misspelt| format!("{text}: {misspelt}"))
        })?;
        let transaction = Transaction::try_from(steps).map_err(|mistake| mistake.to_string())?;
        Ok(Self { written, transaction: Arc::new(transaction) })
    }

    /// Says how it has ended. What the gets have found goes to standard output, and nothing else
    /// does.
    fn tell(&self, outcome: &Outcome) -> io::Result<()> {
        match outcome {
            Outcome::Done(Output::Committed(values)) => return self.print(values),
            Outcome::Done(Output::Rejected(Refusal { step, reason })) => {
                let (text, why) = (&self.written[*step as usize].text, why(reason));
                complain(format!("nothing was changed: step {}, {text}, {why}", step + 1));
            }
            Outcome::Done(output) => unreachable!("a transaction has ended as {output:?}"),
            Outcome::NotDone(why) => complain(format!("nothing was changed: {why}")),
            Outcome::Unknown => complain(
                "no answer in time: all of it may or may not have been done; is a majority of \
                 each group up?",
            ),
        }
        Ok(())
    }

    fn print(&self, values: &[Option<Value>]) -> io::Result<()> {
        let mut out = stdout().lock();
        for (key, value) in self.gets().zip(values) {
            let line = match value {
                Some(value) => [&key[..], b": ", &value.0[..], b"\n"].concat(),
                None => [&key[..], b" is missing\n"].concat(),
            };
            out.write_all(&line)?;
        }
        Ok(())
    }

    /// The same for machines.
    fn report(&self, outcome: &Outcome) -> io::Result<()> {
        let report = match outcome {
            Outcome::Done(Output::Committed(values)) => {
                let value = |value: &Option<Value>| value.as_ref().map(content);
                let got = |(key, found)| json!({ "key": text(key), "value": value(found) });
                let gets: Vec<_> = self.gets().zip(values.iter()).map(got).collect();
                json!({ "outcome": "committed", "gets": gets })
            }
            Outcome::Done(Output::Rejected(Refusal { step, reason })) => {
                let words = &self.written[*step as usize].words;
                let mut report = json!({ "outcome": "refused", "step": step, "words": words });
                report["reason"] = match reason {
                    Reason::Found(found) => {
                        report["found"] = found.as_ref().map(content).into();
                        "found".into()
                    }
                    Reason::Missing => "missing".into(),
                    Reason::NotANumber => "not_a_number".into(),
                    Reason::TooLarge => "too_large".into(),
                };
                report
            }
            Outcome::Done(output) => unreachable!("a transaction has ended as {output:?}"),
            Outcome::NotDone(why) => json!({ "outcome": "not_done", "reason": obstacle(*why) }),
            Outcome::Unknown => json!({ "outcome": "unknown" }),
        };
        writeln!(stdout(), "{report}")
    }

    /// The keys of the gets, in their order.
    fn gets(&self) -> impl Iterator<Item = &Key> {
        let gets = self.transaction.steps().iter().filter(|step| matches!(step, Step::Get(_)));
        gets.flat_map(Step::keys)
    }
}

/// The reason for which a request was not taken, for machines.
fn obstacle(why: NotTaken) -> &'static str {
    match why {
        NotTaken::TooLarge => "too_large",
        NotTaken::Overloaded => "overloaded",
        NotTaken::DiskFull => "disk_full",
        NotTaken::Silent(_) => "silent_group",
    }
}

/// Why a step could not be carried out.
fn why(reason: &Reason) -> String {
    match reason {
        Reason::Found(Some(value)) => format!("found {}", in_short(&format!("{value:?}"))),
        Reason::Found(None) => "found no such key".to_owned(),
        Reason::Missing => "needs a key that is not there".to_owned(),
        Reason::NotANumber => "works with 64-bit numbers only".to_owned(),
        Reason::TooLarge => format!(
            "goes beyond {MAX_VALUE_BYTES} bytes for a value, or {MAX_WORK_BYTES} for all that the \
             transaction finds, gives back and writes"
        ),
    }
}

fn text(key: &Key) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn content(value: &Value) -> String {
    String::from_utf8_lossy(&value.0).into_owned()
}

/// Does this with each step, and says of the first that fails which one it is.
fn numbered<S, T>(steps: &[S], act: impl Fn(&S) -> Result<T, String>) -> Result<Vec<T>, String> {
    let act = |(step, number)| act(step).map_err(|wrong| format!("step {number}, {wrong}"));
    steps.iter().zip(1..).map(act).collect()
}

/// An argument as words.
fn split(text: &str) -> Result<Written, String> {
    let shown = format!("'{}'", in_short(text));
    match shell_words::split(text) {
        Ok(words) => Ok(Written { text: shown, words }),
        Err(_) => Err(format!("{shown}: close the quote")),
    }
}

/// The steps in a file.
fn listed(file: &Path) -> Result<Vec<Written>, String> {
    let text =
        if file == Path::new("-") { io::read_to_string(stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let steps: Vec<Vec<String>> = serde_json::from_str(&text).map_err(|error| {
        format!("{} is no list such as [[\"put\",\"k\",\"v\"]]: {error}", file.display())
    })?;
    let written = |words| Written { text: in_short(&json!(words).to_string()), words };
    Ok(steps.into_iter().map(written).collect())
}

/// As much of a text as fits into one line.
fn in_short(text: &str) -> String {
    let shown = |character: char| if character.is_control() { ' ' } else { character };
    let mut short: String = text.chars().take(MAX_SHOWN).map(shown).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        short.push('…');
    }
    short
}
