//! The vote and the other stable keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use raft_logstore_core::{Error, ErrorKind, GroupId, StableKey};

use super::number;
use crate::expect::expect_log;
use crate::law::law;
use crate::setting::{IN_FLIGHT, LIVE, REOPENED, VIEWS};
use crate::violation::{ensure, ensure_eq};
use crate::{Feature, Law, LawResult, Probe, Setting, Submission, TestBed};

pub(crate) const LAWS: &[Law] = &[
    law!(8, a_vote_is_durable_when_saved, needs [], in REOPENED),
    law!(8, a_vote_is_ordered_with_the_log, needs [Feature::CommitControl], in LIVE),
    law!(8, truncate_and_purge_keep_the_vote, needs [], in VIEWS),
    law!(8, truncate_and_purge_keep_what_is_committed, needs [Feature::Committed], in VIEWS),
    law!(8, truncate_and_purge_touch_no_stable_key, needs [Feature::StableKeys, Feature::Refusals, Feature::AnyFirstIndex], in VIEWS),
    law!(8, readers_see_the_newest_vote, needs [], in IN_FLIGHT),
    law!(9, committed_is_lazy_and_never_ahead_of_the_log, needs [Feature::Reopen, Feature::Committed], in VIEWS),
    law!(9, committed_can_be_removed, needs [Feature::StableKeys], in &[Setting::LIVE, Setting::COLD, Setting::REOPENED]),
    law!(9, committed_starts_no_commit_of_its_own, needs [Feature::CommitControl, Feature::Committed], in LIVE),
    law!(9, committed_is_never_committed_ahead_of_the_log, needs [Feature::CommitControl, Feature::Committed], in LIVE),
];

const GROUP: GroupId = GroupId(1);

