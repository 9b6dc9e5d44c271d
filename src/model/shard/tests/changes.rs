//! Single changes: what they do, and what they refuse.

use super::*;

/// A controller of ten shards which these groups, of two servers each, have joined.
fn with(numbers: impl IntoIterator<Item = u16>) -> Configuration {
    Configuration::initial(10).join(&pairs(numbers)).unwrap()
}

fn held(configuration: &Configuration, group: u16) -> usize {
    configuration.assignment.shards_of(GroupId(group)).count()
}

#[test]
fn configuration_0_has_no_groups_and_no_owners() {
    let initial = Configuration::initial(10);
    assert_eq!(initial.num, ConfigNum(0));
    assert!(initial.groups.is_empty());
    assert_eq!(initial.assignment.len(), 10);
    assert!(initial.assignment.iter().all(|(_, owner)| owner.is_none()));
    assert_eq!(format!("{:?}", Configuration::initial(2)), "v0 {} [- -]");
}

#[test]
fn the_first_group_gets_all_shards() {
    let one = with([1]);
    assert_eq!(one.num, ConfigNum(1));
    assert_eq!(held(&one, 1), 10);
    assert_eq!(one.groups[&GroupId(1)], servers([2, 3]));
    let all: Vec<_> = (0..10).map(ShardId).collect();
    assert_eq!(one.assignment.shards_of(GroupId(1)).collect::<Vec<_>>(), all);
    assert_eq!(one.assignment.owner(ShardId(9)), Some(GroupId(1)));
    assert_eq!(one.assignment.owner(ShardId(10)), None);
}

#[test]
fn a_join_takes_its_share_and_a_leave_gives_it_back() {
    let mut configuration = with([1]);
    for group in 2..=10 {
        let next = configuration.join(&pairs([group])).unwrap();
        let moved = moves(&configuration.assignment, &next.assignment);
        assert_eq!((moved, held(&next, group)), (10 / usize::from(group), moved));
        configuration = next;
    }
    for group in 1..=9 {
        let had = held(&configuration, group);
        let next = configuration.leave(&groups([group])).unwrap();
        assert_eq!(moves(&configuration.assignment, &next.assignment), had);
        assert!(!next.groups.contains_key(&GroupId(group)));
        configuration = next;
    }
    assert_eq!((configuration.num, held(&configuration, 10)), (ConfigNum(19), 10));
}

/// Both directions, past the number of shards: one group at a time and five at once.
#[test]
fn transfers_are_minimal_with_more_groups_than_shards() {
    let minimal = |before: &Configuration, after: &Configuration| {
        let flaw = flaw(&before.assignment, &groups_of(after), &after.assignment);
        assert_eq!(flaw, None, "{before:?} {after:?}");
    };
    let ten = with(100..110);
    let mut single = ten.clone();
    for group in 110..115 {
        let next = single.join(&pairs([group])).unwrap();
        minimal(&single, &next);
        // There is nothing to be had.
        assert_eq!(next.assignment, single.assignment);
        single = next;
    }
    let multi = ten.join(&pairs(110..115)).unwrap();
    minimal(&ten, &multi);
    assert_eq!((multi.num, multi.groups.len()), (ConfigNum(2), 15));
    assert_eq!(multi.assignment, single.assignment);

    for group in 100..105 {
        let next = single.leave(&groups([group])).unwrap();
        minimal(&single, &next);
        assert_eq!(moves(&single.assignment, &next.assignment), 1);
        single = next;
    }
    let fewer = multi.leave(&groups(100..105)).unwrap();
    minimal(&multi, &fewer);
    assert_eq!(moves(&multi.assignment, &fewer.assignment), 5);
    assert_eq!(fewer.assignment, single.assignment);
}

#[test]
fn when_all_groups_leave_nobody_owns_a_shard() {
    let none = with([1, 2]).leave(&groups([1, 2])).unwrap();
    assert_eq!(none, Configuration { num: ConfigNum(2), ..Configuration::initial(10) });
}

#[test]
fn a_group_may_come_back_with_other_servers() {
    let gone = with([1, 2]).leave(&groups([1])).unwrap();
    let back = gone.join(&BTreeMap::from([(GroupId(1), servers([2, 7]))])).unwrap();
    assert_eq!(back.groups[&GroupId(1)], servers([2, 7]));
    assert_eq!(held(&back, 1), 5);
}

