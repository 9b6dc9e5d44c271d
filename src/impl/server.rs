//! One server of a cluster: the actor, its journal and its endpoint, put together and started.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{fs, io};

use model::actor::{NodeActor, Timing};
use model::founding::Charter;
use model::node::{Setup, Storage};
use model::raft::{Config, Incarnation, Limits, Members};
use model::replica::{self, Message};
use model::types::NodeId;

use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::journal::{Durable, Journal, Meaningless, Volatile};
use crate::mailbox::Handle;
use crate::rng::Rng;
use crate::runtime::{Failure, Node, Options};
use crate::threads;
use crate::transport::{Transport, Udp};
use crate::wal::{self, Disk, RealDisk, Wal, WalError};
use crate::wire;

/// The version of the messages, and of the limits that decide what comes of them. Servers and
/// clients of different versions do not hear each other.
pub const SCHEMA: u8 = 8;

/// How many entries a leader without a disk has under way to a follower before it waits for an
/// answer. With a disk it is one request at a time: while that is synced the next ones gather, and
/// share a sync. Without one they would only wait (`benches/README.md`).
const WINDOW: usize = 32;

/// Where a server keeps what must survive.
pub enum Place {
    /// In memory: when the server stops, it is gone, and with it the server.
    Memory,
    /// On a disk.
    Disk {
        /// The disk.
        disk: Box<dyn Disk>,
        /// Whether there is nothing yet, and a new server is to begin. Never assumed: an empty disk
        /// may also be a lost one.
        first_start: bool,
        /// How to lay out the log.
        options: wal::Options,
    },
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration knows no such server.
    #[error("the cluster has no node {node}; it has 0 to {last}")]
    NoSuchNode {
        /// The server asked for.
        node: u16,
        /// The last there is.
        last: usize,
    },
    /// Its address cannot be used.
    #[error("cannot listen on {address}: {source}; stop what is using it, or change the address")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Its log cannot be opened.
    #[error("{folder}: {source}")]
    Wal {
        /// The data directory.
        folder: PathBuf,
        /// What is wrong.
        source: WalError,
    },
    /// Its log is intact and makes no sense.
    #[error("{folder}: {source}")]
    Meaningless {
        /// The data directory.
        folder: PathBuf,
        /// What is wrong.
        source: Meaningless,
    },
    /// Its log is another server's.
    #[error("{folder} belongs to {found}, not to {expected}; check --node and the `data` paths")]
    Foreign {
        /// The data directory.
        folder: PathBuf,
        /// Whose it is.
        found: wal::Identity,
        /// Whose it should be.
        expected: wal::Identity,
    },
    /// Its log says that it belongs to another group than the configuration says.
    #[error(
        "{folder}: the log says that n{node} belongs to a group of {founded}, and the \
         configuration says {configured}; a group keeps the members and the purpose that it was \
         founded with: write them into the configuration again"
    )]
    OtherGroup {
        /// The data directory.
        folder: PathBuf,
        /// The server.
        node: u16,
        /// The group as the log says.
        founded: Box<Charter>,
        /// The group as the configuration says.
        configured: Box<Charter>,
    },
    /// Its log names another incarnation of it than the one that has written it.
    #[error(
        "{folder}: the log was written by n{node} {incarnation}, and names the members {members}; \
         its files come from different directories: put back those that belong together"
    )]
    OtherIncarnation {
        /// The data directory.
        folder: PathBuf,
        /// The server.
        node: u16,
        /// The incarnation that has written the log.
        incarnation: Incarnation,
        /// The members that the log names.
        members: Arc<Members>,
    },
    /// There is no thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A server that runs.
pub struct Server {
    handle: Handle<Message>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Server {
    /// Starts server `node` of `cluster` on UDP.
    ///
    /// # Errors
    ///
    /// When it cannot listen, or cannot prove that what its log holds is complete.
    pub fn start(cluster: &Cluster, node: u16, place: Place) -> Result<Self, StartError> {
        Self::start_on(cluster, node, place, Ok)
    }

    /// The same on a transport made of the UDP socket, such as one with faults.
    ///
    /// # Errors
    ///
    /// When it cannot listen, or cannot prove that what its log holds is complete.
    pub fn start_on<T: Transport + Send + 'static>(
        cluster: &Cluster,
        node: u16,
        place: Place,
        transport: impl FnOnce(Udp) -> io::Result<T>,
    ) -> Result<Self, StartError> {
        let Some(member) = cluster.node.get(usize::from(node)) else {
            return Err(StartError::NoSuchNode { node, last: cluster.node.len() - 1 });
        };
        let address = member.address;
        let bind = || transport(Udp::bind(address)?);
        let transport = bind().map_err(|source| StartError::Bind { address, source })?;
        Self::start_with(cluster, node, place, transport)
    }

