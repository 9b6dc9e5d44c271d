//! The names that every protocol shares: identities, terms, positions in a log, request numbers,
//! groups, shards and how they are configured.
//!
//! All are newtypes with a short [`Display`], because a counterexample is read
//! by people: `n1` is a server, `t3` a term, `#5` an index, `c7` a client, `r2` its second request,
//! `g2` a group, `s0` a shard, `v4` a configuration.

use std::fmt::{self, Debug, Display, Formatter};

use serde::{Deserialize, Serialize};

/// Declares a number with a meaning: ordered, hashable, and printed with its prefix.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($raw:ty) as $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
        )]
        pub struct $name(pub $raw);

        impl Display for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        // Debug output is what the Explorer shows, so it is the short form too.
        impl Debug for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(self, f)
            }
        }
    )*};
}

numbers! {
    /// A server: one replica of one group.
    NodeId(u16) as "n";
    /// A client session. Sessions and servers share one number space at the hosts' edge
    /// (see [`crate::actor`]), so a client's number is never a server's.
    ClientId(u64) as "c";
    /// The number a client gives to each of its requests: 1, 2, 3, ...
    RequestId(u64) as "r";
    /// A term: a period with at most one leader. Term 0 is before the first election.
    Term(u64) as "t";
    /// A position in a log. The first entry stands at 1; 0 is the position before it.
    Index(u64) as "#";
    /// A group: servers that keep one log, and serve the shards that they own.
    GroupId(u16) as "g";
    /// A shard: one part of the keys, from 0 on. It is served by at most one group at a time.
    ShardId(u16) as "s";
    /// The number of a configuration. The first one, 0, is before any group has joined.
    ConfigNum(u64) as "v";
}

impl ConfigNum {
    /// The number of the configuration that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Term {
    /// The term that a new candidate campaigns in.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Index {
    /// The position before the first entry.
    pub const ZERO: Self = Self(0);
    /// Beyond the end of every log.
    pub const MAX: Self = Self(u64::MAX);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position before this one.
    ///
    /// # Panics
    /// At [`Index::ZERO`], before which there is nothing.
    #[must_use]
    pub fn previous(self) -> Self {
        assert!(self > Self::ZERO, "no position before the start of the log");
        Self(self.0 - 1)
    }
}

impl ClientId {
    /// Numbers from here on are drawn by processes in the world, and have two parts: the process,
    /// and which of its sessions this is. Smaller ones name a process with one session.
    pub const FIRST_DRAWN: u64 = 1 << 32;

    /// How many sessions a process may have.
    pub const SESSIONS: u64 = 1 << 16;

    /// The process that has this session: where its replies go.
    #[must_use]
    pub fn process(self) -> Self {
        if self.0 < Self::FIRST_DRAWN { self } else { Self(self.0 - self.0 % Self::SESSIONS) }
    }

    /// One of the sessions of this process.
    #[must_use]
    pub fn session(self, number: u16) -> Self {
        Self(self.process().0 + u64::from(number))
    }
}

/// Who can be sent a message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// A server.
    Server(NodeId),
    /// The process of a client session.
    Client(ClientId),
}

impl From<NodeId> for Address {
    fn from(server: NodeId) -> Self {
        Self::Server(server)
    }
}

impl From<ClientId> for Address {
    fn from(client: ClientId) -> Self {
        Self::Client(client)
    }
}
