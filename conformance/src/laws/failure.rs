//! What a store does when it cannot go on, and who may open it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use raft_logstore_core::{Entry, Error, ErrorKind, GroupId, StableKey};

use crate::expect::expect_log;
use crate::law::law;
use crate::second_process::{self, Answer, Job};
use crate::setting::{LIVE, LIVE_COLD};
use crate::violation::{ensure, ensure_eq};
use crate::{
    Feature, Law, LawResult, Probe, Session, Setting, Submission, TestBed, Tracker, Violation,
};

pub(crate) const LAWS: &[Law] = &[
    law!(12, a_failed_commit_poisons_the_store, needs [Feature::CommitControl, Feature::Reopen], in LIVE),
    law!(12, failed_background_work_poisons_the_store, needs [Feature::CommitControl, Feature::Reopen], in LIVE),
    law!(3, a_closed_store_refuses_everything, needs [Feature::Close], in LIVE_COLD),
    law!(13, a_second_open_is_refused, needs [Feature::Lock], in LIVE),
    law!(13, a_second_open_from_another_process_is_refused, needs [Feature::Lock, Feature::Disk], in LIVE),
    law!(13, a_moved_store_and_one_in_its_place_keep_apart, needs [Feature::Lock, Feature::Disk, Feature::Reopen], in &[Setting::LIVE.payload(256 << 10)]),
];

const GROUP: GroupId = GroupId(1);
const CAUSE: &str = "the law made this fail";

/// Law 12. After a failed commit every write that was in flight completes with an error, every later
/// write is refused with `Poisoned` naming the cause, reads show the durable state, the commit is not
/// tried again; and the store goes on once it is opened again.
///
/// After a failed fsync the pages may be dropped and marked clean: the next fsync reports success for
/// data that is gone. Nothing may be acknowledged after that (law 15 for a full disk).
pub fn a_failed_commit_poisons_the_store(bed: &TestBed<'_>) -> LawResult {
    for (round, kind) in [ErrorKind::Io, ErrorKind::DiskFull].into_iter().enumerate() {
        let first = 5 * round as u64 + 1;
        let vote = format!("vote {round}");
        let session = bed.open_controlled()?;
        let log = session.group(GROUP)?;
        log.append(bed.entries(first..=first + 4, 0)).durable()?;
        log.set(&StableKey::VOTE, vote.clone()).durable()?;
        let entries = bed.entries(1..=first + 4, 0);

        // Writes of every kind are in flight when the commit fails.
        let tracker = Tracker::new();
        let writer = log.tracked(&tracker);
        let hold = bed.control().hold();
        let failing = writer
            .append(bed.entries(first + 5..=first + 9, 1))
            .accepted()?;
        bed.control().wait_for_a_held_commit(bed.deadline())?;
        let mut in_flight = vec![
            writer
                .set(&StableKey::VOTE, "a vote that is lost")
                .accepted()?,
            writer.truncate(first + 2).accepted()?,
            writer
                .append(bed.entries(first + 2..=first + 2, 1))
                .accepted()?,
            writer.purge(first + 1, "an id that is lost").accepted()?,
        ];
        if bed.has(Feature::Groups) {
            let other = session.group(GroupId(9))?.tracked(&tracker);
            in_flight.push(other.append(bed.entries(1..=1, 1)).accepted()?);
        }
        bed.control()
            .fail_next(Error::new(kind, "commit").with_advice(CAUSE));
        drop(hold);

        // All of them complete with an error, in order, the first with the failure itself.
        let failed = failing.outcome()?;
        let failed = failed.err().map(|error| error.kind());
        ensure_eq!(
            failed,
            Some(kind),
            "outcome of the append whose commit failed"
        );
        expect_refusals(bed, &session, &log)?;
        let outcomes = tracker.all_fired_in_order(bed.deadline())?;
        ensure!(
            outcomes.iter().all(Option::is_some),
            "outcomes in flight: {outcomes:?}"
        );
        for write in in_flight {
            match write.outcome()? {
                Err(error) if names_the_cause(&error) => {}
                other => {
                    return Err(Violation::new(format!(
                        "outcome of a write in flight: {other:?}"
                    )));
                }
            }
        }

        // What is durable can be read; nothing else can.
        expect_durable(&session, &entries, &vote)?;
        // No commit is tried again, whatever is asked of the store.
        let attempts = bed.control().attempts();
        for _ in 0..3 {
            expect_refusals(bed, &session, &log)?;
        }
        ensure_eq!(
            bed.control().attempts(),
            attempts,
            "commits after one has failed"
        );
        end(session);

        // Opened again it holds what was durable, and goes on.
        let session = bed.open_when_free()?;
        expect_durable(&session, &entries, &vote)?;
        session.close()?;
    }
    Ok(())
}

