//! Founding under random schedules, with loss, repetition, crashes, lost disks and other lists.

use quickcheck::{Arbitrary, Gen, quickcheck};

use super::*;

const SERVERS: u16 = 3;

fn charter(servers: u16) -> Charter {
    Charter { purpose: Purpose::Store, servers: (0..servers).map(NodeId).collect() }
}

/// A server, and what its disk holds.
struct Server {
    charter: Charter,
    incarnation: Incarnation,
    pledge: Option<Arc<Members>>,
    founder: Founder,
    /// The members, once the server is one of them.
    members: Option<Arc<Members>>,
}

/// Servers and the messages between them, none of which is ever lost for good.
struct World {
    servers: Vec<Server>,
    sent: Vec<(NodeId, NodeId, Message)>,
    /// Every membership that a server has begun with.
    founded: BTreeSet<Arc<Members>>,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A message is delivered, and may be delivered again.
    Deliver(u16),
    Timeout(u8),
    Crash(u8),
    LoseDisk(u8),
}

impl Arbitrary for Happening {
    fn arbitrary(g: &mut Gen) -> Self {
        let server = u8::arbitrary(g);
        match u8::arbitrary(g) % 20 {
            0 => Self::LoseDisk(server),
            1 => Self::Crash(server),
            2 | 3 => Self::Timeout(server),
            _ => Self::Deliver(u16::arbitrary(g)),
        }
    }
}

impl World {
    fn new(charters: Vec<Charter>) -> Self {
        let server = |(id, charter): (u16, Charter)| Server {
            charter,
            incarnation: Incarnation(100 + u64::from(id)),
            pledge: None,
            founder: Founder::restart(NodeId(id), None),
            members: None,
        };
        let servers = (0..).zip(charters).map(server).collect();
        let mut world = Self { servers, sent: Vec::new(), founded: BTreeSet::new() };
        (0..world.servers.len()).for_each(|id| world.step(id, Event::Start));
        world
    }

    fn step(&mut self, id: usize, event: Event) {
        let server = &mut self.servers[id];
        let from = NodeId(id as u16);
        let (incarnation, charter) = (server.incarnation, &server.charter);
        let mut founding = Step { id: from, incarnation, charter, state: &mut server.founder };
        let Outcome { announce, pledged, founded } = founding.on_event(event);
        let announcement = Arc::new(founding.announcement());
        if pledged {
            assert_eq!(server.pledge, None, "{from} pledges itself once");
            server.pledge = server.founder.pledge().cloned();
        }
        let message = |to| (from, to, Message::Announce(Arc::clone(&announcement)));
        self.sent.extend(announce.into_iter().map(message));
        if let Some(members) = founded {
            assert_eq!(server.pledge.as_ref(), Some(&members), "{from} has pledged itself");
            server.members = Some(Arc::clone(&members));
            self.founded.insert(members);
        }
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        let id = usize::from(to.0);
        let Some(server) = self.servers.get(id) else { return };
        match (&server.members, message) {
            (Some(members), Message::Announce(_)) => {
                self.sent.push((to, from, Message::Founded(Arc::clone(members))));
            }
            (Some(_), Message::Founded(_)) => {}
            (None, message) => self.step(id, Event::Message(from, message)),
        }
    }

    fn restart(&mut self, id: usize) {
        let server = &mut self.servers[id];
        if server.members.is_none() {
            server.founder = Founder::restart(NodeId(id as u16), server.pledge.clone());
            self.step(id, Event::Start);
        }
    }

    fn take(&mut self, event: Happening) {
        let server = |number: u8| usize::from(number) % self.servers.len();
        match event {
            Happening::Deliver(place) if !self.sent.is_empty() => {
                let place = usize::from(place) % self.sent.len();
                let (from, to, message) = self.sent[place].clone();
                self.deliver(from, to, message);
            }
            Happening::Deliver(_) => {}
            Happening::Timeout(number) => {
                let id = server(number);
                if self.servers[id].members.is_none() {
                    self.step(id, Event::Timeout);
                }
            }
            Happening::Crash(number) => self.restart(server(number)),
            Happening::LoseDisk(number) => {
                let id = server(number);
                let server = &mut self.servers[id];
                server.incarnation.0 += 1_000;
                (server.pledge, server.members) = (None, None);
                self.restart(id);
            }
        }
    }

    /// Delivers everything, in order, until nothing changes any more.
    fn settle(&mut self) {
        for _ in 0..20 {
            (0..self.servers.len()).for_each(|id| self.take(Happening::Timeout(id as u8)));
            for (from, to, message) in std::mem::take(&mut self.sent) {
                self.deliver(from, to, message);
            }
        }
    }
}

quickcheck! {
    fn group_is_founded_once_whatever_happens(events: Vec<Happening>) -> bool {
        let mut world = World::new(vec![charter(SERVERS); usize::from(SERVERS)]);
        events.into_iter().for_each(|event| world.take(event));
        world.settle();
        world.founded.len() <= 1
    }

    fn group_is_founded_if_no_pledge_is_lost(events: Vec<Happening>) -> bool {
        let mut world = World::new(vec![charter(SERVERS); usize::from(SERVERS)]);
        for event in events {
            let has_pledged = world.servers.iter().any(|server| server.pledge.is_some());
            if !matches!(event, Happening::LoseDisk(_)) || !has_pledged {
                world.take(event);
            }
        }
        // An announcement of an incarnation that is gone may still be under way.
        let now: Vec<_> = world.servers.iter().map(|server| server.incarnation).collect();
        world.sent.retain(|(from, _, message)| match message {
            Message::Announce(theirs) => theirs.incarnation == now[usize::from(from.0)],
            Message::Founded(_) => true,
        });
        world.settle();
        // A server that has heard of the old incarnation, and of all others before it hears of the
        // new one, pledges itself to what can never be.
        let stale = world.servers.iter().filter_map(|server| server.pledge.as_ref()).any(|pledge| {
            pledge.servers().any(|id| pledge.incarnation(id) != Some(now[usize::from(id.0)]))
        });
        stale || world.servers.iter().all(|server| server.members.is_some())
    }

    fn servers_with_other_lists_found_nothing(events: Vec<Happening>, odd: u8) -> bool {
        let odd = usize::from(odd) % usize::from(SERVERS);
        let mut charters = vec![charter(SERVERS); usize::from(SERVERS)];
        charters[odd] = if odd == 0 {
            Charter { purpose: Purpose::Controller { shards: 4 }, ..charter(SERVERS) }
        } else {
            charter(SERVERS + 1)
        };
        let mut world = World::new(charters);
        events.into_iter().for_each(|event| world.take(event));
        world.settle();
        world.founded.is_empty()
    }
}

#[test]
fn server_by_itself_founds_its_group_at_once() {
    let world = World::new(vec![charter(1)]);
    assert_eq!(world.founded.len(), 1);
    assert!(world.servers[0].members.is_some());
}

#[test]
fn member_that_forgot_its_pledge_is_refused() {
    let mut world = World::new(vec![charter(SERVERS); usize::from(SERVERS)]);
    world.settle();
    // An older copy of the disk: the incarnation is the member's, the pledge is not there.
    let server = &mut world.servers[1];
    (server.pledge, server.members) = (None, None);
    world.restart(1);
    world.settle();
    let Founder::Refused { refusal: Refusal::Forgotten(_), .. } = world.servers[1].founder else {
        panic!("{:?}", world.servers[1].founder);
    };
    assert_eq!(world.founded.len(), 1);
}
