//! Plans: what an episode consists of, drawn from its seed.
//!
//! Each episode draws anew how large its cluster is, what its clients ask for and which faults
//! occur how often, up to never. Two faults that hide each other's effects if both are frequent
//! are so seen apart in some episodes: *swarm testing*. For the same reason some episodes lose, or
//! delay, nearly all messages of a few kinds.

use model::kv::command::Key;
use model::limits::Limits;
use model::raft;
use model::replica::Backlog;
use model::shard::config::{Configuration, Servers};
use model::types::{GroupId, NodeId};
use serde::{Deserialize, Serialize};

use super::coverage::Kind;
use super::draw::Draw;
use super::load::Load;

/// The families of runs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Groups of one server, between which no shard moves.
    Ones,
    /// Groups of three servers: leaders change, and disks are lost.
    Threes,
    /// Groups that join and leave, shards that move, servers that are stopped for good.
    Moves,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 3] = [Self::Ones, Self::Threes, Self::Moves];

    /// The name of the family on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ones => "ones",
            Self::Threes => "threes",
            Self::Moves => "moves",
        }
    }
}

/// The plan of an episode.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The family of the run.
    pub family: Family,
    /// The seed that all else is drawn from.
    pub seed: u64,
    /// The servers.
    pub shape: Shape,
    /// The number of operations after which faults end.
    pub operations: u64,
    /// The number of steps after which faults end in any case.
    pub steps: u64,
    /// Whether no operation begins any more while the last ones are under way among faults. Then
    /// only what cannot end is left for the quiet end.
    pub has_evening: bool,
    /// The number of client sessions.
    pub sessions: u16,
    /// The number of sessions that share a process, and so an address.
    pub per_process: u16,
    /// The number of administrators.
    pub administrators: u16,
    /// The limits of sizes.
    pub limits: Limits,
    /// The bounds of what servers of one group send at once.
    pub batch: raft::Limits,
    /// The bound of a leader's backlog.
    pub backlog: Backlog,
    /// The number of bytes of a shard in one message.
    pub part_bytes: usize,
    /// The operations of the clients.
    pub load: Load,
    /// The faults.
    pub faults: Faults,
}

/// The servers of an episode.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The number of servers of the controller, which are the first. None if one group keeps the
    /// whole store.
    pub controllers: u16,
    /// The number of servers of each group.
    pub groups: Vec<u16>,
    /// The number of shards.
    pub shards: u16,
    /// The number of groups that join first.
    pub joined: u16,
    /// Whether the groups are founded at the beginning.
    pub founded: bool,
}

impl Shape {
    /// Whether one group keeps the whole store.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.controllers == 0
    }

    /// The number of servers.
    #[must_use]
    pub fn servers(&self) -> u16 {
        self.controllers + self.groups.iter().sum::<u16>()
    }

    /// The servers of the controller.
    #[must_use]
    pub fn controller(&self) -> Servers {
        (0..self.controllers).map(NodeId).collect()
    }

    /// The groups, from the first on.
    pub fn ids(&self) -> impl Iterator<Item = GroupId> {
        (1..=self.groups.len() as u16).map(GroupId)
    }

    /// The servers of a group.
    #[must_use]
    pub fn servers_of(&self, group: GroupId) -> Servers {
        let place = usize::from(group.0) - 1;
        let first = self.controllers + self.groups[..place].iter().sum::<u16>();
        (first..first + self.groups[place]).map(NodeId).collect()
    }

    /// The configuration that the first join makes.
    #[must_use]
    pub fn first_configuration(&self) -> Configuration {
        let groups = self.ids().take(usize::from(self.joined));
        let groups = groups.map(|group| (group, self.servers_of(group))).collect();
        let initial = Configuration::initial(self.shards.max(1));
        initial.join(&groups).unwrap_or(initial)
    }
}

/// Faults, timers and other events beside the delivery of messages, and how often they occur.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The permille of messages of each kind that are lost.
    pub loss: Vec<u16>,
    /// The permille of deliveries of each kind that are put off.
    pub slow: Vec<u16>,
    /// The permille of messages that are sent twice.
    pub duplicate: u16,
    /// The permille of messages of which a copy is kept to be delivered much later.
    pub kept: u16,
    /// A fault occurs once in so many steps.
    pub every: u32,
    /// The weight of each fault.
    pub weights: Vec<(Fault, u16)>,
    /// A timer runs out once in so many steps.
    pub timer: u32,
    /// An election timer runs out once in so many times that it is chosen.
    pub election: u32,
    /// A client begins an operation once in so many steps.
    pub begin: u32,
    /// An administrator begins a change once in so many steps.
    pub change: u32,
}

