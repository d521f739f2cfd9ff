//! Random operations against the reference.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, GroupId, IndexRange, MemoryBackend, Op, Result, StableKey,
};

use crate::commit_control::Hold;
use crate::expect::expect_entries;
use crate::law::law;
use crate::payload::payload;
use crate::violation::{ensure, ensure_eq};
use crate::{
    Feature, Law, LawResult, Probe, Session, Setting, Submission, TestBed, Tracker, View, Violation,
};

pub(crate) const LAWS: &[Law] = &[
    law!(1, any_operations_match_the_reference, needs [], in &[Setting::LIVE, Setting::COLD, Setting::HELD]),
];

/// How many random sequences are tried.
const CASES_ENV: &str = "RAFT_LOGSTORE_MODEL_CASES";
const CASES: u32 = 64;
/// Which ones: printed when one fails.
const SEED_ENV: &str = "RAFT_LOGSTORE_MODEL_SEED";

/// Laws 1, 2, 4 to 9 and 11. Whatever is done to a store, valid or not, in whatever order: after each
/// operation bounds, entries, stable keys and errors are those of the reference, core's
/// `MemoryBackend`; also after closing and opening.
///
/// Where commits are held back, many operations go into one batch, and after each commit the backend
/// holds what the reference does.
///
/// What a store need not answer (see `Feature`) is not asked of it.
///
/// A failure is shrunk to a minimal sequence. `RAFT_LOGSTORE_MODEL_CASES` sets how many sequences are
/// tried (64), `RAFT_LOGSTORE_MODEL_SEED` repeats a run.
pub fn any_operations_match_the_reference(bed: &TestBed<'_>) -> LawResult {
    let cases = number_from(CASES_ENV)?.unwrap_or(CASES);
    // A hasher's random keys are the randomness the standard library has.
    let seed = number_from(SEED_ENV)?.unwrap_or_else(|| RandomState::new().hash_one(0));
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 2000,
        max_shrink_time: 120_000,
        ..Config::default()
    });
    let run = |steps: Vec<Step>| {
        run(bed, &steps).map_err(|violation| TestCaseError::fail(violation.to_string()))
    };
    runner
        .run(&vec(step(), 1..48), run)
        .map_err(|failure| match failure {
            TestError::Abort(reason) => Violation::new(format!("the model gave up: {reason}")),
            TestError::Fail(reason, steps) => {
                let steps = steps.iter().enumerate();
                let steps: String = steps
                    .map(|(at, step)| format!("\n  {at}. {step:?}"))
                    .collect();
                Violation::new(format!(
                    "{reason}\nminimal sequence:{steps}\n{SEED_ENV}={seed} repeats it"
                ))
            }
        })
}

fn number_from<T: std::str::FromStr>(name: &str) -> LawResult<Option<T>> {
    let Ok(text) = env::var(name) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| Violation::new(format!("{name}={text} is not a number")))
}

/// One operation. Numbers that name a group or a key are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Append {
        group: u8,
        at: Place,
        count: u8,
        bytes: usize,
    },
    AppendWithHole {
        group: u8,
    },
    Truncate {
        group: u8,
        from: Place,
    },
    Purge {
        group: u8,
        up_to: Place,
    },
    Put {
        group: u8,
        key: u8,
        set: bool,
    },
    PutLazy {
        group: u8,
        key: u8,
        set: bool,
    },
    Read {
        group: u8,
        from: Place,
        to: Place,
        max_bytes: u16,
    },
    DropGroup {
        group: u8,
    },
    WaitForDisk,
    Reopen,
}

/// An index near something in the log.
#[derive(Clone, Debug)]
enum Place {
    Floor(i8),
    First(i8),
    Last(i8),
}

impl Place {
    fn index(&self, bounds: Bounds) -> u64 {
        let (base, offset) = match *self {
            Self::Floor(offset) => (bounds.floor(), offset),
            Self::First(offset) => (bounds.first(), offset),
            Self::Last(offset) => (bounds.last(), offset),
        };
        base.unwrap_or(0).saturating_add_signed(offset.into())
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (-2..6_i8).prop_map(Place::Floor),
        (-2..6_i8).prop_map(Place::First),
        (-6..4_i8).prop_map(Place::Last),
    ]
}

/// Mostly small; simpler cases are smaller ones.
fn payload_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![400 => 0..40_usize, 40 => Just(4 << 10), 1 => Just(1 << 20)]
}

