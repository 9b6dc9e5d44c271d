//! The book says what the code says.

// A file that cannot be read fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

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
