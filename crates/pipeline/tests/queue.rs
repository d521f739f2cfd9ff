//! The queue, with a disk that stands still.

// Helpers of tests state what they expect by unwrapping, like the tests.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;
use raft_logstore_core::{
    Backend, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore,
    LogStoreExt, MemoryBackend, Result, StableKey, StableStore, StableStoreExt,
};
use raft_logstore_pipeline::{Store, StoreConfig, Submitted};

const GROUP: GroupId = GroupId(1);
const SMALL_QUEUE: u64 = 64 << 10;

/// Memory whose commits wait while the gate is shut, and whose group 13 is damaged. There is always work to do in the
/// background.
#[derive(Clone, Default)]
struct Gated {
    memory: MemoryBackend,
    shut: Arc<(Mutex<bool>, Condvar)>,
    fails: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
    /// Commits and slices of background work that came after a commit has failed.
    late: Arc<AtomicU64>,
}

impl Gated {
    fn set(&self, shut: bool) {
        *self.shut.0.lock().unwrap() = shut;
        self.shut.1.notify_all();
    }

    fn note_late(&self) {
        if self.has_failed.load(Ordering::SeqCst) {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

const DAMAGED: GroupId = GroupId(13);

impl Backend for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }
    fn sequence(&self) -> Result<u64> {
        self.memory.sequence()
    }
    fn groups(&self) -> Result<Vec<GroupId>> {
        self.memory.groups()
    }
    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        if group == DAMAGED {
            return Err(Error::new(ErrorKind::Corrupt, "read bounds").with_group(group));
        }
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
        let (shut, changed) = &*self.shut;
        drop(
            changed
                .wait_while(shut.lock().unwrap(), |shut| *shut)
                .unwrap(),
        );
        self.note_late();
        if self.fails.load(Ordering::SeqCst) {
            self.has_failed.store(true, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::DiskFull, "commit"));
        }
        self.memory.commit(batch)
    }
    fn maintain(&self) -> Result<bool> {
        self.note_late();
        Ok(true)
    }
    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn store(backend: &Gated, queue_bytes: u64) -> Store {
    let config = StoreConfig {
        queue_bytes,
        ..StoreConfig::default()
    };
    block_on(Store::with_backend(backend.clone(), config)).unwrap()
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn lazy_writes_make_room_for_a_write_larger_than_the_queue() {
    let store = store(&Gated::default(), SMALL_QUEUE);
    let group = store.group(GROUP);
    block_on(group.put_lazy(&StableKey::COMMITTED, Some("1".into()))).unwrap();

    // It is let through alone, so the lazy one has to be written first.
    let large = Entry::new(1, vec![0; 2 * SMALL_QUEUE as usize]);
    block_on(group.append_durable(vec![large])).unwrap();
    block_on(store.close()).unwrap();
}

#[test]
fn lazy_writes_alone_never_fill_the_queue_for_good() {
    let store = store(&Gated::default(), SMALL_QUEUE);
    let group = store.group(GROUP);
    for index in 0..2_000u64 {
        let value = Bytes::copy_from_slice(&index.to_be_bytes());
        block_on(group.put_lazy(&StableKey::COMMITTED, Some(value))).unwrap();
    }
    block_on(group.set_u64(&StableKey::VOTE, 1)).unwrap();
    assert_eq!(
        block_on(group.get_u64(&StableKey::COMMITTED)).unwrap(),
        Some(1_999)
    );
    block_on(store.close()).unwrap();
}

#[test]
fn any_number_of_callers_may_stop_waiting_for_room() {
    let backend = Gated::default();
    let store = store(&backend, SMALL_QUEUE);
    let group = store.group(GROUP);
    let payload = || vec![0; SMALL_QUEUE as usize / 2];

    // The disk stands still and the queue is full.
    backend.set(true);
    block_on(group.append(vec![Entry::new(1, payload())], Completion::ignore())).unwrap();
    for _ in 0..100_000 {
        let append = group.append(vec![Entry::new(2, payload())], Completion::ignore());
        assert!(poll_once(append).is_pending(), "there is no room");
    }
    // A small write fits, since those before it have left.
    block_on(group.put_lazy(&StableKey::COMMITTED, Some("1".into()))).unwrap();

    backend.set(false);
    block_on(group.append_durable(vec![Entry::new(2, payload())])).unwrap();
    block_on(store.close()).unwrap();
    assert_eq!(store.stats().queue_bytes, 0, "all room was given back");
}

#[test]
fn empty_appends_take_room_too() {
    let backend = Gated::default();
    let store = store(&backend, SMALL_QUEUE);
    let group = store.group(GROUP);
    // The disk stands still with an entry, so nothing behind it is answered.
    backend.set(true);
    block_on(group.append(vec![Entry::new(1, "")], Completion::ignore())).unwrap();
    let accepted = (0..100_000)
        .take_while(|_| poll_once(group.append(Vec::new(), Completion::new(drop))).is_ready())
        .count();
    assert!(
        accepted < 1_000,
        "{accepted} empty appends wait in {SMALL_QUEUE} bytes"
    );

    backend.set(false);
    block_on(store.close()).unwrap();
}

#[test]
fn an_empty_append_that_nobody_waits_for_tells_whether_writes_are_taken_and_no_more() {
    let backend = Gated::default();
    let store = store(&backend, SMALL_QUEUE);
    let group = store.group(GROUP);
    let ask = || poll_once(group.append(Vec::new(), Completion::ignore()));
    let lazily = |value: &'static str| {
        block_on(group.put_lazy(&StableKey::COMMITTED, Some(value.into()))).unwrap();
    };

    // Beside a lazy write it starts no commit, and it waits for nothing.
    lazily("1");
    backend.set(true);
    assert!(matches!(ask(), Poll::Ready(Ok(()))));
    assert!(
        matches!(
            poll_once(group.append(Vec::new(), Completion::new(drop))),
            Poll::Ready(Ok(()))
        ),
        "one that somebody waits for is queued"
    );
    backend.set(false);
    block_on(group.set_u64(&StableKey::VOTE, 1)).unwrap();
    let commits = store.stats().commits;
    for _ in 0..100 {
        lazily("2");
        assert!(matches!(ask(), Poll::Ready(Ok(()))));
        thread::sleep(Duration::from_micros(100));
    }
    assert_eq!(store.stats().commits, commits);

    // After a failure it is refused.
    backend.fails.store(true, Ordering::SeqCst);
    block_on(group.set_u64(&StableKey::VOTE, 2)).unwrap_err();
    match ask() {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Poisoned),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_append_that_no_commit_can_hold_is_refused_and_changes_nothing() {
    let store = store(&Gated::default(), SMALL_QUEUE);
    let group = store.group(GROUP);
    // 33 entries of 64 MiB, which share their payload.
    let payload = Bytes::from(vec![0; 64 << 20]);
    let entries = (1..=33).map(|index| Entry::new(index, payload.clone()));
    let error = block_on(group.append_durable(entries.collect())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(block_on(group.bounds()).unwrap(), Bounds::default());
    block_on(group.append_durable(vec![Entry::new(1, "x")])).unwrap();
}

#[test]
fn a_damaged_group_whose_drop_fails_is_still_damaged() {
    let backend = Gated::default();
    let first = store(&backend, SMALL_QUEUE);
    block_on(
        first
            .group(DAMAGED)
            .append_durable(vec![Entry::new(1, "x")]),
    )
    .unwrap();
    block_on(first.close()).unwrap();

    let store = store(&backend, SMALL_QUEUE);
    backend.fails.store(true, Ordering::SeqCst);
    block_on(store.drop_group(DAMAGED)).unwrap_err();
    let damaged = store.group(DAMAGED);
    for outcome in [
        block_on(damaged.bounds()).map(drop),
        block_on(damaged.entries(..)).map(drop),
        block_on(damaged.get(&StableKey::VOTE)).map(drop),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_damaged_group_leaves_the_others_alone_and_can_be_dropped() {
    // Group 13 has entries that cannot be read when the store is opened.
    let backend = Gated::default();
    let first = store(&backend, SMALL_QUEUE);
    for id in [GROUP, DAMAGED] {
        block_on(first.group(id).append_durable(vec![Entry::new(1, "x")])).unwrap();
    }
    block_on(first.close()).unwrap();

    let store = store(&backend, SMALL_QUEUE);
    let damaged = store.group(DAMAGED);
    let refused = [
        block_on(damaged.bounds()).map(drop),
        block_on(damaged.entries(..)).map(drop),
        block_on(damaged.get(&StableKey::VOTE)).map(drop),
        block_on(damaged.set_u64(&StableKey::VOTE, 1)),
        block_on(damaged.append_durable(vec![Entry::new(2, "y")])),
        block_on(damaged.purge_durable(1, Bytes::new())),
    ];
    for outcome in refused {
        let error = outcome.unwrap_err();
        assert_eq!(
            (error.kind(), error.group()),
            (ErrorKind::Corrupt, Some(DAMAGED))
        );
    }
    block_on(store.group(GROUP).append_durable(vec![Entry::new(2, "y")])).unwrap();

    // What is given up on purpose starts anew.
    block_on(store.drop_group(DAMAGED)).unwrap();
    block_on(damaged.append_durable(vec![Entry::new(7, "z")])).unwrap();
    assert_eq!(block_on(damaged.first_index()).unwrap(), Some(7));
    block_on(store.close()).unwrap();
}

#[test]
fn a_lazy_write_that_got_the_last_room_does_not_hold_up_the_one_behind_it() {
    let backend = Gated::default();
    let store = store(&backend, SMALL_QUEUE);
    let payload = || vec![0; 50 << 10];
    let waits = |count| {
        while store.stats().waits < count {
            thread::yield_now();
        }
    };

    // The disk stands still and the queue is full; a lazy write waits, and a large one behind it.
    backend.set(true);
    let group = store.group(GROUP);
    block_on(group.append(vec![Entry::new(1, payload())], Completion::ignore())).unwrap();
    let lazy = group.clone();
    let lazy = thread::spawn(move || {
        let value = Bytes::from(vec![0; 20 << 10]);
        block_on(lazy.put_lazy(&StableKey::COMMITTED, Some(value)))
    });
    waits(1);
    let (answer, answered) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let appended = block_on(group.append_durable(vec![Entry::new(2, payload())]));
        answer.send(appended).unwrap();
    });
    waits(2);

    // With the disk back, the lazy write gets room and the large one does not, until it is written.
    backend.set(false);
    lazy.join().unwrap().unwrap();
    let limit = Duration::from_secs(10);
    answered
        .recv_timeout(limit)
        .expect("it is not held up")
        .unwrap();
    block_on(store.close()).unwrap();
}

#[test]
fn no_background_work_is_done_after_a_thread_that_blocks_has_failed() {
    let backend = Gated::default();
    let store = store(&backend, SMALL_QUEUE);
    let group = store.group(GROUP).blocking();
    let append = |index| {
        let entries = vec![Entry::new(index, "x")];
        group.append(entries).and_then(Submitted::wait)
    };
    // Background work is owed a turn from the 256th commit on.
    (1..256).for_each(|index| append(index).unwrap());

    // While a thread is in that commit, the writer thread wakes up and waits for it to end.
    backend.set(true);
    thread::scope(|scope| {
        let failing = scope.spawn(|| append(256));
        thread::sleep(Duration::from_millis(50));
        let woken = Completion::ignore();
        block_on(group.group().put(&StableKey::VOTE, None, woken)).unwrap();
        thread::sleep(Duration::from_millis(50));
        backend.fails.store(true, Ordering::SeqCst);
        backend.set(false);
        let error = failing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull);
    });
    block_on(store.close()).unwrap();
    assert_eq!(backend.late.load(Ordering::SeqCst), 0);
}
