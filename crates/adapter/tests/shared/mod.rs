//! What the tests of every adapter share. Included into the `support` module of each, which brings
//! the library's own part.

mod disk;
mod held_group;

use std::time::Duration;

use raft_logstore_core::{GroupId, LogStore, MemoryBackend, StableStore};
use raft_logstore_pipeline::{Store, StoreConfig};

pub(crate) use disk::Disk;
pub(crate) use held_group::{HeldGroup, Point};

use super::{
    Entry, Log, LogId, RaftLog, RaftLogReader, RaftLogStorage, RaftLogStorageExt, Reader, entry,
    id_of,
};

/// A store over `backend`, which outlives it.
pub(crate) async fn store(backend: &MemoryBackend) -> Store {
    Store::with_backend(backend.clone(), StoreConfig::default())
        .await
        .unwrap()
}

/// The log of group 1.
pub(crate) fn log(store: &Store) -> Log {
    RaftLog::new(store.group(GroupId(1)))
}

/// A log in memory that nothing else uses.
pub(crate) async fn fresh_log() -> Log {
    log(&store(&MemoryBackend::new()).await)
}

/// Small entries of one term, one for each index.
pub(crate) fn entries(term: u64, indexes: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    indexes
        .into_iter()
        .map(|index| entry(term, index, format!("{term}-{index}")))
        .collect()
}

/// Waits for what must happen soon, and fails the test when it does not.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), event)
        .await
        .expect("it did not happen within 10 seconds")
}

/// Appends and waits until the entries are durable.
pub(crate) async fn append<S>(log: &mut Log<S>, entries: Vec<Entry>)
where
    S: LogStore + StableStore + 'static,
{
    soon(log.blocking_append(entries)).await.unwrap();
}

/// The log ids inside a range.
pub(crate) async fn ids<S>(
    reader: &mut Reader<S>,
    range: impl std::ops::RangeBounds<u64> + Clone + std::fmt::Debug + Send,
) -> Vec<LogId>
where
    S: LogStore + StableStore + 'static,
{
    let entries = reader.try_get_log_entries(range).await.unwrap();
    entries.iter().map(id_of).collect()
}

/// The last purged and the last log id.
pub(crate) async fn state<S>(log: &mut Log<S>) -> (Option<LogId>, Option<LogId>)
where
    S: LogStore + StableStore + 'static,
{
    let state = log.get_log_state().await.unwrap();
    (state.last_purged_log_id, state.last_log_id)
}
