//! Strict serializability, seen in lists: who must have come before whom, and is that a circle?
//!
//! If every append adds an element of its own, a list that somebody reads tells the order of all
//! appends up to there, and so who wrote what whom has read, and who overwrote it. Transactions and
//! what they depend on make a graph [Adya §4], and a circle in it is an anomaly with a name
//! [Kingsbury-Alvaro]. Unlike a search for an order this takes time that grows with the history
//! only, so it judges runs of any length; it knows only what reads show.
//!
//! `versions` reads the lists and finds what no order of transactions explains; `graph` looks
//! for circles. Real time is part of the graph: who ended before another began came before it.

mod graph;
mod versions;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use model::history::Operation;
use model::kv::command::{Key, Op, Output, Value};
use model::kv::transaction::{Operand, Step};

use super::appends::END;
use super::{Knowledge, Recorded};

/// Something that a strictly serializable store never shows. The names are Adya's and Elle's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Anomaly {
    /// G1a: the operation has read an element that was never appended in the end: its transaction
    /// was refused, or not done.
    AbortedRead(Operation, Element),
    /// G1b: it has read the list as it was in the middle of another's transaction.
    IntermediateRead(Operation, Element),
    /// It has not read what it had itself appended, or what it had read before.
    Internal(Operation, Key),
    /// It has read the same element twice.
    Duplicate(Operation, Element),
    /// It has read an element that nobody has asked for.
    Garbage(Operation, Element),
    /// Two reads of a key, neither of which begins with the other.
    IncompatibleOrder(Box<[Operation; 2]>, Key),
    /// A circle.
    Cycle(Kind, Vec<(Operation, Link)>),
}

/// What a circle is made of: the least of the kinds that it is of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// G0, a dirty write: writes alone.
    WriteCycle,
    /// G1c: somebody has read what was written, and both came first.
    CircularInformation,
    /// G-single, a read skew: somebody has read what another overwrote, and depends on it.
    Single,
    /// G2-item, a write skew: two or more have.
    Item,
    /// The same, where somebody comes before another only because he had ended.
    RealTime,
}

/// Why a transaction comes before the next.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Link {
    /// ww: it has appended what the next has appended to.
    Write,
    /// wr: it has appended what the next has read.
    Read,
    /// rw: it has read what the next has appended to.
    AntiDependency,
    /// rt: it had ended when the next began.
    RealTime,
}

/// One element of a list.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Element {
    /// The list.
    pub key: Key,
    /// What was appended, without its end mark.
    pub token: Vec<u8>,
}

/// How much was judged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Judged {
    /// Transactions that have taken effect, those of one step included.
    pub transactions: usize,
    /// How often one comes before another for another reason than time.
    pub links: usize,
}

/// A transaction as far as lists go.
struct Transaction<'a> {
    operation: &'a Operation,
    steps: Vec<Micro>,
    /// Whether it has taken effect. `None`: nobody knows, unless somebody has read of it.
    committed: Option<bool>,
}

/// What a transaction does to one list.
enum Micro {
    Append(Element),
    Read(Key, Vec<Element>),
}

/// Judges a history in which lists are only appended to, and read.
///
/// # Errors
/// The first anomaly.
pub fn judge(history: &[Recorded]) -> Result<Judged, Box<Anomaly>> {
    let transactions: Vec<_> = history.iter().filter_map(transaction).collect();
    let order = versions::order(&transactions)?;
    graph::judge(&transactions, &order)
}

