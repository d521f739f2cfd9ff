use std::fmt;
use std::io;
use std::sync::Arc;

use openraft::alias::{LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftTypeConfig};
use raft_logstore_adapter::TypedLog;
use raft_logstore_core::{LogStore, Result, StableStore};

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
/// [shared documentation](raft_logstore_adapter#failure).
///
/// The group must be written through one `RaftLog` at a time, and through nothing else. openraft's
/// feature `single-threaded` is not supported: callbacks are answered on the thread that commits.
pub struct RaftLog<C: RaftTypeConfig, S: ?Sized, K = MessagePack> {
    log: Arc<TypedLog<Types<C>, S, K>>,
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
        Self {
            log: Arc::new(TypedLog::new(group, codec, config)),
        }
    }
}

impl<C: RaftTypeConfig, S: ?Sized, K> fmt::Debug for RaftLog<C, S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftLog").finish_non_exhaustive()
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

    async fn get_log_state(&mut self) -> io::Result<LogState<C>> {
        let state = self.log.state().await?;
        Ok(LogState {
            last_purged_log_id: state.last_purged,
            last_log_id: state.last,
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        LogReader::new(Arc::clone(&self.log))
    }

    async fn save_vote(&mut self, vote: &VoteOf<C>) -> io::Result<()> {
        Ok(self.log.save_vote(vote).await?)
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<C>>) -> io::Result<()> {
        Ok(self.log.save_committed(committed.as_ref()).await?)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<C>>> {
        Ok(self.log.read_committed().await?)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> io::Result<()>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let answer = |result: Result<()>| callback.io_completed(result.map_err(io::Error::from));
        Ok(self.log.append(entries, answer).await?)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogIdOf<C>>) -> io::Result<()> {
        let from = match last_log_id {
            Some(last) => last.index.saturating_add(1),
            // All there is; what is purged stays purged.
            None => self.log.start().await?,
        };
        Ok(self.log.truncate(from).await?)
    }

    async fn purge(&mut self, log_id: LogIdOf<C>) -> io::Result<()> {
        Ok(self.log.purge(&log_id).await?)
    }
}
