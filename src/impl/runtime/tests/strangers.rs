//! Peers that are new, unknown, dead, or not what they say.

use super::*;

#[test]
fn an_endpoint_without_a_node_is_a_client() {
    let server = udp();
    let servers = [(TWO, server.local())];
    let node = node(TWO, Toy(pong), server, &servers, Volatile);
    let handle = node.handle();
    let outcome = start(node);
    // The server knows neither of them before they speak.
    let mut clients = [7, 8].map(|n| endpoint(FIRST_CLIENT + n, udp(), &servers));
    for n in 0..100 {
        for client in &mut clients {
            client.push(TWO, &Msg::Ping(n));
            client.flush();
        }
        for client in &mut clients {
            assert_eq!(answer(client), Msg::Pong(n));
        }
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    assert_eq!(handle.metrics().endpoint.received.messages, 200);
}

#[test]
fn what_does_not_belong_has_no_effect() {
    let server = udp();
    let servers = [(ONE, udp().local()), (TWO, server.local())];
    let address = server.local();
    let node = node(TWO, Toy(pong), server, &servers, Volatile);
    let handle = node.handle();
    let outcome = start(node);

    let stranger = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.send_to(&[], address).unwrap();
    stranger.send_to(b"PING", address).unwrap();
    stranger.send_to(&[b'x'; 60_000], address).unwrap();
    let speak = |identity: Identity, key: u8| {
        let key = Key::new([key; 16]);
        let mut other = Endpoint::new(identity, key, Limits::default(), servers, udp());
        other.push(TWO, &Msg::Ping(1));
        other.flush();
        other
    };
    speak(Identity { cluster: 8, ..identity(ONE) }, 9);
    speak(identity(ONE), 8);
    speak(identity(TWO), 9);
    let mut good = speak(identity(ONE), 9);
    // Everything above has been taken in once this is answered: one socket keeps the order.
    let mut client = speak(identity(FIRST_CLIENT), 9);
    assert_eq!(answer(&mut client), Msg::Pong(1));
    assert!(matches!(
        good.receive(Wait::Poll, 1, |_, _: Msg| panic!("to the wrong address")),
        Ok(())
    ));

    handle.stop();
    outcome.join().unwrap().unwrap();
    let metrics = handle.metrics();
    assert_eq!(metrics.steps, 2);
    let received = metrics.endpoint.received;
    let expected = [
        (Rejected::Short, 2),
        (Rejected::Magic, 1),
        (Rejected::Cluster, 1),
        (Rejected::Tag, 1),
        (Rejected::Source, 1),
    ];
    for (reason, count) in expected {
        assert_eq!(received.rejected(reason), count, "{reason:?}");
    }
    assert_eq!(received.rejected_in_all(), 6);
}

/// Sends to one that is dead, one that is unknown, and the observer.
fn hopeful(event: &Event, _: &mut u64, out: &mut Out<Toy>) {
    if let Event::Message(_, Msg::Ping(n)) = *event {
        out.send(id(TWO), Msg::Ping(n));
        out.send(id(3), Msg::Ping(n));
        out.send(id(FIRST_CLIENT), Msg::Large(vec![0; 10_000]));
        out.send(id(OBSERVER), Msg::Pong(n));
    }
}

#[test]
fn a_dead_or_unknown_peer_does_not_stop_the_node() {
    let (own, dead) = (udp(), udp().local());
    let servers = [(ONE, own.local()), (TWO, dead)];
    let mut node = node(ONE, Toy(hopeful), own, &servers, Volatile);
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    for n in 0..100 {
        mailbox.send(Msg::Ping(n));
        assert_eq!(mailbox.receive(PATIENCE), Some(Msg::Pong(n)));
    }
    handle.stop();
    outcome.join().unwrap().unwrap();
    assert!(handle.metrics().endpoint.unroutable >= 100);
}

#[test]
fn a_server_may_be_introduced_while_the_node_runs() {
    let net = MemoryNet::default();
    let servers = [(ONE, MemoryNet::address(1))];
    let mut node = node(ONE, Toy(hopeful), net.attach(1), &servers, Volatile);
    let mailbox = node.mailbox(id(OBSERVER));
    let handle = node.handle();
    let outcome = start(node);
    let mut two = endpoint(TWO, net.attach(2), &servers);
    handle.set_server(TWO, MemoryNet::address(2));
    mailbox.send(Msg::Ping(5));
    assert_eq!(answer(&mut two), Msg::Ping(5));
    handle.stop();
    outcome.join().unwrap().unwrap();
}
