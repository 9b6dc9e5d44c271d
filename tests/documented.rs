//! The book says what the code says.

// A file that cannot be read fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use checks::mutants;
use checks::mutants::mutant::Mutant;
use checks::portfolio::{self, Check, Tier};
use model::properties;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn row(check: &Check) -> String {
    let bounds = check.bounds();
    let tier = match check.tier {
        Tier::Ci => "ci",
        Tier::Full => "full",
    };
    let states = grouped(check.unique_states);
    format!("| `{}` | {tier} | {states} | {bounds} | {} |", check.name, check.hides)
}

#[test]
fn every_check_stands_in_the_book_as_it_is() {
    let book = page("checking.md");
    let missing: Vec<_> = portfolio::checks().map(row).filter(|row| !book.contains(row)).collect();
    assert!(missing.is_empty(), "docs/checking.md lacks these rows:\n{}\n", missing.join("\n"));
}

#[test]
fn every_promise_stands_in_the_book() {
    let book = page("checking.md");
    for property in properties::promises() {
        let name = property.name;
        assert!(book.contains(&format!("`{name}`")), "docs/checking.md does not explain {name}");
    }
}

/// A mutant's row in the book, up to what was measured.
fn mutant_row(mutant: &Mutant) -> String {
    let Mutant { id, zoo, bug, property, check, .. } = mutant;
    format!("| `{id}` | {zoo} | {bug} | `{property}` | `{check}` | ")
}

/// Whether this is what the book says was measured: the states looked at, and the steps of the
/// shortest counterexample, or a dash if there is none.
fn is_measured(cells: &str) -> bool {
    let Some((states, steps)) = cells.trim_end_matches(" |").split_once(" | ") else {
        return false;
    };
    let positive = |digits: &str| digits.parse().is_ok_and(|number: u64| number > 0);
    positive(&states.replace(',', "")) && (steps == "-" || positive(steps))
}

#[test]
fn every_mutant_stands_in_the_book_and_no_other() {
    let book = page("mutants.md");
    let rows: Vec<_> = book.lines().filter(|line| line.starts_with("| `")).collect();
    let mutants = Mutant::all(&mutants::home()).unwrap();
    let expected: Vec<_> = mutants.iter().map(mutant_row).collect();
    let has =
        |row: &&str, start: &String| row.strip_prefix(start.as_str()).is_some_and(is_measured);
    let missing: Vec<_> = expected
        .iter()
        .filter(|start| rows.iter().filter(|row| has(row, start)).count() != 1)
        .cloned()
        .collect();
    assert!(missing.is_empty(), "docs/mutants.md lacks these rows:\n{}\n", missing.join("\n"));
    let stale: Vec<_> =
        rows.iter().filter(|row| !expected.iter().any(|start| has(row, start))).copied().collect();
    assert!(stale.is_empty(), "these rows of docs/mutants.md are stale:\n{}\n", stale.join("\n"));
}

#[test]
fn a_row_without_figures_is_not_measured() {
    for cells in ["1,460 | 7 |", "12 | - |"] {
        assert!(is_measured(cells), "{cells}");
    }
    for cells in ["| |", "0 | 3 |", "many | 3 |", "12 | 0 |", "12 |"] {
        assert!(!is_measured(cells), "{cells}");
    }
}
