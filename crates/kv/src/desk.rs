use raft_logstore_core::Result;

use crate::garbage::{Garbage, SLICE};
use crate::reader::Reader;
use crate::settlement::Settlement;
use crate::{KvBatch, KvEngine};

/// How many indexes of garbage one settle deletes at least.
pub(crate) const GARBAGE_PER_SETTLE: u64 = 4 * SLICE;

/// What is needed to write to the engine. There is one: who has it writes.
#[derive(Debug)]
pub(crate) struct Desk {
    garbage: Garbage,
    batch: KvBatch,
}

impl Desk {
    pub(crate) fn new(garbage: Garbage) -> Self {
        Self {
            garbage,
            batch: KvBatch::new(),
        }
    }

    /// Whether there may be garbage left.
    pub(crate) fn has_garbage(&self) -> bool {
        self.garbage.is_pending()
    }

    /// Prepares the deletion of up to `budget` indexes of garbage. Nothing else may have been prepared before.
    ///
    /// # Errors
    ///
    /// As [`KvEngine::view`].
    pub(crate) fn collect_garbage(&mut self, engine: &impl KvEngine, budget: u64) -> Result<()> {
        if self.has_garbage() {
            self.garbage
                .slice(&Reader(engine.view()?), budget, &mut self.batch)?;
        }
        Ok(())
    }

    /// Prepares a settle.
    pub(crate) fn put(&mut self, settlement: &Settlement) {
        settlement.put_into(&mut self.batch, &mut self.garbage);
    }

    /// Writes what was prepared, if anything was.
    ///
    /// # Errors
    ///
    /// As [`KvEngine::write`].
    pub(crate) fn flush(&mut self, engine: &impl KvEngine) -> Result<()> {
        if !self.batch.is_empty() {
            engine.write(&self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }
}
