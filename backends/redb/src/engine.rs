use std::ops::{Bound, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft_logstore_core::Result;
use raft_logstore_kv::{KvBatch, KvEngine, KvOp, KvView, Visitor};
use redb::{
    CursorError, Database, Durability, ReadOnlyTable, ReadableDatabase, Table, TableDefinition,
};

use crate::config::RedbConfig;
use crate::error::{Failure, Guard};

/// Every record of a store, in one table: one tree to walk and to sync.
pub(crate) const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// From how many puts on a run is inserted as one; fewer do not fill a page.
const PACKED_RUN: usize = 16;

/// An open redb database as a [`KvEngine`].
pub(crate) struct RedbEngine {
    /// `None` once closed.
    database: Option<Database>,
    pub(crate) guard: Arc<Guard>,
    two_phase_commit: bool,
    compact_on_close: bool,
}

impl RedbEngine {
    pub(crate) const NAME: &'static str = "redb";

    /// Wraps a database; `path` is for error messages.
    pub(crate) fn new(database: Database, path: &Path, config: &RedbConfig) -> Self {
        Self {
            database: Some(database),
            guard: Arc::new(Guard::new(path)),
            two_phase_commit: config.two_phase_commit,
            compact_on_close: config.compact_on_close,
        }
    }

    pub(crate) fn database(&self) -> &Database {
        self.database
            .as_ref()
            .expect("the database is open as long as its engine is")
    }

    pub(crate) fn database_mut(&mut self) -> &mut Database {
        self.database
            .as_mut()
            .expect("the database is open as long as its engine is")
    }

    fn close_database(&mut self) -> Result<()> {
        let Some(database) = self.database.take() else {
            return Ok(());
        };
        self.guard.run("close", || Ok(database.close()?))
    }

    fn apply(&self, batch: &KvBatch) -> Result<(), Failure> {
        let mut transaction = self.database().begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(self.two_phase_commit);
        let mut table = transaction.open_table(RECORDS)?;
        let mut ops = batch.ops();
        while let Some(op) = ops.next() {
            match op {
                KvOp::Put { key, record } => {
                    let more = run_after(key, ops.clone());
                    if more + 1 < PACKED_RUN {
                        table.insert(key, record)?;
                    } else {
                        insert_run(&mut table, key, record, ops.by_ref().take(more))?;
                    }
                }
                KvOp::Delete { key } => drop(table.remove(key)?),
                KvOp::DeleteRange { first, last } => table.retain_in(first..=last, |_, _| false)?,
            }
        }
        drop(table);
        Ok(transaction.commit()?)
    }
}

/// How many of `ops` go on with the run of puts that `key` began: ascending keys that differ in their
/// last eight bytes alone, as those of the entries of one append.
fn run_after<'a>(mut key: &'a [u8], ops: impl Iterator<Item = KvOp<'a>>) -> usize {
    let same_run = |op: &KvOp<'a>| {
        let KvOp::Put { key: next, .. } = *op else {
            return false;
        };
        let stem = key.len().saturating_sub(8);
        let follows = next.len() == key.len() && next[..stem] == key[..stem] && next > key;
        key = next;
        follows
    };
    ops.take_while(same_run).count()
}

/// Inserts a run through one gap of the tree. Single inserts split a full page in the middle of the
/// tree into halves and never come back to the first; a run is packed into full pages.
fn insert_run<'a>(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    first: &'a [u8],
    record: &'a [u8],
    rest: impl Iterator<Item = KvOp<'a>>,
) -> Result<(), Failure> {
    let puts = rest.filter_map(|op| match op {
        KvOp::Put { key, record } => Some((key, record)),
        _ => None,
    });
    let mut puts = std::iter::once((first, record)).chain(puts);
    let mut in_the_way = None;
    let mut gap = table.lower_bound_mut(Bound::Included(first))?;
    for (key, record) in puts.by_ref() {
        match gap.insert_before(key, record) {
            Ok(()) => {}
            Err(CursorError::UnorderedKey) => {
                // A key inside the run is there already: from here on, replace what is there.
                in_the_way = Some((key, record));
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    gap.close()?;
    for (key, record) in in_the_way.into_iter().chain(puts) {
        table.insert(key, record)?;
    }
    Ok(())
}

impl KvEngine for RedbEngine {
    type View<'a> = RedbView<'a>;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn view(&self) -> Result<RedbView<'_>> {
        let table = self.guard.run("read", || {
            Ok(self.database().begin_read()?.open_table(RECORDS)?)
        })?;
        Ok(RedbView {
            table,
            guard: &self.guard,
        })
    }

    fn write(&self, batch: &KvBatch) -> Result<()> {
        self.guard.run("commit", || self.apply(batch))
    }

    fn reusable_bytes(&self) -> Result<u64> {
        Ok(self.file_bytes()?.saturating_sub(self.allocated_bytes()?))
    }

    fn close(mut self) -> Result<()> {
        if self.compact_on_close
            && let Err(error) = self.compact_if_mostly_free()
        {
            // The store is whole without it, for example on a full disk.
            tracing::warn!(path = %self.guard.path().display(), %error, "the redb file was not compacted");
        }
        self.close_database()
    }
}

impl Drop for RedbEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close_database() {
            tracing::warn!(%error, "the redb file could not be closed cleanly");
        }
    }
}

/// One read transaction; the table keeps it alive.
pub(crate) struct RedbView<'a> {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    guard: &'a Guard,
}

