use std::collections::BTreeMap;

use raft_logstore_core::{Bounds, GroupId, IndexRange, Result};

use crate::reader::Reader;
use crate::{KvBatch, KvView, layout};

/// How many indexes one commit deletes of a purge, and at least of older garbage.
pub(crate) const SLICE: u64 = 512;

/// How many groups one slice looks at: bounds its seeks where many groups turn out to be clean.
const GROUPS_PER_SLICE: usize = 16;

/// What is still stored below the purge floors.
///
/// A purge is a change of the group's header: it hides the entries at once. Their bytes go in slices
/// of a bounded number of indexes, so neither a purge nor a commit after it takes longer for a long
/// log. A slice starts at the lowest key that exists, so a floor may jump over any number of indexes.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    /// Per group, the indexes between which garbage may be stored.
    pending: BTreeMap<GroupId, (u64, u64)>,
}

impl Garbage {
    /// Finds out what an earlier run left of a group.
    pub(crate) fn find(
        &mut self,
        reader: &Reader<impl KvView>,
        group: GroupId,
        bounds: Bounds,
    ) -> Result<()> {
        if let Some(floor) = bounds.floor()
            && let Some(lowest) =
                reader.lowest(group, IndexRange::new(reader.low(group)?..=floor))?
        {
            self.pending.insert(group, (lowest, floor));
        }
        Ok(())
    }

    /// Whether there may be garbage left.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes in the entries that a purge hides. Adds the deletion of the first of them to `batch`, of all
    /// when they are few, unless older garbage lies below: that goes first.
    pub(crate) fn add(&mut self, group: GroupId, hidden: IndexRange, batch: &mut KvBatch) {
        let Some((first, last)) = hidden.bounds() else {
            return;
        };
        if let Some((_, end)) = self.pending.get_mut(&group) {
            *end = last;
            return;
        }
        let end = last.min(first.saturating_add(SLICE - 1));
        delete(group, first, end, batch);
        if end < last {
            self.pending.insert(group, (end + 1, last));
        }
    }

    /// Forgets a group that is dropped with all its records.
    pub(crate) fn drop_group(&mut self, group: GroupId) {
        self.pending.remove(&group);
    }

    /// Adds the deletion of up to `budget` indexes of garbage to `batch`, as the view shows it. What
    /// it shows must not have been changed by an operation earlier in `batch`.
    pub(crate) fn slice(
        &mut self,
        reader: &Reader<impl KvView>,
        mut budget: u64,
        batch: &mut KvBatch,
    ) -> Result<()> {
        for _ in 0..GROUPS_PER_SLICE {
            let Some(mut entry) = self.pending.first_entry() else {
                break;
            };
            if budget == 0 {
                break;
            }
            let (group, (from, end)) = (*entry.key(), *entry.get());
            let Some(first) = reader.lowest(group, IndexRange::new(from..=end))? else {
                entry.remove();
                continue;
            };
            let last = end.min(first.saturating_add(budget - 1));
            delete(group, first, last, batch);
            budget -= last - first + 1;
            if last == end {
                entry.remove();
            } else {
                entry.get_mut().0 = last + 1;
            }
        }
        Ok(())
    }
}

/// Adds the deletion of the lowest entries of a group, `first..=last`, and notes it.
fn delete(group: GroupId, first: u64, last: u64, batch: &mut KvBatch) {
    batch.delete_range(layout::entry_keys(group, first..=last));
    batch.put(
        &layout::low_key(group),
        &last.saturating_add(1).to_be_bytes(),
    );
}
