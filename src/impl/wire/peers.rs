//! Who may speak: servers by configuration, each in one incarnation, and clients by number.

use super::counters::Rejected;
use std::collections::BTreeMap;

/// The first number of a client. Servers are numbered below it, by the configuration; clients draw
/// theirs at random from here on and need not be known in advance.
pub const FIRST_CLIENT: u64 = 1 << 32;

/// Who sent a frame, as its tag vouches.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sender {
    /// Its number.
    pub source: u64,
    /// Its incarnation.
    pub incarnation: u64,
}

/// The servers that may speak, and the incarnation each is known by.
///
/// The first incarnation met is the only one accepted from then on. A host that restarts must
/// remember it: take what is [new](Self::take_met), make it durable before acting on the messages
/// that came with it, and [bind](Self::bind) it at the next start.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    servers: BTreeMap<u64, Option<u64>>,
    met: Vec<(u64, u64)>,
}

impl Peers {
    /// These servers, none of them met.
    pub fn new(servers: impl IntoIterator<Item = u64>) -> Self {
        Self { servers: servers.into_iter().map(|id| (id, None)).collect(), met: Vec::new() }
    }

    /// Admits another server.
    pub fn add(&mut self, server: u64) {
        self.servers.entry(server).or_default();
    }

    /// Knows `server` by `incarnation`, from an earlier run or because an operator says so.
    pub fn bind(&mut self, server: u64, incarnation: u64) {
        self.servers.insert(server, Some(incarnation));
    }

    /// The servers met so far, with their incarnations.
    pub fn known(&self) -> impl Iterator<Item = (u64, u64)> {
        self.servers.iter().filter_map(|(&server, &known)| Some((server, known?)))
    }

    /// The servers met since this was last asked, with their incarnations.
    pub fn take_met(&mut self) -> impl Iterator<Item = (u64, u64)> {
        self.met.drain(..)
    }

    pub(super) fn admit(&mut self, sender: Sender) -> Result<(), Rejected> {
        if sender.source >= FIRST_CLIENT {
            return Ok(());
        }
        let known = self.servers.get_mut(&sender.source).ok_or(Rejected::Source)?;
        match *known {
            Some(incarnation) if incarnation == sender.incarnation => Ok(()),
            Some(_) => Err(Rejected::Incarnation),
            None => {
                *known = Some(sender.incarnation);
                self.met.push((sender.source, sender.incarnation));
                Ok(())
            }
        }
    }
}
