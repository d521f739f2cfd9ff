use std::fmt::{self, Debug};
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft_0_9::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft_0_9::{
    ErrorSubject, ErrorVerb, LogId, OptionalSend, RaftLogId, RaftLogReader, RaftTypeConfig,
    StorageError, Vote,
};
use raft_logstore_adapter::TypedLog;
use raft_logstore_core::{Completion, LogStore, StableStore};

use crate::storage_error::storage_error;
use crate::types::Types;
use crate::{LogReader, MessagePack, RaftCodec, RaftLogConfig};

/// The log storage of one openraft node, kept in one group of a store.
///
/// `S` is the group: anything that is [`LogStore`] and [`StableStore`], such as the pipeline's
/// `Group`. `K` is the [codec](crate::Codec).
///
/// Appends, truncates and purges return without waiting for the disk, in an order the store keeps;
/// the callback of an append is answered exactly once: `Ok` when the entries are durable, an error
/// when they cannot become so, also when the store is closed or dropped. A vote is durable when
/// [`save_vote`](RaftLogStorage::save_vote) returns. The committed log id is written with the next
/// batch, and reported only as far as the log is
/// [known to reach it](raft_logstore_adapter#committed).
///
/// After a failed commit writes are errors, and so is every read that memory cannot answer: see the
/// [shared documentation](raft_logstore_adapter#failure). Every error is a
/// [`StorageIOError`](openraft_0_9::StorageIOError) with the error of the store as its source.
///
/// The group must be written through one `RaftLog` at a time, and through nothing else. openraft's
/// feature `singlethreaded` is not supported: callbacks are answered on the thread that commits.
pub struct RaftLog<C: RaftTypeConfig, S: ?Sized, K = MessagePack> {
    reader: LogReader<C, S, K>,
}

impl<C, S> RaftLog<C, S>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore,
    MessagePack: RaftCodec<C>,
{
    /// The log kept in `group`, in MessagePack, with the default limits.
    pub fn new(group: S) -> Self {
        Self::with_codec(group, MessagePack)
    }
}

impl<C, S, K> RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore,
    K: RaftCodec<C>,
{
    /// The log kept in `group`, written by `codec`, with the default limits.
    pub fn with_codec(group: S, codec: K) -> Self {
        Self::with_config(Arc::new(group), codec, &RaftLogConfig::default())
    }
}

impl<C, S, K> RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized,
    K: RaftCodec<C>,
{
    /// The log kept in `group`, which may be a trait object, written by `codec`, with limits.
    pub fn with_config(group: Arc<S>, codec: K, config: &RaftLogConfig) -> Self {
        let log = Arc::new(TypedLog::new(group, codec, config));
        Self {
            reader: LogReader { log },
        }
    }
}

impl<C: RaftTypeConfig, S: ?Sized, K> RaftLog<C, S, K> {
    fn log(&self) -> &TypedLog<Types<C>, S, K> {
        &self.reader.log
    }
}

impl<C: RaftTypeConfig, S: ?Sized, K> Debug for RaftLog<C, S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftLog").finish_non_exhaustive()
    }
}

/// openraft 0.9 also reads through the storage itself; it reads as its [`LogReader`] does.
impl<C, S, K> RaftLogReader<C> for RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized + 'static,
    K: RaftCodec<C>,
{
    async fn try_get_log_entries<RB>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, StorageError<C::NodeId>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.reader.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<C::Entry>, StorageError<C::NodeId>> {
        self.reader.limited_get_log_entries(start, end).await
    }
}

impl<C, S, K> RaftLogStorage<C> for RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized + 'static,
    K: RaftCodec<C>,
{
    type LogReader = LogReader<C, S, K>;

    async fn get_log_state(&mut self) -> Result<LogState<C>, StorageError<C::NodeId>> {
        let state = self.log().state().await;
        let state = state.map_err(storage_error(ErrorSubject::Logs, ErrorVerb::Read))?;
        Ok(LogState {
            last_purged_log_id: state.last_purged,
            last_log_id: state.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<C::NodeId>) -> Result<(), StorageError<C::NodeId>> {
        let saved = self.log().save_vote(vote).await;
        saved.map_err(storage_error(ErrorSubject::Vote, ErrorVerb::Write))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<C::NodeId>>, StorageError<C::NodeId>> {
        let vote = self.log().read_vote().await;
        vote.map_err(storage_error(ErrorSubject::Vote, ErrorVerb::Read))
    }

    async fn save_committed(
        &mut self,
        committed: Option<LogId<C::NodeId>>,
    ) -> Result<(), StorageError<C::NodeId>> {
        let saved = self.log().save_committed(committed.as_ref()).await;
        saved.map_err(storage_error(ErrorSubject::Store, ErrorVerb::Write))
    }

    async fn read_committed(
        &mut self,
    ) -> Result<Option<LogId<C::NodeId>>, StorageError<C::NodeId>> {
        let committed = self.log().read_committed().await;
        committed.map_err(storage_error(ErrorSubject::Store, ErrorVerb::Read))
    }

    /// Entries at or below the purged log id are left out: they are committed and gone, and openraft's
    /// suite appends such an entry and expects no error.
    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<C>,
    ) -> Result<(), StorageError<C::NodeId>>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let done = Completion::new(|result| {
            callback.log_io_completed(result.map_err(io::Error::from));
        });
        let write_error = storage_error(ErrorSubject::Logs, ErrorVerb::Write);
        let start = match self.log().start().await {
            Ok(start) => start,
            Err(error) => {
                done.complete(Err(error.clone()));
                return Err(write_error(error));
            }
        };
        let entries = entries
            .into_iter()
            .skip_while(|entry| entry.get_log_id().index < start);
        let appended = self.log().append(entries, |result| done.complete(result));
        appended.await.map_err(write_error)
    }

    /// Drops the entry at the index of `log_id` and everything after it.
    async fn truncate(&mut self, log_id: LogId<C::NodeId>) -> Result<(), StorageError<C::NodeId>> {
        let truncated = self.log().truncate(log_id.index).await;
        truncated.map_err(storage_error(ErrorSubject::Logs, ErrorVerb::Delete))
    }

    async fn purge(&mut self, log_id: LogId<C::NodeId>) -> Result<(), StorageError<C::NodeId>> {
        let purged = self.log().purge(&log_id).await;
        purged.map_err(storage_error(ErrorSubject::Logs, ErrorVerb::Delete))
    }
}
