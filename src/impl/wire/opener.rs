//! From datagrams to messages.

use super::chunk::Assembler;
use super::codec::decode;
use super::counters::{Counters, Rejected};
use super::frame::{self, Identity, Key};
use super::peers::Sender;
use super::record::{Record, records, well_formed};
use super::{Limits, STREAMS};
use serde::de::DeserializeOwned;

/// Takes messages out of datagrams, and drops whatever should not have come.
#[derive(Debug)]
pub struct Opener {
    identity: Identity,
    key: Key,
    assembler: Assembler,
    counters: Counters,
}

impl Opener {
    /// An opener for datagrams to `identity`, made with `key`.
    pub fn new(identity: Identity, key: Key, limits: Limits) -> Self {
        let limits = limits.legal();
        let assembler = Assembler::new(key.derive(STREAMS), limits.max_message, limits.assembly);
        Self { identity, key, assembler, counters: Counters::default() }
    }

    /// Hands each message in `datagram` to `deliver` and tells who sent it.
    ///
    /// A message that does not decode is dropped and counted, and its neighbours are delivered: the
    /// frame was made by a member of the cluster, so what it says is meant.
    ///
    /// # Errors
    ///
    /// The reason why the whole datagram was dropped; it is counted already.
    pub fn open<M: DeserializeOwned>(
        &mut self,
        datagram: &[u8],
        mut deliver: impl FnMut(Sender, M),
    ) -> Result<Sender, Rejected> {
        let (sender, payload) =
            self.admit(datagram).inspect_err(|&reason| self.counters.reject(reason))?;
        self.counters.datagrams += 1;
        self.counters.bytes += datagram.len() as u64;
        for record in records(payload) {
            match self.message(sender.source, record) {
                Ok(Some(message)) => {
                    self.counters.messages += 1;
                    deliver(sender, message);
                }
                Ok(None) => {}
                Err(reason) => self.counters.reject(reason),
            }
        }
        Ok(sender)
    }

    /// What was let in and turned away so far.
    pub fn counters(&self) -> Counters {
        Counters { evicted: self.assembler.evicted(), ..self.counters }
    }

    fn admit<'a>(&self, datagram: &'a [u8]) -> Result<(Sender, &'a [u8]), Rejected> {
        let opened = frame::open(datagram, &self.identity, self.key)?;
        if !well_formed(opened.payload) {
            return Err(Rejected::Record);
        }
        let sender = Sender { source: opened.source, incarnation: opened.incarnation };
        // Another process with this participant's number has none of its own.
        if !sender.is_legal() || sender.source == self.identity.id {
            return Err(Rejected::Source);
        }
        Ok((sender, opened.payload))
    }

    fn message<M: DeserializeOwned>(
        &mut self,
        source: u64,
        record: Record<'_>,
    ) -> Result<Option<M>, Rejected> {
        let message = match record {
            Record::Whole(bytes) => decode(bytes),
            Record::Part(part) => match self.assembler.accept(source, &part)? {
                Some(bytes) => decode(&bytes),
                None => return Ok(None),
            },
        };
        message.map(Some).map_err(|_| Rejected::Undecodable)
    }
}