fn value(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Law 8. A vote whose save has completed is there when the store is opened again.
///
/// Raft: a server that forgets its vote may vote twice in a term, and two leaders are elected.
/// openraft: the vote is on disk before its save returns.
pub fn a_vote_is_durable_when_saved(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    for round in 1..=8 {
        let log = session.group(GROUP)?;
        let before = log.get(&StableKey::VOTE)?;
        ensure_eq!(
            before,
            (round > 1).then(|| value(round - 1)),
            "vote before round {round}"
        );
        // Writes to the log around it, which nobody waits for.
        let around = log.append(bed.entries(round..=round, 0)).accepted()?;
        log.set(&StableKey::VOTE, value(round)).durable()?;
        ensure!(
            !around.is_pending(),
            "a vote completed before the append that was submitted before it"
        );
        // Without closing: the vote was durable already.
        drop(session);
        session = bed.open_when_free()?;
        let vote = session.group(GROUP)?.get(&StableKey::VOTE)?;
        ensure_eq!(vote, Some(value(round)), "vote after opening again");
    }
    expect_log(&session.group(GROUP)?, None, &bed.entries(1..=8, 0))
}

/// Law 8. Votes and log writes become durable in the order in which they were submitted, and a vote
/// whose commit fails is not there afterwards.
///
/// Raft: the term must be durable before any entry of that term. openraft: saving a vote and
/// appending must be serialized.
pub fn a_vote_is_ordered_with_the_log(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let log = session.group(GROUP)?;
    // Entry 1, vote 1, entry 2, vote 2, ...: after every commit the two are at most one apart.
    bed.control().watch(|_, backend| {
        let vote = backend
            .get(GROUP, &StableKey::VOTE)?
            .map_or(Ok(0), |vote| number(&vote))?;
        let last = backend.bounds(GROUP)?.last().unwrap_or(0);
        ensure!(
            vote == last || vote + 1 == last,
            "a commit made vote {vote} durable with a log that ends at {last}"
        );
        Ok(())
    });
    let rounds = bed.setting().times(300);
    for round in 1..=rounds {
        log.append(bed.entries(round..=round, 0)).accepted()?;
        log.set(&StableKey::VOTE, value(round)).accepted()?;
    }
    log.append(Vec::new()).durable()?;
    bed.control().verdict()?;
    ensure_eq!(log.get(&StableKey::VOTE)?, Some(value(rounds)), "vote");

    // A vote that does not become durable says so, and is not there.
    bed.control().fail_next(Error::new(ErrorKind::Io, "commit"));
    let failed = log
        .set(&StableKey::VOTE, value(rounds + 1))
        .accepted()?
        .outcome()?;
    ensure!(
        failed.is_err(),
        "a vote was completed with Ok although its commit failed"
    );
    drop(session);
    let session = bed.open_when_free()?;
    let vote = session.group(GROUP)?.get(&StableKey::VOTE)?;
    ensure_eq!(
        vote,
        Some(value(rounds)),
        "vote after the commit of the next one failed"
    );
    Ok(())
}

/// Law 8. Truncating and purging lose no vote.
///
/// Stores that keep the vote among the entries delete a range too much; openraft's own suite does not
/// look.
pub fn truncate_and_purge_keep_the_vote(bed: &TestBed<'_>) -> LawResult {
    around_truncates_and_purges(bed, &StableKey::VOTE, |log| {
        log.set(&StableKey::VOTE, value(4)).durable()
    })
}

/// Law 8. Truncating what is not committed, and purging what is, changes nothing about `committed`.
///
/// A node that forgets it applies nothing when it starts, until it hears from a leader.
pub fn truncate_and_purge_keep_what_is_committed(bed: &TestBed<'_>) -> LawResult {
    around_truncates_and_purges(bed, &StableKey::COMMITTED, |log| {
        Ok(log.put_lazy(&StableKey::COMMITTED, Some(value(4)))?)
    })
}

/// A key that is set to the number of an entry stays, whatever happens to the entries around it.
fn around_truncates_and_purges(
    bed: &TestBed<'_>,
    key: &StableKey,
    set: fn(&Probe) -> LawResult,
) -> LawResult {
    let mut session = bed.open()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=20, 0)).durable()?;
    set(&log)?;
    type Step = fn(&Probe) -> Submission;
    let steps: [(&str, Step); 6] = [
        ("truncate inside", |log| log.truncate(16)),
        ("truncate beyond the end", |log| log.truncate(17)),
        ("purge below", |log| log.purge(2, "id 2")),
        ("purge up to it", |log| log.purge(4, "id 4")),
        ("truncate all", |log| log.truncate(5)),
        ("purge beyond the end", |log| log.purge(50, "id 50")),
    ];
    for (step, write) in steps {
        write(&session.group(GROUP)?).durable()?;
        session = bed.settle(session)?;
        let found = session.group(GROUP)?.get(key)?;
        ensure_eq!(found, Some(value(4)), "{key} after {step}");
    }
    Ok(())
}

/// Law 8. Truncating and purging change no stable key, except that a purge writes its own.
///
/// Stores that keep votes and entries in one key space delete a range too much; openraft's own suite
/// does not look.
pub fn truncate_and_purge_touch_no_stable_key(bed: &TestBed<'_>) -> LawResult {
    // Names before, between and after those the contract knows.
    let names =
        ["vote", "committed", "a", "log", "purge", "purged-", "zzz"].map(StableKey::from_static);
    let mut session = bed.open()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=20, 0)).durable()?;
    for name in &names {
        log.set(name, name.to_string()).durable()?;
    }
    type Step = fn(&Probe) -> Submission;
    let steps: [(&str, Step, Option<&str>); 7] = [
        ("truncate inside", |log| log.truncate(16), None),
        ("truncate beyond the end", |log| log.truncate(99), None),
        ("purge inside", |log| log.purge(4, "id 4"), Some("id 4")),
        (
            "purge below the floor",
            |log| log.purge(2, "id 2"),
            Some("id 4"),
        ),
        ("truncate all", |log| log.truncate(5), Some("id 4")),
        (
            "purge beyond the end",
            |log| log.purge(50, "id 50"),
            Some("id 50"),
        ),
        (
            "purge very far",
            |log| log.purge(u64::MAX - 1, "id max"),
            Some("id max"),
        ),
    ];
    for (step, write, purged) in steps {
        write(&session.group(GROUP)?).durable()?;
        session = bed.settle(session)?;
        let log = session.group(GROUP)?;
        for name in &names {
            let found = log.get(name)?;
            ensure_eq!(
                found,
                Some(name.to_string().into()),
                "stable key {name} after {step}"
            );
        }
        let found = log.get(&StableKey::PURGED)?;
        ensure_eq!(
            found.as_deref(),
            purged.map(str::as_bytes),
            "purged after {step}"
        );
    }
    Ok(())
}

