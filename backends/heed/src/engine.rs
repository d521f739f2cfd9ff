use std::ops::{Bound, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use heed::{PutFlags, RwTxn};
use raft_logstore_core::{Error, ErrorKind, Result};
use raft_logstore_kv::{KvBatch, KvEngine, KvOp, KvView, Visitor};

use crate::compact::put_in_place;
use crate::environment::{Environment, Reading, whole_pages};
use crate::error::{Failure, guard};
use crate::looks;

/// An open LMDB file as a [`KvEngine`].
pub(crate) struct HeedEngine {
    pub(crate) environment: Arc<Environment>,
    /// The file.
    pub(crate) path: PathBuf,
    limits: Limits,
    compact_on_close: bool,
    /// Whether a write failed: then nothing more is written, not even a compacted file.
    failed: AtomicBool,
}

/// How much of the file may be in use, in bytes.
///
/// LMDB needs free pages to free pages, so appends must not take the last ones: a store that is full must
/// still be able to purge. Small ones may go on for longer than large ones. What appends nothing is never
/// refused, and neither is what settles: commits were allowed to put it into the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For any append.
    any: u64,
    /// For appends of no more than [`Self::SMALL`].
    small: u64,
    /// How far the file may grow for what is not refused, beside the records themselves.
    reserve: u64,
}

impl Limits {
    /// In bytes of records.
    const SMALL: u64 = 64 << 10;

    /// The least reserve, in bytes.
    const MIN_RESERVE: u64 = 16 << 20;

    /// How much a record takes in pages, at most: one of little more than half a page has a page to
    /// itself, and pages may be half full.
    const PAGES_PER_BYTE: u64 = 3;

    /// The limits of a file that may become `max` bytes long.
    pub(crate) fn new(max: u64) -> Self {
        let reserve = Self::MIN_RESERVE.max(max / 8);
        Self {
            any: max,
            small: max.saturating_add(reserve / 2),
            reserve,
        }
    }

    /// The limit for appends of `bytes`.
    fn of_appends(self, bytes: u64) -> u64 {
        if bytes <= Self::SMALL {
            self.small
        } else {
            self.any
        }
    }

    /// The limit for what is not refused: also a file that is too large can be purged.
    fn beyond(self, used: u64, put: u64) -> u64 {
        let room = put.saturating_mul(Self::PAGES_PER_BYTE);
        let room = room.saturating_add(self.reserve);
        self.any.max(used).saturating_add(room)
    }
}

fn put_bytes(batch: &KvBatch) -> u64 {
    let bytes = batch.ops().map(|op| match op {
        KvOp::Put { record, .. } => record.len() as u64,
        _ => 0,
    });
    bytes.sum()
}

impl HeedEngine {
    pub(crate) const NAME: &'static str = "heed";

    /// Wraps an environment; `path` is that of its file.
    pub(crate) fn new(
        environment: impl Into<Arc<Environment>>,
        path: &Path,
        limits: Limits,
        compact_on_close: bool,
    ) -> Self {
        Self {
            environment: environment.into(),
            path: path.to_owned(),
            limits,
            compact_on_close,
            failed: AtomicBool::new(false),
        }
    }

    fn write_batch(&self, batch: &KvBatch) -> Result<(), Failure> {
        let used = self.environment.map()?.used_bytes;
        let limit = self.limits.beyond(used, put_bytes(batch));
        self.shrink(limit)?;
        let mut aged = false;
        loop {
            // The map may turn out to be full at a put, or at the commit; either way LMDB has undone
            // the batch.
            match self.environment.write(|txn| self.apply(txn, batch)) {
                Err(failure) if failure.is_map_full() => {}
                done => return done,
            }
            if self.grow(limit)? {
                continue;
            }
            let free = self.environment.free_bytes()?;
            if aged || free <= put_bytes(batch) {
                return Err(self.full().into());
            }
            self.age_free_pages()?;
            self.shrink(limit)?;
            aged = true;
        }
    }

