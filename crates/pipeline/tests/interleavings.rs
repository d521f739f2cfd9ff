//! The whole store explored under many interleavings of its threads.
//!
//! The crate's own sources are compiled here against `shuttle`, which runs every lock, wait and
//! thread of a scenario under a scheduler of its own, many schedules each; a wait with a timeout waits for ever. A failure
//! prints the schedule that replays it. `RAFT_LOGSTORE_SCHEDULES` sets how many are tried.

// Each source file is used whole; a scenario needs only some of it.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]

#[path = "../src/blocking.rs"]
mod blocking;
#[path = "../src/committer.rs"]
mod committer;
#[path = "../src/config.rs"]
mod config;
#[path = "../src/directory.rs"]
mod directory;
#[path = "../src/evictor.rs"]
mod evictor;
#[path = "../src/group.rs"]
mod group;
#[path = "../src/linger.rs"]
mod linger;
#[path = "../src/panics.rs"]
mod panics;
#[path = "../src/progress.rs"]
mod progress;
#[path = "../src/queue.rs"]
mod queue;
#[path = "../src/readers.rs"]
mod readers;
#[path = "../src/stats.rs"]
mod stats;
#[path = "../src/store.rs"]
mod store;
#[path = "../src/tail.rs"]
mod tail;
#[path = "../src/watermark.rs"]
mod watermark;
#[path = "../src/writer.rs"]
mod writer;

/// What `src/sync.rs` names, under shuttle's control.
mod sync {
    pub(crate) use std::sync::{Arc, PoisonError, TryLockError};

    pub(crate) use shuttle::future::block_on;
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use shuttle::thread;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        match mutex.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

pub use blocking::{BlockingGroup, Submitted};
pub use config::StoreConfig;
pub use group::Group;
pub use stats::StoreStats;
pub use store::Store;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore,
    LogStoreExt, MemoryBackend, Result, StableKey, StableStore, StableStoreExt,
};
use shuttle::future::block_on;
use shuttle::thread;

fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("RAFT_LOGSTORE_SCHEDULES").map_or(2000, |count| {
        count.parse().expect("RAFT_LOGSTORE_SCHEDULES is a number")
    });
    shuttle::check_pct(scenario, schedules, 3);
}

fn store_over(backend: impl Backend, config: StoreConfig) -> Store {
    block_on(Store::with_backend(backend, config)).expect("the store opens")
}

fn one_reader() -> StoreConfig {
    StoreConfig {
        reader_threads: 1,
        ..StoreConfig::default()
    }
}

fn entry(index: u64, payload: &'static [u8]) -> Vec<Entry> {
    vec![Entry::new(index, payload)]
}

/// A commit holds no more than one [`large_entry`].
fn one_large_write_a_commit() -> StoreConfig {
    StoreConfig {
        batch_bytes: LARGE as u64,
        ..one_reader()
    }
}

fn large_entry(index: u64) -> Vec<Entry> {
    static PAYLOAD: [u8; LARGE] = [0; LARGE];
    entry(index, &PAYLOAD)
}

const LARGE: usize = 64 << 10;

/// Memory that fails every commit from the `nth` on, and never runs out of work in the background.
struct Failing {
    memory: MemoryBackend,
    nth: u64,
    slices: Arc<AtomicU64>,
}

impl Failing {
    fn from(nth: u64) -> Self {
        Self {
            memory: MemoryBackend::new(),
            nth,
            slices: Arc::default(),
        }
    }
}

