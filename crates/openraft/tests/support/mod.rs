//! openraft 0.10 in the words of the shared tests, and a state machine.

#![allow(dead_code, unused_imports)] // each test crate uses its own part

#[path = "../../../adapter/tests/shared/mod.rs"]
mod shared;
mod state_machine;

use std::io;
use std::pin::Pin;

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::IOFlushed;
use openraft::type_config::TypeConfigExt;
use openraft::vote::{RaftLeaderId, RaftVote};
use raft_logstore_core::{Error, ErrorKind, LogStore, StableStore};
use raft_logstore_pipeline::Group;

pub(crate) use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
pub(crate) use raft_logstore_openraft::{
    Codec, CodecError, LogReader, MessagePack, RaftLog, RaftLogConfig,
};
pub(crate) use shared::*;
pub(crate) use state_machine::StateMachine;

openraft::declare_raft_types!(pub(crate) TypeConfig: D = String, R = ());

pub(crate) type Entry = EntryOf<TypeConfig>;
pub(crate) type LogId = LogIdOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;
pub(crate) type Log<S = Group> = RaftLog<TypeConfig, S>;
pub(crate) type Reader<S = Group> = LogReader<TypeConfig, S, MessagePack>;
pub(crate) type Answer = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;

pub(crate) fn id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId::new(term, 0).to_committed(), index)
}

pub(crate) fn id_of(entry: &Entry) -> LogId {
    entry.log_id()
}

pub(crate) fn vote(term: u64) -> Vote {
    Vote::from_leader_id(LeaderId::new(term, 0), false)
}

pub(crate) fn entry(term: u64, index: u64, data: impl Into<String>) -> Entry {
    Entry::new_normal(id(term, index), data.into())
}

pub(crate) fn blank(term: u64, index: u64) -> Entry {
    Entry::new_blank(id(term, index))
}

/// A callback and its answer, which must come.
pub(crate) fn callback() -> (IOFlushed<TypeConfig>, Answer) {
    let (sender, answer) = TypeConfig::oneshot();
    let answer = Box::pin(async { answer.await.expect("the callback was dropped") });
    (IOFlushed::signal(sender), answer)
}

/// Keeps `last` and what is before it; with `None`, nothing but what is purged.
pub(crate) async fn truncate_after<S>(log: &mut Log<S>, last: Option<LogId>) -> io::Result<()>
where
    S: LogStore + StableStore + 'static,
{
    log.truncate_after(last).await
}

pub(crate) async fn read_vote<S>(log: &mut Log<S>) -> io::Result<Option<Vote>>
where
    S: LogStore + StableStore + 'static,
{
    log.get_log_reader().await.read_vote().await
}

/// Whether an error is one of the store's of this kind.
pub(crate) fn is(error: &io::Error, kind: ErrorKind) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    cause.is_some_and(|cause: &Error| cause.kind() == kind)
        && error.kind() == io::Error::from(Error::new(kind, "")).kind()
}