/// Faults that are no matter of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A server crashes and starts again.
    Crash,
    /// A server of a larger group loses its disk.
    Disk,
    /// Messages from one server to another are lost for a while.
    Block,
    /// The room on a server's disk changes.
    Room,
    /// The controller hears some groups only.
    Hearing,
    /// A client gives up its operation.
    GiveUp,
    /// An old copy of a message arrives.
    Late,
    /// A group that has left is stopped for good.
    Stop,
    /// An administrator inspects a server.
    Inspect,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(family: Family, seed: u64) -> Self {
        let draw = &mut Draw::of(seed, &[family as u64]);
        let is_knotted = draw.once_in(3);
        let shape = if is_knotted { knotted_shape(family, draw) } else { shape(family, draw) };
        let operations = operations(draw, is_knotted);
        let sessions = draw.within(2, if is_knotted { 6 } else { 14 }) as u16;
        let is_tiny = !is_knotted && draw.once_in(5);
        let part_bytes = *draw.pick(&[1, 40, 1 << 10, 1 << 20]);
        let batch = batch(draw);
        let limits = if is_tiny { tiny(draw, part_bytes, batch) } else { Limits::DEFAULT };
        let backlog = match draw.below(6) {
            0 => Backlog { entries: draw.within(1, 4), bytes: 1 << 10 },
            1 => Backlog::UNBOUNDED,
            _ => Backlog::DEFAULT,
        };
        let load = if is_knotted {
            Load::knots(draw)
        } else {
            Load::draw(draw, family, &shape, operations / u64::from(sessions), is_tiny)
        };
        let faults = if load.skew.is_some() && draw.once_in(2) {
            Faults::none(draw)
        } else if is_knotted {
            Faults::of_knots(draw)
        } else {
            Faults::draw(family, draw)
        };
        Self {
            family,
            seed,
            shape,
            operations,
            steps: 40 * operations + 1_000,
            has_evening: is_knotted,
            sessions,
            per_process: *draw.pick(&[1, 1, 3]),
            administrators: draw.within(1, 2) as u16,
            limits,
            batch,
            backlog,
            part_bytes,
            load,
            faults,
        }
    }

    /// Whether administrators make more changes than the first join.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.family == Family::Moves
    }

    /// Whether a group has one server. Group 0 is the controller, or the only group.
    #[must_use]
    pub fn is_alone(&self, group: usize) -> bool {
        let servers = match group.checked_sub(1) {
            None if self.shape.is_alone() => self.shape.groups[0],
            None => self.shape.controllers,
            Some(group) => self.shape.groups[group],
        };
        servers == 1
    }
}

/// The number of operations of an episode: as often between 10 and 40 as between 800 and 3,200.
/// What meets only while clocks are young, or only at the quiet end, needs many short episodes.
fn operations(draw: &mut Draw, is_knotted: bool) -> u64 {
    let least = if is_knotted { 4 << draw.below(4) } else { 10 << draw.below(9) };
    draw.within(least, 2 * least) as u64
}

/// Several groups among which few keys are spread, so that transactions wait for each other at all
/// of them: *knots*.
fn knotted_shape(family: Family, draw: &mut Draw) -> Shape {
    let size = if family == Family::Threes { 3 } else { 1 };
    let groups = vec![size; draw.within(3, if size == 1 { 4 } else { 3 })];
    let least = if family == Family::Moves { 2 } else { groups.len() };
    let joined = draw.within(least, groups.len()) as u16;
    Shape { controllers: 1, groups, shards: draw.within(4, 8) as u16, joined, founded: true }
}

fn shape(family: Family, draw: &mut Draw) -> Shape {
    let is_founded = family == Family::Ones || !draw.once_in(20);
    let alone = |servers| Shape {
        controllers: 0,
        groups: vec![servers],
        shards: 1,
        joined: 1,
        founded: is_founded,
    };
    match family {
        Family::Ones if draw.once_in(20) => alone(1),
        Family::Threes if draw.once_in(4) => alone(*draw.pick(&[3, 3, 5])),
        Family::Ones | Family::Threes => {
            let size = if family == Family::Ones { 1 } else { 3 };
            let groups = vec![size; draw.within(1, 4 - usize::from(size) / 2)];
            let (shards, joined) = (draw.within(1, 8) as u16, groups.len() as u16);
            Shape { controllers: 1, groups, shards, joined, founded: is_founded }
        }
        Family::Moves => {
            let size = *draw.pick(&[1, 1, 1, 3]);
            let groups = vec![size; draw.within(2, 4)];
            let joined = draw.within(1, groups.len()) as u16;
            let (controllers, shards) = (*draw.pick(&[1, 1, 1, 3]), draw.within(1, 8) as u16);
            Shape { controllers, groups, shards, joined, founded: is_founded }
        }
    }
}

fn batch(draw: &mut Draw) -> raft::Limits {
    match draw.below(3) {
        0 => raft::Limits {
            batch_entries: draw.within(1, 4),
            batch_bytes: *draw.pick(&[1, 200, 64 << 10]),
            window: draw.within(1, 3),
        },
        _ => raft::Limits::DEFAULT,
    }
}