/// Law 8. Every reader sees the newest vote, durable or not, through a handle made at any time.
///
/// openraft reads the vote through its log readers to stop replicating for a leader that is
/// superseded.
pub fn readers_see_the_newest_vote(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let early = session.group(GROUP)?;
    ensure_eq!(early.get(&StableKey::VOTE)?, None, "vote of a new group");
    log.set(&StableKey::VOTE, value(0)).durable()?;
    ensure_eq!(
        early.get(&StableKey::VOTE)?,
        Some(value(0)),
        "vote through a handle made before"
    );

    let hold = bed.hold();
    let (submitting, visible) = (AtomicU64::new(0), AtomicU64::new(0));
    let rounds = 400;
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    bed.within(|| -> LawResult {
                        let reader = session.group(GROUP)?;
                        loop {
                            let at_least = visible.load(Ordering::SeqCst);
                            let vote = reader.get(&StableKey::VOTE)?.unwrap_or_default();
                            let (vote, at_most) =
                                (number(&vote)?, submitting.load(Ordering::SeqCst));
                            ensure!(
                                (at_least..=at_most).contains(&vote),
                                "a reader saw vote {vote} when it was {at_least} to {at_most}"
                            );
                            if at_least == rounds {
                                return Ok(());
                            }
                        }
                    })
                })
            })
            .collect();
        for round in 1..=rounds {
            submitting.store(round, Ordering::SeqCst);
            let written = log.set(&StableKey::VOTE, value(round)).accepted();
            // The readers stop at the last round, also when a write was refused.
            visible.store(
                if written.is_ok() { round } else { rounds },
                Ordering::SeqCst,
            );
            written?;
        }
        readers.into_iter().try_for_each(super::join)
    })?;
    drop(hold);
    log.append(Vec::new()).durable()?;
    ensure_eq!(
        early.get(&StableKey::VOTE)?,
        Some(value(rounds)),
        "vote in the end"
    );
    Ok(())
}

/// Law 9. `committed` written lazily is visible at once, kept when the store is closed, and never
/// ahead of the log when it is opened again.
///
/// openraft applies the log again up to `committed` when it starts; entries missing there keep the
/// node from starting.
pub fn committed_is_lazy_and_never_ahead_of_the_log(bed: &TestBed<'_>) -> LawResult {
    let mut session = bed.open()?;
    for round in 1..=5 {
        let log = session.group(GROUP)?;
        log.append(bed.entries(round..=round, 0)).accepted()?;
        log.put_lazy(&StableKey::COMMITTED, Some(value(round)))?;
        let seen = session.group(GROUP)?.get(&StableKey::COMMITTED)?;
        ensure_eq!(
            seen,
            Some(value(round)),
            "committed right after it was written"
        );
        session = bed.reopen(session)?;
        let log = session.group(GROUP)?;
        let committed = log.get(&StableKey::COMMITTED)?;
        ensure_eq!(
            committed,
            Some(value(round)),
            "committed after closing and opening"
        );
        ensure_eq!(
            log.bounds()?.last(),
            Some(round),
            "last index, with committed at {round}"
        );
    }
    // Alone.
    let log = session.group(GROUP)?;
    log.append(bed.entries(6..=6, 0)).durable()?;
    session = bed.reopen(session)?;
    session
        .group(GROUP)?
        .put_lazy(&StableKey::COMMITTED, Some(value(6)))?;
    session = bed.reopen(session)?;
    let log = session.group(GROUP)?;
    let committed = log.get(&StableKey::COMMITTED)?;
    ensure_eq!(committed, Some(value(6)), "committed, written alone");

    // Dropped, not closed: it may be lost, but it does not run ahead.
    for round in 7..=6 + bed.setting().times(100) {
        log.append(bed.entries(round..=round, 0)).accepted()?;
        log.put_lazy(&StableKey::COMMITTED, Some(value(round)))?;
    }
    drop(session);
    committed_is_not_ahead_after_an_end(bed)
}

