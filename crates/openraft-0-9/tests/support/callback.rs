use std::fmt::Debug;
use std::ops::RangeBounds;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use openraft_0_9::storage::{LogFlushed, LogState, RaftLogStorage, RaftLogStorageExt};
use openraft_0_9::{OptionalSend, RaftLogReader};

use super::{Entry, LogId, StorageError, TypeConfig, Vote};

/// The answer to an append. Panics when there is none, because the callback was dropped.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send>>;

/// A callback and its answer. openraft makes callbacks for a storage only, so one is caught there.
pub(crate) fn callback() -> (LogFlushed<TypeConfig>, Answer) {
    let mut catcher = Catcher::default();
    let caught = Arc::clone(&catcher.0);
    let mut answer: Answer = Box::pin(async move {
        let answer = catcher.blocking_append([]).await;
        let dropped = answer
            .as_ref()
            .is_err_and(|error| error.to_string().contains("channel closed"));
        assert!(!dropped, "the callback was dropped");
        answer
    });
    assert!((&mut answer).now_or_never().is_none(), "nobody answered");
    let callback = caught.lock().unwrap().take();
    (callback.expect("the storage was asked"), answer)
}

/// A storage that keeps the callback of an append, and nothing else.
#[derive(Default)]
struct Catcher(Arc<Mutex<Option<LogFlushed<TypeConfig>>>>);

impl RaftLogReader<TypeConfig> for Catcher {
    async fn try_get_log_entries<RB>(&mut self, _range: RB) -> Result<Vec<Entry>, StorageError>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        unreachable!()
    }
}

impl RaftLogStorage<TypeConfig> for Catcher {
    type LogReader = Self;

    async fn append<I>(
        &mut self,
        _entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        *self.0.lock().unwrap() = Some(callback);
        Ok(())
    }

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        unreachable!()
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        unreachable!()
    }

    async fn save_vote(&mut self, _vote: &Vote) -> Result<(), StorageError> {
        unreachable!()
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        unreachable!()
    }

    async fn truncate(&mut self, _log_id: LogId) -> Result<(), StorageError> {
        unreachable!()
    }

    async fn purge(&mut self, _log_id: LogId) -> Result<(), StorageError> {
        unreachable!()
    }
}
