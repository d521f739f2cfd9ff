//! What is read while and after a commit fails, over the pipeline.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore,
    MemoryBackend, Result, StableKey,
};
use raft_logstore_pipeline::{Store, StoreConfig};

use crate::support::{
    Log, MessagePack, RaftLog, RaftLogConfig, RaftLogReader, RaftLogStorage, append, callback,
    entries, id, read_vote, soon, truncate_after, vote,
};

/// A disk whose commits wait, and then fail, when the test says so.
#[derive(Clone, Default)]
struct Disk {
    memory: MemoryBackend,
    mode: Arc<(Mutex<Mode>, Condvar)>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    #[default]
    Works,
    Waits,
    Fails,
}

impl Disk {
    fn set(&self, mode: Mode) {
        *self.mode.0.lock().unwrap() = mode;
        self.mode.1.notify_all();
    }
}

impl Backend for Disk {
    fn name(&self) -> &'static str {
        "disk"
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
        let mode = self.mode.0.lock().unwrap();
        let mode = self.mode.1.wait_while(mode, |mode| *mode == Mode::Waits);
        if *mode.unwrap() == Mode::Fails {
            return Err(Error::new(ErrorKind::Io, "commit"));
        }
        self.memory.commit(batch)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_never_shows_the_log_going_back() {
    // Ten entries are durable, the last few of them in the adapter's memory.
    let disk = Disk::default();
    let store = Store::with_backend(disk.clone(), StoreConfig::default())
        .await
        .unwrap();
    let config = RaftLogConfig {
        cache_bytes: 600,
        ..RaftLogConfig::default()
    };
    let group = Arc::new(store.group(GroupId(1)));
    let mut log: Log = RaftLog::with_config(group, MessagePack, &config);
    append(&mut log, entries(1, 1..=10)).await;
    log.save_vote(&vote(1)).await.unwrap();
    let mut reader = log.get_log_reader().await;

    // On a disk that waits: another group's write, whose completion takes its time, and behind it a
    // new history from entry 5 on.
    disk.set(Mode::Waits);
    let (entered, completing) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let slow = Completion::new(move |_| {
        entered.send(()).unwrap();
        // It also goes on when the test has failed and dropped the sender.
        let _gone = waits.lock().unwrap().recv();
    });
    let other = store.group(GroupId(2));
    other.append(vec![Entry::new(1, "x")], slow).await.unwrap();
    truncate_after(&mut log, Some(id(1, 4))).await.unwrap();
    log.save_committed(Some(id(1, 4))).await.unwrap();
    let (done, answer) = callback();
    log.append(entries(2, 5..=10), done).await.unwrap();

    // The commit fails. The store has gone back to the old history, and the adapter is not told yet.
    disk.set(Mode::Fails);
    completing.recv_timeout(Duration::from_secs(10)).unwrap();
    for range in [0..=u64::MAX, 1..=10, 1..=5, 9..=11, 11..=11] {
        let error = reader.try_get_log_entries(range).await.unwrap_err();
        assert!(error.to_string().contains("poisoned"), "{error}");
    }
    reader.limited_get_log_entries(5, 11).await.unwrap_err();
    read_vote(&mut log).await.unwrap_err();
    log.get_log_state().await.unwrap_err();
    log.read_committed().await.unwrap_err();
    truncate_after(&mut log, None).await.unwrap_err();
    // Memory still shows the newest history, as before the failure.
    let newest = reader.try_get_log_entries(10..=10).await.unwrap();
    assert_eq!(newest, entries(2, [10]));

    // Nor does it show later.
    go_on.send(()).unwrap();
    soon(answer).await.unwrap_err();
    for range in [0..=u64::MAX, 1..=10, 10..=10] {
        let error = reader.try_get_log_entries(range).await.unwrap_err();
        assert!(error.to_string().contains("poisoned"), "{error}");
    }
}
