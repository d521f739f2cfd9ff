use std::ops::{ControlFlow, RangeInclusive};

use bytes::Bytes;
use raft_logstore_core::{Entry, Error, GroupId, IndexRange, Result, StableKey, envelope};

use crate::KvView;
use crate::header::Header;
use crate::layout::{self, LOGS, META};

/// Reads the records of a store from one consistent view, and checks every one. Knows nothing of what
/// [`Recent`](crate::recent::Recent) has to say beside them.
pub(crate) struct Reader<V>(pub(crate) V);

impl<V: KvView> Reader<V> {
    /// The number of the last commit that is settled, and how many groups there were after it.
    pub(crate) fn settled(&self) -> Result<(u64, u64)> {
        let record = self.0.get(layout::SEQUENCE)?;
        let value = record
            .as_deref()
            .and_then(|record| envelope::open(layout::SEQUENCE, record));
        value.and_then(layout::commit_and_groups).ok_or_else(|| {
            Error::corrupt(
                "read commit number",
                "the number of the last commit is missing or fails its checksum",
            )
        })
    }

    /// The groups that have a record, in ascending order, each with its header or why that cannot be
    /// read. A few seeks per group, none of them into what was purged.
    pub(crate) fn groups(&self) -> Result<Vec<(GroupId, Result<Header>)>> {
        let mut groups = Vec::new();
        let mut next = Some(GroupId(0));
        while let Some(start) = next {
            let found = self.first_header(start..=GroupId(u64::MAX))?;
            // Entries of a group that has nothing else lie in between.
            let end = match &found {
                Some((id, _)) => id.0.checked_sub(1).map(GroupId),
                None => Some(GroupId(u64::MAX)),
            };
            self.orphans(start, end, &mut groups)?;
            next = found
                .as_ref()
                .and_then(|(id, _)| id.0.checked_add(1))
                .map(GroupId);
            groups.extend(found);
        }
        Ok(groups)
    }

