use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::OptionalSend;
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};

use super::{RaftLogs, TypeConfig};
use crate::NodeStore;

/// Logs that are gone with the process: the least that openraft needs, and so the ceiling.
pub(crate) struct Memory;

impl NodeStore for Memory {
    async fn open(_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl RaftLogs for Memory {
    type Log = MemoryLog;

    fn log(&self, _group: u64) -> MemoryLog {
        MemoryLog::default()
    }
}

/// A log in memory. Reports each append as done at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryLog(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    vote: Option<VoteOf<TypeConfig>>,
    purged: Option<LogIdOf<TypeConfig>>,
    entries: BTreeMap<u64, EntryOf<TypeConfig>>,
}

impl MemoryLog {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftLogReader<TypeConfig> for MemoryLog {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<EntryOf<TypeConfig>>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let state = self.state();
        let entries = state.entries.range(range);
        Ok(entries.map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<TypeConfig>>> {
        Ok(self.state().vote)
    }
}

impl RaftLogStorage<TypeConfig> for MemoryLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.state();
        let last = state.entries.last_key_value();
        Ok(LogState {
            last_purged_log_id: state.purged,
            last_log_id: last.map(|(_, entry)| entry.log_id).or(state.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<TypeConfig>) -> io::Result<()> {
        self.state().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<TypeConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().map(|entry| (entry.log_id.index, entry));
        self.state().entries.extend(entries);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<TypeConfig>>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.state().entries.split_off(&from);
        Ok(())
    }

    async fn purge(&mut self, last: LogIdOf<TypeConfig>) -> io::Result<()> {
        let mut state = self.state();
        state.purged = Some(last);
        state.entries = state.entries.split_off(&(last.index + 1));
        Ok(())
    }
}
