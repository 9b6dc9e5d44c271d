//! What a patch file says: a header of `Key: value` lines, then the change.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use diffy::patch_set::{ParseOptions, PatchSet};
use diffy::{Line, Patch};
use serde::Serialize;

use super::Error;
use crate::portfolio::Tier;

/// Where the patch files are, in a tree.
pub const DIRECTORY: &str = "checks/mutants";

/// What a patch may change. Never the properties, the systems or the checks.
const MUTABLE: [&str; 7] = [
    "src/model/raft/",
    "src/model/kv/",
    "src/model/replica.rs",
    "src/model/client.rs",
    "src/model/node.rs",
    "src/model/actor.rs",
    "src/model/effects.rs",
];

/// A bug, and what must notice it.
#[derive(Clone, Debug, Serialize)]
pub struct Mutant {
    /// Its name: that of its file.
    pub id: String,
    /// The kind of bug, by its row in the zoo (`docs/mutants.md`); `-` if it is in none.
    pub zoo: String,
    /// What is wrong, in a sentence.
    pub bug: String,
    /// The property that must fall, or the goal that must be out of reach.
    pub property: String,
    /// The check that shows it.
    pub check: String,
    /// When it is tried.
    #[serde(serialize_with = "tier_word")]
    pub tier: Tier,
    /// The change, as a unified diff.
    #[serde(skip)]
    diff: String,
}

fn tier_word<S: serde::Serializer>(tier: &Tier, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(tier.word())
}

/// A file as a mutant changes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Which, from the root of the tree.
    pub path: String,
    /// What is in it then.
    pub content: String,
}

impl Mutant {
    /// Every mutant of a tree, by name.
    ///
    /// # Errors
    /// If a file cannot be read, or is no mutant.
    pub fn all(tree: &Path) -> Result<Vec<Self>, Error> {
        let directory = tree.join(DIRECTORY);
        let mut mutants = Vec::new();
        for entry in fs::read_dir(&directory).map_err(Error::file(&directory))? {
            let path = entry.map_err(Error::file(&directory))?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let Some(id) = id.strip_suffix(".patch") else { continue };
            let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
            mutants.push(Self::parse(id, &text)?);
        }
        mutants.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(mutants)
    }

    /// Reads a patch file.
    ///
    /// # Errors
    /// If its header is incomplete or says what it cannot.
    pub fn parse(id: &str, text: &str) -> Result<Self, Error> {
        let malformed = |reason: String| Error::Malformed { id: id.to_owned(), reason };
        let (header, diff) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("an empty line ends the header".to_owned()))?;
        let mut fields = BTreeMap::new();
        for line in header.lines() {
            let (key, value) = line
                .split_once(": ")
                .ok_or_else(|| malformed(format!("'{line}' is no 'Key: value'")))?;
            if fields.insert(key, value).is_some() {
                return Err(malformed(format!("it has two lines '{key}'")));
            }
        }
        let mut take = |key: &str| {
            let value = fields.remove(key).map(str::to_owned);
            value.ok_or_else(|| malformed(format!("its header lacks '{key}'")))
        };
        let mutant = Self {
            id: id.to_owned(),
            zoo: take("Zoo")?,
            bug: take("Bug")?,
            property: take("Property")?,
            check: take("Check")?,
            tier: match take("Tier")?.as_str() {
                "ci" => Tier::Ci,
                "full" => Tier::Full,
                other => return Err(malformed(format!("there is no tier '{other}'"))),
            },
            diff: diff.to_owned(),
        };
        match fields.keys().next() {
            Some(key) => Err(malformed(format!("'{key}' means nothing here"))),
            None => Ok(mutant),
        }
    }

    /// What it makes of a tree.
    ///
    /// # Errors
    /// If it does not apply, changes nothing, or changes what is no protocol.
    pub fn apply(&self, tree: &Path) -> Result<Vec<Change>, Error> {
        let malformed = |reason: String| Error::Malformed { id: self.id.clone(), reason };
        let mut changes = Vec::new();
        for patch in PatchSet::parse(&self.diff, ParseOptions::unidiff()) {
            let patch = patch.map_err(|error| malformed(error.to_string()))?;
            let operation = patch.operation().strip_prefix(1);
            let diffy::patch_set::FileOperation::Modify { modified, .. } = operation else {
                return Err(malformed("it does more than change a file".to_owned()));
            };
            let path = modified.into_owned();
            if !MUTABLE.iter().any(|prefix| path.starts_with(prefix)) {
                return Err(malformed(format!("{path} is no protocol code")));
            }
            let file = tree.join(&path);
            let text = fs::read_to_string(&file).map_err(Error::file(&file))?;
            let content = patch
                .patch()
                .as_text()
                .ok_or_else(|| "it is no text".to_owned())
                .and_then(|patch| apply(&text, patch))
                .map_err(|reason| malformed(format!("{path}: {reason}")))?;
            changes.push(Change { path, content });
        }
        Ok(changes)
    }
}

/// Applies a patch to a text. Each hunk's lines must stand there exactly and once, so that no
/// change lands where it was not meant to; line numbers mean nothing.
fn apply(text: &str, patch: &Patch<'_, str>) -> Result<String, String> {
    for (number, hunk) in patch.hunks().iter().enumerate() {
        let number = number + 1;
        let before: Vec<_> = lines(hunk.lines(), |line| matches!(line, Line::Insert(_)));
        let after: Vec<_> = lines(hunk.lines(), |line| matches!(line, Line::Delete(_)));
        if before == after {
            return Err(format!("hunk {number} changes nothing"));
        }
        let present: Vec<_> = text.split_inclusive('\n').collect();
        match present.windows(before.len()).filter(|window| *window == before).count() {
            0 => return Err(format!("hunk {number} applies nowhere")),
            1 => {}
            places => return Err(format!("hunk {number} applies at {places} places")),
        }
    }
    diffy::apply(text, patch).map_err(|error| error.to_string())
}

/// The lines of a hunk, but for those that are `left_out`.
fn lines<'a>(lines: &[Line<'a, str>], left_out: impl Fn(&Line<'a, str>) -> bool) -> Vec<&'a str> {
    lines
        .iter()
        .filter(|line| !left_out(line))
        .map(|line| match line {
            Line::Context(text) | Line::Delete(text) | Line::Insert(text) => *text,
        })
        .collect()
}
