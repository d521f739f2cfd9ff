use std::fmt::{self, Debug};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use openraft::OptionalSend;
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use raft_logstore_bench_openraft::{NodeStore, RaftLogs, RaftRival, TypeConfig};
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, ReadOptions, WriteBatch};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use crate::rocks;

pub(crate) const RIVAL: RaftRival = RaftRival::new::<RocksNode>("rocksdb", false);

type Entry = EntryOf<TypeConfig>;
type LogId = LogIdOf<TypeConfig>;
type Vote = VoteOf<TypeConfig>;

/// The column family of the entries: their index in big endian, and the entry in JSON.
const LOGS: &str = "logs";

/// The column family of [`VOTE`] and [`PURGED`], in JSON.
const META: &str = "meta";

const VOTE: &[u8] = b"vote";
const PURGED: &[u8] = b"purged";

/// RocksDB as one node's log of one group, with the settings of the bare log, and warmed up as that one.
pub(crate) struct RocksNode(Arc<DB>);

impl NodeStore for RocksNode {
    async fn open(dir: &Path) -> anyhow::Result<Self> {
        let mut options = rocks::options();
        options.create_missing_column_families(true);
        let families = [LOGS, META].map(|name| (name, rocks::options()));
        let mut db = DB::open_cf_with_opts(&options, dir, families)?;
        rocks::warm_up(&mut db)?;
        Ok(Self(Arc::new(db)))
    }

    async fn close(self) -> anyhow::Result<()> {
        self.0.cancel_all_background_work(true);
        Ok(())
    }
}

impl RaftLogs for RocksNode {
    type Log = RocksLog;

    fn log(&self, _group: u64) -> RocksLog {
        RocksLog(Arc::clone(&self.0))
    }
}

/// A log store of the design that openraft shows in its example for RocksDB: entries are written into RocksDB at once,
/// where they can be read, and a thread for each append syncs RocksDB's own log and reports the append done. A vote is
/// synced before it is saved; a truncation and a purge are durable with the next sync.
#[derive(Clone)]
pub(crate) struct RocksLog(Arc<DB>);

impl Debug for RocksLog {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("RocksLog").field(&self.0.path()).finish()
    }
}

impl RocksLog {
    fn family(&self, name: &str) -> io::Result<&ColumnFamily> {
        let missing = || io::Error::other(format!("there is no column family {name}"));
        self.0.cf_handle(name).ok_or_else(missing)
    }

    fn meta<T: DeserializeOwned>(&self, key: &[u8]) -> io::Result<Option<T>> {
        let value = self.0.get_pinned_cf(self.family(META)?, key);
        let value = value.map_err(io::Error::other)?;
        value.map(|value| decode(&value)).transpose()
    }

    fn last(&self) -> io::Result<Option<LogId>> {
        let mut entries = self.0.iterator_cf(self.family(LOGS)?, IteratorMode::End);
        let Some(last) = entries.next() else {
            return Ok(None);
        };
        let (_, entry) = last.map_err(io::Error::other)?;
        Ok(Some(decode::<Entry>(&entry)?.log_id))
    }

    /// Adds the removal of the entries from `from` up to and without `to`.
    fn remove(&self, from: u64, to: u64, batch: &mut WriteBatch) -> io::Result<()> {
        batch.delete_range_cf(self.family(LOGS)?, from.to_be_bytes(), to.to_be_bytes());
        Ok(())
    }

    /// Writes into RocksDB and its log, without a sync.
    fn write(&self, batch: WriteBatch) -> io::Result<()> {
        self.0.write(batch).map_err(io::Error::other)
    }
}

fn sync(db: &DB) -> io::Result<()> {
    db.flush_wal(true).map_err(io::Error::other)
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(value)?)
}

impl RaftLogReader<TypeConfig> for RocksLog {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let mut options = ReadOptions::default();
        match range.end_bound() {
            Bound::Included(last) => {
                options.set_iterate_upper_bound(last.saturating_add(1).to_be_bytes())
            }
            Bound::Excluded(end) => options.set_iterate_upper_bound(end.to_be_bytes()),
            Bound::Unbounded => {}
        }
        let from = from.to_be_bytes();
        let mode = IteratorMode::From(&from, Direction::Forward);
        let found = self.0.iterator_cf_opt(self.family(LOGS)?, options, mode);
        let entries = found.map(|found| {
            let (_, entry) = found.map_err(io::Error::other)?;
            decode(&entry)
        });
        entries.collect()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.meta(VOTE)
    }
}

impl RaftLogStorage<TypeConfig> for RocksLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let purged = self.meta(PURGED)?;
        Ok(LogState {
            last_purged_log_id: purged,
            last_log_id: self.last()?.or(purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(META)?, VOTE, encode(vote)?);
        self.write(batch)?;
        let db = Arc::clone(&self.0);
        spawn_blocking(move || sync(&db)).await?
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let logs = self.family(LOGS)?;
        let mut batch = WriteBatch::default();
        for entry in entries {
            batch.put_cf(logs, entry.log_id.index.to_be_bytes(), encode(&entry)?);
        }
        self.write(batch)?;
        let db = Arc::clone(&self.0);
        thread::spawn(move || callback.io_completed(sync(&db)));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        self.remove(last.map_or(0, |last| last.index + 1), u64::MAX, &mut batch)?;
        self.write(batch)
    }

    async fn purge(&mut self, last: LogId) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(META)?, PURGED, encode(&last)?);
        self.remove(0, last.index + 1, &mut batch)?;
        self.write(batch)
    }
}
