//! A shard cut into parts and put together again is the shard, however large the parts are.

use quickcheck::quickcheck;

use crate::kv::Machine;
use crate::kv::command::{Key, Op, Output, Request, Value};
use crate::kv::session::Session;
use crate::shard::content::{Part, Place};
use crate::size;
use crate::types::{ClientId, RequestId};

fn machine(writes: Vec<(u8, u8, Vec<u8>)>) -> Machine {
    let mut machine = Machine::default();
    for (number, (client, key, value)) in (1..).zip(writes) {
        let op = match value.len() % 3 {
            0 => Op::Get([key].into()),
            _ => Op::Put([key].into(), value.into()),
        };
        machine.apply(&Request { client: ClientId(client.into()), number: RequestId(number), op });
    }
    machine
}

/// The parts of so many bytes, from the first to the last.
fn parts(machine: &Machine, bytes: usize) -> Vec<Part> {
    let mut parts = vec![Part::of(machine, Place::START, bytes)];
    while let Some(last) = parts.last().filter(|part| part.to != Place::End) {
        assert!(last.from < last.to, "{last:?} leads on");
        parts.push(Part::of(machine, last.to.clone(), bytes));
    }
    parts
}

quickcheck! {
    fn parts_make_the_whole(writes: Vec<(u8, u8, Vec<u8>)>, bytes: u8) -> bool {
        let machine = machine(writes);
        let mut whole = Machine::default();
        for part in parts(&machine, bytes.into()) {
            part.install(&mut whole);
        }
        whole == machine
    }

    fn a_part_is_known_by_where_it_begins(writes: Vec<(u8, u8, Vec<u8>)>, bytes: u8) -> bool {
        let machine = machine(writes);
        parts(&machine, bytes.into())
            .into_iter()
            .all(|part| Part::of(&machine, part.from.clone(), bytes.into()) == part)
    }
}

#[test]
fn an_empty_shard_is_one_part() {
    assert_eq!(parts(&Machine::default(), 1).len(), 1);
}

/// What a part takes beside its keys and sessions, if these are few and have short keys.
const FRAMING: usize = 10;

#[test]
fn a_part_is_no_larger_than_asked() {
    let writes = (0..100).map(|key| (1, key, vec![7; 100])).collect();
    let machine = machine(writes);
    let item = size::of(&(Key::from([0]), Value::from([7; 100])));
    let most = |bytes| parts(&machine, bytes).iter().map(size::of).max();
    for (bytes, items) in [(10 * item, 10), (10 * item - 1, 9), (item, 1), (1, 1), (0, 1)] {
        let (most, content) = (most(bytes).unwrap(), items * item);
        assert!((content..=content + FRAMING).contains(&most), "{most} for {bytes}");
    }
    assert_eq!(parts(&machine, 10 * item).len(), 10 + 1, "ten keys each, and the session");
}

#[test]
fn a_large_result_goes_alone() {
    let mut machine = machine((0..10).map(|key| (key, key, vec![7; 100])).collect());
    let values: Vec<_> = vec![Some(Value::from([7; 100])); 100];
    let session = Session { number: RequestId(99), output: Output::Committed(values.into()) };
    let item = size::of(&(ClientId(4), &session));
    machine.sessions.restore(ClientId(4), session);
    let sizes: Vec<_> = parts(&machine, 1_100).iter().map(size::of).collect();
    let large: Vec<_> = sizes.iter().filter(|size| **size > 1_100).collect();
    assert!(matches!(large[..], [size] if (item..=item + FRAMING).contains(size)), "{sizes:?}");
}
