//! openraft 0.9 in the words of the shared tests, and a state machine.

#![allow(dead_code, unused_imports)] // each test crate uses its own part

mod callback;
#[path = "../../../adapter/tests/shared/mod.rs"]
mod shared;
mod state_machine;

use std::io::Cursor;

use openraft_0_9::entry::RaftEntry;
use openraft_0_9::{CommittedLeaderId, EntryPayload, LogIdOptionExt};
use raft_logstore_core::{Error, ErrorKind, LogStore, StableStore};
use raft_logstore_pipeline::Group;

pub(crate) use callback::{Answer, callback};
pub(crate) use openraft_0_9::RaftLogReader;
pub(crate) use openraft_0_9::storage::{RaftLogStorage, RaftLogStorageExt};
pub(crate) use raft_logstore_openraft_0_9::{
    Codec, CodecError, LogReader, MessagePack, RaftLog, RaftLogConfig,
};
pub(crate) use shared::*;
pub(crate) use state_machine::StateMachine;

openraft_0_9::declare_raft_types!(pub(crate) TypeConfig: D = String, R = ());

pub(crate) type Entry = openraft_0_9::Entry<TypeConfig>;
pub(crate) type LogId = openraft_0_9::LogId<u64>;
pub(crate) type Vote = openraft_0_9::Vote<u64>;
pub(crate) type StorageError = openraft_0_9::StorageError<u64>;
pub(crate) type Log<S = Group> = RaftLog<TypeConfig, S>;
pub(crate) type Reader<S = Group> = LogReader<TypeConfig, S, MessagePack>;

pub(crate) fn id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 0), index)
}

pub(crate) fn id_of(entry: &Entry) -> LogId {
    entry.log_id
}

pub(crate) fn vote(term: u64) -> Vote {
    Vote::new(term, 0)
}

pub(crate) fn entry(term: u64, index: u64, data: impl Into<String>) -> Entry {
    Entry {
        log_id: id(term, index),
        payload: EntryPayload::Normal(data.into()),
    }
}

pub(crate) fn blank(term: u64, index: u64) -> Entry {
    Entry::new_blank(id(term, index))
}

/// Keeps `last` and what is before it; with `None`, nothing but what is purged.
pub(crate) async fn truncate_after<S>(
    log: &mut Log<S>,
    last: Option<LogId>,
) -> Result<(), StorageError>
where
    S: LogStore + StableStore + 'static,
{
    let since = match last {
        Some(last) => last.index.saturating_add(1),
        None => log.get_log_state().await?.last_purged_log_id.next_index(),
    };
    log.truncate(id(9, since)).await // the index alone counts
}

pub(crate) async fn read_vote<S>(log: &mut Log<S>) -> Result<Option<Vote>, StorageError>
where
    S: LogStore + StableStore + 'static,
{
    log.read_vote().await
}

/// Whether an error is one of the store's of this kind, of which openraft 0.9 keeps the text.
pub(crate) fn is(error: &StorageError, kind: ErrorKind) -> bool {
    error
        .to_string()
        .contains(&Error::new(kind, "").to_string())
}
