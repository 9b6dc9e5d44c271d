//! Chance: which event is next.

use model::node::Timer;
use model::raft;
use model::replica::Room;
use stateright::actor::Id;

use super::coverage::Kind;
use super::draw::Draw;
use super::event::{Event, Step};
use super::plan::Fault;
use super::world::World;

impl World<'_> {
    /// Draws the next step. There is none if what was drawn makes no sense at present.
    pub fn draw(&mut self, draw: &mut Draw) -> Option<Step> {
        let faults = &self.plan.faults;
        if draw.once_in(faults.every)
            && let Some(fault) = faults.one(draw)
        {
            return self.fault(fault, draw);
        }
        if draw.once_in(faults.timer) {
            return self.timer(draw).map(Step::Other);
        }
        if draw.once_in(faults.begin) {
            return self.begins(draw).map(Step::Other);
        }
        if draw.once_in(faults.change) {
            return self.changes(draw).map(Step::Other);
        }
        if self.network.under_way() == 0 {
            let event = if draw.once_in(3) { self.begins(draw) } else { self.timer(draw) };
            return event.map(Step::Other);
        }
        self.network.take(draw).map(Step::Deliver)
    }

    /// The number of operations that have begun.
    fn begun(&self) -> u64 {
        self.clients.iter().map(|client| client.begun).sum()
    }

    fn begins(&self, draw: &mut Draw) -> Option<Event> {
        if self.plan.has_evening && self.begun() >= self.plan.operations {
            return None;
        }
        let place = draw.below(self.clients.len());
        let client = &self.clients[place];
        let is_idle = client.session.pending().is_none();
        is_idle.then(|| Event::Begin(place as u16, client.begun + 1))
    }

    fn changes(&self, draw: &mut Draw) -> Option<Event> {
        if self.administrators.is_empty() {
            return None;
        }
        let place = draw.below(self.administrators.len());
        let who = &self.administrators[place];
        let number = who.begun + 1;
        // Shards move only where that is looked at.
        let may =
            who.session.pending().is_none() && (self.plan.moves() || self.is_without_groups());
        may.then_some(Event::Order(place as u16, number))
    }

    /// A timer of a server, or the retry timer of a client or an administrator.
    fn timer(&self, draw: &mut Draw) -> Option<Event> {
        let (servers, clients) = (self.servers.len(), self.clients.len());
        let place = draw.below(servers + clients + self.administrators.len());
        if let Some(administrator) = place.checked_sub(servers + clients) {
            return Some(Event::RetryOrder(administrator as u16));
        }
        if let Some(client) = place.checked_sub(servers) {
            return Some(Event::Retry(client as u16));
        }
        let timers = self.timers(place);
        if timers.is_empty() {
            return None;
        }
        let timer = *draw.pick(timers);
        let is_alone = self.plan.is_alone(self.servers[place].group);
        let is_election = timer == Timer::Raft(raft::Timer::Election);
        if is_election && !is_alone && !draw.once_in(self.plan.faults.election) {
            return None;
        }
        Some(Event::TimeOut(place as u16, timer))
    }

    fn fault(&mut self, fault: Fault, draw: &mut Draw) -> Option<Step> {
        let server = draw.below(self.servers.len()) as u16;
        let event = match fault {
            Fault::Crash => {
                self.coverage.count(Kind::FaultCrash);
                Event::Crash(server)
            }
            Fault::Disk => {
                if !draw.once_in(4) {
                    return None;
                }
                self.coverage.count(Kind::FaultDisk);
                Event::LoseDisk(server)
            }
            Fault::Block => {
                let other = draw.below(self.servers.len());
                let left = draw.within(1, 30) as u32;
                self.network.block(Id::from(usize::from(server)), Id::from(other), left);
                return None;
            }
            Fault::Room => {
                let room = *draw.pick(&[Room::Ample, Room::Ample, Room::Scarce, Room::None]);
                if room != Room::Ample {
                    self.coverage.count(Kind::FaultRoom);
                }
                Event::Room(server, room)
            }
            Fault::Hearing => {
                let heard = |_: &u16| draw.once_in(2);
                let servers = (0..self.servers.len() as u16).filter(heard).collect();
                self.coverage.count(Kind::FaultHearing);
                Event::Hear(if draw.once_in(3) { Some(servers) } else { None })
            }
            Fault::GiveUp => Event::GiveUp(draw.below(self.clients.len()) as u16),
            Fault::Late => {
                return self.network.old(draw, &mut self.coverage).map(Step::Deliver);
            }
            Fault::Stop => {
                let group = draw.within(1, self.plan.shape.groups.len());
                Event::Stop(group as u16)
            }
            Fault::Inspect => Event::Inspect(server),
        };
        Some(Step::Other(event))
    }
}
