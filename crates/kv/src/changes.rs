use std::collections::vec_deque;
use std::collections::{BTreeMap, VecDeque};
use std::iter::Flatten;
use std::option;

use bytes::Bytes;
use raft_logstore_core::{Bounds, Entry, GroupId, IndexRange, StableKey};

use crate::KvBatch;
use crate::garbage::Garbage;
use crate::layout::{entry_keys, meta_keys};

/// What some commits in a row have done to a group.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The bounds before them.
    before: Bounds,
    /// No record of before is valid any more.
    dropped: bool,
    /// The lowest index from which on no entry of before is valid any more.
    truncated: Option<u64>,
    /// The entries they appended: with the last of them the log ends. The log's entries below them are
    /// of before.
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) stable: BTreeMap<StableKey, Option<Bytes>>,
}

/// Some of the entries of [`Changes`].
pub(crate) type Entries<'a> = Flatten<option::IntoIter<vec_deque::Iter<'a, Entry>>>;

impl Changes {
    /// No change of a group with these bounds.
    pub(crate) fn new(before: Bounds) -> Self {
        Self {
            before,
            dropped: false,
            truncated: None,
            entries: VecDeque::new(),
            stable: BTreeMap::new(),
        }
    }

    /// Splits `range`, all of which the log has, into what is of before and the entries appended since.
    pub(crate) fn split(changes: Option<&Self>, range: IndexRange) -> (IndexRange, Entries<'_>) {
        let Some((changes, first)) =
            changes.and_then(|changes| Some((changes, changes.entries.front()?.index)))
        else {
            return (range, None.into_iter().flatten());
        };
        let since = range.intersect(IndexRange::new(first..)).bounds();
        let entries = since.map(|(start, end)| {
            // Indexes of entries in memory, so they fit.
            let (start, end) = ((start - first) as usize, (end - first) as usize);
            changes.entries.range(start..=end)
        });
        let before = range.intersect(IndexRange::new(..first));
        (before, entries.into_iter().flatten())
    }

    pub(crate) fn truncate(&mut self, from: u64) {
        self.truncated = Some(self.truncated.map_or(from, |before| before.min(from)));
        let first = self.entries.front().map_or(from, |entry| entry.index);
        let keep = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
    }

    pub(crate) fn forget_entries_up_to(&mut self, up_to: u64) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.index <= up_to)
        {
            self.entries.pop_front();
        }
    }

    pub(crate) fn drop_group(&mut self) {
        *self = Self {
            dropped: true,
            ..Self::new(self.before)
        };
    }

    /// Adds the deletion of the records of before that are not valid any more.
    pub(crate) fn discard_into(
        &self,
        id: GroupId,
        floor: Option<u64>,
        batch: &mut KvBatch,
        garbage: &mut Garbage,
    ) {
        if self.dropped {
            garbage.drop_group(id);
            batch.delete_range(entry_keys(id, 0..=u64::MAX));
            batch.delete_range(meta_keys(id));
            return;
        }
        let mut before = self.before.range();
        if let Some(from) = self.truncated {
            if let Some((first, last)) = before.intersect(IndexRange::new(from..)).bounds() {
                batch.delete_range(entry_keys(id, first..=last));
            }
            before = before.intersect(IndexRange::new(..from));
        }
        if let Some(floor) = floor {
            garbage.add(id, before.intersect(IndexRange::new(..=floor)), batch);
        }
    }
}
