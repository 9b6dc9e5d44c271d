//! Whether a run has shown what it is there to show.

use std::collections::BTreeMap;

use checks::recorded::moves::Moves;
use checks::recorded::{Recorded, appends};
use model::history;
use model::kv::command::{Key, Value};
use serde::Serialize;

use super::audit::Transactions;
use super::figures::{Faults, Operations};
use super::waits::{Wait, Waits};

/// The least that a cluster must do, in operations a second over the whole run. Under all faults it
/// does hundreds, on a machine that is busy with other things dozens; with less, the faults have
/// hardly met anything.
const LEAST_RATE: f64 = 10.0;

/// The least that shards with keys must move, in moves a second: fifty in two minutes.
const LEAST_MOVES_RATE: f64 = 50.0 / 120.0;

/// The least that several groups must carry out together, in transactions a second: a thousand in
/// two minutes.
const LEAST_ACROSS_RATE: f64 = 1_000.0 / 120.0;

/// Of how many operations a second the waits must have been judged, on shards that moved as on
/// those that did not.
const LEAST_JUDGED_RATE: f64 = 1.0;

/// How a run has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// All promises were kept, under every fault.
    Passed,
    /// A promise was broken.
    Violated,
    /// No promise was broken, but not enough happened to say more.
    NotExercised,
}

/// What is wrong with a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Findings {
    /// The promises that were broken.
    pub(super) violations: Vec<String>,
    /// What did not happen and should have.
    pub(super) not_exercised: Vec<String>,
    /// How many appends were found in the final values, each once.
    pub(super) appends_found: usize,
}

impl Findings {
    pub(super) fn verdict(&self) -> Verdict {
        if !self.violations.is_empty() {
            Verdict::Violated
        } else if !self.not_exercised.is_empty() {
            Verdict::NotExercised
        } else {
            Verdict::Passed
        }
    }

    /// Judges what the clients saw, and what all keys hold in the end, if it came to that.
    pub(super) fn judge(
        &mut self,
        history: &[Recorded],
        finals: Option<&BTreeMap<Key, Option<Value>>>,
    ) {
        let operations: Vec<_> =
            history.iter().map(|recorded| recorded.operation.clone()).collect();
        if let Err(violation) = history::judge(&operations) {
            self.violations.push(format!("not linearizable: {violation}"));
        }
        match finals.map(|finals| appends::judge(history, finals)) {
            Some(Ok(found)) => self.appends_found = found,
            Some(Err(lapse)) => self.violations.push(format!("not exactly once: {lapse}")),
            None => {}
        }
    }

    /// Notes whether groups have carried out as many transactions together as they should.
    pub(super) fn transacting(&mut self, transactions: &Transactions, seconds: f64) {
        let (least, across) = (seconds * LEAST_ACROSS_RATE, transactions.across_groups);
        if (across as f64) < least {
            let across = format!("{across} transactions across groups, {least:.0} are the least");
            self.not_exercised.push(across);
        }
    }

    /// Notes whether as many shards with keys have moved as there should, and whether it was seen
    /// how long operations waited meanwhile.
    pub(super) fn moving(&mut self, moves: Moves, waits: &Waits, all_kinds: bool, seconds: f64) {
        let least = seconds * LEAST_MOVES_RATE;
        let Moves { of_keys, .. } = moves;
        if (of_keys as f64) < least {
            let moves = format!("{of_keys} moves of shards with keys, {least:.0} are the least");
            self.not_exercised.push(moves);
        }
        let least = seconds * LEAST_JUDGED_RATE;
        for (Wait { judged, .. }, what) in [(waits.unaffected, "stayed"), (waits.moving, "moved")] {
            if all_kinds && (judged as f64) < least {
                self.not_exercised.push(format!(
                    "{judged} operations on shards that {what} had their waits judged, {least:.0} \
                     are the least"
                ));
            }
        }
    }

