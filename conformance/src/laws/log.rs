//! Appending, truncating, and what a log says about itself.

use std::ops::RangeInclusive;
use std::thread;

use raft_logstore_core::{Entry, ErrorKind, GroupId, MAX_INDEX, StableKey};

use crate::expect::{expect_entries, expect_log};
use crate::law::law;
use crate::setting::{
    IN_FLIGHT, LIVE, LIVE_REOPENED, PAYLOADS, REOPENED, REOPENED_AND_MANY, VIEWS, VIEWS_AND_MANY,
};
use crate::violation::{ensure, ensure_eq};
use crate::{Feature, Law, LawResult, Probe, TestBed, Tracker, Violation};

pub(crate) const LAWS: &[Law] = &[
    law!(1, appends_are_contiguous, needs [Feature::Refusals, Feature::AnyFirstIndex], in LIVE_REOPENED),
    law!(1, a_refused_append_leaves_writes_in_flight_alone, needs [Feature::Refusals], in IN_FLIGHT),
    law!(2, appended_entries_are_visible_at_once, needs [], in PAYLOADS),
    law!(2, writes_are_visible_before_they_are_durable, needs [Feature::CommitControl, Feature::StableKeys], in LIVE),
    law!(4, truncate_drops_the_suffix, needs [], in VIEWS_AND_MANY),
    law!(4, a_truncate_below_the_floor_is_refused, needs [Feature::Refusals], in VIEWS),
    law!(4, truncate_is_valid_while_entries_are_in_flight, needs [], in IN_FLIGHT),
    law!(6, an_empty_log_reports_its_floor_as_last, needs [], in VIEWS),
    law!(6, state_survives_reopen, needs [Feature::Reopen], in REOPENED_AND_MANY),
    law!(6, every_stable_key_survives_reopen, needs [Feature::Reopen, Feature::StableKeys], in REOPENED),
];

const GROUP: GroupId = GroupId(1);

/// Law 1. An empty log takes any first index above the purge floor, a log with entries exactly the
/// next one; a gap or an overlap is a typed error that changes nothing.
///
/// Raft keeps a log without holes, and openraft looks at the last log id alone to decide that all
/// before it is there: one hole that a store let through is never found again.
pub fn appends_are_contiguous(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;

    // An empty log takes any first index, also when it is empty because it was truncated.
    for first in [0, 1, 7, 1 << 40, MAX_INDEX - 1] {
        let entries = bed.entries(first..=first + 1, 0);
        log.append(entries.clone()).durable()?;
        expect_log(&log, None, &entries).map_err(|broken| broken.context(first))?;
        log.truncate(first).durable()?;
        expect_log(&log, None, &[])?;
    }
    log.append(bed.entries(u64::MAX..=u64::MAX, 0))
        .refused(ErrorKind::TooLarge)?;
    log.append(bed.entries(MAX_INDEX..=u64::MAX, 0))
        .refused(ErrorKind::TooLarge)?;
    expect_log(&log, None, &[])?;

    // A log with entries takes exactly the next index.
    let mut entries = bed.entries(5..=8, 0);
    log.append(entries.clone()).durable()?;
    let [at_3, at_9, at_10, at_11] = [3, 9, 10, 11].map(|index| Entry::new(index, "refused"));
    for refused in [
        vec![at_10.clone()],
        bed.entries(8..=9, 1),
        bed.entries(5..=8, 1),
        bed.entries(2..=20, 1),
        vec![at_3.clone()],
        vec![at_9.clone(), at_11],
        vec![at_9.clone(), at_9.clone()],
        vec![at_9.clone(), at_3],
        vec![at_10, at_9],
    ] {
        let indexes: Vec<u64> = refused.iter().map(|entry| entry.index).collect();
        let context = |broken: Violation| broken.context(format!("append of {indexes:?}"));
        log.append(refused)
            .refused(ErrorKind::Gap)
            .map_err(context)?;
        expect_log(&log, None, &entries).map_err(context)?;
    }
    log.append(Vec::new()).durable()?;
    expect_log(&log, None, &entries)?;
    entries.extend(bed.entries(9..=9, 2));
    log.append(bed.entries(9..=9, 2)).durable()?;
    expect_log(&log, None, &entries)?;

    // An empty log above a purge floor takes any index above the floor.
    log.purge(9, "purged").durable()?;
    for (first, last) in [(9, 9), (3, 3), (9, 10), (3, 20)] {
        log.append(bed.entries(first..=last, 3))
            .refused(ErrorKind::Purged)?;
        expect_log(&log, Some(9), &[])?;
    }
    let entries = bed.entries(12..=14, 3);
    log.append(entries.clone()).durable()?;

    // The rules hold in whatever state the store is looked at.
    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    expect_log(&log, Some(9), &entries)?;
    for (first, last) in [(16, 16), (14, 15), (10, 11), (9, 9)] {
        log.append(bed.entries(first..=last, 4))
            .refused(ErrorKind::Gap)?;
        expect_log(&log, Some(9), &entries)?;
    }
    log.append(bed.entries(15..=15, 4)).durable()?;
    expect_log(&log, Some(9), &[entries, bed.entries(15..=15, 4)].concat())
}