/// Law 9. `committed` can be taken back, lazily as it is written.
pub fn committed_can_be_removed(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    log.put_lazy(&StableKey::COMMITTED, Some(value(1)))?;
    log.put_lazy(&StableKey::COMMITTED, None)?;
    let found = log.get(&StableKey::COMMITTED)?;
    ensure_eq!(found, None, "committed, removed");
    let session = bed.settle(session)?;
    let found = session.group(GROUP)?.get(&StableKey::COMMITTED)?;
    ensure_eq!(found, None, "committed, removed");
    Ok(())
}

fn committed_is_not_ahead_after_an_end(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_when_free()?;
    let log = session.group(GROUP)?;
    let committed = log
        .get(&StableKey::COMMITTED)?
        .map_or(Ok(0), |value| number(&value))?;
    let last = log.bounds()?.last().unwrap_or(0);
    ensure!(
        committed <= last,
        "committed is {committed}, but the log ends at {last}"
    );
    Ok(())
}

/// Law 9. Writing `committed` starts no commit; it is in the next one that something else asks for.
///
/// Raft moves `committed` with every entry: a sync of its own would double the cost of each.
pub fn committed_starts_no_commit_of_its_own(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=9, 0)).durable()?;
    let before = bed.control().attempts();
    for number in 1..=9 {
        log.put_lazy(&StableKey::COMMITTED, Some(value(number)))?;
        thread::sleep(Duration::from_millis(20));
    }
    ensure_eq!(
        bed.control().attempts() - before,
        0,
        "commits that lazy writes started"
    );

    // The next durable write carries it.
    bed.control().watch(|_, backend| {
        let committed = backend.get(GROUP, &StableKey::COMMITTED)?;
        ensure_eq!(committed, Some(value(9)), "committed in the next commit");
        Ok(())
    });
    log.set(&StableKey::VOTE, "vote").durable()?;
    bed.control().verdict()?;
    ensure_eq!(
        bed.control().attempts() - before,
        1,
        "commits for one durable write"
    );
    Ok(())
}

/// Law 9. In no commit is `committed` ahead of the log, and a failed commit does not leave it there.
pub fn committed_is_never_committed_ahead_of_the_log(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let log = session.group(GROUP)?;
    bed.control().watch(|_, backend| {
        let committed = backend.get(GROUP, &StableKey::COMMITTED)?;
        let committed = committed.map_or(Ok(0), |value| number(&value))?;
        let last = backend.bounds(GROUP)?.last().unwrap_or(0);
        ensure!(
            committed <= last,
            "committed {committed} is durable in a log that ends at {last}"
        );
        Ok(())
    });
    let last = bed.setting().times(300);
    for index in 1..=last {
        log.append(bed.entries(index..=index, 0)).accepted()?;
        log.put_lazy(&StableKey::COMMITTED, Some(value(index)))?;
    }
    log.append(Vec::new()).durable()?;
    bed.control().verdict()?;

    // The commit that holds the entries fails; `committed` must not outlive it.
    bed.control().fail_next(Error::new(ErrorKind::Io, "commit"));
    let hold = bed.control().hold();
    let failed = log
        .append(bed.entries(last + 1..=last + 10, 0))
        .accepted()?;
    log.put_lazy(&StableKey::COMMITTED, Some(value(last + 10)))?;
    drop(hold);
    ensure!(
        failed.outcome()?.is_err(),
        "an append was completed although its commit failed"
    );
    drop(session);
    committed_is_not_ahead_after_an_end(bed)
}
