use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use raft_logstore_conformance::{StorageSubject, openraft_0_10, text};

use super::StorageFault;
use super::memory::{Callbacks, Disks, Shared, lock};

openraft::declare_raft_types!(pub(super) TypeConfig: D = String, R = ());

type Entry = EntryOf<TypeConfig>;
type LogId = LogIdOf<TypeConfig>;
type Vote = VoteOf<TypeConfig>;

/// A store with one fault.
pub(crate) fn subject(fault: StorageFault) -> StorageSubject {
    let disks = Arc::new(Disks::new());
    openraft_0_10::subject::<TypeConfig, _, _, _>(
        move |dir| {
            let memory = disks.open(dir, fault);
            let callbacks = Callbacks::default();
            async move {
                Ok::<_, io::Error>(Faulty {
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

struct Faulty {
    memory: Shared<Entry, LogId, Vote>,
    callbacks: Callbacks,
    fault: StorageFault,
}

struct Reader {
    memory: Shared<Entry, LogId, Vote>,
    frozen_vote: Option<Vote>,
    fault: StorageFault,
}

impl RaftLogStorage<TypeConfig> for Faulty {
    type LogReader = Reader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let (last_purged_log_id, last_log_id) = lock(&self.memory).state(self.fault);
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> Reader {
        let memory = match self.fault {
            StorageFault::FrozenReader => Arc::new(Mutex::new(lock(&self.memory).frozen())),
            _ => Arc::clone(&self.memory),
        };
        let frozen_vote = lock(&memory).vote;
        Reader {
            memory,
            frozen_vote,
            fault: self.fault,
        }
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        lock(&self.memory).vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        lock(&self.memory).committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(lock(&self.memory).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let whole = |entry: Entry| (entry.log_id.index, entry.log_id(), entry);
        let entries = entries.into_iter().map(whole).collect();
        lock(&self.memory).append(entries, self.fault);
        let call = move || callback.io_completed(Ok(()));
        self.callbacks.call(call, self.fault);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let from = last_log_id.map_or(0, |last| last.index + 1);
        lock(&self.memory).truncate(from, self.fault);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        lock(&self.memory).purge(log_id.index, log_id, self.fault);
        Ok(())
    }
}

impl RaftLogReader<TypeConfig> for Reader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(lock(&self.memory).read(range, self.fault))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        Ok(lock(&self.memory).limited(start, end, self.fault))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        match self.fault {
            StorageFault::FrozenVote => Ok(self.frozen_vote),
            _ => Ok(lock(&self.memory).vote),
        }
    }
}