/// Law 1. What is refused while other writes are in flight disturbs none of them.
///
/// The check has to be made against the log as the writes in flight will leave it, not as it is on
/// disk.
pub fn a_refused_append_leaves_writes_in_flight_alone(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let hold = bed.hold();
    let mut accepted = Vec::new();
    for index in 1..=bed.setting().entries {
        accepted.push(log.append(bed.entries(index..=index, 0)).accepted()?);
        log.append(bed.entries(index + 2..=index + 3, 1))
            .refused(ErrorKind::Gap)?;
        log.append(bed.entries(index..=index + 1, 1))
            .refused(ErrorKind::Gap)?;
    }
    drop(hold);
    for write in accepted {
        write.durable()?;
    }
    expect_log(&log, None, &bed.entries(1..=bed.setting().entries, 0))
}

/// Law 2. When an append returns, every handle sees the entries, durable or not.
///
/// openraft replicates and applies entries that are not flushed yet, through readers of their own; a
/// reader that misses one is a fatal error there.
pub fn appended_entries_are_visible_at_once(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let (log, early) = (session.group(GROUP)?, session.group(GROUP)?);
    ensure_eq!(early.bounds()?.last(), None, "last index of a new log");

    let mut accepted = Vec::new();
    for first in (1..)
        .step_by(2)
        .take_while(|&first| first < bed.setting().entries)
    {
        let entries = bed.entries(first..=first + 1, 0);
        accepted.push(log.append(entries.clone()).accepted()?);
        // Handles made before and after, on this thread and on another.
        let late = session.group(GROUP)?;
        let elsewhere = thread::scope(|scope| {
            let read = || -> LawResult<Vec<Entry>> { Ok(early.read(first..)?) };
            let reader = scope.spawn(move || bed.within(read));
            super::join(reader)
        })?;
        expect_entries(&elsewhere, &entries)?;
        for reader in [&log, &early, &late] {
            ensure_eq!(
                reader.bounds()?.last(),
                Some(first + 1),
                "last index after an append"
            );
            expect_entries(&reader.read(first..)?, &entries)?;
        }
    }
    for write in accepted {
        write.durable()?;
    }
    let session = bed.settle(session)?;
    expect_log(
        &session.group(GROUP)?,
        None,
        &bed.entries(1..=bed.setting().entries, 0),
    )
}

/// Law 2. Every kind of write is visible through every handle while its commit is held back.
///
/// The same as for appends: Raft acts on what it wrote, and its readers follow, before the disk does.
pub fn writes_are_visible_before_they_are_durable(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let (log, reader) = (session.group(GROUP)?, session.group(GROUP)?);
    log.append(bed.entries(1..=10, 0)).durable()?;

    let hold = bed.control().hold();
    let mut accepted = vec![log.truncate(8).accepted()?];
    expect_log(&reader, None, &bed.entries(1..=7, 0))?;
    accepted.push(log.append(bed.entries(8..=15, 1)).accepted()?);
    let entries = [bed.entries(1..=7, 0), bed.entries(8..=15, 1)].concat();
    expect_log(&reader, None, &entries)?;
    accepted.push(log.set(&StableKey::VOTE, "vote").accepted()?);
    ensure_eq!(
        reader.get(&StableKey::VOTE)?.as_deref(),
        Some(&b"vote"[..]),
        "vote"
    );
    accepted.push(log.purge(3, "id 3").accepted()?);
    expect_log(&reader, Some(3), &entries[3..])?;
    ensure_eq!(
        reader.get(&StableKey::PURGED)?.as_deref(),
        Some(&b"id 3"[..]),
        "purged"
    );
    accepted.push(log.remove(&StableKey::VOTE).accepted()?);
    ensure_eq!(reader.get(&StableKey::VOTE)?, None, "vote that was removed");
    for write in &accepted {
        ensure!(
            write.is_pending(),
            "a completion fired while its commit was held back"
        );
    }
    drop(hold);
    for write in accepted {
        write.durable()?;
    }
    expect_log(&reader, Some(3), &entries[3..])
}

