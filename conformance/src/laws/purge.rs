//! Dropping a prefix of the log, and the floor it leaves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use raft_logstore_core::{ErrorKind, GroupId, MAX_INDEX, StableKey};

use super::log::append_many;
use super::number;
use crate::disk_usage::disk_usage;
use crate::expect::{expect_entries, expect_log};
use crate::law::law;
use crate::setting::{IN_FLIGHT, LIVE, LIVE_REOPENED, VIEWS, VIEWS_AND_MANY};
use crate::violation::{ensure, ensure_eq};
use crate::{Feature, Law, LawResult, Probe, Setting, TestBed, Tracker};

pub(crate) const LAWS: &[Law] = &[
    law!(5, purge_drops_the_prefix_and_moves_the_floor, needs [], in VIEWS_AND_MANY),
    law!(5, purge_may_pass_the_last_entry, needs [], in VIEWS),
    law!(5, purge_may_leave_a_hole_above_the_floor, needs [Feature::AnyFirstIndex], in VIEWS),
    law!(5, purge_never_moves_the_floor_back, needs [Feature::Refusals], in VIEWS),
    law!(5, purge_is_valid_while_entries_are_in_flight, needs [], in IN_FLIGHT),
    law!(5, purged_space_is_given_back, needs [Feature::Disk, Feature::Reopen], in &[Setting::LIVE.payload(4096)]),
    law!(10, the_floor_and_its_id_move_together, needs [], in LIVE_REOPENED),
    law!(10, the_floor_and_its_id_are_committed_together, needs [Feature::CommitControl], in LIVE),
];

const GROUP: GroupId = GroupId(1);

/// Law 5. Purge drops an index and everything before it, and moves the floor there, at once.
///
/// After a snapshot Raft purges what the snapshot covers. openraft: the last purged log id is visible
/// when purge returns.
pub fn purge_drops_the_prefix_and_moves_the_floor(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    let last = bed.setting().entries;
    append_many(bed, &session.group(GROUP)?, 1..=last, 0)?;
    // A single entry, then 90 % of the log, then all but one, then the last.
    for floor in [1, last * 9 / 10, last - 1, last] {
        let purged = |log: &Probe| -> LawResult {
            expect_log(log, Some(floor), &bed.entries(floor + 1..=last, 0))?;
            expect_entries(&log.read(..=floor)?, &[])?;
            let id = log.get(&StableKey::PURGED)?;
            ensure_eq!(id, Some(format!("id {floor}").into()), "purged");
            Ok(())
        };
        let log = session.group(GROUP)?;
        let purge = log.purge(floor, format!("id {floor}")).accepted()?;
        purged(&log)?;
        purge.durable()?;
        session = bed.settle(session)?;
        purged(&session.group(GROUP)?)?;
    }
    // The log goes on.
    let log = session.group(GROUP)?;
    log.append(bed.entries(last + 1..=last + 3, 0)).durable()?;
    let session = bed.settle(session)?;
    expect_log(
        &session.group(GROUP)?,
        Some(last),
        &bed.entries(last + 1..=last + 3, 0),
    )
}

/// Law 5. A purge may go beyond the last entry, also in a log that never had one: the log is empty
/// then, and goes on above the floor.
///
/// A snapshot installed from the leader covers entries this node never saw. In openraft a purge
/// beyond the last log also fills the hole between log and state machine at start-up.
pub fn purge_may_pass_the_last_entry(bed: &TestBed<'_>) -> LawResult {
    // A log that never had an entry.
    let mut session = bed.open()?;
    session.group(GROUP)?.purge(0, "id 0").durable()?;
    session = bed.settle(session)?;
    expect_log(&session.group(GROUP)?, Some(0), &[])?;
    session.group(GROUP)?.purge(40, "id 40").durable()?;
    session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    expect_log(&log, Some(40), &[])?;

    // A log whose entries all lie below.
    log.append(bed.entries(41..=49, 0)).durable()?;
    log.purge(1000, "id 1000").durable()?;
    session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    expect_log(&log, Some(1000), &[])?;
    let id = log.get(&StableKey::PURGED)?;
    ensure_eq!(id.as_deref(), Some(&b"id 1000"[..]), "purged");
    // Above the floor it goes on.
    log.append(bed.entries(1001..=1005, 0)).durable()?;
    session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    expect_log(&log, Some(1000), &bed.entries(1001..=1005, 0))
}

