//! Style, as far as a machine can judge it.

// A file that cannot be read fails the test, which is all there is to say.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const MAX_COLUMNS: usize = 100;
const MAX_LINES: usize = 500;

/// A file of the project with its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines before the file's own tests.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| *line != "#[cfg(test)]")
    }
}

/// The project's files with this ending.
fn sources(ending: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "checks", "benches", "tests", "docs"].map(|folder| root.join(folder)).into();
    folders.retain(|folder| folder.exists());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} files under {}", root.display());
    found
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn lines_and_files_are_short() {
    let mut complaints = Vec::new();
    for source in sources("rs") {
        for (number, line) in source.text.lines().enumerate() {
            if line.chars().count() > MAX_COLUMNS {
                complaints.push(format!("{}:{}: too wide", source.path, number + 1));
            }
        }
        let lines = source.code().count();
        if lines > MAX_LINES && !source.path.contains("tests") {
            complaints.push(format!("{}: {lines} lines before its tests; split it", source.path));
        }
    }
    complain(&complaints);
}

#[test]
fn nothing_is_left_unfinished() {
    // In two parts, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ig", "nore"), "dbg!("];
    let mut complaints = Vec::new();
    for source in sources("rs").iter().filter(|source| source.path != "tests/tidy.rs") {
        for (number, line) in source.text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(*mark)) {
                complaints.push(format!("{}:{}: {mark}", source.path, number + 1));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn every_citation_has_a_source() {
    let references =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/references.md"))
            .unwrap();
    let mut complaints = Vec::new();
    for source in sources("rs").iter().filter(|source| source.path != "tests/tidy.rs") {
        for (number, line) in source.text.lines().enumerate() {
            for key in citations(line).filter(|key| !references.contains(&format!("| [{key}] |"))) {
                complaints.push(format!("{}:{}: [{key}] is unknown", source.path, number + 1));
            }
        }
    }
    complain(&complaints);
}

/// The keys of `[Key §1.2]` and `[Key Fig. 3]`.
fn citations(line: &str) -> impl Iterator<Item = &str> {
    line.split('[').skip(1).filter_map(|rest| {
        let inside = &rest[..rest.find(']')?];
        let key = inside.split(" §").next()?.split(" Fig.").next()?;
        let cited = inside.len() > key.len();
        (cited && key.chars().all(|c| c.is_ascii_alphabetic() || c == '-')).then_some(key)
    })
}

#[test]
fn citations_are_found() {
    let found: Vec<_> = citations("see [Raft §5.2], [Herlihy-Wing §1] and [`Vec`], a[0]").collect();
    assert_eq!(found, ["Raft", "Herlihy-Wing"]);
}

#[test]
fn every_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table =
        fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let reasons = fs::read_to_string(root.join("docs/decisions/0002-dependencies.md")).unwrap();
    let listed: Vec<_> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .flat_map(|names| names.split(", "))
        .collect();
    let complaints: Vec<_> = manifest["workspace"]["dependencies"]
        .as_table()
        .unwrap()
        .iter()
        .filter(|(name, spec)| spec.get("path").is_none() && !listed.contains(&name.as_str()))
        .map(|(name, _)| format!("{name} has no line in docs/decisions/0002-dependencies.md"))
        .collect();
    complain(&complaints);
}

/// The protocols never name what is promised of them, nor who hosts them; what is promised names
/// nothing of the protocols but their vocabulary.
#[test]
fn protocols_and_promises_stay_apart() {
    let protocol =
        ["raft/", "kv/", "shard/", "replica.rs", "client.rs", "node.rs", "effects.rs", "types.rs"];
    let hidden = ["stateright", "crate::spec", "crate::history", "crate::properties", "crate::sys"];
    let mut complaints = Vec::new();
    for source in sources("rs") {
        let Some(path) = source.path.strip_prefix("src/model/") else { continue };
        let of_protocol = protocol.iter().any(|part| path.starts_with(part));
        for line in source.code().filter(|line| !line.trim_start().starts_with("//")) {
            let names_promise = of_protocol && hidden.iter().any(|name| line.contains(name));
            let names_protocol = path.starts_with("spec/")
                && line.contains("crate::")
                && ![
                    "crate::kv::command",
                    "crate::kv::transaction",
                    "crate::limits",
                    "crate::size",
                ]
                .iter()
                .any(|w| line.contains(w));
            let knows_store = path.starts_with("raft/")
                && ["crate::kv", "crate::shard", "crate::replica", "crate::node"]
                    .iter()
                    .any(|name| line.contains(name));
            if names_promise || names_protocol || knows_store {
                complaints.push(format!("{}: {}", source.path, line.trim()));
            }
        }
    }
    complain(&complaints);
}
