//! The wire as a whole: what is sealed opens, and nothing else does.

use super::*;
use crate::rng::Rng;
use quickcheck::{TestResult, quickcheck};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const KEY: [u8; 16] = *b"0123456789abcdef";

fn server(id: u64) -> Identity {
    Identity { cluster: 0xC1, id, incarnation: 0x1000 + id, schema: 3 }
}

fn sealer(limits: Limits) -> Sealer {
    Sealer::new(server(1), Key::new(KEY), limits)
}

fn opener(limits: Limits) -> Opener {
    Opener::new(server(2), Key::new(KEY), limits)
}

/// All datagrams that wait in `sealer`.
fn drained(sealer: &mut Sealer) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    while !sealer.is_empty() {
        sealer.drain(true, |to, bytes, size| {
            assert_eq!(to, 2);
            datagrams.extend(bytes.chunks(size).map(<[u8]>::to_vec));
        });
    }
    datagrams
}

fn sealed<M: Serialize>(messages: &[M], limits: Limits) -> Vec<Vec<u8>> {
    let mut sealer = sealer(limits);
    for message in messages {
        sealer.push(2, message).unwrap();
    }
    drained(&mut sealer)
}

fn opened<M: DeserializeOwned>(opener: &mut Opener, datagrams: &[Vec<u8>]) -> Vec<M> {
    let mut messages = Vec::new();
    for datagram in datagrams {
        let sender = opener.open(datagram, |_, message| messages.push(message)).unwrap();
        assert_eq!(sender, Sender { source: 1, incarnation: 0x1001 });
    }
    messages
}

