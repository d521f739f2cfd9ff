//! When completions fire, and in which order.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use raft_logstore_core::{ErrorKind, GroupId, MAX_INDEX, Op, Result, StableKey};

use crate::expect::expect_log;
use crate::law::law;
use crate::setting::{IN_FLIGHT, LIVE};
use crate::violation::{ensure, ensure_eq};
use crate::{Feature, Law, LawResult, Probe, Session, TestBed, Tracker, Violation};

pub(crate) const LAWS: &[Law] = &[
    law!(3, completions_fire_once_in_order_after_durability, needs [], in IN_FLIGHT),
    law!(3, no_completion_fires_before_its_commit, needs [Feature::CommitControl], in LIVE),
    law!(3, refused_writes_fire_their_completion, needs [Feature::Refusals, Feature::StableKeys], in IN_FLIGHT),
    law!(3, completions_fire_when_the_store_is_closed, needs [Feature::Reopen], in IN_FLIGHT),
    law!(3, completions_fire_when_the_store_is_dropped, needs [Feature::Reopen], in IN_FLIGHT),
];

const GROUP: GroupId = GroupId(1);

/// Law 3. Every completion fires exactly once, in the order in which the writes were submitted to
/// the store: across appends, stable keys, truncates and purges, across groups, and also for writes
/// that change nothing.
///
/// openraft (since 0.10) reads a completion as a watermark: one that fires says that everything
/// submitted before is durable. One that never fires stalls the group for ever.
pub fn completions_fire_once_in_order_after_durability(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let logs = groups(bed, &session)?;
    let tracker = Tracker::new();

    // One thread, many groups: the order is that of the calls.
    let hold = bed.hold();
    let rounds = bed.setting().times(30);
    for round in 0..rounds {
        for log in &logs {
            write_of_every_kind(bed, &log.tracked(&tracker), round)?;
        }
    }
    if hold.is_some() {
        bed.control().wait_for_a_held_commit(bed.deadline())?;
        ensure_eq!(
            tracker.fired(),
            0,
            "completions that fired while no commit was let through"
        );
    }
    drop(hold);
    all_durable(&tracker, bed.deadline())?;

    // Many threads: the order of each thread's own calls.
    thread::scope(|scope| {
        let writers: Vec<_> = logs
            .iter()
            .map(|log| {
                scope.spawn(move || {
                    let tracker = Tracker::new();
                    let writes = || -> LawResult {
                        (rounds..2 * rounds).try_for_each(|round| {
                            write_of_every_kind(bed, &log.tracked(&tracker), round)
                        })
                    };
                    bed.within(writes)
                        .and_then(|()| all_durable(&tracker, bed.deadline()))
                })
            })
            .collect();
        writers.into_iter().try_for_each(super::join)
    })
}

