use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, DatabaseBuilder, KeyspaceCreateOptions};
use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};
use raft_logstore_kv::KvBackend;
use serde::{Deserialize, Serialize};

use crate::engine::FjallEngine;
use crate::error::guard;
use crate::folder::Folder;
use crate::journal::Journals;
use crate::scratch::Scratch;

/// The options of the fjall backend, and the way to open it.
///
/// ```
/// use raft_logstore_fjall::FjallConfig;
///
/// let config = FjallConfig::default().with_cache_bytes(256 << 20).with_memtable_bytes(32 << 20);
/// assert_eq!(config.cache_bytes, 256 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FjallConfig {
    /// Memory for blocks that were read from tables, in bytes: from [`Self::MIN_CACHE_BYTES`] to
    /// [`Self::MAX_CACHE_BYTES`]; 64 MiB unless set. It serves reads of entries that the store no
    /// longer has in memory.
    pub cache_bytes: u64,

    /// How large the journals may grow together, in bytes, before fjall writes out what keeps the
    /// oldest: from [`Self::MIN_JOURNAL_BYTES`] to [`Self::MAX_JOURNAL_BYTES`]; 128 MiB unless set.
    /// All journals are read when the store is opened. One more journal of 64 MiB may be in use, and
    /// a commit is never split over two.
    pub journal_bytes: u64,

    /// How large a memtable grows before it is written to a table, in bytes: from
    /// [`Self::MIN_MEMTABLE_BYTES`] to [`Self::MAX_MEMTABLE_BYTES`]; 16 MiB unless set. Up to three
    /// are in memory while they are written out, and the batches of the last two commits on top.
    pub memtable_bytes: u64,

    /// Gives space in the tables back to the file system when the store is closed, if they are at
    /// least 16 MiB and more than half of that is estimated to be purged. On unless set. Takes time
    /// in proportion to what the store still holds. While the store is open, fjall does that in the
    /// background as more is written.
    pub compact_on_close: bool,
}

impl Default for FjallConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            journal_bytes: 128 << 20,
            memtable_bytes: 16 << 20,
            compact_on_close: true,
        }
    }
}

/// How large one table may be, in bytes: what a step of a compaction rewrites is a few of them.
const TABLE_BYTES: u64 = 16 << 20;

/// The threads of fjall. With two, the first spins while the second compacts.
const WORKERS: usize = 1;

impl FjallConfig {
    /// The least [`cache_bytes`](Self::cache_bytes): 1 MiB.
    pub const MIN_CACHE_BYTES: u64 = 1 << 20;

    /// The greatest [`cache_bytes`](Self::cache_bytes): 64 GiB.
    pub const MAX_CACHE_BYTES: u64 = 64 << 30;

    /// The least [`journal_bytes`](Self::journal_bytes): 64 MiB.
    pub const MIN_JOURNAL_BYTES: u64 = 64 << 20;

    /// The greatest [`journal_bytes`](Self::journal_bytes): 16 GiB.
    pub const MAX_JOURNAL_BYTES: u64 = 16 << 30;

    /// The least [`memtable_bytes`](Self::memtable_bytes): 1 MiB.
    pub const MIN_MEMTABLE_BYTES: u64 = 1 << 20;

    /// The greatest [`memtable_bytes`](Self::memtable_bytes): 1 GiB.
    pub const MAX_MEMTABLE_BYTES: u64 = 1 << 30;

    /// Sets [`cache_bytes`](Self::cache_bytes).
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets [`journal_bytes`](Self::journal_bytes).
    #[must_use]
    pub fn with_journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// Sets [`memtable_bytes`](Self::memtable_bytes).
    #[must_use]
    pub fn with_memtable_bytes(mut self, bytes: u64) -> Self {
        self.memtable_bytes = bytes;
        self
    }

    /// Sets [`compact_on_close`](Self::compact_on_close).
    #[must_use]
    pub fn with_compact_on_close(mut self, enabled: bool) -> Self {
        self.compact_on_close = enabled;
        self
    }