/// Limits that are reached.
fn tiny(draw: &mut Draw, part_bytes: usize, batch: raft::Limits) -> Limits {
    let value = draw.within(2, 10);
    let work = draw.within(20, 100);
    let limits = Limits { key: 3, value, transaction: draw.within(20, 100), work, message: 0 };
    Limits { message: limits.largest_message(part_bytes, batch.batch_bytes), ..limits }
}

/// The kinds of messages that some episodes lose or delay more than others. That a client hears
/// nothing is no matter of the servers.
const SELECTED: &[Kind] = &[
    Kind::AppendEntries,
    Kind::Heartbeat,
    Kind::Matched,
    Kind::Conflict,
    Kind::Ask,
    Kind::Configuration,
    Kind::Offer,
    Kind::Decline,
    Kind::Want,
    Kind::Part,
    Kind::Prepare,
    Kind::VoteYes,
    Kind::VoteNo,
    Kind::Wound,
    Kind::Commit,
    Kind::Abort,
    Kind::Settled,
];

impl Faults {
    fn none(draw: &mut Draw) -> Self {
        Self {
            loss: vec![0; Kind::ALL.len()],
            slow: vec![0; Kind::ALL.len()],
            duplicate: 0,
            kept: 0,
            every: 0,
            weights: Vec::new(),
            timer: 40,
            election: 10,
            begin: draw.within(2, 8) as u32,
            change: 200,
        }
    }

    /// The faults of knots: little is lost, and what ends or breaks attempts is late.
    fn of_knots(draw: &mut Draw) -> Self {
        let mut faults = Self::none(draw);
        faults.loss[Kind::Wound as usize] = *draw.pick(&[0, 800, 900, 950]);
        let late = [
            Kind::Abort,
            Kind::Commit,
            Kind::Settled,
            Kind::Configuration,
            Kind::VoteNo,
            Kind::Ask,
        ];
        for _ in 0..draw.within(0, 4) {
            faults.slow[*draw.pick(&late) as usize] = *draw.pick(&[800, 980]);
        }
        faults.timer = *draw.pick(&[5, 10, 30]);
        faults.change = *draw.pick(&[20, 60, 200]);
        faults
    }

    fn draw(family: Family, draw: &mut Draw) -> Self {
        let all = *draw.pick(&[0, 0, 2, 20, 100]);
        let mut loss = vec![all; Kind::ALL.len()];
        let mut slow = vec![0; Kind::ALL.len()];
        for _ in 0..*draw.pick(&[0, 0, 1, 2]) {
            loss[*draw.pick(SELECTED) as usize] = *draw.pick(&[300, 800, 1_000]);
        }
        if draw.once_in(8) {
            loss[Kind::Wound as usize] = 900;
        }
        for _ in 0..*draw.pick(&[0, 1, 2, 4]) {
            slow[*draw.pick(SELECTED) as usize] = *draw.pick(&[500, 900, 980]);
        }
        let several = u16::from(family != Family::Ones);
        let moves = u16::from(family == Family::Moves);
        let mut weights = vec![
            (Fault::Crash, 4),
            (Fault::Disk, several),
            (Fault::Block, 4),
            (Fault::Room, 2),
            (Fault::Hearing, 2 * moves),
            (Fault::GiveUp, 20),
            (Fault::Late, 20),
            (Fault::Stop, 20 * moves),
            (Fault::Inspect, 1),
        ];
        for (_, weight) in &mut weights {
            *weight *= *draw.pick(&[0, 1, 1, 4]);
        }
        weights.retain(|(_, weight)| *weight > 0);
        Self {
            loss,
            slow,
            duplicate: *draw.pick(&[0, 2, 50]),
            kept: *draw.pick(&[0, 2, 50]),
            every: if weights.is_empty() { 0 } else { *draw.pick(&[20, 100, 500, 2_000]) },
            weights,
            timer: *draw.pick(&[10, 30, 100]),
            election: *draw.pick(&[3, 30, 300]),
            begin: *draw.pick(&[2, 4, 10, 30]),
            change: *draw.pick(&[30, 200, 1_000]),
        }
    }

    /// Draws one of the faults by their weights.
    #[must_use]
    pub fn one(&self, draw: &mut Draw) -> Option<Fault> {
        let sum: usize = self.weights.iter().map(|(_, weight)| usize::from(*weight)).sum();
        let mut left = draw.below(sum.max(1));
        for (fault, weight) in &self.weights {
            if left < usize::from(*weight) {
                return Some(*fault);
            }
            left -= usize::from(*weight);
        }
        None
    }
}

/// The key with this number, of which the least are of the lowest numbers.
#[must_use]
pub fn key(number: usize) -> Key {
    Key::from(format!("k{number:02}"))
}
