//! Rebalancing: all small cases by brute force, large ones by counting.

use std::iter::repeat_n;

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

/// All sequences of this length over these symbols.
fn all_sequences<T: Copy>(symbols: &[T], length: usize) -> Vec<Vec<T>> {
    (0..length).fold(vec![Vec::new()], |shorter, _| {
        let longer = |start: &Vec<T>| {
            let start = start.clone();
            symbols.iter().map(move |symbol| [&start[..], &[*symbol]].concat()).collect::<Vec<_>>()
        };
        shorter.iter().flat_map(longer).collect()
    })
}

/// All assignments of so many shards to these groups in which the groups own equally much.
fn balanced(shards: usize, groups: &[u16]) -> Vec<Vec<u16>> {
    let mut all = all_sequences(groups, shards);
    all.retain(|owners| {
        let held = groups.iter().map(|group| owners.iter().filter(|o| *o == group).count());
        held.clone().max() <= held.min().map(|least| least + 1)
    });
    all
}

#[test]
fn no_balanced_assignment_moves_fewer_shards_in_any_small_case() {
    let mut cases = 0;
    for shards in 0..=6 {
        let owners = [None, Some(1), Some(2), Some(3), Some(4)];
        let starts = all_sequences(&owners, shards);
        for subset in 1..16 {
            let names: Vec<u16> = (1..=4).filter(|n| subset >> (n - 1) & 1 == 1).collect();
            let (choices, groups) = (balanced(shards, &names), groups(names));
            for start in &starts {
                let differ = |choice: &&Vec<u16>| {
                    start.iter().zip(*choice).filter(|(old, new)| **old != Some(**new)).count()
                };
                let optimum = choices.iter().map(|choice| differ(&choice)).min().unwrap();
                let before = assignment(start.iter().copied());
                let after = rebalance(&before, groups.iter().copied());
                assert_eq!(moves(&before, &after), optimum, "{before:?} {groups:?} {after:?}");
                assert_eq!(least_moves(&before, &groups), optimum, "{before:?} {groups:?}");
                assert_eq!(flaw(&before, &groups, &after), None, "{before:?} {groups:?} {after:?}");
                cases += 1;
            }
        }
    }
    // (5^0 + ... + 5^6) * 15: none was left out.
    assert_eq!(cases, 292_965);
}

#[test]
fn without_groups_no_shard_has_an_owner() {
    let before = assignment([Some(1), None, Some(2)]);
    let after = rebalance(&before, []);
    assert_eq!(after, Assignment::unowned(3));
    assert_eq!(flaw(&before, &Groups::new(), &after), None);
}

/// Any owners of up to 600 shards, and up to 300 groups that are to own them: of a common number
/// space, so that some owners stay, some go and some groups are new.
#[derive(Clone, Debug)]
struct Case {
    before: Assignment,
    groups: Groups,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let names = 1 + u16::arbitrary(g) % 300;
        // Some groups have numbers that are far away from the others'.
        let name = |g: &mut Gen| match u16::arbitrary(g) % names {
            0 => u16::MAX,
            n => n,
        };
        let shards = u16::arbitrary(g) % 600;
        let before = assignment((0..shards).map(|_| (u8::arbitrary(g) > 9).then(|| name(g))));
        let members = u16::arbitrary(g) % (names + 1);
        let groups = groups((0..members).map(|_| name(g)));
        // Half of the cases start from balance with other groups, as they do in practice.
        let start = Self { before, groups };
        if bool::arbitrary(g) {
            let mut others = start.groups.clone();
            others.retain(|_| u8::arbitrary(g) > 20);
            others.extend((0..u16::arbitrary(g) % 20).map(|_| GroupId(name(g))));
            let before = rebalance(&start.before, others);
            return Self { before, ..start };
        }
        start
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let Self { before, groups } = self.clone();
        let owners: Vec<_> = before.iter().map(|(_, owner)| owner.map(|group| group.0)).collect();
        let fewer = (0..owners.len()).rev().map({
            let groups = groups.clone();
            move |len| Self { before: assignment(owners[..len].to_vec()), groups: groups.clone() }
        });
        let without = groups.clone().into_iter().map(move |group| {
            let mut groups = groups.clone();
            groups.remove(&group);
            Self { before: before.clone(), groups }
        });
        Box::new(without.chain(fewer))
    }
}

fn holds_in_large_cases(property: fn(Case) -> bool) {
    QuickCheck::new().tests(1_000).max_tests(1_000).quickcheck(property as fn(_) -> _);
}

