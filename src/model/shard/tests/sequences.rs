//! Sequences of drawn changes, each held against the plainest account of what it should do.

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

#[derive(Clone, Debug)]
enum Change {
    Join(BTreeMap<GroupId, Servers>),
    Leave(Groups),
    Move(ShardId, GroupId),
}

impl Arbitrary for Change {
    /// Of few groups, servers and shards, so that about half of the changes are refused.
    fn arbitrary(g: &mut Gen) -> Self {
        let group = |g: &mut Gen| GroupId(u16::arbitrary(g) % 10);
        let several = 1 + usize::arbitrary(g) % 2;
        match u8::arbitrary(g) % 16 {
            0 => Self::Join(BTreeMap::new()),
            1 => Self::Leave(Groups::new()),
            2..=7 => {
                let group_and_servers = |_| {
                    let group = group(g);
                    // Most groups have servers of their own, some share or lack them.
                    let servers = match u8::arbitrary(g) % 8 {
                        0 => servers([]),
                        1 => servers([u16::arbitrary(g) % 20, u16::arbitrary(g) % 20]),
                        _ => servers([2 * group.0, 2 * group.0 + 1]),
                    };
                    (group, servers)
                };
                Self::Join((0..several).map(group_and_servers).collect())
            }
            8..=11 => Self::Leave((0..several).map(|_| group(g)).collect()),
            _ => Self::Move(ShardId(u16::arbitrary(g) % 8), group(g)),
        }
    }
}

impl Change {
    fn of(&self, configuration: &Configuration) -> Result<Configuration, Refusal> {
        match self {
            Self::Join(groups) => configuration.join(groups),
            Self::Leave(groups) => configuration.leave(groups),
            Self::Move(shard, group) => configuration.move_shard(*shard, *group),
        }
    }

    /// Whether the change can be made.
    fn is_allowed(&self, at: &Configuration) -> bool {
        let known = |group: &GroupId| at.groups.contains_key(group);
        match self {
            Self::Join(groups) => {
                let old = at.groups.values().flat_map(Servers::iter);
                let all: Vec<_> = old.chain(groups.values().flat_map(Servers::iter)).collect();
                !groups.is_empty()
                    && !groups.keys().any(known)
                    && groups.values().all(|servers| servers.iter().count() > 0)
                    && all.iter().collect::<BTreeSet<_>>().len() == all.len()
            }
            Self::Leave(groups) => !groups.is_empty() && groups.iter().all(known),
            Self::Move(shard, group) => {
                shard.0 < SHARDS && known(group) && at.assignment.owner(*shard) != Some(*group)
            }
        }
    }

    /// The groups there are after it.
    fn groups_after(&self, at: &Configuration) -> BTreeMap<GroupId, Servers> {
        let mut groups: BTreeMap<_, _> = at.groups.clone().into_iter().collect();
        match self {
            Self::Join(new) => groups.extend(new.clone()),
            Self::Leave(old) => groups.retain(|group, _| !old.contains(group)),
            Self::Move(..) => {}
        }
        groups
    }

    /// Checks what it made of a configuration.
    fn check(&self, before: &Configuration, after: &Configuration) {
        assert_eq!(after.num.0, before.num.0 + 1);
        let groups: BTreeMap<_, _> = after.groups.clone().into_iter().collect();
        assert_eq!(groups, self.groups_after(before), "{self:?}");
        match self {
            Self::Join(_) | Self::Leave(_) => {
                let flaw = flaw(&before.assignment, &groups_of(after), &after.assignment);
                assert_eq!(flaw, None, "{before:?} {self:?} {after:?}");
            }
            Self::Move(shard, group) => {
                assert_eq!(moves(&before.assignment, &after.assignment), 1);
                assert_eq!(after.assignment.owner(*shard), Some(*group));
            }
        }
    }
}

const SHARDS: u16 = 7;