fn step() -> impl Strategy<Value = Step> {
    let (group, key) = (0..3_u8, 0..3_u8);
    let next = Just(Place::Last(1));
    prop_oneof![
        8 => (group.clone(), next, 0..9_u8, payload_bytes())
            .prop_map(|(group, at, count, bytes)| Step::Append { group, at, count, bytes }),
        2 => (group.clone(), place(), 1..5_u8, payload_bytes())
            .prop_map(|(group, at, count, bytes)| Step::Append { group, at, count, bytes }),
        1 => group.clone().prop_map(|group| Step::AppendWithHole { group }),
        3 => (group.clone(), place()).prop_map(|(group, from)| Step::Truncate { group, from }),
        3 => (group.clone(), place()).prop_map(|(group, up_to)| Step::Purge { group, up_to }),
        3 => (group.clone(), key.clone(), any::<bool>())
            .prop_map(|(group, key, set)| Step::Put { group, key, set }),
        2 => (group.clone(), key, any::<bool>())
            .prop_map(|(group, key, set)| Step::PutLazy { group, key, set }),
        4 => (group.clone(), place(), place(), 0..200_u16)
            .prop_map(|(group, from, to, max_bytes)| Step::Read { group, from, to, max_bytes }),
        1 => group.prop_map(|group| Step::DropGroup { group }),
        2 => Just(Step::WaitForDisk),
        1 => Just(Step::Reopen),
    ]
}

const GROUPS: [GroupId; 3] = [GroupId(1), GroupId(2), GroupId(u64::MAX)];
static KEYS: [StableKey; 3] = [
    StableKey::VOTE,
    StableKey::COMMITTED,
    StableKey::from_static("another"),
];

/// Runs one sequence on a new store.
fn run(bed: &TestBed<'_>, steps: &[Step]) -> LawResult {
    let bed = TestBed::new(bed.subject(), bed.setting(), bed.deadline())?;
    let mut pair = Pair::open(&bed)?;
    if bed.setting().view == View::Held {
        compare_batches(&bed);
    }
    for (number, step) in steps.iter().enumerate() {
        pair.take(&bed, number as u64, step)
            .and_then(|()| pair.compare())
            .map_err(|violation| violation.context(format!("after step {number}")))?;
    }
    pair.take(&bed, 0, &Step::Reopen)
        .and_then(|()| pair.compare())
        .map_err(|violation| violation.context("at the end"))
}

/// Has every batch committed to a reference of its own too, and all that the backend holds then compared.
fn compare_batches(bed: &TestBed<'_>) {
    let reference = MemoryBackend::new();
    bed.control().watch(move |batch, backend| {
        reference.commit(batch)?;
        compare_backends(backend, &reference)
            .map_err(|violation| violation.context(format!("after a commit of {:?}", batch.ops)))
    });
}

fn compare_backends(backend: &dyn Backend, reference: &MemoryBackend) -> LawResult {
    ensure_eq!(backend.sequence()?, reference.sequence()?, "commits");
    ensure_eq!(backend.groups()?, reference.groups()?, "groups");
    for group in reference.groups()? {
        let (found, expected) = (backend.bounds(group)?, reference.bounds(group)?);
        ensure_eq!(found, expected, "bounds of group {group}");
        let all = |backend: &dyn Backend| backend.read(group, IndexRange::new(..), u64::MAX);
        expect_entries(&all(backend)?, &all(reference)?)
            .map_err(|violation| violation.context(format!("group {group}")))?;
        let keys = reference.stable_keys(group)?;
        ensure_eq!(backend.stable_keys(group)?, keys, "keys of group {group}");
        for key in keys {
            let (found, expected) = (backend.get(group, &key)?, reference.get(group, &key)?);
            ensure_eq!(found, expected, "stable key {key} of group {group}");
        }
    }
    Ok(())
}

/// The store under test and the reference, in step.
struct Pair {
    // Taken only while reopening.
    session: Option<Arc<Session>>,
    hold: Option<Hold>,
    /// Groups that are being dropped.
    drops: Vec<JoinHandle<Result<()>>>,
    groups: &'static [GroupId],
    keys: &'static [StableKey],
    reference: Reference,
    tracker: Tracker,
}

