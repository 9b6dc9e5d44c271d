//! The network of an episode: it loses messages, delays and repeats them, and lets any of them
//! overtake any other.

use std::collections::HashMap;

use model::message::{Answer, Message, Reply};
use model::types::{ClientId, RequestId};
use stateright::actor::Id;

use super::coverage::{self, Coverage, Kind};
use super::draw::Draw;
use super::plan::{Faults, Plan};

/// The largest number of messages under way. When there are more, some of them are lost.
const MOST: usize = 1_000;

/// The largest number of old copies that are kept.
const OLD: usize = 64;

/// A message under way.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The node that has sent it.
    pub from: Id,
    /// The node that it is for.
    pub to: Id,
    /// The message.
    pub message: Message,
    /// The kind of the message.
    pub kind: Kind,
}

/// The messages under way.
///
/// A server that turns a request away promises that it will not take it later. It keeps this
/// promise for copies that the network makes of one datagram only for a short time: see
/// `model::replica`. So the network delivers no copy of such a request after that.
pub struct Network {
    bag: Vec<Envelope>,
    /// The requests that were turned away, and the servers that remember it for now.
    refused: Vec<(Id, ClientId, RequestId)>,
    behaviour: Behaviour,
}

/// The network's behaviour.
enum Behaviour {
    /// The network draws its faults.
    Random(Box<Random>),
    /// The network remembers every message that was ever sent, by the digest of its words. The
    /// trace says which of them arrive.
    Replay(HashMap<u64, Envelope>),
    /// Every message arrives once.
    Quiet,
}

/// A network that draws its faults.
struct Random {
    draw: Draw,
    faults: Faults,
    old: Vec<Envelope>,
    blocked: Vec<Blocked>,
}

/// A link on which everything is lost, and for how many more messages.
struct Blocked {
    from: Id,
    to: Id,
    left: u32,
}

impl Network {
    /// A network that draws its faults as the plan says.
    #[must_use]
    pub fn random(plan: &Plan) -> Self {
        let draw = Draw::of(plan.seed, &[3]);
        let faults = plan.faults.clone();
        let random = Random { draw, faults, old: Vec::new(), blocked: Vec::new() };
        Self {
            bag: Vec::new(),
            refused: Vec::new(),
            behaviour: Behaviour::Random(Box::new(random)),
        }
    }

    /// A network from which a trace takes its messages.
    #[must_use]
    pub fn replay() -> Self {
        Self { bag: Vec::new(), refused: Vec::new(), behaviour: Behaviour::Replay(HashMap::new()) }
    }

    /// Loses everything under way, and nothing from now on.
    pub fn calm_down(&mut self) {
        self.bag.clear();
        self.behaviour = Behaviour::Quiet;
    }

