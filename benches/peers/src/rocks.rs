use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use raft_logstore::{Entry, GroupId};
use raft_logstore_bench::{Log, Rival};
use rocksdb::{
    DB, DBCompressionType, Direction, IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

pub(crate) const RIVAL: Rival = Rival {
    name: "rocksdb",
    many_groups: true,
    open: |dir| Ok(Box::new(Rocks::open(dir)?)),
};

/// RocksDB as a Raft log: the key of an entry is its group and its index, both in big endian, the value its payload. A
/// commit is one write batch with `sync`: one write and one `fdatasync` of RocksDB's own log, and an insertion into its
/// table in memory.
///
/// Its settings, the others are its defaults:
///
/// * `recycle_log_file_num` of 4: a log file that is written over has its blocks and its length, and a sync writes data
///   alone.
/// * `write_buffer_size` of 64 MiB, `max_write_buffer_number` of 4: a commit does not wait for a table to be flushed.
/// * `avoid_unnecessary_blocking_io` on: obsolete files are deleted in the background.
/// * No compression: payloads are random.
/// * `wal_bytes_per_sync` 0: each commit syncs, nothing is left to be written early. `enable_pipelined_write`,
///   `unordered_write` and `manual_wal_flush` stay off: they are for several writers, or for writes without a sync.
///   `allow_concurrent_memtable_write` stays on: off makes no difference to one writer.
///
/// A fresh database is [warmed up](warm_up).
pub(crate) struct Rocks {
    db: DB,
    durable: WriteOptions,
}

/// How many files of its log RocksDB keeps to write over.
const WALS: usize = 4;

/// What a table in memory takes, and a file of RocksDB's log with it.
const MEMTABLE_MIB: usize = 64;

impl Rocks {
    fn open(dir: &Path) -> Result<Self> {
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        let mut db = DB::open(&options(), dir)?;
        warm_up(&mut db)?;
        Ok(Self { db, durable })
    }
}

/// The settings of a database and of its column families.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_recycle_log_file_num(WALS);
    options.set_write_buffer_size(MEMTABLE_MIB << 20);
    options.set_max_write_buffer_number(4);
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_compression_type(DBCompressionType::None);
    options.set_wal_bytes_per_sync(0);
    options
}

/// Fills a fresh database and drops what it wrote, so that from its first commit on its own log writes over files, as
/// it does all the time that it is open but the first minutes. One that was written to is left as it is.
pub(crate) fn warm_up(db: &mut DB) -> Result<()> {
    const FILLER: &str = "filler";
    if db.latest_sequence_number() > 0 {
        return Ok(());
    }
    let value = vec![0; 1 << 20];
    db.create_cf(FILLER, &options())?;
    let filler = db.cf_handle(FILLER).context("the family just made")?;
    // One file more than it keeps: it has gone on to one of them by the last.
    for _ in 0..=WALS {
        for index in 0..MEMTABLE_MIB {
            db.put_cf(filler, index.to_be_bytes(), &value)?;
        }
        db.flush_cf(filler)?;
    }
    Ok(db.drop_cf(FILLER)?)
}

impl Log for Rocks {
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        let mut batch = WriteBatch::with_capacity_bytes(bytes(&appends));
        for (group, entries) in &appends {
            for entry in entries {
                batch.put(key(*group, entry.index), &entry.payload);
            }
        }
        Ok(self.db.write_opt(batch, &self.durable)?)
    }

    fn read(&self, group: GroupId, range: Range<u64>) -> Result<Vec<Entry>> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(key(group, range.end));
        let from = key(group, range.start);
        let found = self
            .db
            .iterator_opt(IteratorMode::From(&from, Direction::Forward), options);
        let entries = found.map(|found| {
            let (key, payload) = found?;
            Ok(Entry::new(index(&key)?, payload.into_vec()))
        });
        entries.collect()
    }

    fn purge(&mut self, group: GroupId, upto: u64) -> Result<()> {
        let (from, to) = (key(group, 0), key(group, upto + 1));
        let mut batch = WriteBatch::default();
        batch.delete_range(from, to);
        self.db.write_opt(batch, &self.durable)?;
        // Tables that hold nothing else go at once; compactions find the rest.
        Ok(self.db.delete_file_in_range(from, to)?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}

/// What the batch of a commit takes, about.
fn bytes(appends: &[(GroupId, Vec<Entry>)]) -> usize {
    /// The key, and a tag and two lengths around it.
    const AROUND: usize = 24;
    let entries = appends.iter().flat_map(|(_, entries)| entries);
    AROUND
        + entries
            .map(|entry| AROUND + entry.payload.len())
            .sum::<usize>()
}

fn key(group: GroupId, index: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&group.0.to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}

fn index(key: &[u8]) -> Result<u64> {
    ensure!(key.len() == 16, "a key of {} bytes", key.len());
    let index = key
        .last_chunk()
        .map_or(0, |index| u64::from_be_bytes(*index));
    Ok(index)
}