/// Law 4. Truncate drops an index and everything after it; beyond the end it is nothing.
///
/// A follower replaces what conflicts with its leader.
pub fn truncate_drops_the_suffix(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let last = bed.setting().entries;
    append_many(bed, &log, 1..=last, 0)?;
    let entries = bed.entries(1..=last, 0);

    // Beyond the end: nothing.
    for from in [last + 1, last + 2, u64::MAX] {
        log.truncate(from).durable()?;
        expect_log(&log, None, &entries)?;
    }
    // The last entry, then everything above an eighth.
    log.truncate(last).durable()?;
    expect_log(&log, None, &entries[..entries.len() - 1])?;
    let kept = last / 8;
    log.truncate(kept + 1).durable()?;
    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    let mut entries = bed.entries(1..=kept, 0);
    expect_log(&log, None, &entries)?;
    expect_entries(&log.read(kept + 1..)?, &[])?;

    // What is appended instead has other bytes, and they stay.
    append_many(bed, &log, kept + 1..=last, 1)?;
    entries.extend(bed.entries(kept + 1..=last, 1));
    expect_log(&log, None, &entries)?;

    // Right above the floor: everything goes, the floor stays.
    log.purge(3, "id 3").durable()?;
    expect_log(&log, Some(3), &entries[3..])?;
    log.truncate(4).durable()?;
    let session = bed.settle(session)?;
    expect_log(&session.group(GROUP)?, Some(3), &[])
}

/// Law 4. A truncate at or below the purge floor is an error that changes nothing.
///
/// What is below the floor was committed, and Raft never takes back what is committed.
pub fn a_truncate_below_the_floor_is_refused(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let entries = bed.entries(1..=9, 0);
    log.append(entries.clone()).durable()?;
    log.purge(3, "id 3").durable()?;
    for from in [0, 1, 3] {
        log.truncate(from).refused(ErrorKind::Purged)?;
        expect_log(&log, Some(3), &entries[3..])?;
    }
    let session = bed.settle(session)?;
    expect_log(&session.group(GROUP)?, Some(3), &entries[3..])
}

/// Law 4. Truncate and append again while the entries concerned are still in flight: reads show the
/// new ones at once, every completion fires in its turn, and the new ones are what is stored.
///
/// A follower hears of a new leader while its last appends are under way.
pub fn truncate_is_valid_while_entries_are_in_flight(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let tracker = Tracker::new();
    let writer = log.tracked(&tracker);
    let mut expected = bed.entries(1..=20, 0);
    log.append(expected.clone()).durable()?;

    let hold = bed.hold();
    for generation in 1..=bed.setting().times(40) {
        // What is appended last is cut off again at once, with some of what was there before: what
        // is durable, and what earlier rounds wrote.
        let end = expected.len() as u64;
        let from = end.min(20 - generation % 17);
        writer
            .append(bed.entries(end + 1..=end + 2, generation))
            .accepted()?;
        writer.truncate(from).accepted()?;
        writer
            .append(bed.entries(from..=from + 2, generation))
            .accepted()?;
        writer
            .append(bed.entries(from + 3..=from + 9, generation))
            .accepted()?;
        expected.retain(|entry| entry.index < from);
        expected.extend(bed.entries(from..=from + 9, generation));
        expect_log(&log, None, &expected).map_err(|broken| broken.context(generation))?;
    }
    drop(hold);
    let outcomes = tracker.all_fired_in_order(bed.deadline())?;
    ensure!(
        outcomes.iter().all(Option::is_none),
        "outcomes of writes in flight: {outcomes:?}"
    );
    expect_log(&log, None, &expected)?;
    if bed.has(Feature::Reopen) {
        let session = bed.reopen(session)?;
        expect_log(&session.group(GROUP)?, None, &expected)?;
    }
    Ok(())
}