    /// The same on any transport.
    ///
    /// # Errors
    ///
    /// When it cannot prove that what its log holds is complete.
    pub fn start_with<T: Transport + Send + 'static>(
        cluster: &Cluster,
        node: u16,
        place: Place,
        transport: T,
    ) -> Result<Self, StartError> {
        let drawn = Rng::from_entropy().next_u64();
        let new = wal::Identity { cluster: cluster.cluster, node: node.into(), incarnation: drawn };
        match place {
            Place::Memory => {
                let limits = Limits { window: WINDOW, ..Limits::DEFAULT };
                let actor = actor(cluster, node, Incarnation(drawn), limits);
                Self::run(cluster, actor, node, drawn, None, Volatile, transport)
            }
            Place::Disk { disk, first_start, options } => {
                let folder = cluster.node[usize::from(node)].data.clone();
                let (journal, storage, identity) =
                    open(disk, first_start, options, new, folder.clone())?;
                let incarnation = identity.incarnation;
                let actor = actor(cluster, node, Incarnation(incarnation), Limits::DEFAULT);
                if let (Setup::Server(setup), Some(storage)) = (&actor.setup, &storage) {
                    check_members(setup, storage, folder)?;
                }
                Self::run(cluster, actor, node, incarnation, storage, journal, transport)
            }
        }
    }

    fn run<T: Transport + Send + 'static, J: Journal<Storage> + Send + 'static>(
        cluster: &Cluster,
        actor: NodeActor,
        node: u16,
        incarnation: u64,
        storage: Option<Storage>,
        journal: J,
        transport: T,
    ) -> Result<Self, StartError> {
        let identity = wire::Identity {
            cluster: cluster.cluster,
            id: node.into(),
            incarnation,
            schema: SCHEMA,
        };
        let endpoint = Endpoint::new(
            identity,
            cluster.secret(),
            cluster.limits(),
            cluster.addresses(),
            transport,
        );
        let node_loop = Node::new(actor, storage, endpoint, journal, Options::default());
        let handle = node_loop.handle();
        let thread = threads::spawn(&format!("n{node}"), move || node_loop.run())
            .map_err(StartError::Thread)?;
        Ok(Self { handle, thread })
    }

    /// Controls the server from any thread.
    #[must_use]
    pub fn handle(&self) -> &Handle<Message> {
        &self.handle
    }

    /// Whether the server still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits for the server to end.
    ///
    /// # Errors
    ///
    /// Why it ended by itself.
    pub fn join(self) -> Result<(), Failure> {
        let panicked = |_| Err(Failure::Panic("the node's thread".to_owned()));
        self.thread.join().unwrap_or_else(panicked)
    }

    /// Stops the server in good order, and waits for its end.
    ///
    /// # Errors
    ///
    /// Why it had ended by itself.
    pub fn stop(self) -> Result<(), Failure> {
        self.handle.stop();
        self.join()
    }
}

/// The data directory of a server, on the real disk; created if this is its first start.
///
/// # Errors
///
/// When the directory cannot be opened or created.
pub fn data_directory(
    cluster: &Cluster,
    node: u16,
    first_start: bool,
) -> Result<Place, StartError> {
    let Some(member) = cluster.node.get(usize::from(node)) else {
        return Err(StartError::NoSuchNode { node, last: cluster.node.len() - 1 });
    };
    let failed = |source| StartError::Wal { folder: member.data.clone(), source };
    let disk = if first_start {
        if let Some(parent) = member.data.parent() {
            fs::create_dir_all(parent).map_err(|source| {
                failed(WalError::Io {
                    action: "create",
                    file: parent.display().to_string(),
                    source,
                })
            })?;
        }
        RealDisk::create(&member.data)
    } else if matches!(member.data.try_exists(), Ok(false)) {
        Err(WalError::Empty)
    } else {
        RealDisk::open(&member.data)
    };
    let disk = Box::new(disk.map_err(failed)?);
    Ok(Place::Disk { disk, first_start, options: wal::Options::default() })
}

fn open(
    disk: Box<dyn Disk>,
    first_start: bool,
    options: wal::Options,
    new: wal::Identity,
    folder: PathBuf,
) -> Result<(Durable, Option<Storage>, wal::Identity), StartError> {
    let failed = |source| StartError::Wal { folder: folder.clone(), source };
    let (wal, recovered) = if first_start {
        (Wal::create(disk, new, options).map_err(failed)?, None)
    } else {
        let (wal, recovered) = Wal::open(disk, options).map_err(failed)?;
        (wal, Some(recovered))
    };
    let identity = recovered.as_ref().map_or(new, |recovered| recovered.identity);
    if (identity.cluster, identity.node) != (new.cluster, new.node) {
        return Err(StartError::Foreign { folder, found: identity, expected: new });
    }
    if let Some(torn) = recovered.as_ref().and_then(|recovered| recovered.torn.as_ref()) {
        tracing::warn!("{}: {torn}", folder.display());
    }
    let (journal, storage) = Durable::new(wal, recovered.as_ref())
        .map_err(|source| StartError::Meaningless { folder, source })?;
    Ok((journal, storage, identity))
}

