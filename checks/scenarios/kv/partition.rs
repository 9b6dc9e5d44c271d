//! What clients get on either side of a partition.

use std::time::Duration;

use model::kv::command::{Op, Output};

use crate::world::{BRISK, PATIENCE, World};

#[test]
fn operations_succeed_without_two_of_five_servers() {
    let world = World::of(5);
    let mut clerk = world.clerk();
    clerk.put("k", "with all");
    let absent = world.others(&[world.leader()])[..2].to_vec();
    world.cut(&absent);
    assert_eq!(clerk.get("k"), "with all");
    clerk.put("k", "with three");
    assert_eq!(clerk.get("k"), "with three");
    drop(clerk);
    world.finish();
}

#[test]
fn neither_writes_nor_reads_are_answered_without_a_majority() {
    let world = World::of(5);
    let mut clerk = world.clerk();
    clerk.put("k", "with all");
    let absent = world.others(&[world.leader()])[..3].to_vec();
    world.cut(&absent);
    for op in [Op::Put("k".into(), "with two".into()), Op::Get("k".into())] {
        clerk.begin(op);
        assert_eq!(clerk.end_within(two_elections()), None);
        clerk.give_up();
    }
    world.heal();
    // The first may have taken effect and may not; the history must allow for what is read.
    let value = clerk.get("k");
    assert!(["with all", "with two"].contains(&value.as_str()), "{value}");
    drop(clerk);
    world.finish();
}

#[test]
fn operations_succeed_when_the_leader_is_lost_and_nothing_is_forgotten() {
    let world = World::of(5);
    let mut clerk = world.clerk();
    clerk.put("k", "with the first");
    let first = world.leader();
    world.cut(&[first]);
    assert_eq!(clerk.get("k"), "with the first");
    clerk.append("k", ", then the second");
    world.join(&[first]);
    assert_eq!(clerk.get("k"), "with the first, then the second");
    drop(clerk);
    world.finish();
}

#[test]
fn a_minority_answers_nothing_until_it_is_healed() {
    let world = World::of(5);
    let mut witness = world.clerk();
    witness.put("k", "before");

    let leader = world.leader();
    let others = world.others(&[leader]);
    let (minority, majority) = (vec![leader, others[0]], others[1..].to_vec());
    world.split(&[&minority, &majority]);
    witness.stay_with(&majority);
    witness.put("k", "in the majority");

    // Its leader does not know that it is none any more, and takes both.
    let [mut writer, mut reader] = [world.clerk(), world.clerk()];
    writer.stay_with(&minority);
    reader.stay_with(&minority);
    writer.begin(Op::Put("k".into(), "in the minority".into()));
    reader.begin(Op::Get("k".into()));
    assert_eq!(writer.end_within(two_elections()), None);
    assert_eq!(reader.end_within(two_elections()), None);
    assert_eq!(witness.get("k"), "in the majority");
    witness.put("k", "in the majority still");

    world.heal();
    assert_eq!(writer.end_within(PATIENCE), Some(Output::Written));
    match reader.end_within(PATIENCE) {
        Some(Output::Value(Some(value))) => {
            let allowed = ["in the majority still", "in the minority"].map(Into::into);
            assert!(allowed.contains(&value), "{value:?}");
        }
        other => panic!("the read ends as {other:?}"),
    }
    assert_eq!(witness.get("k"), "in the minority");
    drop((witness, writer, reader));
    world.finish();
}

fn two_elections() -> Duration {
    2 * BRISK.election.end
}
