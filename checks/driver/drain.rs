//! The quiet end of an episode: faults end, no operation begins any more, and everything that is
//! under way must come to its end.
//!
//! Messages that are under way when the faults end are lost: each thing that others must hear has
//! to be said again. Then, round after round, each timer runs out and everything sent is delivered.

use model::machine::Machine;
use model::node::{Node, Timer};
use model::raft;
use model::replica::{Hearing, Replica, Room};
use model::shard::controller::Controller;
use model::shard::ownership::Phase;
use model::types::GroupId;
use model::violation::{Violation, demand};

use super::draw::Draw;
use super::world::{Administrator, Server, World};

/// The largest number of rounds.
const ROUNDS: usize = 1_000;

/// The number of rounds without a change after which nothing will change any more.
const STILL: usize = 25;

/// The largest number of messages that are delivered in a round. More may follow in the next one.
const DELIVERIES: usize = 20_000;

const ELECTION: Timer = Timer::Raft(raft::Timer::Election);

impl World<'_> {
    /// Lets everything come to its end, and compares what the groups keep with the specification.
    ///
    /// # Errors
    /// If something does not come to its end, or the contents are wrong.
    pub fn drain(&mut self) -> Result<(), Violation> {
        self.network.calm_down();
        for server in 0..self.servers.len() {
            self.set_room(server, Room::Ample);
        }
        self.set_hearing(&Hearing::Everybody);
        let draw = &mut Draw::of(self.plan.seed, &[4]);
        let (mut before, mut still) = (0, 0);
        for _ in 0..ROUNDS {
            let Some(busy) = self.busy() else { return self.demand_contents() };
            let committed = self.referee.committed();
            still = if committed == before { still + 1 } else { 0 };
            before = committed;
            demand("drains", still < STILL, || format!("nothing changes any more, but {busy}"))?;
            self.round(draw)?;
        }
        let busy = self.busy().unwrap_or_default();
        demand("drains", false, || format!("after {ROUNDS} rounds {busy}"))
    }

    /// Lets each timer run out once, and delivers everything.
    fn round(&mut self, draw: &mut Draw) -> Result<(), Violation> {
        for server in 0..self.servers.len() {
            for timer in self.timers(server).to_vec() {
                if timer != ELECTION {
                    self.time_out(server, timer)?;
                }
            }
        }
        for group in 0..=self.plan.shape.groups.len() {
            // Two that campaign at the same time would elect nobody.
            let of_group = |server: &usize| self.servers[*server].group == group;
            let servers: Vec<_> = (0..self.servers.len()).filter(of_group).collect();
            if !servers.is_empty() && !self.is_led(group) {
                self.time_out(*draw.pick(&servers), ELECTION)?;
            }
        }
        for client in 0..self.clients.len() {
            self.retry(client);
        }
        for administrator in 0..self.administrators.len() {
            self.retry_order(administrator);
        }
        // The first join may have been refused.
        let is_idle = |who: &Administrator| who.session.pending().is_none();
        if self.is_without_groups() && self.administrators.iter().all(is_idle) {
            self.order(0, self.administrators[0].begun + 1);
        }
        for _ in 0..DELIVERIES {
            let Some(envelope) = self.network.take(draw) else { break };
            self.deliver(envelope)?;
        }
        Ok(())
    }

    /// The members of a group that run.
    fn members(&self, group: usize) -> impl Iterator<Item = &Replica> {
        let of_group =
            move |server: &&Server| server.group == group && !server.stopped && !server.expelled;
        self.servers.iter().filter(of_group).filter_map(|server| server.node.replica())
    }

    /// Whether the servers of a group that run have a leader that they know.
    fn is_led(&self, group: usize) -> bool {
        let term = self.members(group).map(|member| member.raft.term()).max();
        self.members(group)
            .any(|member| member.raft.is_leader() && Some(member.raft.term()) == term)
    }

    fn groups(&self) -> impl Iterator<Item = usize> {
        let first = usize::from(!self.plan.shape.is_alone());
        (first..first + self.plan.shape.groups.len())
            .filter(|group| !self.is_stopped_for_good(*group))
    }

    /// Something that has not come to its end, in words.
    fn busy(&self) -> Option<String> {
        let founding = self
            .servers
            .iter()
            .position(|s| !s.stopped && !s.expelled && matches!(*s.node, Node::Founder(_)));
        if let Some(server) = founding {
            return Some(format!("n{server} belongs to no group"));
        }
        let latest = self.referee.reference(0).controller().map(Controller::latest);
        for group in self.groups() {
            let machine = self.referee.reference(group);
            if let (Machine::Group(shards), Some(latest)) = (machine, latest) {
                let id = GroupId(group as u16);
                if shards.config.num != latest.num {
                    return Some(format!("{id} is at {} of {}", shards.config.num, latest.num));
                }
                if !shards.transactions.is_idle() {
                    return Some(format!("{id} has {:?}", shards.transactions));
                }
                let moving = |phase: Phase| match phase {
                    Phase::Awaiting | Phase::Leaving => true,
                    Phase::Serving | Phase::Absent => false,
                };
                if let Some((shard, is)) = shards.iter().find(|(_, is)| moving(is.phase())) {
                    return Some(format!("{shard} is {:?} at {id}", is.phase()));
                }
            }
        }
        for client in &self.clients {
            if client.session.pending().is_some() {
                return Some(format!("{} {:?}", client.session.id(), client.session));
            }
        }
        if let Some(who) = self.administrators.iter().find(|who| who.session.pending().is_some()) {
            return Some(format!("{} waits", who.session.id()));
        }
        for group in std::iter::once(0).chain(self.groups()) {
            let machine = self.referee.reference(group);
            if self.members(group).any(|member| member.machine != *machine) {
                return Some(format!("a server of group {group} lags behind"));
            }
        }
        None
    }

    fn demand_contents(&self) -> Result<(), Violation> {
        self.referee.demand_contents(self.groups().map(|group| self.referee.reference(group)))
    }
}