/// Law 3. No completion says `Ok` before the commit that holds its write has returned.
///
/// This is the promise Raft is built on: a vote or an entry that is acknowledged survives power
/// loss. A store that completes early passes every test that does not pull the plug.
pub fn no_completion_fires_before_its_commit(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let logs = groups(bed, &session)?;
    let durable = Arc::new(Mutex::new(HashSet::new()));
    let early = Arc::new(Mutex::new(Vec::new()));
    let committed = Arc::clone(&durable);
    bed.control().watch(move |batch, _| {
        let mut committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
        for op in &batch.ops {
            match op {
                Op::Append { group, entries } => {
                    let entries = entries.iter().map(|entry| (*group, "entry", entry.index));
                    committed.extend(entries);
                }
                Op::Put {
                    group,
                    value: Some(vote),
                    ..
                } => {
                    // A vote stands for those before it.
                    let votes = 1..=super::number(vote)?;
                    committed.extend(votes.map(|vote| (*group, "vote", vote)));
                }
                _ => {}
            }
        }
        Ok(())
    });

    let count = bed.setting().times(100);
    thread::scope(|scope| {
        let writers: Vec<_> = (1..)
            .map(GroupId)
            .zip(&logs)
            .map(|(group, log)| {
                let (durable, early) = (&durable, &early);
                scope.spawn(move || {
                    bed.within(|| -> LawResult {
                        // Notes what completes before a commit has held it.
                        let watched = |write| {
                            let (durable, early) = (Arc::clone(durable), Arc::clone(early));
                            move |result: Result<()>| {
                                let durable =
                                    durable.lock().unwrap_or_else(PoisonError::into_inner);
                                if result.is_err() || !durable.contains(&write) {
                                    let mut early =
                                        early.lock().unwrap_or_else(PoisonError::into_inner);
                                    early.push((write, result));
                                }
                            }
                        };
                        for index in 1..=count {
                            let entry = watched((group, "entry", index));
                            log.append_then(bed.entries(index..=index, 0), entry)?;
                            let vote = index.to_be_bytes().to_vec();
                            let voted = watched((group, "vote", index));
                            log.set_then(&StableKey::VOTE, vote, voted)?;
                        }
                        // Completes last, in its turn.
                        log.append(Vec::new()).durable()
                    })
                })
            })
            .collect();
        writers.into_iter().try_for_each(super::join)
    })?;
    let early = early.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(
        early.is_empty(),
        "{} completions before the commit, or with an error, the first {:?}",
        early.len(),
        early.first()
    );
    let durable = durable.lock().unwrap_or_else(PoisonError::into_inner).len();
    ensure_eq!(
        durable as u64,
        2 * count * logs.len() as u64,
        "entries and votes in commits"
    );
    Ok(())
}

/// Law 3. A write that is refused returns the error, fires its completion with the same kind of
/// error, and changes nothing.
///
/// Whoever waits for the completion alone must learn of it too.
pub fn refused_writes_fire_their_completion(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=9, 0)).durable()?;
    log.purge(4, "id 4").durable()?;

    let hold = bed.hold();
    let in_flight = log.append(bed.entries(10..=12, 0)).accepted()?;
    for _ in 0..3 {
        log.append(bed.entries(14..=15, 0))
            .refused(ErrorKind::Gap)?;
        log.append(bed.entries(3..=5, 0)).refused(ErrorKind::Gap)?;
        log.truncate(4).refused(ErrorKind::Purged)?;
        log.truncate(0).refused(ErrorKind::Purged)?;
        log.purge(MAX_INDEX + 1, "past the highest index")
            .refused(ErrorKind::TooLarge)?;
        log.set(&StableKey::PURGED, "written by purges alone")
            .refused(ErrorKind::Config)?;
        log.remove(&StableKey::PURGED).refused(ErrorKind::Config)?;
    }
    let lazy = log
        .put_lazy(&StableKey::PURGED, None)
        .map_err(|error| error.kind());
    ensure_eq!(
        lazy,
        Err(ErrorKind::Config),
        "a lazy write of the key that purges alone write"
    );
    drop(hold);
    in_flight.durable()?;
    ensure_eq!(
        log.get(&StableKey::PURGED)?.as_deref(),
        Some(&b"id 4"[..]),
        "purged"
    );
    expect_log(&log, Some(4), &bed.entries(5..=12, 0))
}

/// Law 3. Closing a store with writes in flight fires every completion, in order, and what was
/// completed with `Ok` is there when it is opened again.
pub fn completions_fire_when_the_store_is_closed(bed: &TestBed<'_>) -> LawResult {
    end_with_writes_in_flight(bed, |session| session.close().map_err(Violation::from))
}

/// Law 3. Dropping a store with writes in flight fires every completion, in order: with an error
/// unless the write became durable, and what was completed with `Ok` is there when it is opened
/// again.
///
/// A task that is cancelled or panics drops its store without closing it.
pub fn completions_fire_when_the_store_is_dropped(bed: &TestBed<'_>) -> LawResult {
    end_with_writes_in_flight(bed, |session| {
        drop(session);
        Ok(())
    })
}