    /// Takes back what an earlier batch was allowed to use of the reserve and did not need.
    fn shrink(&self, limit: u64) -> Result<(), Failure> {
        let map = self.environment.map()?;
        let enough = whole_pages(limit.max(map.used_bytes))?;
        if map.map_bytes > enough as u64 {
            self.environment.resize(enough)?;
        }
        Ok(())
    }

    /// Makes the map larger, twice as large if it may be; `false` when it may not grow at all.
    fn grow(&self, limit: u64) -> Result<bool, Failure> {
        let before = self.environment.map()?.map_bytes;
        let after = whole_pages(before.saturating_mul(2).min(limit))?;
        if after as u64 <= before {
            return Ok(false);
        }
        tracing::debug!(path = %self.path.display(), before, after, "the map of the file grows");
        self.environment.resize(after)?;
        Ok(true)
    }

    /// Makes the pages that the last commit freed ready for the next: LMDB keeps them for one commit
    /// more. Without this, the first append after the purge of a full store would be refused.
    fn age_free_pages(&self) -> Result<(), Failure> {
        /// Before every key of a store.
        const KEY: &[u8] = b"!";
        let records = self.environment.records;
        let limit = self.limits.beyond(self.environment.map()?.used_bytes, 0);
        loop {
            let aged = self.environment.write(|transaction| {
                records.put(transaction, KEY, b"")?;
                records.delete(transaction, KEY)?;
                Ok(())
            });
            match aged {
                Err(failure) if failure.is_map_full() && self.grow(limit)? => {}
                done => return done,
            }
        }
    }

    fn full(&self) -> Error {
        Error::new(ErrorKind::DiskFull, "commit")
            .with_path(&self.path)
            .with_advice(format!(
                "the map of the file has reached max_map_size, {} bytes; open the store with a \
                 larger one, or open it again and purge",
                self.limits.any
            ))
    }

    fn apply(&self, transaction: &mut RwTxn<'_>, batch: &KvBatch) -> Result<(), Failure> {
        let records = self.environment.records;
        // No key is above this one. A put above it goes to the end of the last page, which is packed
        // full; elsewhere LMDB splits full pages into halves.
        let mut greatest = records
            .last(transaction)?
            .map_or_else(Vec::new, |(key, _)| key.to_vec());
        for op in batch.ops() {
            match op {
                KvOp::Put { key, record } => {
                    let mut flags = PutFlags::empty();
                    if key > &greatest[..] {
                        flags = PutFlags::APPEND;
                        greatest.clear();
                        greatest.extend_from_slice(key);
                    }
                    records.put_with_flags(transaction, flags, key, record)?;
                }
                KvOp::Delete { key } => drop(records.delete(transaction, key)?),
                KvOp::DeleteRange { first, last } => {
                    records.delete_range(transaction, &between(first, last))?;
                }
            }
        }
        Ok(())
    }
}

fn between<'k>(first: &'k [u8], last: &'k [u8]) -> (Bound<&'k [u8]>, Bound<&'k [u8]>) {
    (Bound::Included(first), Bound::Included(last))
}

impl KvEngine for HeedEngine {
    type View<'a> = HeedView<'a>;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn view(&self) -> Result<HeedView<'_>> {
        Ok(HeedView {
            reading: guard("read", &self.path, || self.environment.read())?,
            engine: self,
        })
    }

    fn write(&self, batch: &KvBatch) -> Result<()> {
        let written = guard("commit", &self.path, || self.write_batch(batch));
        written.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    fn check_room(&self, appended: u64, waiting: u64) -> Result<()> {
        guard("commit", &self.path, || {
            let used = self.environment.map()?.used_bytes;
            let limit = self.limits.of_appends(appended);
            let bytes = appended.saturating_add(waiting);
            if used.saturating_add(bytes) <= limit {
                // The usual case needs no look at what is free.
                return Ok(());
            }
            let in_use = used.saturating_sub(self.environment.free_bytes()?);
            if in_use.saturating_add(bytes) > limit {
                return Err(self.full().into());
            }
            Ok(())
        })
    }

    fn reusable_bytes(&self) -> Result<u64> {
        self.environment.free_bytes()
    }

    fn close(self) -> Result<()> {
        let compacted = if self.compact_on_close && !self.failed.load(Ordering::Relaxed) {
            self.write_compacted()
        } else {
            Ok(None)
        };
        let path = self.path;
        looks::close(self.environment);
        let compacted = compacted.and_then(|new| match new {
            Some(new) => put_in_place(&new, &path),
            None => Ok(()),
        });
        if let Err(error) = compacted {
            // The store is whole without it, for example on a full disk.
            tracing::warn!(path = %path.display(), %error, "the LMDB file was not compacted");
        }
        Ok(())
    }
}

