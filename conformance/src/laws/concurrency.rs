//! Readers and writers of several groups at once, against the histories of the groups.
//!
//! Each group has one writer, as in Raft, which submits a random sequence of writes without waiting for
//! them. Readers look at it through handles of their own. A group has a history: the states that its
//! writes bring it into, one after the other. What a read shows must be one of the states between the
//! last write that had returned when the read began and the last that had begun when it ended; and from one
//! read to the next a reader never goes back in the history, whatever it reads. In other words, each write
//! takes effect at one moment for everybody and for everything it changes.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_logstore_core::{Entry, ErrorKind, GroupId, StableKey};

use super::history::{History, Moment, State, stamp, stamped};
use super::number;
use crate::expect::expect_log;
use crate::law::law;
use crate::payload::Mix;
use crate::violation::{ensure, ensure_eq};
use crate::{Feature, Law, LawResult, Probe, Session, Setting, TestBed, Tracker, Violation};

pub(crate) const LAWS: &[Law] = &[
    law!(7, every_write_takes_effect_at_one_moment, needs [], in &[Setting::LIVE, Setting::COLD, Setting::REOPENED]),
    law!(11, a_group_is_dropped_at_one_moment, needs [Feature::Groups], in &[Setting::LIVE, Setting::COLD, Setting::REOPENED]),
];

/// How long the writers write.
const WRITING: Duration = Duration::from_millis(700);
/// What each writes at most.
const WRITES: u64 = 20_000;
const READERS: u64 = 2;

/// Laws 2, 3, 5, 7 and 8. Appends, truncates, purges and votes take effect at one moment each, for every
/// reader and for everything they change: entries, bounds and stable keys; and their completions fire
/// in order.
///
/// openraft reads the log in the tasks of its followers and of the state machine while it writes it.
pub fn every_write_takes_effect_at_one_moment(bed: &TestBed<'_>) -> LawResult {
    check(bed, false)
}

/// Law 11. Dropping a group, while it is read and other groups are written, takes its entries, its floor
/// and its stable keys at one moment; and no reader of another group sees any of it.
pub fn a_group_is_dropped_at_one_moment(bed: &TestBed<'_>) -> LawResult {
    check(bed, true)
}

/// One group, its history, and who looks at it.
struct Scene<'a> {
    bed: &'a TestBed<'a>,
    session: &'a Session,
    group: GroupId,
    history: History,
    drops: bool,
    stop: &'a AtomicBool,
}

fn check(bed: &TestBed<'_>, drops: bool) -> LawResult {
    let session = bed.open()?;
    let groups = if bed.has(Feature::Groups) {
        1..=3
    } else {
        1..=1
    };
    let stop = AtomicBool::new(false);
    let scenes: Vec<_> = groups
        .map(|group| Scene {
            bed,
            session: &session,
            group: GroupId(group),
            history: History::new(),
            drops,
            stop: &stop,
        })
        .collect();
    let ends = thread::scope(|scope| {
        let mut readers = Vec::new();
        for (scene, seed) in scenes
            .iter()
            .flat_map(|s| (0..READERS).map(move |n| (s, n)))
        {
            readers.push(scope.spawn(move || scene.stopping(|| scene.read_on(seed))));
        }
        let writers: Vec<_> = scenes
            .iter()
            .map(|scene| scope.spawn(move || scene.stopping(|| scene.write_on())))
            .collect();
        let ends: Vec<_> = writers.into_iter().map(super::join).collect();
        stop.store(true, Ordering::SeqCst);
        // What a reader saw says more than the write that failed for it.
        readers.into_iter().try_for_each(super::join)?;
        ends.into_iter().collect::<LawResult<Vec<State>>>()
    })?;
    drop(scenes);

    let session = bed.settle(session)?;
    for (group, end) in (1..).map(GroupId).zip(ends) {
        expect_end(&session.group(group)?, &end)
            .map_err(|broken| broken.context(format!("group {group} in the end")))?;
    }
    Ok(())
}

/// The group is in the last state of its history.
fn expect_end(log: &Probe, end: &State) -> LawResult {
    expect_log(log, end.floor, &end.entries())?;
    for (key, expected) in [(StableKey::VOTE, end.vote), (StableKey::PURGED, end.floor)] {
        let found = log.get(&key)?.map(|value| number(&value)).transpose()?;
        ensure_eq!(found, expected, "{key}");
    }
    Ok(())
}

