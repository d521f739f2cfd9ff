use std::fs;
use std::sync::atomic::Ordering;

use fjall::AbstractTree;
use raft_logstore_core::{Error, Result};

use crate::engine::FjallEngine;
use crate::error::{Failure, guard};

/// What a deletion takes in a table, in bytes, about.
const TOMBSTONE_BYTES: u64 = 40;

/// The deletions that are worth writing out before the memtable is full.
const MANY_DELETIONS: u64 = 16 << 10;

/// The smallest tables that are worth compacting at close, in bytes together.
const FROM_BYTES: u64 = 16 << 20;

impl FjallEngine {
    /// An estimate of what deletions make obsolete in the tables, in bytes: for each deletion, itself
    /// and one record of average length.
    pub(crate) fn obsolete_bytes(&self) -> Result<u64> {
        guard("measure", &self.path, || {
            let tree = &self.records().tree;
            let bytes = tree.disk_space();
            let deletions = tree.tombstone_count();
            let records = (tree.approximate_len() as u64).saturating_sub(deletions);
            let deletions_bytes = deletions.saturating_mul(TOMBSTONE_BYTES).min(bytes);
            let record_bytes = (bytes - deletions_bytes) / records.max(1);
            let records_bytes = record_bytes.saturating_mul(deletions.min(records));
            Ok((deletions_bytes + records_bytes).min(bytes))
        })
    }

    /// The bytes of the journals that are no longer written to; they go once their batches are in
    /// tables.
    pub(crate) fn sealed_journal_bytes(&self) -> Result<u64> {
        let failed = |error| Error::io("measure", error).with_path(&self.path);
        let mut journals = Vec::new();
        for file in fs::read_dir(&self.path).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let id = path
                .file_stem()
                .and_then(|id| id.to_str()?.parse::<u64>().ok());
            if let Some(id) = id
                && path.extension().is_some_and(|extension| extension == "jnl")
                && let Ok(journal) = fs::metadata(&path)
            {
                journals.push((id, journal.len()));
            }
        }
        let active = journals.iter().max().copied();
        let sealed = journals.iter().filter(|&&journal| Some(journal) != active);
        Ok(sealed.map(|(_, bytes)| bytes).sum())
    }

    /// Has the deletions since the last time written to a table when they are many, so that the
    /// compaction of fjall sees them. That happens in the background.
    pub(crate) fn write_out_deletions(&self) -> Result<(), Failure> {
        if self.deletions.load(Ordering::Relaxed) >= MANY_DELETIONS {
            self.rotate()?;
        }
        Ok(())
    }

    /// Rewrites the tables without what is obsolete, where that is most of them. Writes out the
    /// memtable first.
    pub(crate) fn compact_if_mostly_obsolete(&self) -> Result<()> {
        guard("compact", &self.path, || {
            self.ask()?;
            // Deletions count in tables alone, also those that an earlier run left in the journal.
            self.rotate()?;
            self.wait_for_tables(0)
        })?;
        let before = self.records().disk_space();
        if before < FROM_BYTES || self.obsolete_bytes()? < before / 2 {
            return Ok(());
        }
        guard("compact", &self.path, || {
            Ok(self.records().major_compact()?)
        })?;
        let after = self.records().disk_space();
        tracing::info!(path = %self.path.display(), before, after, "compacted the fjall tables");
        Ok(())
    }
}
