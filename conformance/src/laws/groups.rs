//! Many groups in one store.

use raft_logstore_core::{GroupId, StableKey};

use crate::expect::expect_log;
use crate::law::law;
use crate::setting::{LIVE_REOPENED, VIEWS};
use crate::violation::ensure_eq;
use crate::{Feature, Law, LawResult, Session, TestBed, Violation};

pub(crate) const LAWS: &[Law] = &[
    law!(11, groups_are_isolated, needs [Feature::Groups], in VIEWS),
    law!(11, a_dropped_group_leaves_no_trace, needs [Feature::Groups], in LIVE_REOPENED),
    law!(11, listed_groups_are_those_with_data, needs [Feature::Groups], in LIVE_REOPENED),
];

/// The ends, neighbours, and numbers whose bytes look alike in another order.
const GROUPS: [GroupId; 8] = [
    GroupId(0),
    GroupId(1),
    GroupId(2),
    GroupId(255),
    GroupId(256),
    GroupId(1 << 56),
    GroupId(u64::MAX - 1),
    GroupId(u64::MAX),
];

/// What group number `number` of [`GROUPS`] holds: floor, last index, generation.
fn shape(bed: &TestBed<'_>, number: usize) -> (u64, u64, u64) {
    let number = number as u64;
    let entries = bed.setting().times(20) + 2 * number;
    (number + 1, entries, number + 100)
}

fn fill(bed: &TestBed<'_>, session: &Session, number: usize) -> LawResult {
    let (floor, last, generation) = shape(bed, number);
    let log = session.group(GROUPS[number])?;
    log.append(bed.entries(0..=last + bed.setting().times(10), generation))
        .accepted()?;
    log.set(&StableKey::VOTE, format!("vote {number}"))
        .accepted()?;
    log.put_lazy(
        &StableKey::COMMITTED,
        Some(format!("committed {number}").into()),
    )?;
    log.truncate(last + 1).accepted()?;
    log.purge(floor, format!("id {number}")).durable()
}

fn expect_filled(bed: &TestBed<'_>, session: &Session, number: usize) -> LawResult {
    let (floor, last, generation) = shape(bed, number);
    let log = session.group(GROUPS[number])?;
    expect_log(
        &log,
        Some(floor),
        &bed.entries(floor + 1..=last, generation),
    )?;
    for (key, value) in [
        (StableKey::VOTE, format!("vote {number}")),
        (StableKey::COMMITTED, format!("committed {number}")),
        (StableKey::PURGED, format!("id {number}")),
    ] {
        ensure_eq!(log.get(&key)?, Some(value.into()), "{key}");
    }
    Ok(())
}

fn expect_nothing(session: &Session, group: GroupId) -> LawResult {
    let log = session.group(group)?;
    expect_log(&log, None, &[])?;
    for key in [StableKey::VOTE, StableKey::COMMITTED, StableKey::PURGED] {
        ensure_eq!(log.get(&key)?, None, "{key}");
    }
    Ok(())
}

/// Law 11. What is written to one group is seen in no other, whatever their numbers.
///
/// Groups of one node share an engine; each is a Raft log of its own.
pub fn groups_are_isolated(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    for (number, written) in GROUPS.into_iter().enumerate() {
        fill(bed, &session, number)?;
        session = bed.settle(session)?;
        for (other, group) in GROUPS.into_iter().enumerate() {
            let context = |broken: Violation| {
                broken.context(format!("group {group} after writing to group {written}"))
            };
            if other <= number {
                expect_filled(bed, &session, other).map_err(context)?;
            } else {
                expect_nothing(&session, group).map_err(context)?;
            }
        }
    }
    // Emptying one empties no other.
    session
        .group(GROUPS[3])?
        .truncate(shape(bed, 3).0 + 1)
        .durable()?;
    session.group(GROUPS[4])?.purge(1000, "id 1000").durable()?;
    let session = bed.settle(session)?;
    for number in [0, 1, 2, 5, 6, 7] {
        expect_filled(bed, &session, number)?;
    }
    expect_log(&session.group(GROUPS[3])?, Some(shape(bed, 3).0), &[])?;
    expect_log(&session.group(GROUPS[4])?, Some(1000), &[])
}

/// Law 11. A dropped group has no entry, no floor and no stable key left, also when writes to it were
/// in flight, and the other groups keep theirs. It may be used again from any index.
pub fn a_dropped_group_leaves_no_trace(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    for number in 0..GROUPS.len() {
        fill(bed, &session, number)?;
    }
    for dropped in [0, 2, 3, 7] {
        let (group, old_handle) = (GROUPS[dropped], session.group(GROUPS[dropped])?);
        let last = shape(bed, dropped).1;
        let in_flight = [
            old_handle
                .append(bed.entries(last + 1..=last + bed.setting().times(50), 7))
                .accepted()?,
            old_handle
                .set(&StableKey::from_static("another"), "value")
                .accepted()?,
        ];
        session.drop_group(group)?;
        for write in in_flight {
            // Written and dropped, in that order.
            write.durable()?;
        }
        ensure_eq!(
            old_handle.bounds()?.last(),
            None,
            "last index through a handle made before"
        );
        session = bed.settle(session)?;
        expect_nothing(&session, group)?;
        ensure_eq!(
            session.groups()?.contains(&group),
            false,
            "the group is listed"
        );
        let another = session
            .group(group)?
            .get(&StableKey::from_static("another"))?;
        ensure_eq!(another, None, "a key of the dropped group");
    }
    for kept in [1, 4, 5, 6] {
        expect_filled(bed, &session, kept)?;
    }

    // Dropping it again, or a group that never was, is nothing.
    session.drop_group(GROUPS[0])?;
    session.drop_group(GroupId(77))?;
    // Used again, below the floor it had.
    session
        .group(GROUPS[7])?
        .append(bed.entries(3..=5, 8))
        .durable()?;
    let session = bed.settle(session)?;
    expect_log(&session.group(GROUPS[7])?, None, &bed.entries(3..=5, 8))?;
    for kept in [1, 4, 5, 6] {
        expect_filled(bed, &session, kept)?;
    }
    Ok(())
}

/// Law 11. Listing groups shows those that have an entry, a purge floor or a stable key, in ascending
/// order, and no others.
pub fn listed_groups_are_those_with_data(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    ensure_eq!(session.groups()?, [], "groups of a new store");
    // A handle alone is no data, and neither is what was refused or changed nothing.
    let untouched = session.group(GroupId(5))?;
    untouched.bounds()?;
    untouched.truncate(7).durable()?;
    untouched.append(Vec::new()).durable()?;
    session
        .group(GroupId(u64::MAX))?
        .append(bed.entries(1..=1, 0))
        .durable()?;
    session
        .group(GroupId(0))?
        .set(&StableKey::VOTE, "vote")
        .durable()?;
    session.group(GroupId(300))?.purge(9, "id 9").durable()?;
    let emptied = session.group(GroupId(301))?;
    emptied.append(bed.entries(1..=1, 0)).durable()?;
    emptied.set(&StableKey::VOTE, "vote").durable()?;
    emptied.truncate(1).durable()?;
    emptied.remove(&StableKey::VOTE).durable()?;

    let session = bed.settle(session)?;
    let expected = [0, 300, u64::MAX].map(GroupId);
    ensure_eq!(session.groups()?, expected, "groups");
    session.drop_group(GroupId(300))?;
    let session = bed.settle(session)?;
    ensure_eq!(
        session.groups()?,
        [GroupId(0), GroupId(u64::MAX)],
        "groups after dropping one"
    );
    Ok(())
}