/// Law 6. A log without entries reports its purge floor as the last index; without a floor, none.
///
/// openraft takes the last purged log id for the last one when no entry is there.
pub fn an_empty_log_reports_its_floor_as_last(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    ensure_eq!(log.bounds()?.last(), None, "last index of a new log");
    // Emptied by truncating: nothing is left to report.
    log.append(bed.entries(1..=9, 0)).durable()?;
    log.truncate(1).durable()?;
    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    expect_log(&log, None, &[])?;

    // Emptied by purging the last entry, and by truncating right above the floor.
    log.append(bed.entries(1..=9, 0)).durable()?;
    log.purge(9, "id 9").durable()?;
    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    ensure_eq!(
        log.bounds()?.last(),
        Some(9),
        "last index of a log purged up to its end"
    );
    log.append(bed.entries(10..=12, 0)).durable()?;
    log.truncate(10).durable()?;
    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    ensure_eq!(
        log.bounds()?.last(),
        Some(9),
        "last index of a log truncated down to its floor"
    );
    expect_log(&log, Some(9), &[])
}

/// Law 6. Bounds, floor, entries and the vote are the same after closing and opening, as often as one
/// likes; and the store goes on from there.
pub fn state_survives_reopen(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    // A new store that is closed untouched stays new.
    session = bed.reopen(session)?;
    expect_log(&session.group(GROUP)?, None, &[])?;

    let round = bed.setting().entries / 3;
    for number in 0..3 {
        let log = session.group(GROUP)?;
        append_many(bed, &log, number * round + 1..=(number + 1) * round, 0)?;
        let floor = number * round + round / 2;
        log.set(&StableKey::VOTE, format!("vote {number}"))
            .durable()?;
        log.purge(floor, format!("id {floor}")).durable()?;

        // Twice: what the first reopening repaired or wrote must not hurt the second.
        for _ in 0..2 {
            session = bed.reopen(session)?;
            let log = session.group(GROUP)?;
            expect_log(
                &log,
                Some(floor),
                &bed.entries(floor + 1..=(number + 1) * round, 0),
            )?;
            for (key, value) in [
                (StableKey::VOTE, format!("vote {number}")),
                (StableKey::PURGED, format!("id {floor}")),
            ] {
                ensure_eq!(log.get(&key)?, Some(value.into()), "{key}");
            }
        }
    }
    Ok(())
}

/// Law 6. Every stable key is the same after closing and opening, whatever its name and its size; and
/// one that was removed stays away.
pub fn every_stable_key_survives_reopen(bed: &TestBed<'_>) -> LawResult {
    let keys = [
        StableKey::VOTE,
        StableKey::COMMITTED,
        StableKey::from_static("other-key_1"),
    ];
    let value = |key: usize, round: u8| vec![round + key as u8; bed.setting().payload_bytes];
    let mut session = bed.open()?;
    session
        .group(GROUP)?
        .append(bed.entries(1..=3, 0))
        .durable()?;
    for round in 0..3 {
        let log = session.group(GROUP)?;
        for (number, key) in keys.iter().enumerate() {
            log.set(key, value(number, round)).durable()?;
        }
        // Twice: what the first reopening repaired or wrote must not hurt the second.
        for _ in 0..2 {
            session = bed.reopen(session)?;
            let log = session.group(GROUP)?;
            for (number, key) in keys.iter().enumerate() {
                ensure_eq!(log.get(key)?, Some(value(number, round).into()), "{key}");
            }
            let never_set = log.get(&StableKey::from_static("never-set"))?;
            ensure_eq!(never_set, None, "a key that was never set");
        }
    }
    for key in &keys {
        session.group(GROUP)?.remove(key).durable()?;
        session = bed.reopen(session)?;
        let found = session.group(GROUP)?.get(key)?;
        ensure_eq!(found, None, "{key}, which was removed");
    }
    Ok(())
}

/// Appends in batches of up to 1,000, and waits for the last.
pub(super) fn append_many(
    bed: &TestBed<'_>,
    log: &Probe,
    indexes: RangeInclusive<u64>,
    generation: u64,
) -> LawResult {
    let (mut first, last) = indexes.into_inner();
    let mut writes = Vec::new();
    while first <= last {
        let end = last.min(first + 999);
        writes.push(
            log.append(bed.entries(first..=end, generation))
                .accepted()?,
        );
        first = end + 1;
    }
    for write in writes {
        write.durable()?;
    }
    Ok(())
}
