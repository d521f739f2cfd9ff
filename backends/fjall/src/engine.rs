use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::{
    AbstractTree, Database, Keyspace, OwnedWriteBatch, PersistMode, Readable, SeqNo, Snapshot,
};
use raft_logstore_core::{Error, ErrorKind, RESTORE, Result};
use raft_logstore_kv::{KvBatch, KvEngine, KvView, Visitor};

use crate::changes::changes;
use crate::config::FjallConfig;
use crate::error::{Failure, guard};
use crate::journal::Journals;
use crate::link::Link;
use crate::scratch::Scratch;

/// How many full memtables may wait to be written out before a commit waits for them. fjall waits at
/// four, without noticing that it has stopped.
const WAITING_MEMTABLES: usize = 1;

/// How many tables may wait to be merged before a commit waits for that; fjall waits at 20.
const WAITING_TABLES: usize = 16;

/// How often to look, a millisecond apart, whether fjall merges tables before doing it here.
const MERGE_PATIENCE: u32 = 1000;

/// How long the threads of fjall may take to end when the database is closed. They finish what they
/// are at, which may be a compaction.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// An open fjall database as a [`KvEngine`].
pub(crate) struct FjallEngine {
    /// `None` once closed.
    open: Option<(Database, Keyspace)>,
    /// The folder of the database; when it is only looked at, the one that was copied.
    pub(crate) path: PathBuf,
    memtable_bytes: u64,
    compact_on_close: bool,
    /// The number of the last batch.
    last: AtomicU64,
    /// The deletions since the memtable was last written out.
    pub(crate) deletions: AtomicU64,
    /// Where the database is when it is only looked at. Goes after it.
    _scratch: Option<Scratch>,
}

impl FjallEngine {
    pub(crate) const NAME: &'static str = "fjall";

    /// Wraps a new database of the folder `path`.
    pub(crate) fn new(
        path: PathBuf,
        database: Database,
        records: Keyspace,
        config: &FjallConfig,
    ) -> Self {
        Self {
            path,
            open: Some((database, records)),
            memtable_bytes: config.memtable_bytes,
            compact_on_close: config.compact_on_close,
            last: AtomicU64::new(0),
            deletions: AtomicU64::new(0),
            _scratch: None,
        }
    }

    /// Sets the temporary folder that the database is in for the time it is open.
    pub(crate) fn with_scratch(mut self, scratch: Scratch) -> Self {
        self._scratch = Some(scratch);
        self.compact_on_close = false;
        self
    }

    fn database(&self) -> &Database {
        let (database, _) = self.parts();
        database
    }

    pub(crate) fn records(&self) -> &Keyspace {
        let (_, records) = self.parts();
        records
    }

    fn parts(&self) -> &(Database, Keyspace) {
        self.open
            .as_ref()
            .expect("the database is open as long as its engine is")
    }

    /// Finds the last batch, and checks that what fjall recovered is what was written.
    pub(crate) fn check_links(&self, journals: &Journals) -> Result<()> {
        let corrupt = |what: String| {
            Error::new(ErrorKind::Corrupt, "open")
                .with_path(&self.path)
                .with_advice(format!("{what}; {RESTORE}"))
        };
        let link_below = |seqno| {
            guard("open", &self.path, || {
                Ok(self.records().tree.get(Link::KEY, seqno)?)
            })?
            .map_or(Ok(0), |value| {
                let link = Link::decode(&value);
                link.map(|link| link.number)
                    .ok_or_else(|| corrupt("the number of the last batch is damaged".to_owned()))
            })
        };
        let in_tables = match self.records().tree.get_highest_persisted_seqno() {
            Some(seqno) => link_below(seqno.saturating_add(1))?,
            None => 0,
        };
        let last = link_below(SeqNo::MAX)?;
        if let Some((first_in_journals, last_in_journals)) = journals.run {
            if in_tables < first_in_journals - 1 {
                return Err(corrupt(format!(
                    "the journals begin with batch {first_in_journals} and the tables end with \
                     {in_tables}, so a journal is missing; put it back"
                )));
            }
            if last < last_in_journals {
                return Err(corrupt(format!(
                    "the journals end with batch {last_in_journals}, but fjall stopped at {last}"
                )));
            }
        }
        self.last.store(last, Ordering::Relaxed);
        Ok(())
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), Failure> {
        self.wait_for_room()?;
        let view = self.snapshot();
        let changes = changes(batch, |first, last, visit| {
            guard("commit", &self.path, || {
                for pair in view.snapshot.range(view.records, first..=last) {
                    visit(&pair.key()?);
                }
                Ok(())
            })
        })
        .map_err(Failure::Store)?;
        drop(view);
        if changes.is_empty() {
            return Ok(());
        }
        let link = Link {
            number: self.last.load(Ordering::Relaxed) + 1,
            seqno: self.database().seqno(),
        };
        let records = self.records();
        let mut out = OwnedWriteBatch::with_capacity(self.database().clone(), changes.len() + 1)
            .durability(Some(PersistMode::SyncData));
        out.insert(records, Link::KEY, link.encode());
        let mut deletions = 0;
        for (key, record) in changes {
            match record {
                Some(record) if u32::try_from(record.len()).is_err() => {
                    return Err(Failure::Store(
                        Error::new(ErrorKind::TooLarge, "commit")
                            .with_advice("fjall stores less than 4 GiB under one key"),
                    ));
                }
                Some(record) => out.insert(records, &*key, record),
                None => {
                    deletions += 1;
                    out.remove(records, &*key);
                }
            }
        }
        out.commit()?;
        self.last.store(link.number, Ordering::Relaxed);
        self.deletions.fetch_add(deletions, Ordering::Relaxed);
        Ok(())
    }