/// What an operation does to lists, if that is all that it does.
fn transaction(recorded: &Recorded) -> Option<Transaction<'_>> {
    let operation = &recorded.operation;
    let known = recorded.known();
    let output = match known {
        Knowledge::Done(output) => Some(output),
        Knowledge::NotDone | Knowledge::Unknown => None,
    };
    let append = |key: &Key, value: &Value| Micro::Append(element(key, &value.0));
    let read = |key: &Key, value: &Option<Value>| Micro::Read(key.clone(), elements(key, value));
    let (steps, refused) = match (&operation.op, output) {
        (Op::Get(key), Some(Output::Value(value))) => (vec![read(key, value)], false),
        (Op::Append(key, value), output) => {
            (vec![append(key, value)], output == Some(&Output::TooLarge))
        }
        (Op::Transaction(transaction), output) => {
            let mut found = match output {
                Some(Output::Committed(values)) => values.iter(),
                _ => [].iter(),
            };
            let steps = transaction.steps().iter().filter_map(|step| match step {
                Step::Append(key, Operand::Value(value)) => Some(append(key, value)),
                Step::Get(key) => found.next().map(|value| read(key, value)),
                Step::Append(_, Operand::Of(_))
                | Step::Check(..)
                | Step::Put(..)
                | Step::Add(..)
                | Step::Delete(_)
                | Step::Swap(..) => None,
            });
            (steps.collect(), matches!(output, Some(Output::Rejected(_))))
        }
        (Op::Get(_) | Op::Put(..) | Op::Cas { .. } | Op::Delete(_), _) => return None,
    };
    let committed = match known {
        Knowledge::Done(_) => Some(!refused),
        Knowledge::NotDone => Some(false),
        Knowledge::Unknown => None,
    };
    Some(Transaction { operation, steps, committed })
}

fn element(key: &Key, bytes: &[u8]) -> Element {
    let token = bytes.strip_suffix(&[END]).unwrap_or(bytes).to_vec();
    Element { key: key.clone(), token }
}

fn elements(key: &Key, value: &Option<Value>) -> Vec<Element> {
    let bytes = value.as_ref().map_or(&[][..], |value| &value.0);
    bytes.split_inclusive(|byte| *byte == END).map(|token| element(key, token)).collect()
}

/// For each element who has appended it, and where among his appends to that list: whether it is
/// the last of them.
type Authors = BTreeMap<Element, (usize, bool)>;

fn authors(transactions: &[Transaction<'_>]) -> Authors {
    let mut authors = Authors::new();
    for (author, transaction) in transactions.iter().enumerate() {
        let mut last: BTreeMap<&Key, &Element> = BTreeMap::new();
        for step in &transaction.steps {
            if let Micro::Append(element) = step {
                last.insert(&element.key, element);
                authors.insert(element.clone(), (author, false));
            }
        }
        for element in last.into_values() {
            authors.insert(element.clone(), (author, true));
        }
    }
    authors
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", String::from_utf8_lossy(&self.token), self.key)
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteCycle => "G0 (dirty write)",
            Self::CircularInformation => "G1c (circular information)",
            Self::Single => "G-single (read skew)",
            Self::Item => "G2-item (write skew)",
            Self::RealTime => "a cycle with real time",
        })
    }
}

impl Display for Anomaly {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AbortedRead(operation, element) => {
                write!(f, "G1a (aborted read): {element} was not appended, and is in {operation}")
            }
            Self::IntermediateRead(operation, element) => {
                write!(f, "G1b (intermediate read): {element} is the last in {operation}")
            }
            Self::Internal(operation, key) => {
                write!(f, "internal: {operation} contradicts itself about {key:?}")
            }
            Self::Duplicate(operation, element) => {
                write!(f, "duplicate: {element} is twice in {operation}")
            }
            Self::Garbage(operation, element) => {
                write!(f, "garbage: nobody has appended {element}, which is in {operation}")
            }
            Self::IncompatibleOrder(both, key) => {
                let [one, other] = &**both;
                write!(f, "incompatible order of {key:?}: {one} and {other}")
            }
            Self::Cycle(kind, links) => {
                write!(f, "{kind}:")?;
                links.iter().try_for_each(|(operation, link)| {
                    write!(f, "\n  {operation}\n    comes before ({link})")
                })?;
                f.write_str(" the first")
            }
        }
    }
}

impl Display for Link {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "ww: it has appended first",
            Self::Read => "wr: it has appended what the next has read",
            Self::AntiDependency => "rw: it has read what the next has appended to",
            Self::RealTime => "rt: it had ended",
        })
    }
}
