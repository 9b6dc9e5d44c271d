//! What clients ask of several keys at once: transfers between accounts of which the sum never
//! changes, lists that show who came before whom, and pairs of which only one may be there.
//!
//! Their keys are of every shard, and nobody else asks for them.

use std::time::Duration;

use checks::recorded::appends::END;
use model::kv::command::{Key, Op, Value};
use model::kv::transaction::{Condition, Operand, Step, Transaction};
use runtime::rng::Rng;

/// Accounts, and what is in each at first.
const ACCOUNTS: u64 = 8;
const DEPOSIT: i64 = 100;

/// Most that a transfer moves. Some would overdraw their account.
const MOST: u64 = 60;

/// Lists at a time, and how long each is appended to: it is read whole.
const LISTS: u64 = 6;
const LIST_SPAN: Duration = Duration::from_secs(1);

/// Most steps of a transaction on lists.
const STEPS: u64 = 4;

/// Pairs at a time. There are new ones in every span.
const PAIRS: u64 = 16;

/// All accounts, in order.
pub(super) fn accounts() -> Vec<Key> {
    (0..ACCOUNTS).map(account).collect()
}

/// What is in all of them together.
pub(super) const fn total() -> i64 {
    ACCOUNTS as i64 * DEPOSIT
}

/// Whether a key is one of these, so that several keys of an operation may be.
pub(super) fn owns(key: &Key) -> bool {
    key.starts_with(b"account-") || is_list(key) || is_of_pair(key)
}

/// Whether it is a list.
pub(super) fn is_list(key: &Key) -> bool {
    key.starts_with(b"list-")
}

/// Whether it is one of a pair.
pub(super) fn is_of_pair(key: &Key) -> bool {
    key.starts_with(b"pair-")
}

/// All lists that a load of this length may have touched.
pub(super) fn lists(run: Duration) -> Vec<Key> {
    (0..=span(run)).flat_map(|span| (0..LISTS).map(move |number| list(number, span))).collect()
}

fn account(number: u64) -> Key {
    Key::from(format!("account-{number}"))
}

fn list(number: u64, span: u128) -> Key {
    Key::from(format!("list-{number}-{span}"))
}

fn pair(number: u64, span: u128) -> [Key; 2] {
    ["left", "right"].map(|side| Key::from(format!("pair-{number}-{span}-{side}")))
}

fn span(elapsed: Duration) -> u128 {
    elapsed.as_millis() / LIST_SPAN.as_millis()
}

/// Thinks up transactions for one client.
pub(super) struct Ledger {
    /// Part of every element, and of no other client's.
    name: String,
    appended: u64,
    rng: Rng,
    /// Whether it has asked for the accounts to be opened.
    has_opened: bool,
}

impl Ledger {
    pub(super) fn new(name: String, rng: Rng) -> Self {
        Self { name, appended: 0, rng, has_opened: false }
    }

    /// The next operation, when the run has lasted so long.
    pub(super) fn next(&mut self, elapsed: Duration) -> Op {
        if !std::mem::replace(&mut self.has_opened, true) {
            return open();
        }
        let span = span(elapsed);
        match self.rng.below(20) {
            0..8 => self.transfer(),
            8..11 => transaction(accounts().into_iter().map(Step::Get)),
            11..17 => self.on_lists(span),
            17 => {
                let element = self.element();
                Op::Append(list(self.rng.below(LISTS), span), element)
            }
            18 => Op::Get(list(self.rng.below(LISTS), span)),
            _ => self.on_pair(span),
        }
    }

    fn transfer(&mut self) -> Op {
        let from = self.rng.below(ACCOUNTS);
        let to = (from + 1 + self.rng.below(ACCOUNTS - 1)) % ACCOUNTS;
        let amount = 1 + self.rng.below(MOST);
        let operand = |number: String| Operand::Value(Value::from(number));
        transaction([
            Step::Check(account(from), Condition::AtLeast(operand(amount.to_string()))),
            Step::Add(account(from), operand(format!("-{amount}"))),
            Step::Add(account(to), operand(amount.to_string())),
        ])
    }

    fn on_lists(&mut self, span: u128) -> Op {
        let steps = 1 + self.rng.below(STEPS);
        let steps: Vec<_> = (0..steps)
            .map(|_| {
                let list = list(self.rng.below(LISTS), span);
                if self.rng.chance(0.5) {
                    Step::Get(list)
                } else {
                    Step::Append(list, Operand::Value(self.element()))
                }
            })
            .collect();
        transaction(steps)
    }

    /// Adds one of a pair if the other is not there, or looks at both.
    fn on_pair(&mut self, span: u128) -> Op {
        let [one, other] = pair(self.rng.below(PAIRS), span);
        let put = |mine: Key, other: Key| {
            let there = Operand::Value(Value::from("there"));
            transaction([Step::Check(other, Condition::Missing), Step::Put(mine, there)])
        };
        match self.rng.below(3) {
            0 => put(one, other),
            1 => put(other, one),
            _ => transaction([Step::Get(one), Step::Get(other)]),
        }
    }

    fn element(&mut self) -> Value {
        self.appended += 1;
        Value::from(format!("{}.{}{}", self.name, self.appended, char::from(END)))
    }
}

/// Puts the deposits into the accounts, if nobody has.
fn open() -> Op {
    let deposit = || Operand::Value(Value::from(DEPOSIT.to_string()));
    let unopened = Step::Check(account(0), Condition::Missing);
    let deposits = accounts().into_iter().map(|account| Step::Put(account, deposit()));
    transaction([unopened].into_iter().chain(deposits))
}

fn transaction(steps: impl IntoIterator<Item = Step>) -> Op {
    let steps: Vec<_> = steps.into_iter().collect();
    let made = Transaction::try_from(steps).expect("no key is set twice, and there are few");
    Op::Transaction(made.into())
}