/// Checks the configuration against what the disk says of the server's group. The disk is right.
fn check_members(
    setup: &replica::Setup,
    storage: &Storage,
    folder: PathBuf,
) -> Result<(), StartError> {
    let members = match storage {
        Storage::Pledge(members) => members,
        Storage::Member(persistent) => persistent.log.members(),
    };
    let Config { id: NodeId(node), incarnation, limits: _ } = setup.raft;
    let (founded, configured) = (Charter::of(members).into(), setup.charter.clone().into());
    if founded != configured {
        return Err(StartError::OtherGroup { folder, node, founded, configured });
    }
    if members.incarnation(NodeId(node)) != Some(incarnation) {
        let members = Arc::clone(members);
        return Err(StartError::OtherIncarnation { folder, node, incarnation, members });
    }
    Ok(())
}

fn actor(cluster: &Cluster, node: u16, incarnation: Incarnation, limits: Limits) -> NodeActor {
    let (kind, peers) = cluster.role(NodeId(node));
    let raft = Config { id: NodeId(node), incarnation, limits };
    NodeActor {
        setup: Setup::Server(replica::Setup::new(raft, kind, peers.iter())),
        // A server that this configuration does not know is a server all the same.
        servers: u16::MAX,
        timing: Timing::LAN,
    }
}

#[cfg(test)]
mod tests {
    use model::kv::command::{Op, Request};
    use model::kv::transaction::{Step, Transaction};
    use model::replica::{Answer, NotTaken, Reply};
    use model::shard::config::Configuration;
    use model::shard::controller::{Change, Order};
    use model::shard::migration;
    use model::shard::txn::{self, Attempt, TxnId};
    use model::types::{ClientId, ConfigNum, GroupId, RequestId, ShardId};

    use super::*;

    /// `docs/wire.md` has these. Other bytes need another [`SCHEMA`].
    #[test]
    fn messages_are_encoded_as_documented() {
        let (client, number) = (ClientId(1 << 32), RequestId(7));
        let migration = |message| Message::Migration(message);
        let swap = Transaction::try_from(vec![Step::Swap("a".into(), "b".into())]).unwrap();
        let txn = TxnId { age: 9, coordinator: GroupId(2), client, number };
        let attempt = Attempt { txn, config: ConfigNum(3), count: 2 };
        let order = Order { change: Change::Move(ShardId(5), GroupId(3)), force: true };
        let silent = Answer::Refused(NotTaken::Silent(GroupId(3)));
        for (message, expected) in [
            (
                Message::Request(Request { client, number, op: Op::Get("k".into()) }),
                &[1, 0x80, 0x80, 0x80, 0x80, 0x10, 7, 0, 1, b'k'][..],
            ),
            (
                Message::Reply(Reply { client, number, answer: Answer::Elsewhere(ConfigNum(3)) }),
                &[2, 0x80, 0x80, 0x80, 0x80, 0x10, 7, 3, 3],
            ),
            (
                Message::Change(Request { client, number, op: order }),
                &[3, 0x80, 0x80, 0x80, 0x80, 0x10, 7, 2, 5, 3, 1],
            ),
            (
                Message::Outcome(Reply { client, number, answer: silent }),
                &[4, 0x80, 0x80, 0x80, 0x80, 0x10, 7, 1, 3, 3],
            ),
            (migration(migration::Message::Ask(ConfigNum(4))), &[5, 0, 4]),
            (
                migration(migration::Message::Configuration(Configuration::initial(2).into())),
                &[5, 1, 0, 0, 2, 0, 0],
            ),
            (
                Message::Request(Request { client, number, op: Op::Transaction(swap.into()) }),
                &[1, 0x80, 0x80, 0x80, 0x80, 0x10, 7, 5, 1, 6, 1, b'a', 1, b'b'],
            ),
            (
                Message::Transaction(txn::Message::Settled { attempt }),
                &[6, 4, 9, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 7, 3, 2],
            ),
        ] {
            let mut bytes = Vec::new();
            wire::codec::encode(&message, 100, &mut bytes).unwrap();
            assert_eq!(bytes, expected, "{message:?}");
        }
    }
}