impl Pair {
    fn open(bed: &TestBed<'_>) -> LawResult<Self> {
        Ok(Self {
            session: Some(Arc::new(bed.open()?)),
            hold: bed.hold(),
            drops: Vec::new(),
            groups: if bed.has(Feature::Groups) {
                &GROUPS
            } else {
                &GROUPS[..1]
            },
            keys: if bed.has(Feature::StableKeys) {
                &KEYS
            } else {
                &KEYS[..1]
            },
            reference: Reference::default(),
            tracker: Tracker::new(),
        })
    }

    fn session(&self) -> &Arc<Session> {
        self.session
            .as_ref()
            .expect("a session is there between steps")
    }

    fn group(&self, number: u8) -> LawResult<(GroupId, Probe, Bounds)> {
        let group = self.groups[usize::from(number) % self.groups.len()];
        let log = self.session().group(group)?;
        Ok((group, log, self.reference.memory.bounds(group)?))
    }

    fn take(&mut self, bed: &TestBed<'_>, number: u64, step: &Step) -> LawResult {
        match *step {
            Step::Append {
                group,
                ref at,
                count,
                bytes,
            } => {
                let (group, log, bounds) = self.group(group)?;
                let mut first = at.index(bounds);
                if bounds.is_empty() && !bed.has(Feature::AnyFirstIndex) {
                    first = bounds.last().unwrap_or(0) + 1;
                }
                let payload = |index| payload(index, number, bytes);
                let entries: Vec<Entry> = (first..first + u64::from(count))
                    .map(|index| Entry::new(index, payload(index)))
                    .collect();
                let expected = self.reference.append(group, entries.clone());
                self.same(bed, &log, expected, |log| log.append(entries))
            }
            Step::AppendWithHole { group } => {
                let (group, log, bounds) = self.group(group)?;
                let next = bounds.last().unwrap_or(0) + 1;
                let entries = vec![Entry::new(next, "before"), Entry::new(next + 2, "after")];
                let expected = self.reference.append(group, entries.clone());
                self.same(bed, &log, expected, |log| log.append(entries))
            }
            Step::Truncate { group, ref from } => {
                let (group, log, bounds) = self.group(group)?;
                let from = from.index(bounds);
                let expected = self.reference.apply(Op::Truncate { group, from });
                self.same(bed, &log, expected, |log| log.truncate(from))
            }
            Step::Purge { group, ref up_to } => {
                let (group, log, bounds) = self.group(group)?;
                let (up_to, id) = (up_to.index(bounds), Bytes::from(format!("id {number}")));
                if bounds.floor() >= Some(up_to) && !bed.has(Feature::Refusals) {
                    return Ok(());
                }
                let op = Op::Purge {
                    group,
                    up_to,
                    id: id.clone(),
                };
                let expected = self.reference.apply(op);
                self.same(bed, &log, expected, |log| log.purge(up_to, id))
            }
            Step::Put { group, key, set } => {
                let (group, log, _) = self.group(group)?;
                let key = &self.keys[usize::from(key) % self.keys.len()];
                let set = set || !bed.has(Feature::StableKeys);
                let value = set.then(|| Bytes::from(format!("value {number}")));
                let expected = self.reference.put(group, key, value.clone());
                self.same(bed, &log, expected, |log| match value {
                    Some(value) => log.set(key, value),
                    None => log.remove(key),
                })
            }
            Step::PutLazy { .. } if !bed.has(Feature::StableKeys) => Ok(()),
            Step::PutLazy { group, key, set } => {
                let (group, log, _) = self.group(group)?;
                let key = &self.keys[usize::from(key) % self.keys.len()];
                let value = set.then(|| Bytes::from(format!("lazy value {number}")));
                self.reference.put(group, key, value.clone())?;
                Ok(log.put_lazy(key, value)?)
            }
            Step::Read {
                group,
                ref from,
                ref to,
                max_bytes,
            } => {
                let (group, log, bounds) = self.group(group)?;
                let range = from.index(bounds)..=to.index(bounds);
                let has_cap = bed.has(Feature::ByteCap);
                let cap = if has_cap {
                    u64::from(max_bytes)
                } else {
                    u64::MAX
                };
                let found = log.read_capped(range.clone(), cap)?;
                let expected = self
                    .reference
                    .memory
                    .read(group, IndexRange::new(range), cap)?;
                expect_entries(&found, &expected)
            }
            Step::DropGroup { .. } if !bed.has(Feature::Groups) => Ok(()),
            Step::DropGroup { group } => {
                let (group, log, _) = self.group(group)?;
                self.drop_group(bed, group, &log)
            }
            Step::WaitForDisk => self.wait_for_disk(bed),
            Step::Reopen if !bed.has(Feature::Reopen) => self.wait_for_disk(bed),
            Step::Reopen => {
                self.let_go()?;
                if let Some(session) = self.session.take() {
                    let session = Arc::into_inner(session);
                    session.expect("whoever drops groups has ended").close()?;
                }
                self.wait_for_disk(bed)?;
                let session = self.session.insert(Arc::new(bed.open()?));
                if bed.has(Feature::Groups) {
                    let (found, expected) = (session.groups()?, self.reference.memory.groups()?);
                    ensure_eq!(found, expected, "groups");
                }
                Ok(())
            }
        }
    }

