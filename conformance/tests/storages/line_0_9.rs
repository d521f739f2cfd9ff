use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

use openraft_0_9::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft_0_9::{EntryPayload, OptionalSend, RaftLogReader};
use raft_logstore_conformance::{StorageSubject, openraft_0_9 as line, text};

use super::StorageFault;
use super::memory::{Callbacks, Disks, Shared, lock};

openraft_0_9::declare_raft_types!(pub(super) TypeConfig: D = String, R = ());

type Entry = openraft_0_9::Entry<TypeConfig>;
type LogId = openraft_0_9::LogId<u64>;
type Vote = openraft_0_9::Vote<u64>;
type Result<T> = std::result::Result<T, openraft_0_9::StorageError<u64>>;

/// A store with one fault.
pub(crate) fn subject(fault: StorageFault) -> StorageSubject {
    let disks = Arc::new(Disks::new());
    line::subject::<TypeConfig, _, _, _>(
        move |dir| {
            let memory = disks.open(dir, fault);
            let callbacks = Callbacks::default();
            async move {
                Ok::<_, std::io::Error>(Faulty {
                    memory,
                    callbacks,
                    fault,
                })
            }
        },
        |bytes| text::encode(&bytes),
        |entry| match entry.payload {
            EntryPayload::Normal(data) => text::decode(&data),
            _ => None,
        },
    )
}

/// The storage, and without callbacks its readers.
struct Faulty {
    memory: Shared<Entry, LogId, Vote>,
    callbacks: Callbacks,
    fault: StorageFault,
}

impl RaftLogStorage<TypeConfig> for Faulty {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>> {
        let (last_purged_log_id, last_log_id) = lock(&self.memory).state(self.fault);
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        let memory = match self.fault {
            StorageFault::FrozenReader => Arc::new(Mutex::new(lock(&self.memory).frozen())),
            _ => Arc::clone(&self.memory),
        };
        Self {
            memory,
            callbacks: Callbacks::default(),
            fault: self.fault,
        }
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<()> {
        lock(&self.memory).vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>> {
        Ok(lock(&self.memory).vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<()> {
        lock(&self.memory).committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>> {
        Ok(lock(&self.memory).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let whole = |entry: Entry| (entry.log_id.index, entry.log_id, entry);
        let entries = entries.into_iter().map(whole).collect();
        lock(&self.memory).append(entries, self.fault);
        let call = move || callback.log_io_completed(Ok(()));
        self.callbacks.call(call, self.fault);
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<()> {
        lock(&self.memory).truncate(log_id.index, self.fault);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<()> {
        lock(&self.memory).purge(log_id.index, log_id, self.fault);
        Ok(())
    }
}

impl RaftLogReader<TypeConfig> for Faulty {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(lock(&self.memory).read(range, self.fault))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>> {
        Ok(lock(&self.memory).limited(start, end, self.fault))
    }
}