impl Backend for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }
    fn sequence(&self) -> Result<u64> {
        self.memory.sequence()
    }
    fn groups(&self) -> Result<Vec<GroupId>> {
        self.memory.groups()
    }
    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        self.memory.bounds(group)
    }
    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.memory.read(group, range, max_bytes)
    }
    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        self.memory.get(group, key)
    }
    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        self.memory.stable_keys(group)
    }
    fn commit(&self, batch: &Batch) -> Result<()> {
        if batch.sequence >= self.nth {
            return Err(Error::new(ErrorKind::DiskFull, "commit"));
        }
        self.memory.commit(batch)
    }
    fn maintain(&self) -> Result<bool> {
        self.slices.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }
    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_acknowledged_write_is_in_the_backend_whatever_the_interleaving() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let callers: Vec<_> = (1..=2)
            .map(|id| {
                let (group, memory) = (store.group(GroupId(id)), memory.clone());
                thread::spawn(move || {
                    block_on(group.set(&StableKey::VOTE, Bytes::from_static(b"me"))).unwrap();
                    assert!(memory.get(group.id(), &StableKey::VOTE).unwrap().is_some());
                    for index in 1..=2 {
                        block_on(group.append_durable(entry(index, b"x"))).unwrap();
                        assert_eq!(memory.bounds(group.id()).unwrap().last(), Some(index));
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        block_on(store.close()).unwrap();
    });
}

#[test]
fn completions_fire_in_submission_order_with_many_in_flight() {
    explore(|| {
        let store = store_over(MemoryBackend::new(), one_reader());
        let group = store.group(GroupId(1));
        let fired = Arc::new(AtomicU64::new(0));
        for index in 1..=4 {
            let fired = Arc::clone(&fired);
            let in_turn = Completion::new(move |result| {
                result.unwrap();
                // The n-th write completes as the n-th.
                assert_eq!(fired.fetch_add(1, Ordering::SeqCst) + 1, index);
            });
            block_on(group.append(entry(index, b"x"), in_turn)).unwrap();
            assert_eq!(
                block_on(group.last_index()).unwrap(),
                Some(index),
                "visible at once"
            );
        }
        block_on(store.close()).unwrap();
        assert_eq!(fired.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn a_close_races_with_writes_and_every_completion_tells_the_truth() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let group = store.group(GroupId(1));
        let writer = thread::spawn(move || {
            let (done, durable) = Completion::pending();
            let accepted = block_on(group.append(entry(1, b"x"), done)).is_ok();
            let outcome = block_on(durable);
            assert_eq!(accepted, outcome.is_ok(), "what close accepts, it writes");
            outcome.is_ok()
        });
        block_on(store.close()).unwrap();
        let acknowledged = writer.join().unwrap();
        assert_eq!(
            acknowledged,
            memory.bounds(GroupId(1)).unwrap().last() == Some(1)
        );
    });
}

#[test]
fn the_last_handle_going_away_answers_everything() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let group = store.group(GroupId(1));
        let (done, durable) = Completion::pending();
        block_on(group.append(entry(1, b"x"), done)).unwrap();
        drop((store, group));
        assert!(block_on(durable).is_ok(), "what was accepted is written");
        assert_eq!(memory.bounds(GroupId(1)).unwrap().last(), Some(1));
    });
}

#[test]
fn a_failed_commit_answers_everybody_and_shows_what_is_durable() {
    explore(|| {
        let store = store_over(Failing::from(2), one_reader());
        let group = store.group(GroupId(1));
        block_on(group.append_durable(entry(1, b"x"))).unwrap();

        // Two writers race into the failure.
        let other = {
            let group = store.group(GroupId(2));
            thread::spawn(move || {
                block_on(group.append_durable(entry(1, b"y")))
                    .unwrap_err()
                    .kind()
            })
        };
        let kind = block_on(group.append_durable(entry(2, b"z")))
            .unwrap_err()
            .kind();
        for kind in [kind, other.join().unwrap()] {
            assert!(
                matches!(kind, ErrorKind::DiskFull | ErrorKind::Poisoned),
                "{kind:?}"
            );
        }

        // Only the durable entry is left, and it can be read.
        assert_eq!(block_on(group.entries(..)).unwrap(), entry(1, b"x"));
        assert_eq!(
            block_on(group.set_u64(&StableKey::VOTE, 1))
                .unwrap_err()
                .kind(),
            ErrorKind::Poisoned
        );
        assert_eq!(block_on(store.groups()).unwrap(), [GroupId(1)]);
        block_on(store.close()).unwrap();
    });
}

#[test]
fn callers_waiting_for_room_all_get_in_or_are_refused() {
    explore(|| {
        let config = StoreConfig {
            queue_bytes: 64 << 10,
            ..one_reader()
        };
        let store = store_over(MemoryBackend::new(), config);
        let callers: Vec<_> = (1..=3)
            .map(|id| {
                let group = store.group(GroupId(id));
                thread::spawn(move || {
                    let payload = vec![0; 40 << 10];
                    block_on(group.append_durable(vec![Entry::new(1, payload)])).is_ok()
                })
            })
            .collect();

        // One more caller gives up while it waits, at whatever point that is.
        let quitter = store.group(GroupId(9));
        let mut turn =
            Box::pin(quitter.append(vec![Entry::new(1, vec![0; 40 << 10])], Completion::ignore()));
        let waker = std::task::Waker::noop();
        let _outcome_is_free = turn
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker));
        drop(turn);

        for caller in callers {
            assert!(caller.join().unwrap());
        }
        assert_eq!(
            block_on(store.groups()).unwrap()[..3],
            [GroupId(1), GroupId(2), GroupId(3)]
        );
        block_on(store.close()).unwrap();
        assert_eq!(store.stats().queue_bytes, 0, "all room was given back");
    });
}

