//! States that a check of overload must reach.

use super::goals::{goal, reached};
use super::{Property, Reads};

use crate::message::NotTaken;
use crate::node::Node;
use crate::raft::Payload;
use crate::replica::{Answer, Message};
use crate::system::{SystemState, messages};
use crate::types::{ClientId, RequestId};

/// A leader refuses a request.
pub const OVERLOADED: Property =
    goal!(Message, overloaded, "A client is told that the servers are overloaded.");
/// A client believes the refusal.
pub const GIVEN_UP_FOR_GOOD: Property = goal!(
    State,
    given_up_for_good,
    "A client is at its second operation, and the first is in no log and on no way."
);
/// A client that is refused can not believe it.
pub const REFUSED_IN_DOUBT: Property = goal!(
    State,
    refused_in_doubt,
    "A client is told that the servers are overloaded while another copy of its request is in a \
     log."
);

fn overloaded(message: &Message) -> bool {
    message.reply().is_some_and(|reply| reply.answer == Answer::Refused(NotTaken::Overloaded))
}

fn is_logged(state: &SystemState, client: ClientId, number: RequestId) -> bool {
    let replicas = state.actor_states.iter().filter_map(|host| host.node.replica());
    replicas.flat_map(|replica| replica.raft.log().iter()).any(|entry| match &entry.payload {
        Payload::Command(command) => command.asked_by() == Some((client, number)),
        Payload::Noop | Payload::Members(_) => false,
    })
}

fn given_up_for_good(state: &SystemState) -> bool {
    state.actor_states.iter().any(|host| {
        let Node::Client { session, .. } = &host.node else { return false };
        let (client, first) = (session.id(), RequestId(1));
        let is_copy = |message: &Message| {
            message
                .request()
                .is_some_and(|request| (request.client, request.number) == (client, first))
        };
        session.pending().is_some_and(|(number, _)| number > first)
            && !is_logged(state, client, first)
            && !messages(state).any(|envelope| is_copy(envelope.msg))
    })
}

fn refused_in_doubt(state: &SystemState) -> bool {
    messages(state).any(|envelope| {
        envelope.msg.reply().is_some_and(|reply| {
            overloaded(envelope.msg) && is_logged(state, reply.client, reply.number)
        })
    })
}
