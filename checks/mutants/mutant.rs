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
const MUTABLE: [&str; 11] = [
    "src/model/raft/",
    "src/model/kv/",
    "src/model/shard/",
    "src/model/founding.rs",
    "src/model/machine.rs",
    "src/model/replica.rs",
    "src/model/replica/",
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
    /// The check that shows it, or the family of the driver (`drive-ones` and others).
    pub check: String,
    /// The seed of the first episode that the driver runs.
    pub seed: u64,
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
        let seed = fields.remove("Seed").map_or(Ok(1), str::parse);
        let seed = seed.map_err(|_| malformed("its seed is no number".to_owned()))?;
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
            seed,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::properties::progress;

    use super::super::{driven, home};
    use super::*;
    use crate::portfolio;

    const HEADER: &str = "Zoo: E07\nBug: A bug.\nProperty: p\nCheck: c\nTier: ci\n";

    fn diff(before: &str, after: &str) -> String {
        let file = "src/model/node.rs";
        format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{before}\n+{after}\n")
    }

    /// What the change of `before` to `after` makes of a tree whose node.rs holds `text`.
    fn changed(text: &str, before: &str, after: &str) -> Result<Vec<Change>, Error> {
        let tree = tempfile::tempdir().unwrap();
        let directory = tree.path().join("src/model");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("node.rs"), text).unwrap();
        Mutant::parse("m", &format!("{HEADER}\n{}", diff(before, after)))
            .unwrap()
            .apply(tree.path())
    }

    #[test]
    fn header_says_what_must_fall_where() {
        let mutant = Mutant::parse("m", &format!("{HEADER}\n{}", diff("a", "b"))).unwrap();
        assert_eq!((mutant.id.as_str(), mutant.zoo.as_str()), ("m", "E07"));
        assert_eq!((mutant.property.as_str(), mutant.check.as_str()), ("p", "c"));
        assert_eq!((mutant.bug.as_str(), mutant.tier), ("A bug.", Tier::Ci));
        assert_eq!(mutant.seed, 1, "if it says none");
        let mutant = Mutant::parse("m", &format!("{HEADER}Seed: 7\n\n{}", diff("a", "b")));
        assert_eq!(mutant.unwrap().seed, 7);
    }

    #[test]
    fn header_that_is_not_exact_is_refused() {
        for (header, why) in [
            (HEADER.replace("Check: c\n", ""), "lacks 'Check'"),
            (HEADER.replace("ci", "never"), "no tier 'never'"),
            (format!("{HEADER}Seed: x\n"), "seed is no number"),
            (format!("{HEADER}Extra: x\n"), "'Extra' means nothing"),
            (format!("{HEADER}Tier: ci\n"), "two lines 'Tier'"),
            (format!("{HEADER}nonsense\n"), "no 'Key: value'"),
        ] {
            let error = Mutant::parse("m", &format!("{header}\n")).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn change_applies_at_one_place_exactly_or_not_at_all() {
        let content = |changes: Vec<Change>| changes[0].content.clone();
        assert_eq!(content(changed("x\na\ny\n", "a", "b").unwrap()), "x\nb\ny\n");
        for (text, before, after, why) in [
            ("x\n", "a", "b", "applies nowhere"),
            ("a \n", "a", "b", "applies nowhere"),
            ("a\nx\na\n", "a", "b", "applies at 2 places"),
            ("a\n", "a", "a", "changes nothing"),
        ] {
            let error = changed(text, before, after).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn only_protocol_code_is_changed() {
        let diff = diff("a", "b").replace("node.rs", "properties/raft.rs");
        let mutant = Mutant::parse("m", &format!("{HEADER}\n{diff}")).unwrap();
        let error = mutant.apply(&home()).unwrap_err().to_string();
        assert!(error.contains("no protocol code"), "{error}");
    }

    #[test]
    fn every_mutant_applies_and_names_a_check_and_its_property() {
        let mutants = Mutant::all(&home()).unwrap();
        assert!(mutants.len() >= 30, "{} mutants", mutants.len());
        for mutant in &mutants {
            assert!(!mutant.apply(&home()).unwrap().is_empty(), "{} changes nothing", mutant.id);
            if driven::family(&mutant.check).is_some() {
                let property = &mutant.property;
                assert!(driven::has_property(property), "{}: no {property}", mutant.id);
                continue;
            }
            let check = portfolio::find(&mutant.check);
            let properties = check.map(portfolio::Check::properties).unwrap_or_default();
            let mut names = properties.iter().map(|property| property.name);
            assert!(
                check.is_some() && mutant.property == progress::NAME
                    || names.any(|name| name == mutant.property),
                "{}: no {} in {}",
                mutant.id,
                mutant.property,
                mutant.check
            );
        }
    }

    #[test]
    fn no_two_mutants_are_the_same() {
        let mutants = Mutant::all(&home()).unwrap();
        let diffs: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.diff).collect();
        assert_eq!(diffs.len(), mutants.len());
    }

    #[test]
    fn ci_tier_is_about_a_dozen() {
        let mutants = Mutant::all(&home()).unwrap();
        let ci = mutants.iter().filter(|mutant| mutant.tier == Tier::Ci).count();
        assert!((10..=16).contains(&ci), "{ci} mutants in the ci tier");
    }
}
