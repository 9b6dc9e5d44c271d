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
use super::disks::{Cast, Role, Step};
use super::fleet::{Changes, Fleet, NOT_REFUSED, World};
use super::kind::Kind;
use super::raft_group::RaftGroup;
use super::schedule::{Fault, Victim};
use super::waits::{Disturbance, Hinders};

/// How long a group may take to refuse a server that has lost its disk, on a machine that is busy
/// with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fault that has been.
#[derive(Clone, Debug)]
pub(super) struct Injected {
    pub(super) kind: Kind,
    /// When it was in effect everywhere, since the beginning.
    pub(super) begin: Duration,
    /// Whom it has disturbed, and from when to when.
    pub(super) disturbances: Vec<Disturbance>,
    /// How many datagrams or servers it has befallen.
    pub(super) effect: u64,
}

/// A disk that was lost.
#[derive(Clone, Debug)]
pub(super) struct LostDisk {
    pub(super) kind: Kind,
    pub(super) server: u16,
    /// When, since the beginning. The server is no member of its group from then on.
    pub(super) at: Duration,
    /// When the server was refused, and with which words it has ended.
    pub(super) refused: Option<(Duration, String)>,
}

impl LostDisk {
    /// The server is missing for the rest of the run.
    pub(super) fn disturbance(&self) -> Disturbance {
        let servers = BTreeSet::from([self.server]);
        Disturbance { lasted: self.at..Duration::MAX, servers, hinders: Hinders::Everything }
    }
}

/// A fault that is under way.
struct Active {
    fault: Fault,
    victim: u16,
    /// The servers that it befalls: those that are killed or stand still, or whose datagrams it is
    /// about.
    befallen: BTreeSet<u16>,
    /// The course that it takes, if a disk is lost.
    course: Option<Course>,
    /// What is known of it, and what had been injected before it.
    in_effect: Option<(Injected, Tally)>,
}

/// How far the loss of a disk has come.
struct Course {
    cast: Cast,
    steps: Vec<Step>,
    /// The step that it is at, and since when.
    at: usize,
    since: Duration,
    is_lost: bool,
}

impl Course {
    fn step(&self) -> &Step {
        &self.steps[self.at]
    }

    /// The servers that are down.
    fn down(&self) -> BTreeSet<u16> {
        self.cast.servers(self.step().down)
    }

    /// Those of them that are to be killed only while others start.
    fn late(&self) -> BTreeSet<u16> {
        if self.step().late { self.cast.servers(&[Role::Other]) } else { BTreeSet::new() }
    }

