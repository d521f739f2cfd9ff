use std::collections::VecDeque;

use crate::group::GroupState;
use crate::sync::Arc;

/// Keeps the durable entries in memory below a bound over all groups, oldest out first.
///
/// Every durable entry in memory is covered by one of its records, so their sum bounds the memory;
/// entries purged in the meantime only make the bound stricter. Part of the committer.
pub(crate) struct Evictor {
    limit: u64,
    bytes: u64,
    /// Group, last index of the run, and what the run costs in memory.
    runs: VecDeque<(Arc<GroupState>, u64, u64)>,
}

impl Evictor {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            bytes: 0,
            runs: VecDeque::new(),
        }
    }

    /// Takes note of entries up to `last` that became durable, and evicts what no longer fits.
    pub(crate) fn durable(&mut self, group: Arc<GroupState>, last: u64, bytes: u64) {
        self.bytes += bytes;
        match self.runs.back_mut() {
            // Short runs of one group grow together, so that the list stays short.
            Some((of, end, size))
                if Arc::ptr_eq(of, &group) && *size + bytes <= self.limit / 64 =>
            {
                (*end, *size) = (last, *size + bytes);
            }
            _ => self.runs.push_back((group, last, bytes)),
        }
        while self.bytes > self.limit
            && let Some((group, last, bytes)) = self.runs.pop_front()
        {
            group.evict(last);
            self.bytes -= bytes;
        }
    }

    /// Bytes of durable entries in memory, at most.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
