//! UDP: the one file of this crate that opens sockets.
//!
//! Sending a run of equal datagrams takes one system call and one pass through the network stack
//! (segmentation offload), and receiving takes up to [`BATCH`] of such runs at once. Datagrams are
//! never fragmented: one that exceeds the path is a loss.

use super::{Counters, Transport, Wait, Waker};
use crate::clock;
use crate::wire::MAX_UDP_PAYLOAD;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most runs of datagrams to receive at once.
const BATCH: usize = 32;

/// Room for the largest datagram, and for the largest run that the kernel puts together.
const BUFFER: usize = 1 << 16;

/// Size to ask for the kernel's socket buffers, in bytes. It gives what the system allows.
const SOCKET_BUFFER: usize = 8 << 20;

/// A UDP socket.
pub struct Udp {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    receive_buffer: usize,
    buffer: Vec<u8>,
    metas: Vec<RecvMeta>,
    wake: Arc<Wake>,
    counters: Counters,
}

impl Udp {
    /// Binds a socket to `address`; port zero picks a free one.
    ///
    /// # Errors
    ///
    /// When the address is taken or not ours, or the system is out of sockets.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // Small buffers lose bursts, but do not make anything wrong.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        let receive_buffer = socket.recv_buffer_size()?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            local: socket.local_addr()?,
            receive_buffer,
            socket,
            state,
            buffer: vec![0; BATCH * BUFFER],
            metas: vec![RecvMeta::default(); BATCH],
            wake: Arc::new(Wake { raised: AtomicBool::new(false), event }),
            counters: Counters::default(),
        })
    }

    /// Receives what is ready, and returns the number of runs.
    fn receive_ready(&mut self, deliver: &mut dyn FnMut(SocketAddr, &[u8])) -> io::Result<usize> {
        let mut chunks = self.buffer.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let runs = match self.state.recv((&self.socket).into(), &mut slices, &mut self.metas) {
            Ok(runs) => runs,
            Err(error) => return self.survive(error).map(|()| 0),
        };
        for (slice, meta) in slices.iter().zip(&self.metas[..runs]) {
            let run = &slice[..meta.len];
            // An empty datagram is a run of one piece, which `chunks` does not yield.
            let empty = run.is_empty().then_some(run);
            for datagram in run.chunks(meta.stride.max(1)).chain(empty) {
                self.counters.received += 1;
                deliver(meta.addr, datagram);
            }
        }
        Ok(runs)
    }

    /// Ignores an error of receiving, unless the socket itself is unusable.
    fn survive(&mut self, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Ok(());
        }
        match Errno::from_io_error(&error) {
            Some(Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL) => Err(error),
            Some(_) | None => {
                self.counters.receive_failures += 1;
                Ok(())
            }
        }
    }

    /// Waits until something is ready or it is time.
    fn wait(&self, wait: Wait) -> io::Result<()> {
        let timeout = match wait {
            Wait::Poll => return Ok(()),
            Wait::Forever => None,
            Wait::Until(deadline) => {
                Timespec::try_from(deadline.saturating_duration_since(clock::now())).ok()
            }
        };
        let mut ready = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.wake.event, PollFlags::IN),
        ];
        match poll(&mut ready, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !ready[1].revents().is_empty() {
            self.wake.lower();
        }
        Ok(())
    }
}

impl Transport for Udp {
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize) {
        let most = self.state.max_gso_segments().min(MAX_UDP_PAYLOAD / size.max(1)).max(1);
        for run in datagrams.chunks(size.max(1) * most) {
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: run,
                segment_size: (run.len() > size).then_some(size),
                src_ip: None,
            };
            let count = run.len().div_ceil(size.max(1)) as u64;
            match self.state.try_send((&self.socket).into(), &transmit) {
                Ok(()) => self.counters.sent += count,
                Err(_) => self.counters.send_failures += count,
            }
        }
    }

    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool> {
        // Asking first saves a system call whenever there is something, that is, under load.
        let mut runs = self.receive_ready(deliver)?;
        if runs == 0 && wait != Wait::Poll {
            self.wait(wait)?;
            runs = self.receive_ready(deliver)?;
        }
        Ok(runs == BATCH)
    }

    fn waker(&self) -> Waker {
        let wake = Arc::clone(&self.wake);
        Waker::new(move || wake.raise())
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

/// A flag that a wait on file descriptors sees.
///
/// **No wake-up is lost.** Whoever sets `raised` then sets the event. So whenever `raised` is set,
/// the event is set too, or a thread is about to set it, or [`lower`](Self::lower) is in between:
/// `lower` takes both back, after a wait that the event has ended, first the event and then
/// `raised`. A [`raise`](Self::raise) before the second of these steps leaves the event alone. Such
/// a wake-up ends the wait that `lower` belongs to, and the waiting thread sees all that preceded
/// the wake-up, since its own change of `raised` comes later. A `raise` after the second step sets
/// the event again, for the next wait.
///
/// In the other order a `raise` between the two steps sets an event that `lower` then takes back:
/// `raised` stays set without an event, and no later `raise` sets one.
struct Wake {
    /// Spares the system call when the event is set already.
    raised: AtomicBool,
    event: OwnedFd,
}

impl Wake {
    fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            // The write fails only when the counter is full, and then the event is set.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }

    /// Takes a wake-up back that has ended a wait. Call this only while the event is set.
    fn lower(&self) {
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
        self.raised.swap(false, Ordering::AcqRel);
    }
}
