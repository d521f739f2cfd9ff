use std::fmt::{self, Debug};
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft_0_9::{
    ErrorSubject, ErrorVerb, OptionalSend, RaftLogReader, RaftTypeConfig, StorageError,
};
use raft_logstore_adapter::TypedLog;
use raft_logstore_core::{IndexRange, LogStore, StableStore};

use crate::storage_error::storage_error;
use crate::types::Types;
use crate::{MessagePack, RaftCodec};

/// Reads the log of a [`RaftLog`](crate::RaftLog).
///
/// A reader sees every write from the moment the writing call returns, durable or not. After a
/// failed commit whatever is not in memory is an error: a reader never shows the log going back to
/// what is durable. Clones share one cache.
pub struct LogReader<C: RaftTypeConfig, S: ?Sized, K = MessagePack> {
    pub(crate) log: Arc<TypedLog<Types<C>, S, K>>,
}

impl<C: RaftTypeConfig, S: ?Sized, K> Clone for LogReader<C, S, K> {
    fn clone(&self) -> Self {
        Self {
            log: Arc::clone(&self.log),
        }
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
    async fn try_get_log_entries<RB>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, StorageError<C::NodeId>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let entries = self.log.read(IndexRange::new(range)).await;
        entries.map_err(storage_error(ErrorSubject::Logs, ErrorVerb::Read))
    }

    /// The entries from `start` on, up to [`read_bytes`](crate::RaftLogConfig::read_bytes), at least
    /// one.
    ///
    /// Nothing when `start` is purged or not yet appended. openraft's contract wants no empty answer
    /// to a range that is not empty, but takes one for a heartbeat. An error would be fatal to the
    /// node, and entries from a later one on would leave a hole in the follower's log.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<C::Entry>, StorageError<C::NodeId>> {
        let entries = self.log.read_to_replicate(start, end).await;
        entries.map_err(storage_error(ErrorSubject::Logs, ErrorVerb::Read))
    }
}