/// One read transaction.
pub(crate) struct HeedView<'a> {
    reading: Reading<'a>,
    engine: &'a HeedEngine,
}

impl KvView for HeedView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        guard("read", &self.engine.path, || {
            let records = self.engine.environment.records;
            let record = records.get(&self.reading.transaction, key)?;
            Ok(record.map(Bytes::copy_from_slice))
        })
    }

    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()> {
        guard("read", &self.engine.path, || {
            let records = self.engine.environment.records;
            self.reading
                .scan(records, between(keys.start(), keys.end()), visit)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use raft_logstore_core::envelope;
    use tempfile::TempDir;

    use crate::environment::Access;

    use super::*;

    fn engine(map_bytes: usize) -> (TempDir, HeedEngine) {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::open(dir.path(), map_bytes, Access::Write).unwrap();
        let path = dir.path().join("data.mdb");
        (
            dir,
            HeedEngine::new(environment, &path, Limits::new(1 << 30), false),
        )
    }

    fn pairs(engine: &HeedEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
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
    fn operations_apply_in_order_wherever_their_keys_lie() {
        let (_dir, engine) = engine(1 << 20);
        let key = |number: u64| number.to_be_bytes();
        let mut expected = std::collections::BTreeMap::new();
        for (round, step, from, to) in [
            (1, 3, 0, 300),
            (2, 1, 10, 120),
            (3, 2, 50, 90),
            (4, 1, 200, 417),
        ] {
            let mut batch = KvBatch::new();
            for number in (from..to).step_by(step) {
                batch.put(&key(number), &[round]);
                expected.insert(number, round);
            }
            // The greatest keys go and come back, and go again, in one batch.
            batch.delete_range(key(290)..=key(u64::MAX));
            expected.retain(|number, _| *number < 290);
            batch.put(&key(500), &[round]);
            batch.put(&key(295), &[round]);
            batch.delete(&key(500));
            batch.delete(&key(501));
            expected.insert(295, round);
            engine.write(&batch).unwrap();
            let found: Vec<_> = expected
                .iter()
                .map(|(&at, &round)| (key(at).to_vec(), vec![round]))
                .collect();
            assert_eq!(pairs(&engine), found, "round {round}");
        }
    }

    #[test]
    fn records_that_come_last_fill_their_pages() {
        let (_dir, engine) = engine(1 << 20);
        let mut payload = 0;
        for number in 0..2000_u64 {
            let mut batch = KvBatch::new();
            batch.put(&number.to_be_bytes(), &[7; 300]);
            payload += 300;
            engine.write(&batch).unwrap();
        }
        let used = engine.environment.map().unwrap().used_bytes;
        let records = used - engine.reusable_bytes().unwrap();
        assert!(
            records < payload * 5 / 4,
            "{payload} bytes lie in {records}"
        );
    }

    #[test]
    fn a_view_shows_its_state_while_others_are_written() {
        let (_dir, engine) = engine(1 << 20);
        let mut batch = KvBatch::new();
        batch.put(b"a", b"old");
        engine.write(&batch).unwrap();
        let view = engine.view().unwrap();
        for _ in 0..10 {
            let mut batch = KvBatch::new();
            batch.put(b"a", b"new");
            engine.write(&batch).unwrap();
        }
        let seen = view.get(b"a").unwrap().unwrap();
        assert_eq!(envelope::open(b"a", &seen), Some(&b"old"[..]));
        let seen = engine.view().unwrap().get(b"a").unwrap().unwrap();
        assert_eq!(envelope::open(b"a", &seen), Some(&b"new"[..]));
    }
}
