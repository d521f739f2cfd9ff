use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;

use hiqlite_wal::{LogStore, LogSync, ShutdownHandle};
use openraft_0_9::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft_0_9::{EntryPayload, LogId, OptionalSend, RaftLogReader, StorageError, Vote};
use raft_logstore_conformance::{Feature, openraft_0_9 as line, text};

use crate::Peer;

openraft_0_9::declare_raft_types!(TypeConfig: D = String, R = ());

/// Its README recommends a larger one; the laws write little.
const WAL_BYTES: u32 = 16 << 20;

pub(crate) fn peer() -> Peer {
    let subject = line::subject::<TypeConfig, _, _, _>(
        |dir| async move {
            let path = dir.to_string_lossy().into_owned();
            let store = LogStore::start(path, LogSync::Immediate, WAL_BYTES).await?;
            Ok::<_, hiqlite_wal::error::Error>(Closing(Some(store)))
        },
        |bytes| text::encode(&bytes),
        |entry| match entry.payload {
            EntryPayload::Normal(data) => text::decode(&data),
            _ => None,
        },
    );
    Peer {
        name: "hiqlite-wal 0.15.1",
        line: "0.9",
        subject: subject.without(Feature::Committed, "does not implement save_committed"),
    }
}

type Result<T> = std::result::Result<T, StorageError<u64>>;

/// A store that is shut down when it is dropped: it must not be left to itself, or the directory stays
/// locked.
struct Closing(Option<LogStore<TypeConfig>>);

impl Closing {
    fn store(&mut self) -> &mut LogStore<TypeConfig> {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let handle: Option<ShutdownHandle> = self.0.take().map(|store| store.shutdown_handle());
        let Some(handle) = handle else { return };
        let runtime = tokio::runtime::Handle::current();
        let shut_down = std::thread::spawn(move || {
            runtime.block_on(async move {
                // A writer that is gone has let go already.
                drop(handle.shutdown().await);
            })
        });
        drop(shut_down.join());
    }
}

impl RaftLogReader<TypeConfig> for Closing {
    async fn try_get_log_entries<RB>(
        &mut self,
        range: RB,
    ) -> Result<Vec<openraft_0_9::Entry<TypeConfig>>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.store().try_get_log_entries(range).await
    }
}

impl RaftLogStorage<TypeConfig> for Closing {
    type LogReader = <LogStore<TypeConfig> as RaftLogStorage<TypeConfig>>::LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>> {
        self.store().get_log_state().await
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.store().get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<()> {
        self.store().save_vote(vote).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>> {
        self.store().read_vote().await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<()>
    where
        I: IntoIterator<Item = openraft_0_9::Entry<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.store().append(entries, callback).await
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<()> {
        self.store().truncate(log_id).await
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<()> {
        self.store().purge(log_id).await
    }
}