    /// What the step that it is at disturbs, if that ends now.
    fn disturbance(&self, now: Duration) -> Option<Disturbance> {
        let (lasted, servers, hinders) = (self.since..now, self.down(), Hinders::Everything);
        (!servers.is_empty()).then_some(Disturbance { lasted, servers, hinders })
    }
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
    lost: Vec<LostDisk>,
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(
        fleet: &'a mut Fleet,
        clients: &'a Faults,
        board: &'a Board,
        beginning: Instant,
    ) -> Self {
        let (active, past, lost) = (Vec::new(), Vec::new(), Vec::new());
        Self { fleet, clients, board, beginning, active, past, lost }
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
            self.note_refusals();
            let lost = &self.lost;
            let (over, still): (Vec<_>, Vec<_>) =
                self.active.drain(..).partition(|active| active.is_over(now, lost));
            self.active = still;
            if !over.is_empty() {
                self.change()?;
                self.close(over);
            }
            self.take_steps(now)?;
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

    /// The faults that have been, and the disks that were lost.
    pub(super) fn finish(mut self) -> (Vec<Injected>, Vec<LostDisk>) {
        self.note_refusals();
        (self.past, self.lost)
    }

    fn begin(&mut self, fault: &Fault) -> Result<(), Trouble> {
        let first = match fault.victim {
            Victim::Leader(group) => self.board.leader(group),
            Victim::Server(server) => server,
        };
        let members = self.fleet.members(self.fleet.group_of(first), first);
        let is_up = members.iter().find(|server| self.fleet.is_up(**server));
        let Some(&victim) = is_up.or(members.first()) else {
            return Ok(()); // Nobody of the group is left.
        };
        let from = self.beginning.elapsed();
        let mut active = Active {
            fault: fault.clone(),
            victim,
            befallen: self.befallen(fault.kind, victim),
            course: fault.kind.loses_disk().then(|| Course {
                cast: self.cast(victim),
                steps: fault.steps.clone(),
                at: 0,
                since: from,
                is_lost: false,
            }),
            in_effect: None,
        };
        self.lose_disk_in_time(&mut active)?;
        self.active.push(active);
        let changes = self.change()?;
        // It counts from when it is in effect everywhere.
        let (before, begin) = (self.tally(), self.beginning.elapsed());
        let effect = counted_servers(fault.kind, &changes);
        if let Some(active) = self.active.last_mut() {
            let disturbance = (!fault.kind.loses_disk()).then(|| Disturbance {
                lasted: from..fault.end,
                servers: disturbed(fault.kind, &active.befallen, self.fleet.groups()),
                hinders: hinders(fault.kind),
            });
            let disturbances = disturbance.into_iter().collect();
            let injected = Injected { kind: fault.kind, begin, disturbances, effect };
            active.in_effect = Some((injected, before));
        }
        Ok(())
    }

    /// Casts the servers of a group of which this one loses its disk.
    fn cast(&self, victim: u16) -> Cast {
        let group = self.fleet.group_of(victim);
        let leader = (0..self.fleet.groups().len())
            .map(|group| self.board.leader(group))
            .find(|leader| group.servers.contains(leader));
        let members = self.fleet.members(group, victim);
        Cast::of(victim, &members, leader.unwrap_or(victim), self.fleet.spare(group))
    }

    /// Goes on with the losses of disks that are due to.
    fn take_steps(&mut self, now: Duration) -> Result<(), Trouble> {
        for at in 0..self.active.len() {
            let Active { course: Some(course), in_effect, victim, .. } = &mut self.active[at]
            else {
                continue;
            };
            let is_last = course.at + 1 == course.steps.len();
            if is_last && now > course.since + PATIENCE {
                return Err(Trouble::Server(format!("n{victim}: {NOT_REFUSED}")));
            }
            if is_last || now < course.since + course.step().lasts {
                continue;
            }
            if let Some((injected, _)) = in_effect {
                injected.disturbances.extend(course.disturbance(now));
            }
            (course.at, course.since) = (course.at + 1, now);
            let mut active = self.active.remove(at);
            let lost = self.lose_disk_in_time(&mut active);
            self.active.insert(at, active);
            lost?;
            self.change()?;
        }
        Ok(())
    }

    /// Removes the directory of a server, if this is the step in which it loses it.
    fn lose_disk_in_time(&mut self, active: &mut Active) -> Result<(), Trouble> {
        let Some(course) = &mut active.course else { return Ok(()) };
        if !course.is_lost && course.step().down.contains(&Role::Lost) {
            let (kind, server, at) =
                (active.fault.kind, course.cast.lost, self.beginning.elapsed());
            self.fleet.lose_disk(server)?;
            course.is_lost = true;
            self.lost.push(LostDisk { kind, server, at, refused: None });
        }
        Ok(())
    }

    /// Notes which servers that have lost their disks were refused.
    fn note_refusals(&mut self) {
        for lost in self.lost.iter_mut().filter(|lost| lost.refused.is_none()) {
            lost.refused = self.fleet.refused(lost.server).map(|refused| {
                (refused.at.saturating_duration_since(self.beginning), refused.words.clone())
            });
        }
    }

    /// Keeps the evidence of faults that are over.
    fn close(&mut self, over: Vec<Active>) {
        let (now, end) = (self.tally(), self.beginning.elapsed());
        for Active { course, in_effect, .. } in over {
            let Some((mut injected, before)) = in_effect else { continue };
            match course {
                Some(course) => {
                    injected.disturbances.extend(course.disturbance(end));
                    injected.effect = 1; // It is over because the server was refused.
                }
                None => {
                    injected.disturbances.iter_mut().for_each(|d| d.lasted.end = end);
                    injected.effect += counted(injected.kind, now) - counted(injected.kind, before);
                }
            }
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
        for Active { fault, befallen, course, .. } in &self.active {
            let plan = &mut world.plan;
            let (them, others) = (self.addresses(befallen), self.addresses(&(&all - befallen)));
            match fault.kind {
                Kind::Loss => plan.drop = fault.rate,
                Kind::Duplication => plan.duplicate = fault.rate,
                Kind::Reordering => plan.reorder = fault.rate,
                Kind::Delay => {
                    plan.delay = fault.rate;
                    plan.delay_by = Duration::from_millis(2)..Duration::from_millis(200);
                }
                Kind::Corruption => plan.corrupt = fault.rate,
                Kind::Split | Kind::Rift | Kind::Isolation => plan.partition(&them, &others),
                Kind::Deafness => plan.block(&others, &them),
                Kind::Muteness => plan.block(&them, &others),
                Kind::Kill | Kind::KillAll | Kind::KillGroup | Kind::KillController => {
                    world.down.extend(befallen);
                }
                Kind::Pause => world.paused.extend(befallen),
                Kind::DiskLost | Kind::DiskLostOthersDown => {
                    if let Some(course) = course {
                        world.down.extend(course.down());
                        world.late.extend(course.late());
                    }
                }
            }
        }
        world
    }

    /// The servers that such a fault befalls: those that are to be killed or to stand still, or
    /// those whose datagrams it is about; of those that are separated, one side.
    fn befallen(&self, kind: Kind, victim: u16) -> BTreeSet<u16> {
        match kind {
            Kind::Kill
            | Kind::KillController
            | Kind::Pause
            | Kind::Isolation
            | Kind::Deafness
            | Kind::Muteness
            | Kind::DiskLost
            | Kind::DiskLostOthersDown => BTreeSet::from([victim]),
            Kind::KillGroup | Kind::Rift => self.fleet.group_of(victim).servers.clone(),
            Kind::Split => {
                // Of a group that can spare no member any more, one: it stands still meanwhile.
                let of_group = |group| {
                    let most = self.fleet.spare(group).max(1);
                    self.fleet.members(group, victim).into_iter().take(most)
                };
                self.fleet.groups().iter().flat_map(of_group).collect()
            }
            Kind::KillAll
            | Kind::Loss
            | Kind::Duplication
            | Kind::Reordering
            | Kind::Delay
            | Kind::Corruption => self.all(),
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

impl Active {
    /// Whether its time is over. A server that has lost its disk has to be refused before.
    fn is_over(&self, now: Duration, lost: &[LostDisk]) -> bool {
        match &self.course {
            None => self.fault.end <= now,
            Some(Course { cast, steps, at, since, .. }) => {
                let is_refused =
                    |lost: &LostDisk| lost.server == cast.lost && lost.refused.is_some();
                at + 1 == steps.len()
                    && now >= *since + steps[*at].lasts
                    && lost.iter().any(is_refused)
            }
        }
    }
}

/// The servers that such a fault disturbs, of those that it befalls.
///
/// A server that hears no other may keep its group from its work: a leader that hears nobody is not
/// deposed, as it is heard, and a follower that hears no leader stands for election again and
/// again. For now that excuses the whole group of such a server, and no other: there is to be no
/// excuse once leaders step down that hear no majority, and nobody stands for election who can not
/// win. All other faults of the network excuse no more than the servers that they cut off. One
/// that is not heard, for example, can hinder nobody.
fn disturbed(kind: Kind, befallen: &BTreeSet<u16>, groups: &[RaftGroup]) -> BTreeSet<u16> {
    if kind != Kind::Deafness {
        return befallen.clone();
    }
    let theirs = groups.iter().filter(|group| !group.servers.is_disjoint(befallen));
    theirs.flat_map(|group| &group.servers).copied().collect()
}

/// What such a fault hinders those in that it disturbs. A group that hears no other does all that
/// it needs no other for.
fn hinders(kind: Kind) -> Hinders {
    if kind == Kind::Rift { Hinders::Moves } else { Hinders::Everything }
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
        Kind::Kill
        | Kind::KillAll
        | Kind::KillGroup
        | Kind::KillController
        | Kind::Pause
        | Kind::DiskLost
        | Kind::DiskLostOthersDown => 0,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_does_not_hear_disturbs_its_group_and_no_other() {
        let of = |servers| RaftGroup { kind: model::machine::Kind::Store, servers };
        let groups = [of((0..3).collect()), of((3..6).collect())];
        let victim = BTreeSet::from([4]);
        for kind in [Kind::Isolation, Kind::Muteness, Kind::Split, Kind::Pause] {
            assert_eq!(disturbed(kind, &victim, &groups), victim);
        }
        assert_eq!(disturbed(Kind::Deafness, &victim, &groups), (3..6).collect());
    }

    #[test]
    fn a_lost_disk_takes_its_course_and_is_over_when_the_server_is_refused() {
        let second = Duration::from_secs;
        let step = |down, late| Step { down, late, lasts: second(1) };
        let mut active = Active {
            fault: Fault {
                kind: Kind::DiskLost,
                begin: second(0),
                end: second(2),
                victim: Victim::Server(0),
                rate: 0.0,
                steps: Vec::new(),
            },
            victim: 0,
            befallen: BTreeSet::from([0]),
            course: Some(Course {
                cast: Cast::of(0, &[0, 1, 2], 1, 1),
                steps: vec![step(&[Role::Lost, Role::Other], true), step(&[], false)],
                at: 0,
                since: second(0),
                is_lost: true,
            }),
            in_effect: None,
        };
        let course = active.course.as_mut().unwrap();
        assert_eq!((course.down(), course.late()), ([0, 1].into(), [1].into()));
        assert_eq!(course.disturbance(second(1)).unwrap().servers, [0, 1].into());
        let refused = Some((second(1), "refused".to_owned()));
        let lost = |refused| [LostDisk { kind: Kind::DiskLost, server: 0, at: second(0), refused }];
        assert!(!active.is_over(second(9), &lost(refused.clone())), "there is another step");
        let course = active.course.as_mut().unwrap();
        (course.at, course.since) = (1, second(1));
        assert_eq!(course.down(), [].into());
        assert!(course.disturbance(second(2)).is_none());
        assert!(!active.is_over(second(9), &lost(None)), "it was not refused");
        assert!(!active.is_over(second(1), &lost(refused.clone())), "its time is not over");
        assert!(active.is_over(second(2), &lost(refused)));
    }
}
