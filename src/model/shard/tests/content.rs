//! A shard cut into parts and put together again is the shard, however large the parts are.

use quickcheck::quickcheck;

use crate::kv::Machine;
use crate::kv::command::{Op, Request};
use crate::shard::content::{Part, Place};
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

#[test]
fn a_part_is_about_as_large_as_asked() {
    let writes = (0..100).map(|key| (1, key, vec![7; 100])).collect();
    let machine = machine(writes);
    let parts = parts(&machine, 1_000);
    assert_eq!(parts.len(), 10 + 1, "ten keys each, and the session");
    assert!(parts.iter().all(|part| part.bytes() < 2_500));
}
