//! The administrator: lets groups join and leave and moves shards by hand, one change after the
//! other, all the while.
//!
//! It does what `shardwright admin` does, over a session with the controller, and what it does
//! depends on the configuration that it sees: only changes that can be made are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use checks::recorded::changes::Asked;
use model::shard::config::{Configuration, Servers};
use model::shard::controller::{Change, Order, Outcome};
use model::types::{GroupId, RequestId, ShardId};
use runtime::client::{self, Administrator, SessionId};
use runtime::cluster::{Cluster, Sharding};
use runtime::rng::Rng;
use runtime::threads;

use super::Trouble;
use super::board::Board;

/// How long to wait for one answer. While the controller elects a leader it takes a second.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a new cluster may take to let its groups join.
const FOUNDING_PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two attempts to let the groups join: at first the controller has not heard them.
const FOUNDING_PAUSE: Duration = Duration::from_millis(50);

/// From the answer to one change to the next, in milliseconds. Often shorter than a move takes, so
/// that groups fall behind the configurations and must catch up.
const PAUSE: (u64, u64) = (200, 1_600);

/// An administrator at work.
pub(super) struct Administration {
    thread: JoinHandle<io::Result<Vec<Asked>>>,
}

impl Administration {
    /// Lets an administrator loose on a cluster.
    pub(super) fn start(
        cluster: &Cluster,
        board: &Arc<Board>,
        seed: u64,
        beginning: Instant,
    ) -> io::Result<Self> {
        let mut session = Session::open(cluster, beginning)?;
        let groups = cluster.sharding.as_ref().map(Sharding::groups).unwrap_or_default();
        let mut rng = Rng::seeded(seed);
        let board = Arc::clone(board);
        let work = move || {
            while !board.is_over() {
                let latest = session.ask(Change::Query(None).into(), PATIENCE)?;
                if let Some(server) = session.client.leader() {
                    board.heard(server);
                }
                let Some(Outcome::Configuration(latest)) = latest else { continue };
                board.configured(latest.num);
                if let Some(change) = think_up(&latest, &groups, &mut rng) {
                    // Shards go also to groups that are down.
                    let force = rng.chance(0.5);
                    session.ask(Order { change, force }, PATIENCE)?;
                }
                let pause = PAUSE.0 + rng.below(PAUSE.1 - PAUSE.0);
                thread::sleep(Duration::from_millis(pause));
            }
            Ok(session.asked)
        };
        Ok(Self { thread: threads::spawn("administrator", work)? })
    }

    /// Waits until it has ceased, and gives what it has asked and was told.
    pub(super) fn finish(self) -> io::Result<Vec<Asked>> {
        let died = |_| Err(io::Error::other("the administrator panicked"));
        self.thread.join().unwrap_or_else(died)
    }
}

/// Lets all groups of a new cluster join.
pub(super) fn found(
    cluster: &Cluster,
    sharding: &Sharding,
    interrupted: &AtomicBool,
) -> Result<(), Trouble> {
    let now = Instant::now();
    let mut session = Session::open(cluster, now)?;
    while now.elapsed() < FOUNDING_PATIENCE {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Trouble::Interrupted);
        }
        match session.ask(Change::Join(sharding.groups()).into(), PATIENCE)? {
            Some(Outcome::Changed(_) | Outcome::Refused(_)) => return Ok(()), // Now, or before.
            Some(Outcome::Configuration(_)) | None => thread::sleep(FOUNDING_PAUSE),
        }
    }
    let seconds = FOUNDING_PATIENCE.as_secs();
    Err(Trouble::Server(format!("no group has joined for {seconds} s, though nothing is wrong")))
}

/// A session with the controller, and what went over it.
struct Session {
    client: Administrator,
    id: SessionId,
    beginning: Instant,
    asked: Vec<Asked>,
}

impl Session {
    fn open(cluster: &Cluster, beginning: Instant) -> io::Result<Self> {
        let mut client = Administrator::administer(cluster)?;
        let id = client.open();
        Ok(Self { client, id, beginning, asked: Vec::new() })
    }

    /// Asks for a change. `None` if there is no answer, or the change is not taken.
    fn ask(&mut self, order: Order, patience: Duration) -> io::Result<Option<Outcome>> {
        let call = u64::try_from(self.beginning.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let outcome = match self.client.call(self.id, order.clone(), patience)? {
            client::Outcome::Done(outcome) => Some(outcome),
            client::Outcome::NotDone(_) | client::Outcome::Unknown => None,
        };
        self.asked.push(Asked {
            client: self.client.id(self.id),
            number: RequestId(self.asked.len() as u64 + 1),
            change: order.change,
            call,
            outcome: outcome.clone(),
        });
        Ok(outcome)
    }
}

/// A change that can be made: each kind that can is as likely as any other.
fn think_up(
    latest: &Configuration,
    groups: &BTreeMap<GroupId, Servers>,
    rng: &mut Rng,
) -> Option<Change> {
    let (present, absent): (Vec<_>, Vec<_>) =
        groups.keys().copied().partition(|group| latest.groups.contains_key(group));
    let shard = ShardId(rng.index(latest.assignment.len()) as u16);
    let elsewhere: Vec<_> = present
        .iter()
        .copied()
        .filter(|group| latest.assignment.owner(shard) != Some(*group))
        .collect();
    let mut possible = Vec::new();
    if !absent.is_empty() {
        let joining = some(&absent, absent.len(), rng);
        possible.push(Change::Join(joining.map(|group| (group, groups[&group].clone())).collect()));
    }
    if present.len() > 1 {
        let leaving: BTreeSet<_> = some(&present, present.len() - 1, rng).collect();
        possible.push(Change::Leave(leaving));
    }
    if !elsewhere.is_empty() {
        possible.push(Change::Move(shard, elsewhere[rng.index(elsewhere.len())]));
    }
    let chosen = (!possible.is_empty()).then(|| rng.index(possible.len()));
    chosen.map(|chosen| possible.swap_remove(chosen))
}

/// One to `most` of these, in a row: more often one.
fn some<'a>(
    groups: &'a [GroupId],
    most: usize,
    rng: &mut Rng,
) -> impl Iterator<Item = GroupId> + 'a {
    let count = if rng.chance(0.75) { 1 } else { 1 + rng.index(most) };
    groups.iter().cycle().skip(rng.index(groups.len())).take(count).copied()
}

#[cfg(test)]
mod tests {
    use model::kv::command::Request;
    use model::shard::controller::Controller;
    use model::types::{ClientId, NodeId};

    use super::*;

    #[test]
    fn every_change_that_is_thought_up_can_be_made_and_every_kind_is() {
        let servers = |group: u16| (3 * group..3 * group + 3).map(NodeId).collect::<Servers>();
        let groups: BTreeMap<_, _> =
            (1..=3).map(|group| (GroupId(group), servers(group))).collect();
        let mut controller = Controller::new(16);
        let mut made = [0; 3];
        let mut rng = Rng::seeded(1);
        for number in 1..1_000 {
            let op = think_up(controller.latest(), &groups, &mut rng).unwrap();
            made[match op {
                Change::Join(_) => 0,
                Change::Leave(_) => 1,
                Change::Move(..) => 2,
                Change::Query(_) => panic!("not a change"),
            }] += 1;
            let number = RequestId(number);
            let outcome = controller.apply(&Request { client: ClientId(1), number, op });
            assert!(matches!(outcome, Some(Outcome::Changed(_))), "{outcome:?}");
        }
        assert!(made.iter().all(|count| *count > 100), "{made:?}");
    }
}
