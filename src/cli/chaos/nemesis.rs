//! Makes things go wrong as scheduled, and keeps the evidence.
//!
//! The world is a function of the faults that are under way: whenever one begins or ends, the world
//! is put together anew and the fleet is made so. Faults may therefore overlap in any way.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use runtime::transport::{Faults, Tally};

use super::Trouble;
use super::board::Board;
use super::fleet::{Changes, Fleet, World};
use super::kind::Kind;
use super::schedule::{Fault, Victim};
use super::waits::Disturbance;

/// A fault that has been.
#[derive(Clone, Debug)]
pub(super) struct Injected {
    pub(super) kind: Kind,
    /// When it was in effect everywhere, since the beginning.
    pub(super) begin: Duration,
    /// From when to when it was in effect anywhere, and the servers that were killed or stood
    /// still, or whose datagrams it was about.
    pub(super) disturbance: Disturbance,
    /// How many datagrams or servers it has befallen.
    pub(super) effect: u64,
}

/// A fault that is under way.
struct Active {
    fault: Fault,
    victim: u16,
    /// What is known of it, and what had been injected before it.
    in_effect: Option<(Injected, Tally)>,
}

/// Whoever makes things go wrong.
pub(super) struct Nemesis<'a> {
    fleet: &'a mut Fleet,
    /// What befalls the clients' datagrams.
    clients: &'a Faults,
    /// Who leads.
    board: &'a Board,
    beginning: Instant,
    active: Vec<Active>,
    past: Vec<Injected>,
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(
        fleet: &'a mut Fleet,
        clients: &'a Faults,
        board: &'a Board,
        beginning: Instant,
    ) -> Self {
        Self { fleet, clients, board, beginning, active: Vec::new(), past: Vec::new() }
    }

    /// Follows the schedule until `end`. `look` is told every now and then what is under way, and
    /// fails if there is to be an end.
    pub(super) fn run(
        &mut self,
        schedule: &[Fault],
        end: Duration,
        mut look: impl FnMut(&str) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut coming = schedule.iter().peekable();
        loop {
            look(&self.story())?;
            let now = self.beginning.elapsed();
            let (over, still): (Vec<_>, Vec<_>) =
                self.active.drain(..).partition(|active| active.fault.end <= now);
            self.active = still;
            if !over.is_empty() {
                self.change()?;
                self.close(over);
            }
            if let Some(fault) = coming.next_if(|fault| fault.begin <= now) {
                self.begin(fault)?;
            } else if now >= end && self.active.is_empty() {
                return Ok(());
            } else {
                self.fleet.check()?;
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// The faults that have been.
    pub(super) fn injected(self) -> Vec<Injected> {
        self.past
    }

    fn begin(&mut self, fault: &Fault) -> Result<(), Trouble> {
        let first = match fault.victim {
            Victim::Leader(group) => self.board.leader(group),
            Victim::Server(server) => server,
        };
        let mut in_turn = self.fleet.group_of(first).from(first).into_iter();
        let victim = in_turn.find(|&server| self.fleet.is_up(server)).unwrap_or(first);
        self.active.push(Active { fault: fault.clone(), victim, in_effect: None });
        let from = self.beginning.elapsed();
        let changes = self.change()?;
        // It counts from when it is in effect everywhere.
        let (before, begin) = (self.tally(), self.beginning.elapsed());
        let injected = Injected {
            kind: fault.kind,
            begin,
            disturbance: Disturbance {
                lasted: from..fault.end,
                servers: self.befallen(fault.kind, victim),
            },
            effect: counted_servers(fault.kind, &changes),
        };
        if let Some(active) = self.active.last_mut() {
            active.in_effect = Some((injected, before));
        }
        Ok(())
    }

    /// Keeps the evidence of faults that are over.
    fn close(&mut self, over: Vec<Active>) {
        let (now, end) = (self.tally(), self.beginning.elapsed());
        for (mut injected, before) in over.into_iter().filter_map(|active| active.in_effect) {
            injected.disturbance.lasted.end = end;
            injected.effect += counted(injected.kind, now) - counted(injected.kind, before);
            self.past.push(injected);
        }
    }

    fn tally(&self) -> Tally {
        self.fleet.tally() + self.clients.tally()
    }

    /// Makes the world what the faults under way make of it.
    fn change(&mut self) -> Result<Changes, Trouble> {
        let world = self.world();
        *self.clients.plan() = world.plan.clone();
        self.fleet.become_as(&world)
    }

    fn world(&self) -> World {
        let mut world = World::default();
        let all = self.all();
        for Active { fault, victim, .. } in &self.active {
            let plan = &mut world.plan;
            let apart =
                |some: BTreeSet<u16>| (self.addresses(&some), self.addresses(&(&all - &some)));
            let (it, others) = apart(BTreeSet::from([*victim]));
            let befallen = || self.befallen(fault.kind, *victim);
            match fault.kind {
                Kind::Loss => plan.drop = fault.rate,
                Kind::Duplication => plan.duplicate = fault.rate,
                Kind::Reordering => plan.reorder = fault.rate,
                Kind::Delay => {
                    plan.delay = fault.rate;
                    plan.delay_by = Duration::from_millis(2)..Duration::from_millis(200);
                }
                Kind::Corruption => plan.corrupt = fault.rate,
                Kind::Split => {
                    let groups = self.fleet.groups().iter();
                    let members = groups
                        .flat_map(|group| group.from(*victim).into_iter().take(group.minority()));
                    let (minorities, majorities) = apart(members.collect());
                    plan.partition(&minorities, &majorities);
                }
                Kind::Rift => {
                    let (group, others) = apart(self.fleet.group_of(*victim).servers.clone());
                    plan.partition(&group, &others);
                }
                Kind::Isolation => plan.partition(&it, &others),
                Kind::Deafness => plan.block(&others, &it),
                Kind::Muteness => plan.block(&it, &others),
                Kind::Kill | Kind::KillAll | Kind::KillGroup | Kind::KillController => {
                    world.down.extend(befallen());
                }
                Kind::Pause => world.paused.extend(befallen()),
            }
        }
        world
    }

    /// The servers that such a fault befalls: those that are to be killed or to stand still, or
    /// those whose datagrams it is about.
    fn befallen(&self, kind: Kind, victim: u16) -> BTreeSet<u16> {
        match kind {
            Kind::Kill | Kind::KillController | Kind::Pause => BTreeSet::from([victim]),
            Kind::KillGroup => self.fleet.group_of(victim).servers.clone(),
            Kind::KillAll
            | Kind::Loss
            | Kind::Duplication
            | Kind::Reordering
            | Kind::Delay
            | Kind::Corruption
            | Kind::Split
            | Kind::Rift
            | Kind::Isolation
            | Kind::Deafness
            | Kind::Muteness => self.all(),
        }
    }

    fn all(&self) -> BTreeSet<u16> {
        (0..self.fleet.size()).collect()
    }

    fn addresses(&self, servers: &BTreeSet<u16>) -> Vec<SocketAddr> {
        let node = &self.fleet.cluster().node;
        servers.iter().map(|&server| node[usize::from(server)].address).collect()
    }

    /// What is under way, in words.
    fn story(&self) -> String {
        let names: Vec<_> = self.active.iter().map(|active| active.fault.kind.name()).collect();
        names.join(", ")
    }
}

/// How many datagrams have met such a fault.
fn counted(kind: Kind, tally: Tally) -> u64 {
    match kind {
        Kind::Loss => tally.dropped,
        Kind::Duplication => tally.duplicated,
        Kind::Reordering => tally.reordered,
        Kind::Delay => tally.delayed,
        Kind::Corruption => tally.corrupted,
        Kind::Split | Kind::Rift | Kind::Isolation | Kind::Deafness | Kind::Muteness => {
            tally.blocked
        }
        Kind::Kill | Kind::KillAll | Kind::KillGroup | Kind::KillController | Kind::Pause => 0,
    }
}

/// How many servers have met such a fault.
fn counted_servers(kind: Kind, changes: &Changes) -> u64 {
    if !kind.is_of_servers() {
        0
    } else if kind == Kind::Pause {
        changes.paused.len() as u64
    } else {
        changes.killed.len() as u64
    }
}