    fn check(&self) -> Result<()> {
        let within = |name, value: u64, least, most| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Config, "open")
                .with_advice(format!("{name} is {value}; choose {least} to {most}")))
        };
        let Self {
            cache_bytes,
            journal_bytes,
            memtable_bytes,
            ..
        } = *self;
        within(
            "cache_bytes",
            cache_bytes,
            Self::MIN_CACHE_BYTES,
            Self::MAX_CACHE_BYTES,
        )?;
        within(
            "journal_bytes",
            journal_bytes,
            Self::MIN_JOURNAL_BYTES,
            Self::MAX_JOURNAL_BYTES,
        )?;
        within(
            "memtable_bytes",
            memtable_bytes,
            Self::MIN_MEMTABLE_BYTES,
            Self::MAX_MEMTABLE_BYTES,
        )
    }

    fn builder(&self, folder: Folder<'_>) -> DatabaseBuilder<Database> {
        Database::builder(folder.database())
            .cache_size(self.cache_bytes)
            .max_journaling_size(self.journal_bytes)
            .worker_threads(WORKERS)
            .journal_compression(CompressionType::None)
    }

    /// How the records are kept. fjall stores this when the keyspace is made and never asks again.
    ///
    /// Nothing is compressed: entries are opaque and often compressed or encrypted already, a commit
    /// would wait for it, and what is on disk can be checked byte by byte. fjall's own limit of a
    /// memtable is out of the way of [`memtable_bytes`](Self::memtable_bytes).
    fn records() -> KeyspaceCreateOptions {
        KeyspaceCreateOptions::default()
            .max_memtable_size(Self::MAX_MEMTABLE_BYTES)
            .compaction_strategy(Arc::new(
                Leveled::default().with_table_target_size(TABLE_BYTES),
            ))
            .data_block_compression_policy(CompressionPolicy::disabled())
            .index_block_compression_policy(CompressionPolicy::disabled())
    }

    /// Opens the database of `folder`, or the copy of it that `builder` names.
    fn open_engine(
        &self,
        folder: Folder<'_>,
        builder: DatabaseBuilder<Database>,
        journals: &Journals,
    ) -> Result<FjallEngine> {
        let path = folder.database();
        let (database, records) = guard("open", &path, || {
            // Not Database::open, which makes a new one where the old one went missing just now.
            let database = Database::recover(builder.into_config())?;
            if !database.keyspace_exists(Folder::RECORDS) {
                return Ok((database, None));
            }
            let records = database.keyspace(Folder::RECORDS, Self::records)?;
            Ok((database, Some(records)))
        })?;
        let Some(records) = records.filter(|records| records.id() == Folder::RECORDS_ID) else {
            return Err(Error::new(ErrorKind::Format, "open").with_path(path).with_advice(
                "this is a fjall database of another program, not a store of the `fjall` backend of \
                 raft-logstore; check the path",
            ));
        };
        let engine = FjallEngine::new(path, database, records, self);
        engine.check_links(journals)?;
        Ok(engine)
    }
}

impl BackendConfig for FjallConfig {
    fn name(&self) -> &'static str {
        FjallEngine::NAME
    }

    fn create(&self, dir: &Path) -> Result<()> {
        self.check()?;
        let folder = Folder(dir);
        let path = folder.database();
        if path.exists() {
            return Err(Error::new(ErrorKind::Config, "create")
                .with_path(path)
                .with_advice("the folder exists already; open it, or choose an empty one"));
        }
        let (database, records) = guard("create", &path, || {
            let database = self.builder(folder).open()?;
            let records = database.keyspace(Folder::RECORDS, Self::records)?;
            Ok((database, records))
        })?;
        KvBackend::create(FjallEngine::new(path, database, records, self), dir)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.check()?;
        let folder = Folder(dir);
        folder.check()?;
        // fjall takes the lock itself, later.
        let lock = folder.lock(File::try_lock)?;
        let journals = Journals::read(&folder.database())?;
        journals.cut_torn_batch(dir)?;
        drop(lock);
        let engine = self.open_engine(folder, self.builder(folder), &journals)?;
        let backend = KvBackend::open(engine, dir).map_err(|error| error.or_path(dir))?;
        Ok(Box::new(backend))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.check()?;
        let folder = Folder(dir);
        folder.check()?;
        let lock = folder.lock(File::try_lock_shared)?;
        let journals = Journals::read(&folder.database())?;
        let scratch = Scratch::copy(folder, &journals, lock)?;
        // Without threads, fjall recovers and does no more.
        let builder = self.builder(scratch.folder()).worker_threads_unchecked(0);
        let engine = self.open_engine(folder, builder, &journals)?;
        let backend = KvBackend::open_read_only(engine.with_scratch(scratch), dir);
        Ok(Box::new(backend.map_err(|error| error.or_path(dir))?))
    }
}