/// Law 5. A log that is purged beyond its end goes on anywhere above the floor, not necessarily right
/// above, as far as indexes go; and what lies below is refused.
pub fn purge_may_leave_a_hole_above_the_floor(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(41..=49, 0)).durable()?;
    log.purge(1000, "id 1000").durable()?;
    if bed.has(Feature::Refusals) {
        for from in [0, 49, 1000] {
            log.truncate(from).refused(ErrorKind::Purged)?;
            log.append(bed.entries(from..=from, 0))
                .refused(ErrorKind::Purged)?;
        }
    }
    log.append(bed.entries(1003..=1005, 0)).durable()?;
    // A purge below the first entry moves the floor alone.
    log.purge(1001, "id 1001").durable()?;
    session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    expect_log(&log, Some(1001), &bed.entries(1003..=1005, 0))?;

    // As far as indexes go.
    if bed.has(Feature::Refusals) {
        log.purge(MAX_INDEX + 1, "too far")
            .refused(ErrorKind::TooLarge)?;
    }
    log.purge(MAX_INDEX, "the end").durable()?;
    session = bed.settle(session)?;
    expect_log(&session.group(GROUP)?, Some(MAX_INDEX), &[])
}

/// Law 5. A purge at or below the floor changes nothing, the id included, and is no error.
///
/// openraft repeats purges, and refuses to start on a log whose last id lies below its purged one.
pub fn purge_never_moves_the_floor_back(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=20, 0)).durable()?;
    log.purge(12, "id 12").durable()?;
    let mut entries = bed.entries(13..=20, 0);
    for up_to in [12, 11, 1, 0, 12] {
        let log = session.group(GROUP)?;
        log.purge(up_to, format!("another id {up_to}")).durable()?;
        session = bed.settle(session)?;
        let log = session.group(GROUP)?;
        expect_log(&log, Some(12), &entries)?;
        let id = log.get(&StableKey::PURGED)?;
        ensure_eq!(
            id.as_deref(),
            Some(&b"id 12"[..]),
            "purged after purging up to {up_to}"
        );
    }
    // The same in an empty log.
    entries.clear();
    session.group(GROUP)?.truncate(13).durable()?;
    session.group(GROUP)?.purge(5, "id 5").durable()?;
    session = bed.settle(session)?;
    expect_log(&session.group(GROUP)?, Some(12), &entries)
}

/// Law 5. Entries may be purged while they are still in flight; the log goes on at once, and what is
/// stored in the end is what was seen.
///
/// Raft commits once a majority has an entry, which may not include this node's own disk.
pub fn purge_is_valid_while_entries_are_in_flight(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let tracker = Tracker::new();
    let writer = log.tracked(&tracker);
    let hold = bed.hold();
    let mut next = 1;
    let mut floor = 0;
    for round in 0..bed.setting().times(40) {
        writer.append(bed.entries(next..=next + 9, 0)).accepted()?;
        // Inside what was just appended; every fourth round beyond it.
        floor = if round % 4 == 3 { next + 14 } else { next + 4 };
        writer
            .purge(floor, floor.to_be_bytes().to_vec())
            .accepted()?;
        next = (next + 10).max(floor + 1);
        expect_log(&log, Some(floor), &bed.entries(floor + 1..=next - 1, 0))?;
    }
    // A truncate right above the floor, in flight as well.
    writer.append(bed.entries(next..=next + 9, 0)).accepted()?;
    writer.truncate(next + 2).accepted()?;
    let entries = bed.entries(floor + 1..=next + 1, 0);
    expect_log(&log, Some(floor), &entries)?;
    drop(hold);

    let outcomes = tracker.all_fired_in_order(bed.deadline())?;
    ensure!(
        outcomes.iter().all(Option::is_none),
        "outcomes of writes in flight: {outcomes:?}"
    );
    expect_log(&log, Some(floor), &entries)?;
    if bed.has(Feature::Reopen) {
        let session = bed.reopen(session)?;
        let log = session.group(GROUP)?;
        expect_log(&log, Some(floor), &entries)?;
        let id = log
            .get(&StableKey::PURGED)?
            .map_or(Ok(0), |id| number(&id))?;
        ensure_eq!(id, floor, "purged");
    }
    Ok(())
}