/// Law 12. Background work that fails poisons the store in the same way; what was durable stays.
///
/// Giving space back writes to the same files as a commit, and fails for the same reasons.
pub fn failed_background_work_poisons_the_store(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open_controlled()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=10, 0)).durable()?;
    log.set(&StableKey::VOTE, "vote").durable()?;

    // Background work is done between commits, when there is space to give back: make some, until
    // it has failed.
    bed.control()
        .fail_maintain(Error::new(ErrorKind::Io, "maintain").with_advice(CAUSE));
    let started = Instant::now();
    let mut last = 10;
    let refused = loop {
        ensure!(
            started.elapsed() < bed.deadline(),
            "the store went on although its background work failed"
        );
        let write = match last {
            10 => log.append(bed.entries(11..=11, 0)).accepted(),
            _ => log.truncate(11).accepted(),
        };
        let Ok(write) = write else {
            break expect_refusals(bed, &session, &log)?;
        };
        match write.outcome()? {
            Ok(()) => last = 21 - last,
            Err(error) => break error,
        }
        thread::sleep(Duration::from_millis(5));
    };
    ensure!(
        names_the_cause(&refused),
        "the error does not name the cause: {refused}"
    );
    expect_refusals(bed, &session, &log)?;
    expect_durable(&session, &bed.entries(1..=last, 0), "vote")?;
    end(session);
    expect_durable(&bed.open_when_free()?, &bed.entries(1..=last, 0), "vote")
}

/// Every kind of write is refused with `Poisoned`, naming the cause. Returns one of the errors.
fn expect_refusals(bed: &TestBed<'_>, session: &Session, log: &Probe) -> LawResult<Error> {
    let next = log.bounds()?.last().unwrap_or(0) + 1;
    let writes: [Submission; 5] = [
        log.append(bed.entries(next..=next, 0)),
        log.truncate(next - 1),
        log.purge(next - 1, "id"),
        log.set(&StableKey::VOTE, "another vote"),
        log.remove(&StableKey::VOTE),
    ];
    for write in writes {
        let error = write.refused(ErrorKind::Poisoned)?;
        ensure!(
            names_the_cause(&error),
            "a refusal does not name the cause: {error}"
        );
    }
    let mut refusals = vec![log.put_lazy(&StableKey::COMMITTED, Some("value".into()))];
    if bed.has(Feature::Groups) {
        refusals.push(session.drop_group(GROUP));
        refusals.push(session.drop_group(GroupId(9)));
    }
    refusals
        .into_iter()
        .try_fold(
            Error::new(ErrorKind::Poisoned, "write"),
            |_, refusal| match refusal {
                Err(error) if error.kind() == ErrorKind::Poisoned && names_the_cause(&error) => {
                    Ok(error)
                }
                other => Err(Violation::new(format!(
                    "a write to a poisoned store returned {other:?}"
                ))),
            },
        )
}

fn names_the_cause(error: &Error) -> bool {
    error.to_string().contains(CAUSE)
}

fn expect_durable(session: &Session, entries: &[Entry], vote: &str) -> LawResult {
    let log = session.group(GROUP)?;
    expect_log(&log, None, entries)?;
    let found = log.get(&StableKey::VOTE)?;
    ensure_eq!(found, Some(vote.to_owned().into()), "vote");
    ensure_eq!(log.get(&StableKey::PURGED)?, None, "purged");
    ensure_eq!(log.get(&StableKey::COMMITTED)?, None, "committed");
    Ok(())
}

/// Ends a poisoned store. Whether closing it is an error is left to the store.
fn end(session: Session) {
    drop(session.close());
}

/// Law 3. After a store was closed, its handles refuse everything with `Closed`, reads included, and
/// completions of refused writes fire with it.
///
/// A late task must not read a log that another store has open by then.
pub fn a_closed_store_refuses_everything(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    session
        .group(GROUP)?
        .append(bed.entries(1..=5, 0))
        .durable()?;
    session
        .group(GROUP)?
        .set(&StableKey::VOTE, "vote")
        .durable()?;
    let handles = session.close_under_its_handles()?;
    ensure!(!handles.is_empty(), "no handle outlived the store");
    for handle in &handles {
        let log = Probe::new(handle, bed.deadline());
        let reads = [
            log.bounds().err(),
            log.read(..).err(),
            log.read(9..).err(),
            log.get(&StableKey::VOTE).err(),
            log.get(&StableKey::COMMITTED).err(),
            log.put_lazy(&StableKey::COMMITTED, Some("value".into()))
                .err(),
        ];
        for refusal in reads {
            let kind = refusal.as_ref().map(Error::kind);
            ensure_eq!(
                kind,
                Some(ErrorKind::Closed),
                "error of a closed store ({refusal:?})"
            );
        }
        for write in [
            log.append(bed.entries(6..=6, 0)),
            log.append(Vec::new()),
            log.truncate(3),
            log.purge(3, "id"),
            log.set(&StableKey::VOTE, "another vote"),
        ] {
            write.refused(ErrorKind::Closed)?;
        }
    }
    if bed.has(Feature::Reopen) {
        expect_durable(&bed.open_when_free()?, &bed.entries(1..=5, 0), "vote")?;
    }
    Ok(())
}

