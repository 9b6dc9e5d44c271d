//! What a check has found.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::story::Counterexample;

/// How a check, or one of its properties, has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds in every state within the bounds; or the goal is reached.
    Passed,
    /// It holds in every state that can be reached from where a staged search started. Nothing is
    /// known of the others.
    #[serde(rename = "passed from stage")]
    PassedFromStage,
    /// It does not hold; or the goal is out of reach; or the states are not as many as pinned.
    Failed,
    /// The search ended before its last state, or it was staged and cannot say. Nothing is known.
    Incomplete,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::PassedFromStage => "passed from stage",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// What a check has found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The check.
    pub name: &'static str,
    /// How it has ended.
    pub verdict: Verdict,
    /// Where it started, if not at the first state: all else here is about what lies behind.
    pub stage: Option<Staged>,
    /// States reached, each counted once.
    pub unique_states: u64,
    /// How many there are to be, of those that are reached from the first state.
    pub pinned_unique_states: u64,
    /// States reached, counted each time.
    pub total_states: u64,
    /// The longest path searched.
    pub depth: u64,
    /// How long it took.
    pub seconds: f64,
    /// On how many threads.
    pub threads: usize,
    /// What searched.
    pub engine: &'static str,
    /// The most bytes that the search kept in memory, apart from the distinct parts of states; if
    /// the engine knows.
    pub peak_memory_bytes: Option<usize>,
    /// How likely it is, at most, that two states were taken for one; if the engine knows.
    pub collision_probability: Option<f64>,
    /// What broke the search itself, if anything did.
    pub error: Option<String>,
    /// How each property has ended.
    pub properties: Vec<PropertyReport>,
    /// Within which bounds.
    pub bounds: Bounds,
    /// How a promise is broken, if one is.
    pub counterexample: Option<Counterexample>,
}

/// Where a staged search started.
#[derive(Clone, Debug, Serialize)]
pub struct Staged {
    /// What is said to lead there: a goal, or a file.
    pub from: String,
    /// How many steps do.
    pub steps: usize,
}

/// How a property has ended.
#[derive(Clone, Debug, Serialize)]
pub struct PropertyReport {
    /// Its name.
    pub name: &'static str,
    /// What it looks at.
    pub kind: &'static str,
    /// How it has ended.
    pub verdict: Verdict,
}

/// The bounds of a check, for machines.
#[derive(Clone, Debug, Serialize)]
pub struct Bounds {
    /// How many servers.
    pub servers: u16,
    /// For each client its operations.
    pub clients: Vec<Vec<String>>,
    /// The highest term.
    pub max_term: u64,
    /// The longest log.
    pub max_log: usize,
    /// Crashes with restart, in all.
    pub restarts: u8,
    /// Heartbeat timeouts, in all.
    pub heartbeats: u8,
    /// Times that leaders of groups look after their shards, in all.
    pub polls: u8,
    /// Retries of each client.
    pub retries: u8,
    /// Disks lost, in all.
    pub lost_disks: u8,
    /// Whether the groups are founded at the beginning.
    pub founded: bool,
    /// How the servers share the store, if not all of them keep all of it.
    pub sharding: Option<Sharding>,
    /// The network.
    pub network: &'static str,
    /// Most entries in one AppendEntries.
    pub batch_entries: usize,
    /// Whether a client's request goes to every server at once, and not to one of them.
    pub any_server: bool,
    /// Whether states that differ in the names of servers only count as one.
    pub symmetry: bool,
    /// Another AppendEntries goes out while fewer entries than this are unanswered.
    pub window: usize,
    /// Most bytes of entries in one AppendEntries, if that is bounded.
    pub batch_bytes: Option<usize>,
    /// How large things may be, if not as large as in the world.
    pub sizes: Option<Sizes>,
    /// The bound of a leader's backlog, if there is one.
    pub backlog: Option<Backlog>,
}

/// The bound of a leader's backlog: of the entries in its log that are not committed.
#[derive(Clone, Debug, Serialize)]
pub struct Backlog {
    /// The largest number of entries, if that is bounded.
    pub entries: Option<usize>,
    /// The largest sum of the entries' sizes in bytes, if that is bounded.
    pub bytes: Option<usize>,
}

/// How large things may be, in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Sizes {
    /// The longest key.
    pub key: usize,
    /// The longest value.
    pub value: usize,
    /// The largest transaction.
    pub transaction: usize,
    /// The most that one may find, give back and write.
    pub work: usize,
    /// The largest message.
    pub message: usize,
}

/// How servers share a store.
#[derive(Clone, Debug, Serialize)]
pub struct Sharding {
    /// How many shards there are.
    pub shards: u16,
    /// How many of the servers are the controller's.
    pub controllers: u16,
    /// How many servers each group has.
    pub groups: Vec<u16>,
    /// How many bytes of a shard go into one message, if that is bounded.
    pub part_bytes: Option<usize>,
    /// What the administrator does.
    pub changes: Vec<String>,
}

impl Display for Sharding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, ", a controller of {}", self.controllers)?;
        self.groups.iter().try_for_each(|size| write!(f, ", a group of {size}"))?;
        write!(f, ", {} shards", self.shards)?;
        if let Some(bytes) = self.part_bytes {
            write!(f, " in parts of {bytes} B")?;
        }
        write!(f, ", an administrator ({})", self.changes.join("; "))
    }
}

impl Display for Bounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plural = if self.servers == 1 { "" } else { "s" };
        write!(f, "{} server{plural}, ", self.servers)?;
        write!(f, "terms to {}, logs to {}", self.max_term, self.max_log)?;
        if let Some(sharding) = &self.sharding {
            sharding.fmt(f)?;
        }
        for script in &self.clients {
            write!(f, ", a client ({})", script.join(", "))?;
        }
        for (count, what) in [
            (self.restarts, "restart"),
            (self.heartbeats, "heartbeat"),
            (self.polls, "poll"),
            (self.retries, "retry a client"),
            (self.lost_disks, "lost disk"),
        ] {
            if count > 0 {
                write!(f, ", {count} × {what}")?;
            }
        }
        if let Some(Sizes { key, value, transaction, work, message }) = &self.sizes {
            write!(f, ", keys of {key} B, values of {value} B, transactions of {transaction} B")?;
            write!(f, " with {work} B of work, messages of {message} B")?;
        }
        if let Some(Backlog { entries, bytes }) = &self.backlog {
            if let Some(entries) = entries {
                let what = if *entries == 1 { "entry" } else { "entries" };
                write!(f, ", a leader with up to {entries} {what} under way")?;
            }
            if let Some(bytes) = bytes {
                write!(f, ", a leader with up to {bytes} B of entries under way")?;
            }
        }
        if !self.founded {
            f.write_str(", new disks")?;
        }
        write!(f, "; network {}", self.network)?;
        if self.any_server {
            f.write_str("; requests reach whoever leads")?;
        }
        if self.symmetry {
            f.write_str("; servers interchangeable")?;
        }
        Ok(())
    }
}