#[test]
fn a_read_of_the_disk_never_mixes_a_log_with_its_rewrite() {
    explore(|| {
        // Nothing durable stays in memory, so that reads go to the backend.
        let store = store_over(
            MemoryBackend::new(),
            StoreConfig {
                cache_bytes: 0,
                ..one_reader()
            },
        );
        let group = store.group(GroupId(1));
        let old = vec![
            Entry::new(1, "old"),
            Entry::new(2, "old"),
            Entry::new(3, "old"),
        ];
        block_on(group.append_durable(old)).unwrap();

        let rewriter = {
            let group = group.clone();
            thread::spawn(move || {
                block_on(group.truncate(2, Completion::ignore())).unwrap();
                let new = vec![Entry::new(2, "new"), Entry::new(3, "new")];
                block_on(group.append_durable(new)).unwrap();
            })
        };
        for _ in 0..2 {
            let seen: Vec<_> = block_on(group.entries(..))
                .unwrap()
                .into_iter()
                .map(|entry| (entry.index, entry.payload))
                .collect();
            let state = |payload: &'static str, to| {
                [(1, Bytes::from("old"))]
                    .into_iter()
                    .chain((2..=to).map(move |index| (index, Bytes::from(payload))))
                    .collect::<Vec<_>>()
            };
            assert!(
                [state("old", 3), state("old", 1), state("new", 3)].contains(&seen),
                "{seen:?}"
            );
        }
        rewriter.join().unwrap();
        block_on(store.close()).unwrap();
    });
}

#[test]
fn a_dropped_group_is_gone_for_every_reader_at_once() {
    explore(|| {
        let store = store_over(MemoryBackend::new(), one_reader());
        let group = store.group(GroupId(1));
        block_on(group.append_durable(entry(1, b"x"))).unwrap();
        block_on(group.set_u64(&StableKey::VOTE, 7)).unwrap();

        let dropping = {
            let store = store.clone();
            thread::spawn(move || block_on(store.drop_group(GroupId(1))).unwrap())
        };
        // Once one part of the group is seen to be gone, so is the other.
        if block_on(group.last_index()).unwrap().is_none() {
            assert_eq!(block_on(group.get_u64(&StableKey::VOTE)).unwrap(), None);
        }
        dropping.join().unwrap();
        assert_eq!(block_on(store.groups()).unwrap(), []);
        block_on(store.close()).unwrap();
    });
}

#[test]
fn threads_that_block_and_callers_that_do_not_share_one_queue() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let mut threads: Vec<_> = (1..=2)
            .map(|id| {
                let (group, memory) = (store.group(GroupId(id)).blocking(), memory.clone());
                thread::spawn(move || {
                    for index in 1..=2 {
                        // The later write is waited for; then both are durable.
                        let vote = Some(Bytes::from(index.to_string()));
                        let put = group.put(&StableKey::VOTE, vote.clone()).unwrap();
                        group.append(entry(index, b"x")).unwrap().wait().unwrap();
                        assert_eq!(memory.bounds(GroupId(id)).unwrap().last(), Some(index));
                        assert_eq!(memory.get(GroupId(id), &StableKey::VOTE).unwrap(), vote);
                        put.wait().unwrap();
                    }
                })
            })
            .collect();
        let group = store.group(GroupId(3));
        threads.push(thread::spawn(move || {
            for index in 1..=2 {
                block_on(group.append_durable(entry(index, b"x"))).unwrap();
                assert_eq!(memory.bounds(group.id()).unwrap().last(), Some(index));
            }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
        block_on(store.close()).unwrap();
    });
}

