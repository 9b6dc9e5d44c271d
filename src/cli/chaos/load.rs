//! The clients: threads with a socket and several sessions each, which ask one operation after
//! another.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use checks::recorded::Recorded;
use model::history::Operation;
use model::kv::command::{Key, Op};
use runtime::client::{Client, Outcome, SessionId};
use runtime::cluster::Cluster;
use runtime::rng::Rng;
use runtime::threads;
use runtime::transport::{Faults, Faulty, Udp, Wait};

use super::board::Board;
use super::ledger::Ledger;
use super::recorder::Recorder;
use super::workload::{Keys, Workload};

/// Sessions of a client that asks anything. They share its socket.
const SESSIONS: usize = 4;

/// This one only reads. So it stays with the server that it knows as long as that answers; should a
/// leader go on to answer after it was deposed, this one is there to hear it.
const READER: usize = 0;

/// How long a session rests between two operations, at most.
const REST: Duration = Duration::from_millis(20);

/// How long a session waits for an answer. Most wait for longer than anything may take while
/// majorities are up; some give up early, so that there are operations of which nobody knows
/// whether they happened.
const PATIENCE: Duration = Duration::from_secs(5);
const IMPATIENCE: Duration = Duration::from_millis(300);

/// How long a session that watches a shard rests, for each shard that there is: so that all of them
/// together ask two hundred times a second.
const WATCH_REST: Duration = Duration::from_millis(5);

/// Clients at work.
pub(super) struct Load {
    board: Arc<Board>,
    clients: Vec<JoinHandle<io::Result<Vec<Recorded>>>>,
}

impl Load {
    /// Lets so many clients loose on a cluster, whose datagrams meet `faults`, and as many with
    /// transactions if there shall be some.
    #[expect(clippy::too_many_arguments, reason = "each is one thing, and this the one caller")]
    pub(super) fn start(
        cluster: &Cluster,
        clients: u16,
        transactions: bool,
        faults: &Faults,
        board: &Arc<Board>,
        keys: &Keys,
        seed: u64,
        beginning: Instant,
    ) -> io::Result<Self> {
        let mut load = Self { board: Arc::clone(board), clients: Vec::new() };
        let mut rng = Rng::seeded(seed);
        let mixed = |number, rng: &mut Rng| {
            let workload =
                Workload::new(format!("c{number}"), keys.clone(), Rng::seeded(rng.next_u64()));
            Task::Mixed(Box::new(workload))
        };
        let mut tasks: Vec<_> = (0..clients).map(|number| mixed(number, &mut rng)).collect();
        if transactions {
            tasks.extend((0..clients).map(|number| {
                let rng = Rng::seeded(rng.next_u64());
                Task::Ledger(Box::new(Ledger::new(format!("t{number}"), rng)))
            }));
        }
        if keys.watched().len() > 1 {
            tasks.push(Task::Watch(keys.watched().to_vec()));
        }
        for (number, task) in tasks.into_iter().enumerate() {
            let client = connect(cluster, faults, rng.next_u64())?;
            let mut worker = Worker::new(client, task, &mut rng, beginning, board);
            let work = move || worker.work().map(|()| worker.recorder.finish());
            load.clients.push(threads::spawn(&format!("client {number}"), work)?);
        }
        Ok(load)
    }

    /// Calls nothing more, waits for the last answers, and gives what was recorded.
    pub(super) fn finish(self) -> io::Result<Vec<Recorded>> {
        self.board.call_off();
        let mut recorded = Vec::new();
        for client in self.clients {
            let died = |_| Err(io::Error::other("a client panicked"));
            recorded.extend(client.join().unwrap_or_else(died)?);
        }
        Ok(recorded)
    }
}

/// A client's connection, with faults.
pub(super) fn connect(
    cluster: &Cluster,
    faults: &Faults,
    seed: u64,
) -> io::Result<Client<Faulty<Udp>>> {
    let socket = Udp::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(Client::new(cluster, Faulty::new(socket, faults.clone(), seed)))
}

/// One client at work.
struct Worker {
    client: Client<Faulty<Udp>>,
    sessions: Vec<(SessionId, Turn)>,
    task: Task,
    recorder: Recorder,
    rng: Rng,
    beginning: Instant,
    board: Arc<Board>,
}

/// What the sessions of a client ask.
enum Task {
    /// Anything.
    Mixed(Box<Workload>),
    /// Transactions.
    Ledger(Box<Ledger>),
    /// Each session asks for a key of its own, one of each shard. The sessions of the others soon
    /// all wait for the same dead group, and then nobody would see whether the rest is served.
    Watch(Vec<Key>),
}

