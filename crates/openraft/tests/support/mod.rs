//! What the tests share: a type configuration, a state machine, and a store whose disk obeys them.

#![allow(dead_code, unused_imports)] // each test crate uses its own part

mod held_group;
mod state_machine;

use std::io;
use std::time::Duration;

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::type_config::TypeConfigExt;
use openraft::vote::{RaftLeaderId, RaftVote};
use raft_logstore_core::{GroupId, LogStore, MemoryBackend, StableStore};
use raft_logstore_openraft::{LogReader, MessagePack, RaftLog};
use raft_logstore_pipeline::{Group, Store, StoreConfig};
use tokio::sync::oneshot;

pub(crate) use held_group::{HeldGroup, Point};
pub(crate) use state_machine::StateMachine;

openraft::declare_raft_types!(pub(crate) TypeConfig: D = String, R = ());

pub(crate) type Entry = EntryOf<TypeConfig>;
pub(crate) type LogId = LogIdOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;
pub(crate) type Log<S = Group> = RaftLog<TypeConfig, S>;
pub(crate) type Reader<S = Group> = LogReader<TypeConfig, S, MessagePack>;
pub(crate) type Answer = oneshot::Receiver<io::Result<()>>;

type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;

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

pub(crate) fn id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId::new(term, 0).to_committed(), index)
}

pub(crate) fn vote(term: u64) -> Vote {
    Vote::from_leader_id(LeaderId::new(term, 0), false)
}

pub(crate) fn entry(term: u64, index: u64, data: impl Into<String>) -> Entry {
    Entry::new_normal(id(term, index), data.into())
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

/// The answer to an append, which must come.
pub(crate) async fn answered(answer: Answer) -> io::Result<()> {
    soon(answer).await.expect("the callback was dropped")
}

/// A callback and its answer.
pub(crate) fn callback() -> (IOFlushed<TypeConfig>, Answer) {
    let (sender, answer) = TypeConfig::oneshot();
    (IOFlushed::signal(sender), answer)
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
    entries.iter().map(|entry| entry.log_id()).collect()
}

/// The last purged and the last log id.
pub(crate) async fn state<S>(log: &mut Log<S>) -> (Option<LogId>, Option<LogId>)
where
    S: LogStore + StableStore + 'static,
{
    let state = log.get_log_state().await.unwrap();
    (state.last_purged_log_id, state.last_log_id)
}
