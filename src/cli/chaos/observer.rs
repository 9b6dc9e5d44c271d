//! A client that takes no excuse: of a cluster in which nothing is wrong it demands an answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use checks::recorded::Recorded;
use model::kv::command::{Op, Output};
use model::replica::NotTaken;
use runtime::client::{Client, Outcome, SessionId};
use runtime::cluster::Cluster;
use runtime::transport::Udp;

use super::Trouble;
use super::recorder::Recorder;

/// How long a cluster may take to answer: to elect a leader, on a machine that has other things to
/// do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait for the answer to one call, before calling again.
const ONE_CALL: Duration = Duration::from_secs(4);

/// Such a client.
pub(super) struct Observer<'a> {
    client: Client<Udp>,
    session: SessionId,
    recorder: Recorder,
    interrupted: &'a AtomicBool,
}

impl<'a> Observer<'a> {
    pub(super) fn connect(
        cluster: &Cluster,
        beginning: Instant,
        interrupted: &'a AtomicBool,
    ) -> Result<Self, Trouble> {
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let mut client = Client::new(cluster, Udp::bind(any)?);
        let session = client.open();
        Ok(Self { client, session, recorder: Recorder::new(beginning), interrupted })
    }

    /// Has an operation done, calling it again if there is no answer.
    pub(super) fn demand(&mut self, op: &Op) -> Result<Output, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        let id = self.client.id(self.session);
        while Instant::now() < deadline {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Trouble::Interrupted);
            }
            self.recorder.call(id, op.clone());
            let outcome = self.client.call(self.session, op.clone(), ONE_CALL)?;
            self.recorder.end(id, outcome.clone());
            match outcome {
                Outcome::Done(output) => return Ok(output),
                Outcome::NotDone(
                    why @ (NotTaken::TooLarge | NotTaken::DiskFull | NotTaken::Silent(_)),
                ) => {
                    return Err(Trouble::Server(format!("{op}: not done: {why}")));
                }
                Outcome::NotDone(NotTaken::Overloaded) | Outcome::Unknown => {}
            }
        }
        let seconds = PATIENCE.as_secs();
        Err(Trouble::Server(format!("{op}: no answer for {seconds} s, though nothing is wrong")))
    }

    /// What it has asked and was told.
    pub(super) fn finish(self) -> Vec<Recorded> {
        self.recorder.finish()
    }
}