/// Law 13. A directory that is open is not opened again in the same process: the error is `Locked`,
/// and the first store goes on undisturbed. Once it is closed, the directory opens.
///
/// Two writers in one log destroy it.
pub fn a_second_open_is_refused(bed: &TestBed<'_>) -> LawResult {
    expect_refused_while_open(bed, |bed| {
        let second = bed.subject().open(bed.dir());
        Ok(second
            .err()
            .map_or("opened".to_owned(), |error| format!("{:?}", error.kind())))
    })
}

/// Law 13. The same, tried from another process.
///
/// Locks come in two kinds: those that see other processes, and those that see this one.
pub fn a_second_open_from_another_process_is_refused(bed: &TestBed<'_>) -> LawResult {
    expect_refused_while_open(bed, |bed| {
        let dir = bed.dir().to_owned();
        match second_process::ask_once(bed.subject(), &Job::Open { dir }, bed.deadline())? {
            Answer::Opened => Ok("opened".to_owned()),
            Answer::Refused(kind) => Ok(kind),
            other => Err(Violation::new(format!("the other process: {other:?}"))),
        }
    })
}

fn expect_refused_while_open(
    bed: &TestBed<'_>,
    second_open: impl Fn(&TestBed<'_>) -> LawResult<String>,
) -> LawResult {
    let locked = format!("{:?}", ErrorKind::Locked);
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    log.append(bed.entries(1..=3, 0)).durable()?;
    // Twice: the attempt that is refused must not take the lock away.
    for _ in 0..2 {
        ensure_eq!(second_open(bed)?, locked, "a second open");
    }
    log.append(bed.entries(4..=6, 0)).durable()?;
    expect_log(&log, None, &bed.entries(1..=6, 0))?;
    session.close()?;
    ensure_eq!(
        second_open(bed)?,
        "opened",
        "an open after the first store was closed"
    );
    expect_log(
        &bed.open_when_free()?.group(GROUP)?,
        None,
        &bed.entries(1..=6, 0),
    )
}

/// Law 13. A store whose directory is moved while it is open writes nothing to the one that was made in its place, and
/// loses nothing: each has what it acknowledged. Whether the moved one goes on is left to it.
///
/// A lock does not help where files are reached by path: an operator moves a directory aside, and starts anew.
pub fn a_moved_store_and_one_in_its_place_keep_apart(bed: &TestBed<'_>) -> LawResult {
    // With files that it has written to before, and without.
    for before in [0, 1] {
        keep_apart(bed, before)
            .map_err(|broken| broken.context(format!("moved after {before} appends")))?;
    }
    Ok(())
}

fn keep_apart(bed: &TestBed<'_>, before: u64) -> LawResult {
    // More than any store prepares in advance, so that files are made and removed.
    const APPENDS: u64 = 400;
    let here = bed.dir().join(format!("here-{before}"));
    let there = bed.dir().join(format!("there-{before}"));
    let open = |dir: &Path| -> LawResult<Session> { Ok(bed.session(bed.subject().open(dir)?)) };
    let append = |log: &Probe, index, generation| -> LawResult {
        log.append(bed.entries(index..=index, generation)).durable()
    };

    // What was acknowledged is there, or more: what was refused may have been written.
    let expect = |dir: &Path, purged: Option<u64>, durable, generation| -> LawResult {
        let session = open(dir)?;
        let log = session.group(GROUP)?;
        let (floor, last) = (log.bounds()?.floor(), log.bounds()?.last().unwrap_or(0));
        ensure!(
            floor >= purged && last >= durable,
            "purged up to {floor:?} of {purged:?}, {last} of {durable} entries"
        );
        let entries = bed.entries(floor.unwrap_or(0) + 1..=last, generation);
        expect_log(&log, floor, &entries)?;
        Ok(session.close()?)
    };

    let moved = open(&here)?;
    let moved_log = moved.group(GROUP)?;
    for index in 1..=before {
        append(&moved_log, index, 1)?;
    }
    fs::rename(&here, &there)?;
    let new = match bed.subject().open(&here) {
        // An engine that knows its files by their path: nothing was made there.
        Err(error) if error.kind() == ErrorKind::Locked => {
            drop(moved_log);
            end(moved);
            return expect(&there, None, before, 1);
        }
        new => bed.session(new?),
    };
    let new_log = new.group(GROUP)?;

    // Both write, until the moved one refuses to.
    let (mut durable, mut goes_on) = (before, true);
    for index in 1..=APPENDS {
        goes_on = goes_on && append(&moved_log, before + index, 1).is_ok();
        durable += u64::from(goes_on);
        append(&new_log, index, 2)?;
    }
    let floor = durable / 2;
    let purged = moved_log.purge(floor, "id").durable().is_ok();
    new_log.purge(APPENDS / 2, "id").durable()?;
    append(&new_log, APPENDS + 1, 2)?;
    drop((moved_log, new_log));
    end(moved);
    new.close()?;

    expect(&here, Some(APPENDS / 2), APPENDS + 1, 2)
        .map_err(|broken| broken.context("the store in its place"))?;
    expect(&there, purged.then_some(floor), durable, 1)
        .map_err(|broken| broken.context("the store that was moved"))
}
