//! What is done in which order, and that what fails stops the node before it reveals anything.

use super::*;

/// What a node did to its journal and its transport, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: impl Into<String>) {
    log.lock().unwrap().push(what.into());
}

struct SpyJournal {
    log: Log,
    fails: Option<&'static str>,
}

impl SpyJournal {
    fn act(&self, what: &'static str, detail: &str) -> io::Result<()> {
        note(&self.log, format!("{what}{detail}"));
        match self.fails {
            Some(failing) if failing == what => Err(io::Error::other("disk on fire")),
            Some(_) | None => Ok(()),
        }
    }
}

impl Journal<u64> for SpyJournal {
    fn save(&mut self, storage: &u64) -> io::Result<()> {
        self.act("save", &format!(" {storage}"))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.act("sync", "")
    }
}

struct SpyTransport {
    log: Log,
    inner: Memory,
}

impl Transport for SpyTransport {
    fn send(&mut self, to: SocketAddr, datagrams: &[u8], size: usize) {
        note(&self.log, "send");
        self.inner.send(to, datagrams, size);
    }

    fn receive(
        &mut self,
        wait: Wait,
        deliver: &mut dyn FnMut(SocketAddr, &[u8]),
    ) -> io::Result<bool> {
        self.inner.receive(wait, deliver)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn local(&self) -> SocketAddr {
        self.inner.local()
    }

    fn receive_buffer(&self) -> usize {
        self.inner.receive_buffer()
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

/// Saves and announces each new number; stops the node by panic on `Done`.
fn announce(event: &Event, state: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(_, message) = event {
        *state += 1;
        // In the wrong order, which a host must not take over.
        out.send(id(TWO), Msg::Done(*state));
        out.send(id(OBSERVER), Msg::Done(*state));
        out.save(*state);
        assert!(!matches!(message, Msg::Done(_)), "announced once too often");
    }
}

/// A node with spies that has `messages` waiting when it starts.
fn spied(
    messages: &[Msg],
    fails: Option<&'static str>,
) -> (Log, Mailbox<Msg>, Handle<Msg>, Outcome) {
    let log = Log::default();
    let net = MemoryNet::default();
    let transport = SpyTransport { log: Arc::clone(&log), inner: net.attach(1) };
    let servers = [(ONE, MemoryNet::address(1)), (TWO, MemoryNet::address(2))];
    let journal = SpyJournal { log: Arc::clone(&log), fails };
    let mut node = node(ONE, Toy(announce), transport, &servers, journal);
    let mailbox = node.mailbox(id(OBSERVER));
    messages.iter().for_each(|message| mailbox.send(message.clone()));
    let handle = node.handle();
    (log, mailbox, handle, start(node))
}

#[test]
fn many_steps_are_saved_and_then_synced_once_and_then_sent() {
    let (log, mailbox, handle, outcome) = spied(&vec![Msg::Go; 10], None);
    for n in 1..=10 {
        assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Done(n)));
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    let saves = (1..=10).map(|n| format!("save {n}"));
    let expected: Vec<_> = saves.chain(["sync".to_owned(), "send".to_owned()]).collect();
    assert_eq!(*log.lock().unwrap(), expected);
    let metrics = handle.metrics();
    assert_eq!((metrics.steps, metrics.saves, metrics.syncs), (10, 10, 1));
    assert_eq!(metrics.endpoint.sent.messages, 10);
    assert_eq!(metrics.endpoint.sent.datagrams, 1);
}

#[test]
fn a_journal_that_fails_stops_the_node_before_it_sends() {
    for (fails, reached) in [("save", vec!["save 1"]), ("sync", vec!["save 1", "sync"])] {
        let (log, mailbox, handle, outcome) = spied(&[Msg::Go], Some(fails));
        let failure = outcome.join().unwrap().unwrap_err();
        assert!(matches!(failure, Failure::Journal(_)), "{failure}");
        assert_eq!(*log.lock().unwrap(), reached);
        assert_eq!(mailbox.receive(PATIENCE), None);
        // The handle outlives the node and does nothing.
        handle.inject(id(OBSERVER), Msg::Go);
        handle.stop();
    }
}

#[test]
fn a_handler_that_panics_stops_the_node_before_it_sends() {
    let (log, mailbox, _, outcome) = spied(&[Msg::Go, Msg::Done(0), Msg::Go], None);
    let failure = outcome.join().unwrap().unwrap_err();
    assert!(failure.to_string().contains("announced once too often"), "{failure}");
    assert_eq!(*log.lock().unwrap(), ["save 1"]);
    assert_eq!(mailbox.receive(PATIENCE), None);
}

#[test]
fn a_violated_invariant_is_reported_by_name() {
    fn violate(event: &Event, _: &mut u64, _: &mut Out<Toy>) {
        if let Event::Message(..) = event {
            std::panic::panic_any(Violation::new("monotone", "the term fell from t2 to t1"));
        }
    }
    let node = node(ONE, Toy(violate), MemoryNet::default().attach(1), &[], Volatile);
    node.handle().inject(id(OBSERVER), Msg::Go);
    let failure = node.run().unwrap_err().to_string();
    assert_eq!(failure, "the node panicked: monotone: the term fell from t2 to t1");
}
