//! The configuration of a cluster: who its servers are, and what only they know.
//!
//! ```toml
//! cluster = 4711                              # any number; another cluster has another
//! key = "000102030405060708090a0b0c0d0e0f"    # 128 random bits, the same on all machines
//!
//! [[node]]
//! id = 0                                      # 0, 1, 2, ...
//! address = "127.0.0.1:7400"
//! data = "n0"                                 # where it keeps its log, from this file's folder
//! ```
//!
//! If groups of servers share the store it also says which: see [`Sharding`].

mod sharding;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use model::replica::Kind;
use model::shard::config::Servers;
use model::types::NodeId;
use serde::{Deserialize, Serialize};

pub use sharding::{DEFAULT_SHARDS, Group, Sharding};

use crate::rng::{self, Rng};
use crate::wire::{Key, Limits, MAX_UDP_PAYLOAD, MIN_DATAGRAM};

/// The configuration of a cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Which cluster it is. Servers and clients of another are not heard.
    pub cluster: u64,
    /// The secret of its members, 32 hexadecimal digits.
    pub key: String,
    /// The largest datagram to send, in bytes.
    #[serde(default = "default_max_datagram")]
    pub max_datagram: usize,
    /// How groups of servers share the store. Without it every server keeps all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharding: Option<Sharding>,
    /// The servers.
    pub node: Vec<Member>,
}

/// One server of a cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its number. The servers are numbered from 0.
    pub id: u16,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it keeps its log. A relative path starts at the configuration file.
    pub data: PathBuf,
}

/// Why a configuration is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}; name the cluster's configuration with --config")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {file}: {source}")]
    Write {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is not a configuration.
    #[error("{file} is not a cluster configuration: {reason}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn default_max_datagram() -> usize {
    Limits::default().max_datagram
}

impl Cluster {
    /// A new cluster with servers at these addresses, and a secret of its own.
    ///
    /// # Errors
    ///
    /// When the operating system has no secret to give.
    pub fn draw(addresses: &[SocketAddr]) -> io::Result<Self> {
        let key = format!("{:032x}", u128::from_be_bytes(rng::secret()?));
        let member = |(id, address): (usize, &SocketAddr)| Member {
            id: id as u16,
            address: *address,
            data: format!("n{id}").into(),
        };
        Ok(Self {
            cluster: Rng::from_entropy().below(1 << 62), // What TOML can say.
            key,
            max_datagram: default_max_datagram(),
            sharding: None,
            node: addresses.iter().enumerate().map(member).collect(),
        })
    }

    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or makes no sense; in one line, with what is wrong.
    pub fn load(file: &Path) -> Result<Self, ClusterError> {
        let text = fs::read_to_string(file)
            .map_err(|source| ClusterError::Read { file: file.to_owned(), source })?;
        let malformed = |reason| ClusterError::Malformed { file: file.to_owned(), reason };
        let mut cluster: Self =
            toml::from_str(&text).map_err(|error| malformed(error.message().trim().to_owned()))?;
        cluster.check().map_err(malformed)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        for member in &mut cluster.node {
            member.data = folder.join(&member.data);
        }
        Ok(cluster)
    }

    /// Writes the configuration.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn store(&self, file: &Path) -> Result<(), ClusterError> {
        let failed = |source| ClusterError::Write { file: file.to_owned(), source };
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        fs::write(file, text).map_err(failed)
    }

    fn check(&self) -> Result<(), String> {
        if self.node.is_empty() {
            return Err("it names no [[node]]".to_owned());
        }
        for (expected, member) in self.node.iter().enumerate() {
            if usize::from(member.id) != expected {
                let id = member.id;
                return Err(format!("the nodes are numbered 0, 1, 2, ...: {id} is not {expected}"));
            }
        }
        let addresses: BTreeSet<_> = self.node.iter().map(|member| member.address).collect();
        if addresses.len() != self.node.len() {
            return Err("two nodes have one address".to_owned());
        }
        if !(MIN_DATAGRAM..=MAX_UDP_PAYLOAD).contains(&self.max_datagram) {
            return Err(format!("max_datagram is from {MIN_DATAGRAM} to {MAX_UDP_PAYLOAD}"));
        }
        if let Some(sharding) = &self.sharding {
            sharding.check(self.node.len())?;
        }
        self.parse_key().map(|_| ()).ok_or("the key is not 32 hexadecimal digits".to_owned())
    }

    fn parse_key(&self) -> Option<Key> {
        if self.key.len() != 32 || !self.key.is_ascii() {
            return None;
        }
        let bytes = u128::from_str_radix(&self.key, 16).ok()?;
        Some(Key::new(bytes.to_be_bytes()))
    }

    /// All its servers.
    #[must_use]
    pub fn servers(&self) -> Servers {
        self.node.iter().map(|member| NodeId(member.id)).collect()
    }

    /// What a server keeps, and together with whom.
    #[must_use]
    pub fn role(&self, node: NodeId) -> (Kind, Servers) {
        match &self.sharding {
            None => (Kind::Store, self.servers()),
            Some(sharding) => sharding.role(node),
        }
    }

    /// The secret of its members.
    ///
    /// # Panics
    ///
    /// If the key was changed to something that [`load`](Self::load) would refuse.
    #[must_use]
    pub fn secret(&self) -> Key {
        self.parse_key().expect("a cluster's key is checked when it is loaded")
    }

    /// What the wire may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { max_datagram: self.max_datagram, ..Limits::default() }
    }

    /// The servers' numbers and addresses.
    pub fn addresses(&self) -> impl Iterator<Item = (u64, SocketAddr)> {
        self.node.iter().map(|member| (u64::from(member.id), member.address))
    }
}
