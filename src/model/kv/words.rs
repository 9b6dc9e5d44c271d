//! The steps of a transaction as words, as people and other programs write them.
//!
//! | words | what they ask for |
//! |---|---|
//! | `get KEY` | the value |
//! | `check KEY missing`, `check KEY present` | to go on only if there is no value, or one |
//! | `check KEY SIGN VALUE` | to go on only if it compares so: `=`, `!=`, `>=` or `<=` |
//! | `put KEY VALUE` | to set the value |
//! | `append KEY VALUE`, `add KEY VALUE` | to add to the end of the value, or to it as a number |
//! | `delete KEY` | to remove the key |
//! | `swap KEY KEY` | to exchange what is under two keys |
//!
//! A `VALUE` of `$KEY` is what is under that key. A value that itself begins with `$` is written
//! with another one before it. Bytes that are no text cannot be written: they are replaced.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use super::command::{Key, Value};
use super::transaction::{Condition, Operand, Step};

/// How each kind of step is written.
const FORMS: [(&str, &str); 7] = [
    ("get", "get KEY"),
    ("check", "check KEY missing', 'check KEY present' or, with = != >= <=, 'check KEY = VALUE"),
    ("put", "put KEY VALUE"),
    ("append", "append KEY VALUE"),
    ("add", "add KEY NUMBER"),
    ("delete", "delete KEY"),
    ("swap", "swap KEY KEY"),
];

/// Why words are no step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Misspelt {
    /// There are none.
    Empty,
    /// No kind of step is called this.
    Unknown(String),
    /// This kind of step is written like this.
    Form(&'static str),
}

/// The words of a step.
#[must_use]
pub fn write(step: &Step) -> Vec<String> {
    let (verb, key, rest) = match step {
        Step::Get(key) => ("get", key, vec![]),
        Step::Check(key, condition) => ("check", key, demanded(condition)),
        Step::Put(key, value) => ("put", key, vec![operand(value)]),
        Step::Append(key, value) => ("append", key, vec![operand(value)]),
        Step::Add(key, value) => ("add", key, vec![operand(value)]),
        Step::Delete(key) => ("delete", key, vec![]),
        Step::Swap(one, other) => ("swap", one, vec![text(other)]),
    };
    [verb.to_owned(), text(key)].into_iter().chain(rest).collect()
}

fn demanded(condition: &Condition) -> Vec<String> {
    let (sign, value) = match condition {
        Condition::Missing => ("missing", None),
        Condition::Present => ("present", None),
        Condition::Equals(value) => ("=", Some(value)),
        Condition::Differs(value) => ("!=", Some(value)),
        Condition::AtLeast(value) => (">=", Some(value)),
        Condition::AtMost(value) => ("<=", Some(value)),
    };
    [sign.to_owned()].into_iter().chain(value.map(operand)).collect()
}

fn operand(operand: &Operand) -> String {
    match operand {
        Operand::Value(value) if value.0.starts_with(b"$") => format!("${}", text(&value.0)),
        Operand::Value(value) => text(&value.0),
        Operand::Of(key) => format!("${}", text(key)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The step that these words ask for.
///
/// # Errors
/// If they ask for none.
pub fn read(words: &[impl AsRef<str>]) -> Result<Step, Misspelt> {
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    match words[..] {
        ["get", key] => Ok(Step::Get(key.into())),
        ["check", key, "missing"] => Ok(Step::Check(key.into(), Condition::Missing)),
        ["check", key, "present"] => Ok(Step::Check(key.into(), Condition::Present)),
        ["check", key, "=", value] => Ok(Step::Check(key.into(), Condition::Equals(meant(value)))),
        ["check", key, "!=", value] => {
            Ok(Step::Check(key.into(), Condition::Differs(meant(value))))
        }
        ["check", key, ">=", value] => {
            Ok(Step::Check(key.into(), Condition::AtLeast(meant(value))))
        }
        ["check", key, "<=", value] => Ok(Step::Check(key.into(), Condition::AtMost(meant(value)))),
        ["put", key, value] => Ok(Step::Put(key.into(), meant(value))),
        ["append", key, value] => Ok(Step::Append(key.into(), meant(value))),
        ["add", key, value] => Ok(Step::Add(key.into(), meant(value))),
        ["delete", key] => Ok(Step::Delete(key.into())),
        ["swap", one, other] => Ok(Step::Swap(one.into(), other.into())),
        [] => Err(Misspelt::Empty),
        [verb, ..] => match FORMS.iter().find(|(known, _)| *known == verb) {
            Some((_, form)) => Err(Misspelt::Form(form)),
            None => Err(Misspelt::Unknown(verb.to_owned())),
        },
    }
}

/// The operand that a word means.
fn meant(word: &str) -> Operand {
    match word.strip_prefix('$') {
        Some(value) if value.starts_with('$') => Operand::Value(Value::from(value)),
        Some(key) => Operand::Of(Key::from(key)),
        None => Operand::Value(Value::from(word)),
    }
}

impl Display for Misspelt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is nothing in it: leave it out"),
            Self::Unknown(verb) => {
                let [first @ .., last] = FORMS.map(|(known, _)| known);
                write!(f, "there is no '{verb}': a step is {} or {last}", first.join(", "))
            }
            Self::Form(form) => write!(f, "write '{form}'"),
        }
    }
}

impl Error for Misspelt {}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        for line in [
            "get a",
            "check a missing",
            "check a present",
            "check a = v",
            "check a != $b",
            "check a >= 10",
            "check a <= $b",
            "put a v",
            "put a $b",
            "put a $$b",
            "put a $$$b",
            "put a ",
            "put get missing",
            "append a $",
            "add a -10",
            "delete $a",
            "swap a b",
        ] {
            assert_eq!(write(&read(&words(line)).unwrap()), words(line), "{line}");
        }
    }

    #[test]
    fn a_dollar_names_a_key_and_two_are_one() {
        let put = |operand| Ok(Step::Put("a".into(), operand));
        assert_eq!(read(&words("put a $b")), put(Operand::Of("b".into())));
        assert_eq!(read(&words("put a $$b")), put(Operand::Value("$b".into())));
        assert_eq!(read(&words("put $a b")), Ok(Step::Put("$a".into(), meant("b"))));
    }

    #[test]
    fn who_misspells_a_step_is_told_how_it_is_written() {
        for (line, said) in [
            (
                "set a v",
                "there is no 'set': a step is get, check, put, append, add, delete or swap",
            ),
            ("get", "write 'get KEY'"),
            ("put a v w", "write 'put KEY VALUE'"),
            ("check a > 10", "write 'check KEY missing', 'check KEY present' or, with = != >= <="),
            ("check a =", "write 'check KEY missing'"),
            ("GET a", "there is no 'GET'"),
        ] {
            let misspelt = read(&words(line)).unwrap_err().to_string();
            assert!(misspelt.starts_with(said), "{line}: {misspelt}");
        }
        assert_eq!(read(&[""; 0]), Err(Misspelt::Empty));
    }
}