/// Everything in a configuration, sharing nothing with it.
type Copied = (u64, Vec<(GroupId, Vec<NodeId>)>, Vec<Option<GroupId>>);

fn copied(configuration: &Configuration) -> Copied {
    let groups = configuration.groups.iter();
    let groups = groups.map(|(group, servers)| (*group, servers.iter().collect())).collect();
    let owners = configuration.assignment.iter().map(|(_, owner)| owner).collect();
    (configuration.num.0, groups, owners)
}

/// What holds of every configuration, however it came about.
fn assert_sound(configuration: &Configuration) {
    let Configuration { groups, assignment, .. } = configuration;
    assert_eq!(assignment.len(), usize::from(SHARDS));
    for (shard, owner) in assignment.iter() {
        assert_eq!(owner.is_some(), !groups.is_empty(), "{shard} in {configuration:?}");
        assert!(owner.is_none_or(|owner| groups.contains_key(&owner)), "{configuration:?}");
    }
    let servers: Vec<_> = groups.values().flat_map(Servers::iter).collect();
    assert_eq!(servers.iter().collect::<BTreeSet<_>>().len(), servers.len(), "{configuration:?}");
    assert!(!groups.values().any(Servers::is_empty), "{configuration:?}");
}

/// Plays the changes; `look` sees each, where it was made and what came of it.
fn play(
    changes: &[Change],
    mut look: impl FnMut(&Change, &Configuration, &Result<Configuration, Refusal>),
) -> Configuration {
    changes.iter().fold(Configuration::initial(SHARDS), |before, change| {
        let result = change.of(&before);
        look(change, &before, &result);
        result.unwrap_or(before)
    })
}

fn holds_in_all_sequences(property: fn(Vec<Change>)) {
    QuickCheck::new().tests(2_000).max_tests(2_000).quickcheck(property as fn(_));
}

#[test]
fn a_change_is_made_as_a_whole_or_refused() {
    holds_in_all_sequences(|changes| {
        play(&changes, |change, before, result| {
            assert_eq!(result.is_ok(), change.is_allowed(before), "{before:?} {change:?}");
            if let Ok(after) = result {
                change.check(before, after);
                assert_sound(after);
            }
        });
    });
}

#[test]
fn old_configurations_never_change() {
    holds_in_all_sequences(|changes| {
        let mut history = Vec::new();
        let last = play(&changes, |_, before, _| history.push((before.clone(), copied(before))));
        for (configuration, copy) in history {
            assert_eq!(copied(&configuration), copy);
            assert!(configuration.num <= last.num);
        }
    });
}

#[test]
fn the_same_changes_make_the_same_configurations() {
    holds_in_all_sequences(|changes| {
        let copies = || {
            let mut copies = Vec::new();
            play(&changes, |_, before, result| copies.push((copied(before), result.clone())));
            copies
        };
        assert_eq!(copies(), copies());
    });
}

/// The sequences are about something: enough changes of each kind are made, and each refusal is
/// met.
#[test]
fn sequences_come_to_everything() {
    let mut g = Gen::new(100);
    let (mut made, mut refused) = (BTreeMap::new(), BTreeSet::new());
    for _ in 0..200 {
        play(&Vec::arbitrary(&mut g), |change, _, result| match result {
            Ok(_) => *made.entry(kind(change)).or_insert(0) += 1,
            Err(refusal) => {
                let refusal = format!("{refusal:?}");
                let (name, _) = refusal.split_once('(').unwrap_or((&refusal, ""));
                refused.insert((kind(change), name.to_owned()));
            }
        });
    }
    assert!(made.len() == 3 && made.values().all(|times| *times > 100), "{made:?}");
    // Join: four; Leave: two; Move: three.
    assert_eq!(refused.len(), 9, "{refused:?}");
}

fn kind(change: &Change) -> &'static str {
    match change {
        Change::Join(_) => "join",
        Change::Leave(_) => "leave",
        Change::Move(..) => "move",
    }
}
