use std::fmt::{self, Debug};
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::alias::VoteOf;
use openraft::storage::RaftLogReader;
use openraft::{OptionalSend, RaftTypeConfig};
use raft_logstore_adapter::TypedLog;
use raft_logstore_core::{IndexRange, LogStore, StableStore};

use crate::types::Types;
use crate::{MessagePack, RaftCodec};

/// Reads the log and the vote of a [`RaftLog`](crate::RaftLog).
///
/// A reader sees every write from the moment the writing call returns, durable or not. After a
/// failed commit whatever is not in memory is an error: a reader never shows the log going back to
/// what is durable. Clones share one cache.
pub struct LogReader<C: RaftTypeConfig, S: ?Sized, K = MessagePack> {
    log: Arc<TypedLog<Types<C>, S, K>>,
}

impl<C: RaftTypeConfig, S: ?Sized, K> LogReader<C, S, K> {
    pub(crate) fn new(log: Arc<TypedLog<Types<C>, S, K>>) -> Self {
        Self { log }
    }
}

impl<C: RaftTypeConfig, S: ?Sized, K> Clone for LogReader<C, S, K> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.log))
    }
}

impl<C: RaftTypeConfig, S: ?Sized, K> Debug for LogReader<C, S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").finish_non_exhaustive()
    }
}

impl<C, S, K> RaftLogReader<C> for LogReader<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized + 'static,
    K: RaftCodec<C>,
{
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<C::Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self.log.read(IndexRange::new(range)).await?)
    }

    /// The entries from `start` on, up to [`read_bytes`](crate::RaftLogConfig::read_bytes), at least
    /// one.
    ///
    /// Nothing when `start` is purged or not yet appended. That departs from openraft's contract,
    /// which wants no empty answer to a range that is not empty; openraft takes it for a heartbeat
    /// and goes on. The alternatives are worse: an error is fatal to the node, and a later first
    /// entry leaves a hole, because it would look like the successor of `start - 1` to the follower
    /// it is sent to.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<C::Entry>> {
        Ok(self.log.read_to_replicate(start, end).await?)
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<C>>> {
        Ok(self.log.read_vote().await?)
    }
}