    /// Drops a group on a thread of its own: it takes until that is durable, and more is to be queued behind it.
    fn drop_group(&mut self, bed: &TestBed<'_>, group: GroupId, log: &Probe) -> LawResult {
        let was_blank = self.is_blank(log)?;
        self.reference.apply(Op::DropGroup { group })?;
        let session = Arc::clone(self.session());
        let drop = thread::spawn(move || session.drop_group(group));
        let started = Instant::now();
        // Where there was nothing, nothing shows that it is queued.
        while !was_blank && !drop.is_finished() && !self.is_blank(log)? {
            ensure!(
                started.elapsed() < bed.deadline(),
                "group {group} is not gone"
            );
            thread::yield_now();
        }
        self.drops.push(drop);
        if was_blank {
            self.wait_for_disk(bed)
        } else {
            Ok(())
        }
    }

    fn is_blank(&self, log: &Probe) -> LawResult<bool> {
        if log.bounds()? != Bounds::default() {
            return Ok(false);
        }
        for key in self.keys {
            if log.get(key)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets the commits go on, and waits until the groups that are being dropped are gone.
    fn let_go(&mut self) -> LawResult {
        self.hold = None;
        for dropped in self.drops.drain(..) {
            dropped
                .join()
                .map_err(|_| Violation::new("the store panicked while it dropped a group"))??;
        }
        Ok(())
    }

    /// Everything that was accepted has completed, in order.
    fn wait_for_disk(&mut self, bed: &TestBed<'_>) -> LawResult {
        self.let_go()?;
        let outcomes = self.tracker.all_fired_in_order(bed.deadline())?;
        ensure!(
            outcomes.iter().all(Option::is_none),
            "outcomes of accepted writes: {outcomes:?}"
        );
        self.tracker = Tracker::new();
        bed.control().verdict()?;
        self.hold = bed.hold();
        Ok(())
    }

    /// The write does what the reference did: it is accepted, or refused with the same kind of error.
    fn same(
        &self,
        bed: &TestBed<'_>,
        log: &Probe,
        expected: Result<()>,
        write: impl FnOnce(&Probe) -> Submission,
    ) -> LawResult {
        match expected {
            Ok(()) => write(&log.tracked(&self.tracker)).accepted().map(drop),
            Err(_) if !bed.has(Feature::Refusals) => Ok(()),
            Err(error) => write(log).refused(error.kind()).map(drop),
        }
    }

    fn compare(&self) -> LawResult {
        for &group in self.groups {
            let log = self.session().group(group)?;
            let memory = &self.reference.memory;
            ensure_eq!(
                log.bounds()?,
                memory.bounds(group)?,
                "bounds of group {group}"
            );
            let expected = memory.read(group, IndexRange::new(..), u64::MAX)?;
            expect_entries(&log.read(..)?, &expected)
                .map_err(|violation| violation.context(format!("group {group}")))?;
            for key in self.keys.iter().chain([&StableKey::PURGED]) {
                let (found, expected) = (log.get(key)?, memory.get(group, key)?);
                ensure_eq!(found, expected, "stable key {key} of group {group}");
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Reference {
    memory: MemoryBackend,
    sequence: u64,
}

impl Reference {
    fn apply(&mut self, op: Op) -> Result<()> {
        self.memory.commit(&Batch {
            sequence: self.sequence + 1,
            ops: vec![op],
        })?;
        self.sequence += 1;
        Ok(())
    }

    fn append(&mut self, group: GroupId, entries: Vec<Entry>) -> Result<()> {
        if entries.is_empty() {
            Ok(())
        } else {
            self.apply(Op::Append { group, entries })
        }
    }

    fn put(&mut self, group: GroupId, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        self.apply(Op::Put {
            group,
            key: key.clone(),
            value,
        })
    }
}