    /// The number of messages under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.bag.len()
    }

    /// A node sends a message.
    pub fn send(&mut self, from: Id, to: Id, message: Message, coverage: &mut Coverage) {
        let envelope = Envelope { from, to, kind: coverage::of_message(&message), message };
        if let Some((client, number)) = turned_away(&envelope.message) {
            self.refused.push((from, client, number));
            if matches!(envelope.kind, Kind::Redirect | Kind::Elsewhere) {
                self.forget_copies(from);
            }
        }
        match &mut self.behaviour {
            Behaviour::Random(random) => {
                if random.loses(&envelope, coverage) {
                    return;
                }
                if random.draw.permille(random.faults.duplicate) {
                    coverage.count(Kind::FaultDuplicate);
                    self.bag.push(envelope.clone());
                }
                if random.draw.permille(random.faults.kept) {
                    random.keep(&envelope);
                }
                self.bag.push(envelope);
                if self.bag.len() > MOST {
                    let place = random.draw.below(self.bag.len());
                    self.bag.swap_remove(place);
                }
            }
            Behaviour::Replay(sent) => {
                sent.insert(digest(&words(&envelope)), envelope);
            }
            Behaviour::Quiet => self.bag.push(envelope),
        }
    }

    /// A server forgets which requests it has turned away.
    pub fn forget_copies(&mut self, server: Id) {
        if self.refused.is_empty() {
            return;
        }
        let refused = &self.refused;
        let is_copy = |envelope: &Envelope| match asked(&envelope.message) {
            Some((client, number)) if envelope.to == server => {
                refused.contains(&(server, client, number))
            }
            Some(_) | None => false,
        };
        self.bag.retain(|envelope| !is_copy(envelope));
        if let Behaviour::Random(random) = &mut self.behaviour {
            random.old.retain(|envelope| !is_copy(envelope));
        }
        self.refused.retain(|(by, _, _)| *by != server);
    }

    /// Takes a message out of those under way: any of them, but seldom one of a slow kind.
    pub fn take(&mut self, draw: &mut Draw) -> Option<Envelope> {
        if self.bag.is_empty() {
            return None;
        }
        let place = draw.below(self.bag.len());
        if let Behaviour::Random(random) = &self.behaviour
            && draw.permille(random.faults.slow[self.bag[place].kind as usize])
        {
            return None;
        }
        Some(self.bag.swap_remove(place))
    }

    /// A copy of an old message arrives.
    pub fn old(&mut self, draw: &mut Draw, coverage: &mut Coverage) -> Option<Envelope> {
        let Behaviour::Random(random) = &self.behaviour else { return None };
        if random.old.is_empty() {
            return None;
        }
        coverage.count(Kind::FaultLate);
        Some(draw.pick(&random.old).clone())
    }

    /// Blocks the link from one node to another for so many messages.
    pub fn block(&mut self, from: Id, to: Id, left: u32) {
        if let Behaviour::Random(random) = &mut self.behaviour {
            random.blocked.push(Blocked { from, to, left });
        }
    }

    /// The message with these words, if it was ever sent.
    #[must_use]
    pub fn recall(&self, words: u64) -> Option<Envelope> {
        match &self.behaviour {
            Behaviour::Replay(sent) => sent.get(&words).cloned(),
            Behaviour::Random(_) | Behaviour::Quiet => None,
        }
    }
}

impl Random {
    fn loses(&mut self, envelope: &Envelope, coverage: &mut Coverage) -> bool {
        if let Some(place) = self.blocked.iter().position(|link| link.is_of(envelope)) {
            self.blocked[place].left -= 1;
            if self.blocked[place].left == 0 {
                self.blocked.swap_remove(place);
            }
            coverage.count(Kind::FaultBlocked);
            return true;
        }
        let is_lost = self.draw.permille(self.faults.loss[envelope.kind as usize]);
        if is_lost {
            coverage.count(Kind::FaultLoss);
        }
        is_lost
    }

    fn keep(&mut self, envelope: &Envelope) {
        if self.old.len() < OLD {
            self.old.push(envelope.clone());
        } else {
            let place = self.draw.below(OLD);
            self.old[place] = envelope.clone();
        }
    }
}

impl Blocked {
    fn is_of(&self, envelope: &Envelope) -> bool {
        (self.from, self.to) == (envelope.from, envelope.to)
    }
}

/// The session and the number of a request.
fn asked(message: &Message) -> Option<(ClientId, RequestId)> {
    match message {
        Message::Request(request) => Some((request.client, request.number)),
        Message::Change(request) => Some((request.client, request.number)),
        Message::Raft(_)
        | Message::Reply(_)
        | Message::Outcome(_)
        | Message::Migration(_)
        | Message::Transaction(_)
        | Message::Founding(_) => None,
    }
}

/// The session and the number of the request that a message turns away.
fn turned_away(message: &Message) -> Option<(ClientId, RequestId)> {
    match message {
        Message::Reply(Reply { answer: Answer::Done(_), .. })
        | Message::Outcome(Reply { answer: Answer::Done(_), .. }) => None,
        Message::Reply(reply) => Some((reply.client, reply.number)),
        Message::Outcome(reply) => Some((reply.client, reply.number)),
        Message::Raft(_)
        | Message::Request(_)
        | Message::Change(_)
        | Message::Migration(_)
        | Message::Transaction(_)
        | Message::Founding(_) => None,
    }
}

/// The words by which a message is found again.
#[must_use]
pub fn words(envelope: &Envelope) -> String {
    let Envelope { from, to, message, kind: _ } = envelope;
    let name = |id: &Id| usize::from(*id);
    format!("{} -> {}: {message:?}", name(from), name(to))
}

/// A digest of words (FNV-1a).
#[must_use]
pub fn digest(words: &str) -> u64 {
    words.bytes().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