#[test]
fn threads_that_block_are_woken_also_when_a_commit_has_no_room_for_all() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_large_write_a_commit());
        let threads: Vec<_> = (1..=3)
            .map(|id| {
                let (group, memory) = (store.group(GroupId(id)), memory.clone());
                thread::spawn(move || {
                    let submitted = group.blocking().append(large_entry(1));
                    submitted.unwrap().wait().unwrap();
                    assert_eq!(memory.bounds(group.id()).unwrap().last(), Some(1));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        block_on(store.close()).unwrap();
    });
}

#[test]
fn one_thread_that_blocks_waits_for_many_writes_in_any_order() {
    explore(|| {
        let store = store_over(MemoryBackend::new(), one_large_write_a_commit());
        let group = store.group(GroupId(1)).blocking();
        let append = |index| group.append(large_entry(index)).unwrap();
        let [first, second, third] = [1, 2, 3].map(append);
        second.wait().unwrap();
        third.wait().unwrap();
        first.wait().unwrap();
        block_on(store.close()).unwrap();
    });
}

#[test]
fn a_thread_that_blocks_without_a_pause_leaves_turns_to_background_work() {
    explore(|| {
        let backend = Failing::from(u64::MAX);
        let slices = Arc::clone(&backend.slices);
        let store = store_over(backend, one_reader());
        let group = store.group(GroupId(1)).blocking();
        for index in 1..=600 {
            group.append(entry(index, b"x")).unwrap().wait().unwrap();
        }
        assert!(slices.load(Ordering::SeqCst) >= 2, "one in 256 commits");
        block_on(store.close()).unwrap();
    });
}

#[test]
fn a_thread_that_commits_for_long_before_its_own_write_is_not_left_waiting() {
    explore(|| {
        // Background work is owed a turn while the thread commits what is in front of its write, a commit for each.
        let store = store_over(Failing::from(u64::MAX), one_large_write_a_commit());
        let group = store.group(GroupId(1)).blocking();
        let submitted: Vec<_> = (1..=300)
            .map(|index| group.append(large_entry(index)).unwrap())
            .collect();
        let mut last_first = submitted.into_iter().rev();
        last_first.try_for_each(Submitted::wait).unwrap();
        block_on(store.close()).unwrap();
    });
}

#[test]
fn statistics_hold_what_a_thread_was_told_is_durable() {
    explore(|| {
        let store = store_over(MemoryBackend::new(), one_reader());
        let told = Arc::new(AtomicU64::new(0));
        let threads = [1, 2, 3].map(|id| {
            let (store, told) = (store.clone(), Arc::clone(&told));
            thread::spawn(move || {
                let group = store.group(GroupId(id)).blocking();
                for index in 1..=2 {
                    group.append(entry(index, b"x")).unwrap().wait().unwrap();
                    let durable = told.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(store.stats().entries >= durable);
                }
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        block_on(store.close()).unwrap();
    });
}

#[test]
fn a_completion_may_let_go_of_the_store_and_of_writes_on_the_thread_that_commits() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let group = store.group(GroupId(1)).blocking();
        let dropped = store
            .group(GroupId(2))
            .blocking()
            .append(entry(1, b"y"))
            .unwrap();
        let lets_go = Completion::new(move |result| {
            result.unwrap();
            drop((dropped, store));
        });
        block_on(group.group().append(entry(1, b"x"), lets_go)).unwrap();
        let submitted = group.append(entry(2, b"x")).unwrap();
        drop(group);
        submitted.wait().unwrap();
        assert_eq!(memory.bounds(GroupId(1)).unwrap().last(), Some(2));
    });
}

#[test]
fn a_write_that_nobody_waits_for_any_more_is_written_all_the_same() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let dropped = store.group(GroupId(1)).blocking().append(entry(1, b"x"));
        drop(dropped.unwrap());
        while memory.bounds(GroupId(1)).unwrap().last().is_none() {
            thread::yield_now();
        }
        block_on(store.close()).unwrap();
    });
}

#[test]
fn a_thread_that_blocks_is_told_of_the_failure_and_of_the_close() {
    explore(|| {
        let store = store_over(Failing::from(2), one_reader());
        let write = |id: u64| {
            let group = store.group(GroupId(id)).blocking();
            move || group.append(entry(1, b"x")).and_then(Submitted::wait)
        };
        write(1)().unwrap();
        // Two race into the failure. The one whose commit it was is told the cause, the other one the same or that it
        // came too late.
        let other = thread::spawn(write(2));
        let kinds = [write(3)(), other.join().unwrap()].map(|outcome| outcome.unwrap_err().kind());
        assert!(kinds.contains(&ErrorKind::DiskFull), "{kinds:?}");
        for kind in kinds {
            assert!(
                matches!(kind, ErrorKind::DiskFull | ErrorKind::Poisoned),
                "{kind:?}"
            );
        }

        let late = store.group(GroupId(1)).blocking();
        block_on(store.close()).unwrap();
        assert_eq!(
            late.append(entry(2, b"x")).unwrap_err().kind(),
            ErrorKind::Closed
        );
    });
}

#[test]
fn a_close_races_with_a_thread_that_blocks_and_it_is_told_the_truth() {
    explore(|| {
        let memory = MemoryBackend::new();
        let store = store_over(memory.clone(), one_reader());
        let group = store.group(GroupId(1)).blocking();
        let writer = thread::spawn(move || match group.append(entry(1, b"x")) {
            Ok(submitted) => {
                submitted.wait().expect("what close accepts, it writes");
                true
            }
            Err(refused) => {
                assert_eq!(refused.kind(), ErrorKind::Closed);
                false
            }
        });
        block_on(store.close()).unwrap();
        let acknowledged = writer.join().unwrap();
        assert_eq!(
            acknowledged,
            memory.bounds(GroupId(1)).unwrap().last() == Some(1)
        );
    });
}