    /// The first of the groups `groups` that has anything but entries, and its header.
    fn first_header(
        &self,
        groups: RangeInclusive<GroupId>,
    ) -> Result<Option<(GroupId, Result<Header>)>> {
        let keys = layout::group_keys(META, groups);
        let mut found = None;
        self.scan(keys.start()..=keys.end(), |key, record| {
            let group = layout::group_of(key).ok_or_else(|| foreign(key))?;
            // Its name sorts before those of the stable keys.
            let header = if key == layout::header_key(group) {
                let header = envelope::open(key, record).and_then(Header::decode);
                header.ok_or_else(|| bad_header(group, "fails its checksum"))
            } else {
                Err(bad_header(group, "is missing"))
            };
            found = Some((group, header));
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Adds the groups from `start` to `end` that have entries; they should have a header.
    fn orphans(
        &self,
        start: GroupId,
        end: Option<GroupId>,
        groups: &mut Vec<(GroupId, Result<Header>)>,
    ) -> Result<()> {
        let mut next = Some(start);
        while let (Some(start), Some(end)) = (next, end)
            && start <= end
        {
            let found = self.first_with_entries(start..=end)?;
            groups.extend(found.map(|id| (id, Err(bad_header(id, "is missing")))));
            next = found.and_then(|id| id.0.checked_add(1)).map(GroupId);
        }
        Ok(())
    }

    /// The salt of the journal that belongs to the store.
    pub(crate) fn salt(&self) -> Result<u64> {
        let record = self.0.get(layout::JOURNAL)?;
        let value = record
            .as_deref()
            .and_then(|record| envelope::open(layout::JOURNAL, record))
            .and_then(|value| value.try_into().ok());
        value.map(u64::from_be_bytes).ok_or_else(|| {
            Error::corrupt(
                "read journal",
                "the record that names the journal is missing or fails its checksum",
            )
        })
    }

    /// The value of a stable key that is set.
    pub(crate) fn stable(&self, group: GroupId, name: &StableKey) -> Result<Bytes> {
        let corrupt = |what| {
            Error::corrupt("read stable key", &format!("stable key `{name}` {what}"))
                .with_group(group)
        };
        let key = layout::stable_key(group, name);
        let record = self
            .0
            .get(&key)
            .map_err(|error| place(error, group, None))?;
        let record = record.ok_or_else(|| corrupt("is missing"))?;
        match envelope::open(&key, &record) {
            Some(_) => Ok(record.slice(envelope::OVERHEAD..)),
            None => Err(corrupt("fails its checksum")),
        }
    }

    /// The entries inside `range`, which the log has, up to `max_bytes` of payload but at least one.
    pub(crate) fn entries(
        &self,
        group: GroupId,
        range: IndexRange,
        max_bytes: u64,
    ) -> Result<Vec<Entry>> {
        let Some((start, end)) = range.bounds() else {
            return Ok(Vec::new());
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0u64;
        // The log has every index from `start` to `end`: whatever else is found, something is missing.
        let mut expected = Some(start);
        self.scan_entries(group, start..=end, |index, key, record| {
            let next = expected.unwrap_or(index);
            if next != index {
                return Err(hole(group, next..=index.saturating_sub(1).max(next)));
            }
            let size = record.len().saturating_sub(envelope::OVERHEAD);
            bytes = bytes.saturating_add(size as u64);
            if bytes > max_bytes && !entries.is_empty() {
                expected = None;
                return Ok(ControlFlow::Break(()));
            }
            let payload = envelope::open(key, record).ok_or_else(|| rotten(group, index))?;
            entries.push(Entry::new(index, Bytes::copy_from_slice(payload)));
            expected = index.checked_add(1).filter(|&next| next <= end);
            Ok(ControlFlow::Continue(()))
        })?;
        match expected {
            Some(missing) => Err(hole(group, missing..=end)),
            None => Ok(entries),
        }
    }

    /// The lowest index stored for a group inside `range`, garbage included.
    pub(crate) fn lowest(&self, group: GroupId, range: IndexRange) -> Result<Option<u64>> {
        let Some((start, end)) = range.bounds() else {
            return Ok(None);
        };
        let mut lowest = None;
        self.scan_entries(group, start..=end, |index, _, _| {
            lowest = Some(index);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(lowest)
    }

    /// The index below which no entry of a group is stored, as far as that was noted.
    pub(crate) fn low(&self, group: GroupId) -> Result<u64> {
        let key = layout::low_key(group);
        let record = self
            .0
            .get(&key)
            .map_err(|error| place(error, group, None))?;
        let Some(record) = record else {
            return Ok(0);
        };
        let value = envelope::open(&key, &record).and_then(|value| value.try_into().ok());
        value.map(u64::from_be_bytes).ok_or_else(|| {
            let what = "the record of what is deleted fails its checksum";
            Error::corrupt("read group", what).with_group(group)
        })
    }

    /// The lowest of the groups `groups` that has an entry.
    fn first_with_entries(&self, groups: RangeInclusive<GroupId>) -> Result<Option<GroupId>> {
        let keys = layout::group_keys(LOGS, groups);
        let mut found = None;
        self.scan(keys.start()..=keys.end(), |key, _| {
            found = Some(layout::group_of(key).ok_or_else(|| foreign(key))?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Shows the entries of a group that are stored at `indexes`.
    fn scan_entries(
        &self,
        group: GroupId,
        indexes: RangeInclusive<u64>,
        mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let keys = layout::entry_keys(group, indexes.clone());
        let scanned = self.scan(keys.start()..=keys.end(), |key, record| {
            let index = layout::entry_index(key).ok_or_else(|| foreign(key))?;
            visit(index, key, record)
        });
        scanned.map_err(|error| place(error, group, Some(indexes.into())))
    }

    fn scan<K: AsRef<[u8]>>(
        &self,
        keys: RangeInclusive<&K>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let keys = keys.start().as_ref()..=keys.end().as_ref();
        self.0.scan(keys.clone(), &mut |key, record| {
            // In a damaged file keys need not be in order, and a scan may leave its range.
            if keys.contains(&key) {
                visit(key, record)
            } else {
                Err(foreign(key))
            }
        })
    }
}

/// Names the group and the indexes in an error that does not yet.
fn place(error: Error, group: GroupId, indexes: Option<IndexRange>) -> Error {
    match (error.group(), indexes) {
        (Some(_), _) => error,
        (None, Some(indexes)) => error.with_group(group).with_indexes(indexes),
        (None, None) => error.with_group(group),
    }
}

fn bad_header(group: GroupId, what: &str) -> Error {
    Error::corrupt("read group", &format!("the header of the group {what}")).with_group(group)
}

/// A key was met that cannot be where it is.
fn foreign(key: &[u8]) -> Error {
    let what = format!("key \"{}\" is out of place", key.escape_ascii());
    Error::corrupt("read keys", &what)
}

fn rotten(group: GroupId, index: u64) -> Error {
    Error::corrupt("read entries", "the entry fails its checksum")
        .with_group(group)
        .with_indexes(index..=index)
}

fn hole(group: GroupId, missing: RangeInclusive<u64>) -> Error {
    Error::corrupt("read entries", "entries of the log are missing")
        .with_group(group)
        .with_indexes(missing)
}