fn end_with_writes_in_flight(
    bed: &TestBed<'_>,
    end: impl FnOnce(Session) -> LawResult + Send,
) -> LawResult {
    let count = bed.setting().times(200);
    let tracker = Tracker::new();
    let session = bed.open()?;
    let log = session.group(GROUP)?.tracked(&tracker);
    let hold = bed.hold();
    for index in 1..=count {
        log.append(bed.entries(index..=index, 0)).accepted()?;
        log.set(&StableKey::VOTE, index.to_be_bytes().to_vec())
            .accepted()?;
    }

    thread::scope(|scope| {
        let ending = scope.spawn(move || bed.within(|| end(session)));
        if hold.is_some() {
            // Long enough for a store that would complete without waiting for its commit.
            thread::sleep(Duration::from_millis(50));
        }
        drop(hold);
        super::join(ending)
    })?;
    let outcomes = tracker.all_fired_in_order(bed.deadline())?;
    let durable = outcomes
        .iter()
        .take_while(|outcome| outcome.is_none())
        .count() as u64;
    ensure!(
        outcomes[durable as usize..]
            .iter()
            .all(|outcome| *outcome == Some(ErrorKind::Closed)),
        "after the first {durable} writes completed with Ok, the others fire with Closed: {outcomes:?}"
    );

    // Two writes a round: an entry, then a vote with its index.
    let session = bed.open_when_free()?;
    let log = session.group(GROUP)?;
    let last = log.bounds()?.last().unwrap_or(0);
    ensure!(
        last >= durable.div_ceil(2),
        "{durable} writes were completed with Ok, but the last entry is {last}"
    );
    expect_log(&log, None, &bed.entries(1..=last, 0))?;
    let vote = log
        .get(&StableKey::VOTE)?
        .map_or(Ok(0), |vote| super::number(&vote))?;
    ensure!(
        vote >= durable / 2 && (vote == last || vote + 1 == last),
        "{durable} writes were completed with Ok and the last entry is {last}, but the vote is {vote}"
    );
    Ok(())
}

/// A handle for each of three groups, or for the one there is.
fn groups(bed: &TestBed<'_>, session: &Session) -> LawResult<Vec<Probe>> {
    let count = if bed.has(Feature::Groups) { 3 } else { 1 };
    (1..=count)
        .map(|group| session.group(GroupId(group)))
        .collect()
}

/// Submits writes of every kind; also those that change nothing. Rounds follow each other.
fn write_of_every_kind(bed: &TestBed<'_>, log: &Probe, round: u64) -> LawResult {
    let first = round * 10 + 1;
    log.append(bed.entries(first..=first + 9, round))
        .accepted()?;
    log.set(&StableKey::VOTE, round.to_be_bytes().to_vec())
        .accepted()?;
    log.truncate(first + 5).accepted()?;
    log.append(Vec::new()).accepted()?;
    log.append(bed.entries(first + 5..=first + 5, round + 1))
        .accepted()?;
    log.append(bed.entries(first + 6..=first + 9, round + 1))
        .accepted()?;
    log.truncate(first + 100).accepted()?;
    if bed.has(Feature::Committed) {
        let committed = first.to_be_bytes().to_vec();
        log.put_lazy(&StableKey::COMMITTED, Some(committed.into()))?;
    }
    log.purge(first, "id").accepted()?;
    if bed.has(Feature::Refusals) {
        log.purge(0, "below the floor").accepted()?;
    }
    if bed.has(Feature::StableKeys) {
        let not_there = StableKey::from_static("not-there");
        log.remove(&not_there).accepted()?;
    }
    Ok(())
}

fn all_durable(tracker: &Tracker, deadline: Duration) -> LawResult {
    let outcomes = tracker.all_fired_in_order(deadline)?;
    ensure!(!outcomes.is_empty(), "nothing was submitted");
    ensure!(
        outcomes.iter().all(Option::is_none),
        "outcomes of accepted writes: {outcomes:?}"
    );
    Ok(())
}