    /// Waits where fjall has not kept up with its work in the background.
    ///
    /// fjall itself waits inside a commit, for ever when its background work has failed; here that is
    /// noticed.
    fn wait_for_room(&self) -> Result<(), Failure> {
        if self.records().tree.active_memtable().size() >= self.memtable_bytes {
            self.rotate()?;
        }
        self.wait_for_tables(WAITING_MEMTABLES)?;
        self.wait_for_merge()
    }

    /// Waits until no more than `waiting` memtables wait to be written out.
    pub(crate) fn wait_for_tables(&self, waiting: usize) -> Result<(), Failure> {
        while self.records().sealed_memtable_count() > waiting {
            self.pause()?;
        }
        Ok(())
    }

    /// Waits until no more than [`WAITING_TABLES`] wait to be merged.
    ///
    /// fjall looks for something to merge after it has written a table, and no more than once: where
    /// it chose other tables, the next look is taken here.
    fn wait_for_merge(&self) -> Result<(), Failure> {
        let mut patience = MERGE_PATIENCE;
        while self.records().l0_table_count() > WAITING_TABLES {
            self.pause()?;
            patience -= 1;
            if patience == 0 {
                let strategy = self.records().config.compaction_strategy.clone();
                let tracker = &self.database().supervisor.snapshot_tracker;
                let tree = &self.records().tree;
                tree.compact(strategy, tracker.get_seqno_safe_to_gc())?;
                patience = MERGE_PATIENCE;
            }
        }
        Ok(())
    }

    /// Waits a little, unless fjall has stopped.
    fn pause(&self) -> Result<(), Failure> {
        self.ask()?;
        thread::sleep(Duration::from_millis(1));
        Ok(())
    }

    /// Fails when fjall has stopped after a failure, be it in the background.
    pub(crate) fn ask(&self) -> Result<(), Failure> {
        // Every batch was written when it was committed, so there is nothing to do but to ask.
        Ok(self.database().persist(PersistMode::Buffer)?)
    }

    /// Has the memtable written to a table, in the background.
    pub(crate) fn rotate(&self) -> Result<(), Failure> {
        self.records().rotate_memtable()?;
        self.deletions.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn snapshot(&self) -> FjallView<'_> {
        FjallView {
            snapshot: self.database().snapshot(),
            records: self.records(),
            path: &self.path,
        }
    }

    /// Drops the database and waits until nothing of it is left.
    fn close_database(&mut self) -> Result<()> {
        let Some((database, records)) = self.open.take() else {
            return Ok(());
        };
        // All parts of a database that live on in its threads share its cache.
        let rest = Arc::downgrade(&database.config.cache);
        guard("close", &self.path, || {
            drop(records);
            drop(database);
            Ok(())
        })?;
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while rest.strong_count() > 0 {
            if Instant::now() > deadline {
                return Err(Error::new(ErrorKind::Io, "close")
                    .with_path(&self.path)
                    .with_advice("a thread of fjall has not ended; end the process"));
            }
            thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }
}

impl KvEngine for FjallEngine {
    type View<'a> = FjallView<'a>;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn view(&self) -> Result<FjallView<'_>> {
        guard("read", &self.path, || Ok(self.snapshot()))
    }

    fn write(&self, batch: &KvBatch) -> Result<()> {
        guard("commit", &self.path, || self.apply(batch))
    }

    fn reusable_bytes(&self) -> Result<u64> {
        Ok(self.obsolete_bytes()? + self.sealed_journal_bytes()?)
    }

    fn maintain(&self) -> Result<bool> {
        guard("maintain", &self.path, || self.write_out_deletions())?;
        Ok(false)
    }

    fn close(mut self) -> Result<()> {
        if self.compact_on_close
            && let Err(error) = self.compact_if_mostly_obsolete()
        {
            // The store is whole without it, for example on a full disk.
            tracing::warn!(path = %self.path.display(), %error, "the fjall tables were not compacted");
        }
        self.close_database()
    }
}

impl Drop for FjallEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close_database() {
            tracing::warn!(%error, "the fjall database could not be closed cleanly");
        }
    }
}

/// One snapshot.
pub(crate) struct FjallView<'a> {
    snapshot: Snapshot,
    records: &'a Keyspace,
    path: &'a Path,
}

impl KvView for FjallView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        guard("read", self.path, || {
            let record = self.snapshot.get(self.records, key)?;
            Ok(record.map(|record| Bytes::copy_from_slice(&record)))
        })
    }

    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()> {
        guard("read", self.path, || {
            for pair in self.snapshot.range(self.records, keys) {
                let (key, record) = pair.into_inner()?;
                if visit(&key, &record).map_err(Failure::Store)?.is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}