#[test]
fn large_cases_are_balanced_with_the_fewest_moves() {
    holds_in_large_cases(|Case { before, groups }| {
        flaw(&before, &groups, &rebalance(&before, groups.iter().copied())).is_none()
    });
}

#[test]
fn a_balanced_assignment_is_left_as_it_is() {
    holds_in_large_cases(|Case { before, groups }| {
        let once = rebalance(&before, groups.iter().copied());
        rebalance(&once, groups) == once
    });
}

#[test]
fn the_order_in_which_groups_are_named_does_not_matter() {
    holds_in_large_cases(|Case { before, groups }| {
        let twice_backwards = groups.iter().rev().flat_map(|group| [*group; 2]);
        rebalance(&before, twice_backwards) == rebalance(&before, groups.iter().copied())
    });
}

#[test]
fn what_was_rebalanced_is_as_it_was() {
    holds_in_large_cases(|Case { before, groups }| {
        let copy = assignment(before.iter().map(|(_, owner)| owner.map(|group| group.0)));
        let after = rebalance(&before, groups);
        let moved = moves(&copy, &after);
        before == copy && moves(&before, &after) == moved
    });
}

/// Ties: the lowest shards stay, and those that move go to the lowest groups first.
#[test]
fn ties_are_broken_by_number() {
    let before = assignment([Some(1), Some(1), Some(2), Some(1), Some(2), Some(2), None]);
    let after = rebalance(&before, groups([1, 2, 3]));
    assert_eq!(format!("{after:?}"), "[g1 g1 g2 g1 g2 g3 g3]");
    let after = rebalance(&Assignment::unowned(3), groups([9, 4, 7, 5]));
    assert_eq!(format!("{after:?}"), "[g4 g5 g7]");
}

/// As many as are wanted of the shards in order, then the next group's.
fn in_blocks(shards: usize, groups: &Groups) -> Assignment {
    let (share, larger) = (shards / groups.len(), shards % groups.len());
    let size = |rank| share + usize::from(rank < larger);
    let blocks = groups.iter().enumerate().flat_map(|(rank, g)| repeat_n(Some(g.0), size(rank)));
    assignment(blocks)
}

/// The question that the other tests ask is not an idle one. The peers' checks of minimal transfer
/// look at groups that are not there, and so accept any rebalancing.
#[test]
fn a_wasteful_rebalancing_is_recognised() {
    let (four, five) = (groups([100, 101, 102, 103]), groups([100, 101, 102, 103, 104]));
    let before = in_blocks(10, &four);

    // Balanced, but made anew: all that lay behind the first block has slid along.
    let anew = in_blocks(10, &five);
    assert_eq!(flaw(&before, &five, &anew), Some(Flaw::Wasteful { least: 2, moved: 7 }));

    // The right one, but for two groups that have exchanged a shard.
    let mut exchanged = rebalance(&before, five.iter().copied());
    assert_eq!(flaw(&before, &five, &exchanged), None);
    let first = |group| exchanged.shards_of(GroupId(group)).next().unwrap();
    let (one, two) = (first(100), first(101));
    exchanged.set(one, Some(GroupId(101)));
    exchanged.set(two, Some(GroupId(100)));
    assert_eq!(flaw(&before, &five, &exchanged), Some(Flaw::Wasteful { least: 2, moved: 4 }));

    // One more for a group that had no more, and none for one that had.
    let (before, two) = (assignment([Some(1), Some(2), Some(2)]), groups([1, 2]));
    let other = assignment([Some(1), Some(2), Some(1)]);
    assert_eq!(flaw(&before, &two, &other), Some(Flaw::Wasteful { least: 0, moved: 1 }));
}

#[test]
fn other_flaws_are_recognised() {
    let (before, two) = (assignment([Some(1), Some(1), Some(2)]), groups([1, 2]));
    let flaw = |owners: &[Option<u16>]| flaw(&before, &two, &assignment(owners.iter().copied()));
    assert_eq!(flaw(&[Some(1), Some(1), Some(2)]), None);
    assert_eq!(flaw(&[Some(1), Some(2)]), Some(Flaw::Length));
    assert_eq!(flaw(&[Some(1), None, Some(2)]), Some(Flaw::Unowned(ShardId(1))));
    assert_eq!(flaw(&[Some(1), Some(1), Some(3)]), Some(Flaw::Stranger(ShardId(2))));
    let all = Flaw::Unbalanced { least: 0, most: 3 };
    assert_eq!(flaw(&[Some(1), Some(1), Some(1)]), Some(all));
}