/// The reason for which `datagram` is dropped, having checked that it was counted and had no
/// effect.
fn refusal(opener: &mut Opener, datagram: &[u8]) -> Rejected {
    let before = opener.counters();
    let reason = opener.open::<Message>(datagram, |_, _| panic!("delivered")).unwrap_err();
    let mut expected = before;
    expected.reject(reason);
    assert_eq!(opener.counters(), expected);
    reason
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Message {
    Ping(u32),
    Put { key: String, value: Vec<u8> },
    Nothing,
}

fn golden_messages() -> Vec<Message> {
    let put = Message::Put { key: "k".into(), value: vec![1, 2, 3] };
    vec![Message::Ping(300), put, Message::Nothing]
}

/// The format is what other versions of this program speak: a change of these bytes needs another
/// version number.
const GOLDEN: &str = "53485752 01 03 1400 c100000000000000 0100000000000000 0200000000000000 \
    0110000000000000 010300 00ac02 010700 01016b03010203 010100 02 0aff42e282062a15";

fn golden() -> Vec<u8> {
    let digits: Vec<_> = GOLDEN.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// `datagram` with `change` made before its tag is computed anew.
fn forged(datagram: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = datagram[..datagram.len() - frame::TAG].to_vec();
    change(&mut bytes);
    let tag = Key::new(KEY).hash(&bytes);
    bytes.extend(tag.to_le_bytes());
    bytes
}

#[test]
fn the_bytes_of_a_frame_are_pinned() {
    assert_eq!(sealed(&golden_messages(), Limits::default()), [golden()]);
    assert_eq!(opened::<Message>(&mut opener(Limits::default()), &[golden()]), golden_messages());
}

#[test]
fn the_bytes_of_a_chunk_are_pinned() {
    let limits = Limits { max_datagram: 256, ..Limits::default() };
    let datagrams = sealed(&["x".repeat(300)], limits);
    assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [256, 180]);
    let head = |datagram: &[u8]| datagram[40..59].to_vec();
    let stream = Key::new(KEY).derive(STREAMS).hash(&[&[172, 2], [b'x'; 300].as_slice()].concat());
    let expected = |length: u8, offset: u8| {
        let mut head = vec![2, length, 0];
        head.extend(stream.to_le_bytes());
        head.extend([offset, 0, 0, 0, 46, 1, 0, 0]);
        head
    };
    assert_eq!(head(&datagrams[0]), expected(205, 0));
    assert_eq!(head(&datagrams[1]), expected(129, 189));
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let (datagram, mut opener) = (golden(), opener(Limits::default()));
    for length in 0..datagram.len() {
        let reason = refusal(&mut opener, &datagram[..length]);
        let short = length < frame::HEADER + frame::TAG;
        assert_eq!(reason, if short { Rejected::Short } else { Rejected::Length });
    }
    for extra in 1..100 {
        let longer = [datagram.as_slice(), &vec![0; extra]].concat();
        assert_eq!(refusal(&mut opener, &longer), Rejected::Length);
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let large = Message::Put { key: "k".into(), value: vec![7; 4_000] };
    let mut datagrams = sealed(&[large], Limits::default());
    datagrams.push(golden());
    let mut opener = opener(Limits::default());
    for datagram in datagrams {
        for bit in 0..datagram.len() * 8 {
            let mut flipped = datagram.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0..4 => Rejected::Magic,
                4 => Rejected::Version,
                5 => Rejected::Schema,
                6..8 => Rejected::Length,
                8..16 => Rejected::Cluster,
                24..32 => Rejected::Destination,
                _ => Rejected::Tag,
            };
            assert_eq!(refusal(&mut opener, &flipped), expected);
        }
    }
}

#[test]
fn a_frame_for_or_from_somebody_else_is_refused() {
    let mut opener = opener(Limits::default());
    let from = |identity: Identity, key: [u8; 16], to: u64| {
        let mut sealer = Sealer::new(identity, Key::new(key), Limits::default());
        sealer.push(to, &Message::Nothing).unwrap();
        let mut datagram = Vec::new();
        sealer.drain(true, |_, bytes, _| datagram = bytes.to_vec());
        datagram
    };
    let foreign = Identity { cluster: 0xC2, ..server(1) };
    assert_eq!(refusal(&mut opener, &from(foreign, KEY, 2)), Rejected::Cluster);
    assert_eq!(refusal(&mut opener, &from(server(1), KEY, 3)), Rejected::Destination);
    assert_eq!(refusal(&mut opener, &from(server(1), [0; 16], 2)), Rejected::Tag);
    let upgraded = Identity { schema: 4, ..server(1) };
    assert_eq!(refusal(&mut opener, &from(upgraded, KEY, 2)), Rejected::Schema);
    let impostor = Identity { incarnation: 9, ..server(2) };
    assert_eq!(refusal(&mut opener, &from(impostor, KEY, 2)), Rejected::Source);
    let client = Identity { id: FIRST_CLIENT, ..server(1) };
    assert!(opener.open::<Message>(&from(client, KEY, 2), |_, _| {}).is_ok());
}

#[test]
fn clients_are_numbered_beyond_all_servers() {
    let mut rng = Rng::seeded(5);
    let clients: Vec<_> = (0..1_000).map(|_| Identity::client(7, 3, &mut rng)).collect();
    assert!(clients.iter().all(|it| it.id >= FIRST_CLIENT && it.cluster == 7 && it.schema == 3));
    let numbers: std::collections::BTreeSet<_> = clients.iter().map(|it| it.id).collect();
    assert_eq!(numbers.len(), clients.len());
}

#[test]
fn numbers_that_nobody_may_have_are_refused() {
    let from = |id: u64| {
        let mut sealer = Sealer::new(server(id), Key::new(KEY), Limits::default());
        sealer.push(2, &Message::Nothing).unwrap();
        drained(&mut sealer).remove(0)
    };
    let mut opener = opener(Limits::default());
    for id in [2, u64::from(u16::MAX), FIRST_CLIENT - 1] {
        assert_eq!(refusal(&mut opener, &from(id)), Rejected::Source, "{id}");
    }
    for id in [0, 1, 3, u64::from(u16::MAX) - 1, FIRST_CLIENT] {
        assert!(opener.open::<Message>(&from(id), |_, _| {}).is_ok(), "{id}");
    }
}

#[test]
fn malformed_records_are_refused_as_a_whole() {
    let mut opener = opener(Limits::default());
    let body = |payload: &[u8]| {
        forged(&golden(), |bytes| {
            bytes.truncate(frame::HEADER);
            bytes.extend(payload);
            bytes[6..8].copy_from_slice(&(payload.len() as u16).to_le_bytes());
        })
    };
    let part = |offset: u32, total: u32, data: &[u8]| {
        let mut record = vec![2, 16 + data.len() as u8, 0];
        record.extend([0; 8]);
        record.extend(offset.to_le_bytes());
        record.extend(total.to_le_bytes());
        record.extend(data);
        body(&record)
    };
    let malformed = [
        body(&[]),
        body(&[0, 0, 0]),
        body(&[1, 1, 0]),
        body(&[1, 1]),
        body(&[3, 1, 0, 2]),
        // A good record before a bad one is not delivered either.
        body(&[1, 1, 0, 2, 1, 9, 0]),
        body(&[1, 1, 0, 2, 0, 0, 1]),
        body(&[2, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        part(0, 10, &[]),
        part(9, 10, &[1, 2]),
        part(u32::MAX, u32::MAX, &[1]),
    ];
    for datagram in malformed {
        assert_eq!(refusal(&mut opener, &datagram), Rejected::Record);
    }
    assert_eq!(opened::<Message>(&mut opener, &[body(&[1, 1, 0, 2, 0, 0])]), [Message::Nothing]);

    // Well-formed, but not acceptable: dropped by itself.
    for (datagram, reason) in [
        (part(0, 9 << 20, &[1]), Rejected::Limit),
        (part(0, 2, &[1, 2]), Rejected::Digest),
        (body(&[1, 1, 0, 9]), Rejected::Undecodable),
        (body(&[1, 2, 0, 2, 0]), Rejected::Undecodable),
    ] {
        let before = opener.counters().rejected(reason);
        opener.open::<Message>(&datagram, |_, _| panic!("delivered")).unwrap();
        assert_eq!(opener.counters().rejected(reason), before + 1);
    }
}

#[test]
fn random_bytes_never_panic_and_never_pass() {
    let (mut rng, mut opener) = (Rng::seeded(1), opener(Limits::default()));
    for round in 0..100_000 {
        let length = rng.index(300);
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.next_u64() as u8).collect();
        if round % 2 == 0 {
            // Get past the first checks.
            let header = frame::header(&server(1), 2);
            let end = length.min(header.len());
            bytes[..end].copy_from_slice(&header[..end]);
            if length >= frame::HEADER + frame::TAG {
                let payload = (length - frame::HEADER - frame::TAG) as u16;
                bytes[6..8].copy_from_slice(&payload.to_le_bytes());
            }
        }
        refusal(&mut opener, &bytes);
    }
    assert_eq!(opener.counters().rejected_in_all(), 100_000);
}

#[test]
fn random_payloads_with_a_good_tag_never_panic() {
    let (mut rng, mut opener) = (Rng::seeded(2), opener(Limits::default()));
    for _ in 0..100_000 {
        let datagram = forged(&golden(), |bytes| {
            bytes.truncate(frame::HEADER);
            let length = rng.index(60);
            bytes.extend((0..length).map(|_| rng.below(4) as u8));
            bytes[6..8].copy_from_slice(&(length as u16).to_le_bytes());
        });
        let _ = opener.open::<Message>(&datagram, |_, _| {});
    }
}

#[test]
fn a_message_of_any_size_up_to_the_limit_fits_its_datagrams() {
    for max_datagram in [256, 1_400, 9_000, MAX_UDP_PAYLOAD] {
        let limits = Limits { max_datagram, ..Limits::default() };
        let around = [max_datagram - 56, max_datagram, 2 * max_datagram];
        let near = around.iter().flat_map(|&size| size - 9..size + 9);
        for size in (0..9).chain(near).chain([limits.max_message - 4]) {
            let message = vec![size as u8; size];
            let datagrams = sealed(std::slice::from_ref(&message), limits);
            assert!(datagrams.iter().all(|datagram| datagram.len() <= max_datagram));
            assert_eq!(opened::<Vec<u8>>(&mut opener(limits), &datagrams), [message]);
        }
    }
}

#[test]
fn a_message_over_the_limit_is_refused_by_the_sender() {
    let limits = Limits { max_message: 1_000, max_backlog: 10_000, ..Limits::default() };
    let mut sealer = sealer(limits);
    let refused = Refused::Encoding(codec::EncodeError::TooLarge);
    assert_eq!(sealer.push(2, &vec![0_u8; 1_000]), Err(refused));
    assert!(sealer.is_empty());
    assert_eq!(sealer.sent(), Sent { refused: 1, unsendable: 1, ..Sent::default() });
}

#[test]
fn the_backlog_is_bounded_and_a_repetition_waits_once() {
    let limits = Limits { max_backlog: 10_000, ..Limits::default() };
    let mut sealer = sealer(limits);
    let message = |byte: u8| vec![byte; 4_000];
    sealer.push(2, &message(1)).unwrap();
    sealer.push(2, &message(1)).unwrap();
    sealer.push(2, &message(2)).unwrap();
    assert_eq!(sealer.push(2, &message(3)), Err(Refused::Backlog));
    assert_eq!((sealer.sent().refused, sealer.sent().unsendable), (1, 0), "it may leave later");
    let datagrams = drained(&mut sealer);
    assert!(!sealer.has_backlog());
    let messages = opened::<Vec<u8>>(&mut opener(limits), &datagrams);
    assert_eq!(messages, [message(1), message(2)]);
}

#[test]
fn large_messages_leave_in_bursts_behind_the_small() {
    let limits = Limits { burst: 10_000, ..Limits::default() };
    let mut sealer = sealer(limits);
    sealer.push(2, &vec![1_u8; 25_000]).unwrap();
    sealer.push(2, &vec![2_u8; 10]).unwrap();
    let mut opener = opener(limits);
    let mut turn = |sealer: &mut Sealer, bulk| {
        let (mut count, mut sizes) = (0, Vec::new());
        sealer.drain(bulk, |_, bytes, size| {
            for datagram in bytes.chunks(size) {
                count += 1;
                let deliver = |_, message: Vec<u8>| sizes.push(message.len());
                opener.open(datagram, deliver).unwrap();
            }
        });
        (count, sizes)
    };
    assert_eq!(turn(&mut sealer, false), (1, vec![10]));
    assert_eq!(turn(&mut sealer, false), (0, vec![]));
    assert_eq!(turn(&mut sealer, true), (8, vec![]));
    assert_eq!(turn(&mut sealer, true), (8, vec![]));
    assert_eq!(turn(&mut sealer, true).1, [25_000]);
    assert!(sealer.is_empty());
}

#[test]
fn what_servers_wait_for_leaves_before_what_clients_do() {
    let mut sealer = sealer(Limits::default());
    for to in [FIRST_CLIENT + 2, 2, FIRST_CLIENT + 1, 1] {
        sealer.push(to, "message").unwrap();
    }
    let mut order = Vec::new();
    sealer.drain(true, |to, _, _| order.push(to));
    assert_eq!(order, [2, 1, FIRST_CLIENT + 2, FIRST_CLIENT + 1]);
}

/// Loses, repeats and reorders what is sent, as `seed` says.
fn mangled(datagrams: &[Vec<u8>], loss: f64, seed: u64) -> Vec<Vec<u8>> {
    let mut rng = Rng::seeded(seed);
    let mut mangled = Vec::new();
    for datagram in datagrams {
        while !rng.chance(loss) {
            let at = rng.index(mangled.len() + 1);
            mangled.insert(at, datagram.clone());
            if rng.chance(0.7) {
                break;
            }
        }
    }
    mangled
}

quickcheck! {
    fn what_is_sealed_opens(messages: Vec<(u64, String, Vec<u8>)>, size: u16) -> bool {
        let limits = Limits { max_datagram: size.into(), ..Limits::default() };
        let datagrams = sealed(&messages, limits);
        let mut received = opened::<(u64, String, Vec<u8>)>(&mut opener(limits), &datagrams);
        let mut sent = messages;
        sent.sort();
        received.sort();
        sent == received
    }

    fn nothing_but_what_was_sent_arrives(sizes: Vec<u16>, seed: u64) -> bool {
        let messages: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(at, &size)| vec![at as u8; size.into()]).collect();
        let datagrams = mangled(&sealed(&messages, Limits::default()), 0.1, seed);
        let received = opened::<Vec<u8>>(&mut opener(Limits::default()), &datagrams);
        received.iter().all(|message| messages.contains(message))
    }

    fn without_loss_everything_arrives(size: usize, seed: u64) -> bool {
        let message: Vec<u8> = (0..size % 100_000).map(|at| at as u8).collect();
        let datagrams = mangled(&sealed(&[&message], Limits::default()), 0.0, seed);
        opened::<Vec<u8>>(&mut opener(Limits::default()), &datagrams).contains(&message)
    }

    fn repeating_a_large_message_gets_it_through_a_lossy_network(seed: u64) -> bool {
        let message: Vec<u8> = (0..200_000).map(|at| at as u8).collect();
        let mut opener = opener(Limits::default());
        (0..20).any(|attempt| {
            let datagrams = sealed(&[&message], Limits::default());
            let arrived = mangled(&datagrams, 0.3, seed.wrapping_add(attempt));
            opened::<Vec<u8>>(&mut opener, &arrived).contains(&message)
        })
    }

    /// Sends only first parts of messages, each a promise of more.
    fn memory_in_assembly_is_bounded(sizes: Vec<u16>, senders: u8) -> TestResult {
        let assembly = Assembly { per_sender: 3, messages: 5, bytes: 100_000 };
        let mut assembler = chunk::Assembler::new(Key::new(KEY), 1 << 20, assembly);
        for (stream, size) in sizes.into_iter().enumerate() {
            let total = u32::from(size) + 2;
            let source = stream as u64 % (u64::from(senders) + 1);
            let stream = stream as u64;
            let part = record::Part { stream, offset: 0, total, data: &[1] };
            if assembler.accept(source, &part) != Ok(None) {
                return TestResult::failed();
            }
            let (held, bytes) = assembler.held();
            let of_source = held.iter().filter(|&&it| it == source).count();
            if held.len() > 5 || of_source > 3 || bytes > 100_000 {
                return TestResult::failed();
            }
        }
        TestResult::passed()
    }
}

#[test]
fn a_message_in_too_many_pieces_is_given_up() {
    let mut assembler = chunk::Assembler::new(Key::new(KEY), 1 << 20, Assembly::default());
    let pieces = (0..5_000).map(|at| {
        let part = record::Part { stream: 1, offset: 2 * at, total: 1 << 20, data: &[1] };
        assembler.accept(1, &part)
    });
    assert_eq!(pieces.filter(|it| *it == Err(Rejected::Limit)).count(), 1);
}

/// The largest message in the smallest datagrams, of which every second is late.
#[test]
fn the_largest_message_arrives_in_any_order() {
    let limits = Limits { max_datagram: MIN_DATAGRAM, ..Limits::default() };
    let message: Vec<u8> = (0..limits.max_message - 4).map(|at| at as u8).collect();
    let datagrams = sealed(std::slice::from_ref(&message), limits);
    let (even, odd): (Vec<_>, Vec<_>) =
        datagrams.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    let order: Vec<_> = even.into_iter().chain(odd).map(|(_, datagram)| datagram).collect();
    assert!(opened::<Vec<u8>>(&mut opener(limits), &order) == [message]);
}

#[test]
fn the_oldest_in_assembly_gives_way() {
    let limits = Assembly { per_sender: 2, ..Assembly::default() };
    let key = Key::new(KEY);
    let mut assembler = chunk::Assembler::new(key, 1 << 20, limits);
    let messages = [[1_u8, 1], [2, 2], [3, 3]];
    let mut half = |message: &[u8; 2], offset: usize| {
        let data = &message[offset..=offset];
        let stream = key.hash(message);
        let part = record::Part { stream, offset: offset as u32, total: 2, data };
        assembler.accept(1, &part).unwrap().is_some()
    };
    assert!(messages.iter().all(|message| !half(message, 0)));
    assert!(half(&messages[2], 1));
    assert!(half(&messages[1], 1));
    assert!(!half(&messages[0], 1));
    assert_eq!(assembler.evicted(), 1);
}