impl Task {
    fn sessions(&self) -> usize {
        match self {
            Self::Mixed(_) | Self::Ledger(_) => SESSIONS,
            Self::Watch(keys) => keys.len(),
        }
    }

    /// The next operation of a session, and how long to wait for its answer.
    fn next(&mut self, session: usize, elapsed: Duration, rng: &mut Rng) -> (Op, Duration) {
        match self {
            Self::Mixed(workload) => {
                let reads = session == READER;
                let op = if reads { workload.read(elapsed) } else { workload.next(elapsed) };
                (op, if rng.chance(0.2) { IMPATIENCE } else { PATIENCE })
            }
            Self::Ledger(ledger) => {
                (ledger.next(elapsed), if rng.chance(0.05) { IMPATIENCE } else { PATIENCE })
            }
            Self::Watch(keys) => (Op::Get(keys[session].clone()), PATIENCE),
        }
    }

    fn learn(&mut self, operation: &Operation) {
        match self {
            Self::Mixed(workload) => workload.learn(operation),
            Self::Ledger(_) | Self::Watch(_) => {} // They ask the same whatever they learn.
        }
    }

    /// How long a session rests between two operations.
    fn rest(&self, rng: &mut Rng) -> Duration {
        match self {
            Self::Mixed(_) | Self::Ledger(_) => rng.duration(&(Duration::ZERO..REST)),
            Self::Watch(keys) => WATCH_REST * keys.len() as u32,
        }
    }
}

/// What a session is at.
#[derive(Clone, Copy)]
enum Turn {
    /// It rests until then.
    Rests(Instant),
    /// It waits for an answer until then.
    Waits(Instant),
}

impl Worker {
    fn new(
        mut client: Client<Faulty<Udp>>,
        task: Task,
        rng: &mut Rng,
        beginning: Instant,
        board: &Arc<Board>,
    ) -> Self {
        let now = Instant::now();
        Self {
            sessions: (0..task.sessions()).map(|_| (client.open(), Turn::Rests(now))).collect(),
            client,
            task,
            recorder: Recorder::new(beginning),
            rng: Rng::seeded(rng.next_u64()),
            beginning,
            board: Arc::clone(board),
        }
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            let over = self.board.is_over();
            if over && self.sessions.iter().all(|(_, turn)| matches!(turn, Turn::Rests(_))) {
                return Ok(());
            }
            let now = Instant::now();
            for at in 0..self.sessions.len() {
                match self.sessions[at] {
                    (_, Turn::Rests(until)) if until <= now && !over => self.call(at),
                    (session, Turn::Waits(until)) if until <= now => {
                        let outcome = self.client.give_up(session).unwrap_or(Outcome::Unknown);
                        self.end(session, outcome);
                    }
                    (_, Turn::Rests(_) | Turn::Waits(_)) => {}
                }
            }
            for (session, outcome) in self.client.poll(Wait::Until(self.next(now, over)))? {
                self.end(session, outcome);
            }
        }
    }

    fn call(&mut self, at: usize) {
        let (session, turn) = &mut self.sessions[at];
        let (op, patience) = self.task.next(at, self.beginning.elapsed(), &mut self.rng);
        *turn = Turn::Waits(Instant::now() + patience);
        self.recorder.call(self.client.id(*session), op.clone());
        self.client.invoke(*session, op);
    }

    fn end(&mut self, session: SessionId, outcome: Outcome) {
        match outcome {
            Outcome::Done(_) | Outcome::NotDone(_) => self.board.count_done(),
            Outcome::Unknown => self.board.count_unknown(),
        }
        if let (Outcome::Done(_), Some(leader)) = (&outcome, self.client.leader()) {
            self.board.heard(leader);
        }
        if let Some(operation) = self.recorder.end(self.client.id(session), outcome) {
            self.task.learn(operation);
        }
        let rest = self.task.rest(&mut self.rng);
        self.sessions[session.index()].1 = Turn::Rests(Instant::now() + rest);
    }

    /// When there is something to do again, whatever comes in; soon, to see when it is all over.
    fn next(&self, now: Instant, over: bool) -> Instant {
        let moments = self.sessions.iter().filter_map(|(_, turn)| match turn {
            Turn::Rests(_) if over => None,
            Turn::Rests(until) | Turn::Waits(until) => Some(*until),
        });
        let soon = now + Duration::from_millis(50);
        moments.min().map_or(soon, |moment| moment.min(soon))
    }
}