impl Scene<'_> {
    /// Runs one of the threads. The others end with the first that fails.
    fn stopping<T>(&self, run: impl FnOnce() -> LawResult<T>) -> LawResult<T> {
        let outcome = self.bed.within(run);
        if outcome.is_err() {
            self.stop.store(true, Ordering::SeqCst);
        }
        outcome.map_err(|broken| broken.context(format!("group {}", self.group)))
    }

    /// Writes for a while. Returns the state in the end.
    fn write_on(&self) -> LawResult<State> {
        let tracker = Tracker::new();
        let log = self.session.group(self.group)?.tracked(&tracker);
        let mut random = Mix::new(self.group.0);
        let (started, mut state) = (Instant::now(), State::new());
        for generation in 1..=WRITES {
            if self.stop.load(Ordering::SeqCst) || started.elapsed() > WRITING {
                break;
            }
            self.write(&log, &mut state, generation, &mut random)
                .map_err(|broken| broken.context(format!("write number {generation}")))?;
            if random.below(32) == 0 {
                expect_ok(&tracker.all_fired_in_order(self.bed.deadline())?)?;
            }
        }
        expect_ok(&tracker.all_fired_in_order(self.bed.deadline())?)?;
        Ok(state)
    }

    /// One write, by chance.
    fn write(
        &self,
        log: &Probe,
        state: &mut State,
        generation: u64,
        random: &mut Mix,
    ) -> LawResult {
        let (len, end) = (state.generations.len() as u64, state.end());
        match random.below(20) {
            0..=2 if len > 0 => {
                let kept = len - 1 - random.below(len.min(30));
                state.generations.truncate(kept as usize);
                let from = state.end();
                self.history
                    .write(state, || log.truncate(from).accepted().map(drop))
            }
            3 | 4 if len > 100 => self.purge(log, state, end - 1 - random.below(90)),
            // As a snapshot from the leader does.
            5 if len > 20 => self.purge(log, state, end + random.below(5)),
            6 | 7 => {
                state.vote = Some(generation);
                let vote = value_of(generation);
                self.history.write(state, || {
                    log.set(&StableKey::VOTE, vote).accepted().map(drop)
                })
            }
            8 if self.drops => {
                *state = State::new();
                self.history
                    .write(state, || Ok(self.session.drop_group(self.group)?))
            }
            _ => {
                let count = 1 + random.below(12);
                let stamped = |index| stamped(index, generation);
                let entries: Vec<Entry> = (end..end + count).map(stamped).collect();
                state.generations.extend(entries.iter().map(|_| generation));
                self.history
                    .write(state, || log.append(entries).accepted().map(drop))
            }
        }
    }

    /// What is purged is committed first.
    fn purge(&self, log: &Probe, state: &mut State, floor: u64) -> LawResult {
        if self.bed.has(Feature::Committed) && floor < state.end() {
            state.committed = Some(floor);
            let committed = Some(value_of(floor));
            self.history.write(
                state,
                || Ok(log.put_lazy(&StableKey::COMMITTED, committed)?),
            )?;
        }
        state.purge(floor + 1);
        self.history.write(state, || {
            log.purge(floor, value_of(floor)).accepted().map(drop)
        })
    }

    /// Reads until the writers stop, and once more then.
    fn read_on(&self, seed: u64) -> LawResult {
        let log = self.session.group(self.group)?;
        let mut random = Mix::new(seed << 32 | self.group.0);
        let mut place = Place {
            history: &self.history,
            seen: 0,
        };
        loop {
            let last = self.stop.load(Ordering::SeqCst);
            match random.below(8) {
                0 => place.is_in(
                    "bounds",
                    || Ok(log.bounds()?),
                    |state, bounds| state.bounds().is_ok_and(|known| known == *bounds),
                ),
                1 => self.value(&mut place, &log, StableKey::VOTE, |state| state.vote),
                2 => self.value(&mut place, &log, StableKey::PURGED, |state| state.floor),
                3 if self.bed.has(Feature::Committed) => {
                    self.value(&mut place, &log, StableKey::COMMITTED, |state| {
                        state.committed
                    })
                }
                _ => self.range(&mut place, &log, &mut random),
            }?;
            if last {
                return Ok(());
            }
        }
    }

    /// A stable key holds a number.
    fn value(
        &self,
        place: &mut Place<'_>,
        log: &Probe,
        key: StableKey,
        expected: impl Fn(&State) -> Option<u64>,
    ) -> LawResult {
        let read = || log.get(&key)?.map(|value| number(&value)).transpose();
        place.is_in(key.as_str(), read, |state, found| expected(state) == *found)
    }

    /// The whole log, or a part of it around its ends.
    fn range(&self, place: &mut Place<'_>, log: &Probe, random: &mut Mix) -> LawResult {
        let bounds = log.bounds()?;
        let (first, end) = if random.below(3) == 0 {
            (0, bounds.last().unwrap_or(0) + 100)
        } else {
            let near = [bounds.first(), bounds.last()][random.below(2) as usize];
            let first = (near.unwrap_or(1) + random.below(40)).saturating_sub(20);
            (first, first + 1 + random.below(60))
        };
        let read =
            || -> LawResult<Vec<(u64, u64)>> { log.read(first..end)?.iter().map(stamp).collect() };
        place.is_in(&format!("entries {first}..{end}"), read, |state, found| {
            state.reads(first, end, found)
        })
    }
}

/// How far a reader has come in the history of its group.
struct Place<'a> {
    history: &'a History,
    seen: usize,
}

impl Place<'_> {
    /// What is read is what some state holds, of those the read may show and not before one that was
    /// shown already.
    fn is_in<T: Debug>(
        &mut self,
        what: &str,
        read: impl FnOnce() -> LawResult<T>,
        fits: impl Fn(&State, &T) -> bool,
    ) -> LawResult {
        let (found, moment): (T, Moment) = self.history.read(read)?;
        match moment.first_since(self.seen, |state| fits(state, &found)) {
            Some(number) => {
                self.seen = number;
                Ok(())
            }
            None => Err(Violation::new(format!(
                "{what} were read as {}, which fits no state of number {:?}; the reader had seen \
                 number {} before{}",
                shortened(&found),
                moment.numbers(),
                self.seen,
                if moment.any(|state| fits(state, &found)) {
                    ", and what it found now is older"
                } else {
                    ""
                }
            ))),
        }
    }
}

/// The beginning of what may be a long list.
fn shortened(found: &impl Debug) -> String {
    let mut text = format!("{found:?}");
    if text.len() > 400 {
        text.truncate(400);
        text.push_str("...");
    }
    text
}

fn value_of(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn expect_ok(outcomes: &[Option<ErrorKind>]) -> LawResult {
    ensure!(
        outcomes.iter().all(Option::is_none),
        "outcomes of accepted writes: {outcomes:?}"
    );
    Ok(())
}
