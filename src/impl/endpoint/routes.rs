//! Addresses of participants: configured servers by configuration, others by what they last sent.

use crate::wire::FIRST_CLIENT;
use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::net::SocketAddr;

/// Most clients in one generation.
const GENERATION: usize = 1 << 15;

/// Addresses by participant.
///
/// Clients are kept in two generations. When the young one is full it becomes the old one, and what
/// the former old one held and nobody used meanwhile is forgotten: at least the 32,768 clients
/// heard of last are known, in bounded memory and constant time.
#[derive(Debug, Default)]
pub(super) struct Routes {
    servers: BTreeMap<u64, SocketAddr>,
    /// Servers that the configuration does not know, such as one with a newer configuration. Their
    /// numbers bound how many there are.
    strangers: BTreeMap<u64, SocketAddr>,
    young: HashMap<u64, SocketAddr>,
    old: HashMap<u64, SocketAddr>,
}

impl Routes {
    pub(super) fn new(servers: impl IntoIterator<Item = (u64, SocketAddr)>) -> Self {
        Self { servers: servers.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn set_server(&mut self, server: u64, address: SocketAddr) {
        self.servers.insert(server, address);
    }

    pub(super) fn get(&self, id: u64) -> Option<SocketAddr> {
        if id < FIRST_CLIENT {
            return self.servers.get(&id).or_else(|| self.strangers.get(&id)).copied();
        }
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }

    /// Notes that an authentic frame of `id` came from `address`. Servers stay where the
    /// configuration says.
    pub(super) fn learn(&mut self, id: u64, address: SocketAddr) {
        if id < FIRST_CLIENT {
            if !self.servers.contains_key(&id) {
                self.strangers.insert(id, address);
            }
            return;
        }
        if self.young.len() >= GENERATION && !self.young.contains_key(&id) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id, address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn a_client_is_where_it_last_was_and_a_server_where_it_should_be() {
        let mut routes = Routes::new([(1, address(10))]);
        routes.learn(1, address(11));
        routes.learn(2, address(12));
        routes.learn(FIRST_CLIENT, address(13));
        routes.learn(FIRST_CLIENT, address(14));
        assert_eq!(routes.get(1), Some(address(10)));
        assert_eq!(routes.get(2), Some(address(12)));
        assert_eq!(routes.get(3), None);
        assert_eq!(routes.get(FIRST_CLIENT), Some(address(14)));
    }

    #[test]
    fn memory_is_bounded_and_active_clients_are_not_forgotten() {
        let mut routes = Routes::default();
        for client in 0..5 * GENERATION as u64 {
            routes.learn(FIRST_CLIENT + 7, address(7));
            routes.learn(FIRST_CLIENT + 100 + client, address(1));
            assert!(routes.young.len() + routes.old.len() <= 2 * GENERATION);
            assert_eq!(routes.get(FIRST_CLIENT + 7), Some(address(7)));
        }
        assert_eq!(routes.get(FIRST_CLIENT + 100), None);
    }
}