/// Law 5. Purged space is used again, or goes back to the file system, in the background: a log that is
/// purged as fast as it is written does not grow. One that was large once does not stay large: its
/// space is given back while the store is open, or when it is opened again after the background work
/// is done.
///
/// A node runs for years on a log of constant length; space that is only marked free fills its disk.
pub fn purged_space_is_given_back(bed: &TestBed<'_>) -> LawResult {
    const ENTRY: u64 = 4 << 10;
    const CYCLES: u64 = 6;
    // What a store may keep for itself, whatever it holds, is less than all cycles write.
    let kept = bed.kept_bytes();
    let per_cycle = u64::max(2048, kept / 3 / ENTRY);
    let cycle = per_cycle * ENTRY;
    let session = bed.open()?;

    // As fast as it is written: every cycle fills what one holds, and purges it but for ten.
    let log = session.group(GROUP)?;
    for number in 0..CYCLES {
        let (first, last) = (number * per_cycle + 1, (number + 1) * per_cycle);
        append_many(bed, &log, first..=last, 0)?;
        log.purge(last - 10, "id").durable()?;
        wait_until(bed, || Ok(expect_usage(bed, 2 * cycle + kept)))
            .map_err(|broken| broken.context(format!("after {number} more cycles")))?;
    }

    // A log that grew as large as all of them, emptied.
    let (first, last) = (CYCLES * per_cycle + 1, 2 * CYCLES * per_cycle);
    append_many(bed, &log, first..=last, 0)?;
    let full = disk_usage(bed.dir())?;
    ensure!(
        full >= CYCLES * cycle,
        "{} bytes of payload are stored in {full}",
        CYCLES * cycle
    );
    log.purge(last - 10, "id").durable()?;
    let mut session = Some(session);
    wait_until(bed, || {
        let small = expect_usage(bed, cycle + kept);
        if small.is_err()
            && let Some(open) = session.take()
        {
            session = Some(bed.reopen(open)?);
        }
        Ok(small)
    })
    .map_err(|broken| broken.context("emptied, while open and opened again"))?;
    drop(session);
    let session = bed.open_when_free()?;
    expect_log(
        &session.group(GROUP)?,
        Some(last - 10),
        &bed.entries(last - 9..=last, 0),
    )
}

/// The store's files take no more than `bound` bytes.
fn expect_usage(bed: &TestBed<'_>, bound: u64) -> LawResult {
    let usage = disk_usage(bed.dir())?;
    ensure!(
        usage <= bound,
        "{usage} bytes are in use, more than {bound}"
    );
    Ok(())
}

/// Tries now and then until the deadline. The outer error ends it at once.
fn wait_until(bed: &TestBed<'_>, mut holds: impl FnMut() -> LawResult<LawResult>) -> LawResult {
    let started = Instant::now();
    loop {
        match holds()? {
            Err(_) if started.elapsed() < bed.deadline() => {
                thread::sleep(Duration::from_millis(50))
            }
            outcome => return outcome,
        }
    }
}

/// Law 10. The floor and the id that names it are seen together, and found together after reopening.
///
/// Between the two openraft would find a last purged id that does not fit its log, and refuse to
/// start.
pub fn the_floor_and_its_id_move_together(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let stop = AtomicBool::new(false);
    let last = bed.setting().times(400);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            bed.within(|| -> LawResult {
                let log = session.group(GROUP)?;
                while !stop.load(Ordering::SeqCst) {
                    let before = log.bounds()?.floor().unwrap_or(0);
                    let id = log.get(&StableKey::PURGED)?.map_or(Ok(0), |id| number(&id))?;
                    let after = log.bounds()?.floor().unwrap_or(0);
                    ensure!(
                        (before..=after).contains(&id),
                        "the id of floor {id} was read while the floor went from {before} to {after}"
                    );
                }
                Ok(())
            })
        });
        let written = (1..=last).try_for_each(|floor| -> LawResult {
            log.append(bed.entries(floor..=floor, 0)).accepted()?;
            let purge = log.purge(floor, floor.to_be_bytes().to_vec()).accepted()?;
            if floor.is_multiple_of(8) {
                purge.durable()
            } else {
                Ok(())
            }
        });
        stop.store(true, Ordering::SeqCst);
        super::join(reader)?;
        written
    })?;
    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    let id = log
        .get(&StableKey::PURGED)?
        .map_or(Ok(0), |id| number(&id))?;
    ensure_eq!(id, last, "the id of the last purge");
    expect_log(&log, Some(last), &[])
}

/// Law 10. No commit holds one of the two without the other.
///
/// What a power cut leaves is what some commit left.
pub fn the_floor_and_its_id_are_committed_together(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let log = session.group(GROUP)?;
    bed.control().watch(|_, backend| {
        let id = backend
            .get(GROUP, &StableKey::PURGED)?
            .map_or(Ok(0), |id| number(&id))?;
        let floor = backend.bounds(GROUP)?.floor().unwrap_or(0);
        ensure_eq!(
            id,
            floor,
            "the id in a commit that leaves the floor at {floor}"
        );
        Ok(())
    });
    for floor in 1..=bed.setting().times(300) {
        log.append(bed.entries(floor..=floor, 0)).accepted()?;
        log.purge(floor, floor.to_be_bytes().to_vec()).accepted()?;
    }
    log.append(Vec::new()).durable()?;
    bed.control().verdict()
}