impl KvView for RedbView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.guard.run("read", || {
            let record = self.table.get(key)?;
            Ok(record.map(|record| Bytes::copy_from_slice(record.value())))
        })
    }

    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()> {
        self.guard.run("read", || {
            let pairs = self.table.range::<&[u8]>(keys)?;
            for pair in pairs {
                let (key, record) = pair?;
                if visit(key.value(), record.value())
                    .map_err(Failure::Store)?
                    .is_break()
                {
                    break;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::ops::ControlFlow;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use raft_logstore_core::{ErrorKind, envelope};
    use redb::backends::InMemoryBackend;
    use redb::{Builder, StorageBackend};
    use rstest::rstest;

    use super::*;

    /// A disk in memory that can be filled, and that counts.
    #[derive(Clone, Debug)]
    struct Disk {
        memory: Arc<InMemoryBackend>,
        full: Arc<AtomicBool>,
        syncs: Arc<AtomicU64>,
        /// Writes since the last sync.
        unsynced: Arc<AtomicU64>,
    }

    impl Disk {
        fn new() -> Self {
            Self {
                memory: Arc::new(InMemoryBackend::new()),
                full: Arc::default(),
                syncs: Arc::default(),
                unsynced: Arc::default(),
            }
        }

        fn room(&self) -> io::Result<()> {
            if self.full.load(Ordering::Relaxed) {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        }

        fn engine(&self) -> RedbEngine {
            let database = Builder::new().create_with_backend(self.clone()).unwrap();
            let config = RedbConfig::default().with_compact_on_close(false);
            RedbEngine::new(database, Path::new("memory"), &config)
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> io::Result<u64> {
            self.memory.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.memory.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.room()?;
            self.memory.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.room()?;
            self.syncs.fetch_add(1, Ordering::Relaxed);
            self.unsynced.store(0, Ordering::Relaxed);
            self.memory.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.room()?;
            self.unsynced.fetch_add(1, Ordering::Relaxed);
            self.memory.write(offset, data)
        }
    }

    fn batch(number: u64) -> KvBatch {
        let mut batch = KvBatch::new();
        batch.put(&number.to_be_bytes(), &[1; 1000]);
        batch
    }

    #[rstest]
    #[case::one_phase(false, 1)]
    #[case::two_phases(true, 2)]
    fn a_write_returns_after_the_sync_that_covers_it(#[case] two: bool, #[case] syncs: u64) {
        let disk = Disk::new();
        let mut engine = disk.engine();
        engine.two_phase_commit = two;
        let mut more = 0;
        for number in 1..=600 {
            let before = disk.syncs.load(Ordering::Relaxed);
            engine.write(&batch(number)).unwrap();
            let made = disk.syncs.load(Ordering::Relaxed) - before;
            // redb syncs once more when it makes the file longer or shorter.
            assert!((syncs..=syncs + 1).contains(&made), "write {number}");
            more += made - syncs;
            assert_eq!(disk.unsynced.load(Ordering::Relaxed), 0, "write {number}");
        }
        assert!(more < 20, "{more} writes with one more sync");
    }

    #[test]
    fn a_full_disk_fails_the_write_and_views_show_the_one_before() {
        let disk = Disk::new();
        let engine = disk.engine();
        engine.write(&batch(1)).unwrap();
        let before = pairs(&engine);
        disk.full.store(true, Ordering::Relaxed);
        let error = engine.write(&batch(2)).unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (ErrorKind::DiskFull, Some(Path::new("memory")))
        );
        assert_eq!(pairs(&engine), before);
        // Opened again with space, it goes on.
        disk.full.store(false, Ordering::Relaxed);
        drop(engine);
        let engine = disk.engine();
        engine.write(&batch(3)).unwrap();
        let found = pairs(&engine);
        let has = |number: u64| found.contains(&(number.to_be_bytes().to_vec(), vec![1; 1000]));
        assert!(has(1) && has(3));
    }

    fn pairs(engine: &RedbEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = Vec::new();
        let view = engine.view().unwrap();
        let visit: &mut Visitor<'_> = &mut |key, record| {
            pairs.push((key.to_vec(), envelope::open(key, record).unwrap().to_vec()));
            Ok(ControlFlow::Continue(()))
        };
        view.scan(&[0][..]..=&[255][..], visit).unwrap();
        pairs
    }

    #[test]
    fn runs_of_puts_replace_what_is_there_and_keep_their_order_with_other_operations() {
        let engine = Disk::new().engine();
        let key = |number: u64| number.to_be_bytes();
        let mut expected = std::collections::BTreeMap::new();
        // Every third key first, one by one; then runs across them, some of them backwards or
        // interrupted, and a range in between.
        for (round, step, from, to) in [
            (1, 3, 0, 300),
            (2, 1, 10, 120),
            (3, 2, 50, 90),
            (4, 1, 200, 217),
        ] {
            let mut batch = KvBatch::new();
            for number in (from..to).step_by(step) {
                batch.put(&key(number), &[round]);
                expected.insert(number, round);
            }
            batch.delete_range(key(60)..=key(65));
            expected.retain(|number, _| !(60..=65).contains(number));
            batch.put(&key(64), &[round]);
            batch.put(&key(63), &[round]);
            batch.delete(&key(64));
            expected.insert(63, round);
            engine.write(&batch).unwrap();
            let found: Vec<_> = expected
                .iter()
                .map(|(&at, &round)| (key(at).to_vec(), vec![round]))
                .collect();
            assert_eq!(pairs(&engine), found, "round {round}");
        }
    }
}
