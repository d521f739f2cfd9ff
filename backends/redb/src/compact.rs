use std::fs;
use std::sync::Arc;

use raft_logstore_core::{Error, Result};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use crate::engine::{RECORDS, RedbEngine};
use crate::error::Failure;

/// The smallest file that is worth compacting.
const FROM_BYTES: u64 = 16 << 20;

/// How many records at either end of the table tell how long a record is.
const SAMPLE: usize = 64;

impl RedbEngine {
    /// Whether most of the file is free space that compaction would give back.
    ///
    /// redb counts free pages by walking the whole tree, which a large store must not pay for at every
    /// close. So a guess comes first, from the number of records and the length of some: only when it
    /// says that the tree is small beside the file is the walk worth its time.
    fn is_mostly_free(&self) -> Result<bool> {
        let file_bytes = self.file_bytes()?;
        if file_bytes < FROM_BYTES || self.guess_record_bytes()? > file_bytes / 3 {
            return Ok(false);
        }
        Ok(self.allocated_bytes()? < file_bytes / 2)
    }

    /// The pages in use. Walks the whole tree.
    pub(crate) fn allocated_bytes(&self) -> Result<u64> {
        self.guard.run("count pages", || {
            let transaction = self.database().begin_write()?;
            let stats = transaction.stats()?;
            transaction.abort()?;
            Ok(stats.allocated_pages() * stats.page_size() as u64)
        })
    }

    /// Moves the pages in use together and cuts the rest of the file off, where that is worth it.
    pub(crate) fn compact_if_mostly_free(&mut self) -> Result<()> {
        if !self.is_mostly_free()? {
            return Ok(());
        }
        let before = self.file_bytes()?;
        let guard = Arc::clone(&self.guard);
        guard.run("compact", || Ok(self.database_mut().compact()?))?;
        let after = self.file_bytes()?;
        tracing::info!(path = %self.guard.path().display(), before, after, "compacted the redb file");
        Ok(())
    }

    pub(crate) fn file_bytes(&self) -> Result<u64> {
        let file = fs::metadata(self.guard.path());
        Ok(file
            .map_err(|error| Error::io("compact", error).with_path(self.guard.path()))?
            .len())
    }

    fn guess_record_bytes(&self) -> Result<u64> {
        self.guard.run("compact", || {
            let table = self.database().begin_read()?.open_table(RECORDS)?;
            let (mut records, mut bytes) = (0, 0);
            for pair in table
                .iter()?
                .take(SAMPLE)
                .chain(table.iter()?.rev().take(SAMPLE))
            {
                let (key, record) = pair?;
                records += 1;
                bytes += (key.value().len() + record.value().len()) as u64;
            }
            Ok::<_, Failure>(table.len()?.saturating_mul(bytes / u64::max(records, 1)))
        })
    }
}