    /// Notes what has not happened, though it should have: each kind of fault of which there is
    /// one in the schedule, or all, must have had an effect and been survived.
    pub(super) fn awake(
        &mut self,
        faults: &[Faults],
        all_kinds: bool,
        operations: Operations,
        seconds: f64,
    ) {
        let rate = operations.done as f64 / seconds;
        if rate < LEAST_RATE {
            let rate = format!("{rate:.1} operations a second, {LEAST_RATE} are the least");
            self.not_exercised.push(rate);
        }
        for Faults { kind, times, effect, first_done_after_ms, .. } in faults {
            if *times == 0 {
                if all_kinds {
                    self.not_exercised.push(format!("{kind}: it never happened"));
                }
            } else if *effect == 0 {
                self.not_exercised.push(format!("{kind}: it befell nothing"));
            } else if first_done_after_ms.iter().any(Option::is_none) {
                self.not_exercised.push(format!("{kind}: no operation was done after it"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::history::Operation;
    use model::kv::command::{Op, Output};
    use model::types::{ClientId, RequestId};

    use super::*;

    fn survived(kind: &'static str) -> Faults {
        let first_done_after_ms = vec![Some(1.0)];
        Faults { kind, times: 1, effect: 7, befell: "datagrams", first_done_after_ms }
    }

    fn awake(faults: &[Faults], all_kinds: bool, done: u64) -> Findings {
        let mut findings = Findings::default();
        findings.awake(faults, all_kinds, Operations { done, ..Operations::default() }, 1.0);
        findings
    }

    #[test]
    fn a_run_in_which_too_little_happened_has_not_passed() {
        let loss = || survived("loss");
        assert_eq!(awake(&[loss()], true, 1_000).verdict(), Verdict::Passed);
        assert_eq!(awake(&[loss()], true, 3).verdict(), Verdict::NotExercised);

        let none = Faults { times: 0, first_done_after_ms: vec![], ..loss() };
        let kinds = std::slice::from_ref(&none);
        assert_eq!(awake(kinds, true, 1_000).verdict(), Verdict::NotExercised);
        assert_eq!(awake(&[none], false, 1_000).verdict(), Verdict::Passed);
        let idle = Faults { effect: 0, ..loss() };
        assert_eq!(awake(&[idle], false, 1_000).verdict(), Verdict::NotExercised);
        let fatal = Faults { first_done_after_ms: vec![Some(1.0), None], ..loss() };
        assert_eq!(awake(&[fatal], false, 1_000).verdict(), Verdict::NotExercised);
    }

    #[test]
    fn a_run_in_which_too_little_moved_has_not_passed() {
        let moved = |of_keys, judged, all_kinds| {
            let wait = Wait { judged, max_ms: 1.0 };
            let waits = Waits { unaffected: Wait { judged: 9_999, ..wait }, moving: wait };
            let mut findings = Findings::default();
            findings.moving(Moves { completed: 99, of_keys }, &waits, all_kinds, 120.0);
            findings.verdict()
        };
        assert_eq!(moved(50, 120, true), Verdict::Passed);
        assert_eq!(moved(49, 120, true), Verdict::NotExercised);
        assert_eq!(moved(50, 119, true), Verdict::NotExercised);
        assert_eq!(moved(50, 0, false), Verdict::Passed);
    }

    #[test]
    fn what_the_clients_saw_is_judged_in_both_ways() {
        let recorded = |number, op, output| Recorded {
            number: RequestId(number),
            operation: Operation {
                client: ClientId(1),
                call: number * 10,
                ret: Some(number * 10 + 1),
                op,
                output: Some(output),
            },
            until: number * 10 + 1,
        };
        let value = |text: &str| Some(Value::from(text));
        let judged = |read: &str, end: &str| {
            let history = [
                recorded(1, Op::Append("log".into(), "a;".into()), Output::Written),
                recorded(2, Op::Get("log".into()), Output::Value(value(read))),
            ];
            let mut findings = Findings::default();
            findings.judge(&history, Some(&BTreeMap::from([("log".into(), value(end))])));
            (findings.verdict(), findings.violations.len())
        };
        assert_eq!(judged("a;", "a;"), (Verdict::Passed, 0));
        assert_eq!(judged("", "a;"), (Verdict::Violated, 1));
        assert_eq!(judged("a;", "a;a;"), (Verdict::Violated, 1));
        assert_eq!(judged("a;a;", ""), (Verdict::Violated, 2));
    }

    #[test]
    fn a_broken_promise_outweighs_what_did_not_happen() {
        let mut findings = awake(&[], true, 0);
        assert_eq!(findings.verdict(), Verdict::NotExercised);
        findings.violations.push("broken".to_owned());
        assert_eq!(findings.verdict(), Verdict::Violated);
    }
}