#[test]
fn moves_stay_until_a_join_or_a_leave() {
    let start = with([1, 2, 3]);
    let mut configuration = start.clone();
    for shard in 0..10 {
        if configuration.assignment.owner(ShardId(shard)) == Some(GroupId(3)) {
            continue;
        }
        let next = configuration.move_shard(ShardId(shard), GroupId(3)).unwrap();
        assert_eq!(next.num, configuration.num.next());
        assert_eq!(next.assignment.owner(ShardId(shard)), Some(GroupId(3)));
        assert_eq!(moves(&configuration.assignment, &next.assignment), 1);
        assert_eq!(next.groups, configuration.groups);
        configuration = next;
    }
    assert_eq!(held(&configuration, 3), 10);

    let joined = configuration.join(&pairs([4])).unwrap();
    let left = configuration.leave(&groups([2])).unwrap();
    for after in [joined, left] {
        let flaw = flaw(&configuration.assignment, &groups_of(&after), &after.assignment);
        assert_eq!(flaw, None, "{after:?}");
    }
}

#[test]
fn joins_that_are_refused() {
    let two = with([1, 2]);
    let join = |groups: &[(u16, &[u16])]| {
        let groups = groups.iter().map(|(n, s)| (GroupId(*n), servers(s.iter().copied())));
        two.join(&groups.collect()).unwrap_err()
    };
    assert_eq!(join(&[]), Refusal::NoGroup);
    assert_eq!(join(&[(3, &[])]), Refusal::NoServers(GroupId(3)));
    // There already, with the same servers or with others, alone or beside a new group.
    assert_eq!(join(&[(2, &[4, 5])]), Refusal::GroupExists(GroupId(2)));
    assert_eq!(join(&[(2, &[40, 50])]), Refusal::GroupExists(GroupId(2)));
    assert_eq!(join(&[(2, &[40]), (3, &[30])]), Refusal::GroupExists(GroupId(2)));
    assert_eq!(join(&[(0, &[30]), (2, &[40])]), Refusal::GroupExists(GroupId(2)));
    // A server of a group that is there, and one of two groups that are to join.
    assert_eq!(join(&[(3, &[30, 5])]), Refusal::ServerTaken(NodeId(5)));
    assert_eq!(join(&[(3, &[30, 31]), (4, &[40, 31])]), Refusal::ServerTaken(NodeId(31)));
    // The lowest group is told of, whatever is wrong with the others.
    assert_eq!(join(&[(3, &[5]), (4, &[])]), Refusal::ServerTaken(NodeId(5)));
}

/// Servers are a set: to be named twice in one group is to be named.
#[test]
fn servers_are_in_order_and_each_only_once() {
    let twice = servers([7, 3, 7]);
    assert_eq!(twice, servers([3, 7]));
    assert_eq!(twice.iter().collect::<Vec<_>>(), [NodeId(3), NodeId(7)]);
    assert!(twice.contains(NodeId(7)) && !twice.contains(NodeId(4)));
    assert_eq!((twice.len(), twice.is_empty(), servers([]).is_empty()), (2, false, true));
}

#[test]
fn leaves_that_are_refused() {
    let two = with([1, 2]);
    assert_eq!(two.leave(&groups([])), Err(Refusal::NoGroup));
    assert_eq!(two.leave(&groups([3])), Err(Refusal::UnknownGroup(GroupId(3))));
    assert_eq!(two.leave(&groups([2, 3, 4])), Err(Refusal::UnknownGroup(GroupId(3))));
    let none = Configuration::initial(10);
    assert_eq!(none.leave(&groups([1])), Err(Refusal::UnknownGroup(GroupId(1))));
}

#[test]
fn moves_that_are_refused() {
    let two = with([1, 2]);
    let owner = two.assignment.owner(ShardId(4)).unwrap();
    let no_shard = Err(Refusal::UnknownShard(ShardId(10)));
    assert_eq!(two.move_shard(ShardId(10), GroupId(1)), no_shard);
    assert_eq!(two.move_shard(ShardId(4), GroupId(3)), Err(Refusal::UnknownGroup(GroupId(3))));
    assert_eq!(two.move_shard(ShardId(4), owner), Err(Refusal::AlreadyThere(ShardId(4))));
    let none = Configuration::initial(10);
    assert_eq!(none.move_shard(ShardId(4), GroupId(1)), Err(Refusal::UnknownGroup(GroupId(1))));
}

#[test]
fn refusals_say_what_is_wrong() {
    let said = |refusal: Refusal| refusal.to_string();
    assert_eq!(said(Refusal::ServerTaken(NodeId(5))), "server n5 would be in two groups");
    assert_eq!(said(Refusal::UnknownGroup(GroupId(3))), "there is no group g3");
}
