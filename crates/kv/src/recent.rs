use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use raft_logstore_core::{
    Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, Op, Result, StableKey,
};

use crate::KvBatch;
use crate::garbage::Garbage;
use crate::header::Header;
use crate::layout::{self, entry_key, entry_keys, header_key, meta_keys, stable_key};

/// What the journal holds, in memory: the header of every group as of the last commit, and what the
/// commits since the last settle have changed.
///
/// Together with the records that were settled this is the state of the store: a read takes what it
/// finds here from here, and the rest from the engine.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The number of the last commit.
    pub(crate) sequence: u64,
    groups: HashMap<GroupId, Group>,
    /// The groups that have changes.
    changed: Vec<GroupId>,
    /// What the changes take in memory, in bytes; roughly what they take in the journal.
    bytes: u64,
    /// How many entries were appended since the last settle.
    appended: u64,
    frees_space: bool,
    /// That groups are missing altogether.
    missing: Option<Error>,
}

#[derive(Debug, Default)]
struct Group {
    header: Header,
    /// Why the header could not be read: then there is none to rely on.
    damage: Option<Error>,
    changes: Option<Box<Changes>>,
}

/// What the commits since the last settle have done to a group.
#[derive(Debug, Default)]
struct Changes {
    /// The bounds as the settled records have them.
    settled: Bounds,
    /// No settled record of the group is valid any more.
    dropped: bool,
    /// The lowest index from which on no settled entry is valid any more.
    truncated: Option<u64>,
    /// The entries appended since: they end with the log's last entry. The log's entries before them
    /// are settled.
    entries: VecDeque<Entry>,
    stable: BTreeMap<StableKey, Option<Bytes>>,
}

/// Where the value of a stable key is.
pub(crate) enum StableValue {
    Here(Option<Bytes>),
    Settled,
}

impl Recent {
    /// What a stable key, an entry or an operation costs in memory beside its bytes, roughly.
    pub(crate) const OVERHEAD: u64 = 64;

    /// The state after commit `settled`, with everything settled, `expected` groups that should be
    /// there and those that are.
    pub(crate) fn new(settled: u64, expected: u64, groups: Vec<(GroupId, Result<Header>)>) -> Self {
        let missing = (groups.len() as u64 != expected).then(|| {
            Error::new(ErrorKind::Corrupt, "list groups").with_advice(format!(
                "{} groups were found where {expected} have to be; restore the store from another \
                 replica or a backup",
                groups.len()
            ))
        });
        let groups = groups.into_iter().map(|(id, header)| {
            let (header, damage) = match header {
                Ok(header) => (header, None),
                Err(damage) => (Header::default(), Some(damage)),
            };
            let group = Group {
                header,
                damage,
                changes: None,
            };
            (id, group)
        });
        Self {
            sequence: settled,
            groups: groups.collect(),
            missing,
            ..Self::default()
        }
    }

    /// Whether every group is there and can be read.
    ///
    /// # Errors
    ///
    /// The damage of the first group that has any.
    pub(crate) fn whole(&self) -> Result<()> {
        let damaged = self
            .groups
            .iter()
            .filter(|(_, group)| group.damage.is_some());
        let first = damaged.min_by_key(|(id, _)| **id);
        let damage = first.and_then(|(_, group)| group.damage.as_ref());
        damage
            .or(self.missing.as_ref())
            .map_or(Ok(()), |damage| Err(damage.clone()))
    }

    /// The groups that have something, in ascending order.
    pub(crate) fn groups(&self) -> Result<Vec<GroupId>> {
        if let Some(missing) = &self.missing {
            return Err(missing.clone());
        }
        let with_data = self.groups.iter().filter(|(_, group)| group.exists());
        let mut ids: Vec<_> = with_data.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// A group that can be read; `None` for one that has nothing.
    fn group(&self, id: GroupId) -> Result<Option<&Group>> {
        match self.groups.get(&id) {
            Some(Group {
                damage: Some(damage),
                ..
            }) => Err(damage.clone()),
            found => Ok(found),
        }
    }

    /// The bounds of a group's log.
    pub(crate) fn bounds(&self, group: GroupId) -> Result<Bounds> {
        let group = self.group(group)?;
        Ok(group.map_or(Bounds::default(), |group| group.header.bounds))
    }

    /// The stable keys of a group.
    pub(crate) fn names(&self, group: GroupId) -> Result<&[StableKey]> {
        let group = self.group(group)?;
        Ok(group.map_or(&[], |group| &group.header.names))
    }

    /// Where the value of a stable key is.
    pub(crate) fn stable(&self, group: GroupId, name: &StableKey) -> Result<StableValue> {
        let Some(group) = self.group(group)? else {
            return Ok(StableValue::Here(None));
        };
        let changed = group
            .changes
            .as_ref()
            .and_then(|changes| changes.stable.get(name));
        Ok(match changed {
            Some(value) => StableValue::Here(value.clone()),
            None if group.header.names.contains(name) => StableValue::Settled,
            None => StableValue::Here(None),
        })
    }

    /// Splits what the log has inside `range` into the part that is settled and the entries that
    /// follow it here: the first of them up to `max_bytes` of payload, but at least one if there is
    /// any.
    pub(crate) fn split(
        &self,
        group: GroupId,
        range: IndexRange,
        max_bytes: u64,
    ) -> Result<(IndexRange, Vec<Entry>)> {
        let Some(group) = self.group(group)? else {
            return Ok((IndexRange::EMPTY, Vec::new()));
        };
        let range = range.intersect(group.header.bounds.range());
        let entries = group.changes.as_ref().map(|changes| &changes.entries);
        let Some((entries, first)) =
            entries.and_then(|entries| Some((entries, entries.front()?.index)))
        else {
            return Ok((range, Vec::new()));
        };
        let settled = range.intersect(IndexRange::new(..first));
        let Some((start, end)) = range.intersect(IndexRange::new(first..)).bounds() else {
            return Ok((settled, Vec::new()));
        };
        // Indexes of entries in memory, so they fit.
        let (start, end) = ((start - first) as usize, (end - first) as usize);
        let mut bytes = 0u64;
        let within_cap = |&(at, entry): &(usize, &Entry)| {
            bytes = bytes.saturating_add(entry.payload.len() as u64);
            bytes <= max_bytes || at == 0
        };
        let inside = entries
            .range(start..=end)
            .enumerate()
            .take_while(within_cap);
        let newer = inside.map(|(_, entry)| entry.clone()).collect();
        Ok((settled, newer))
    }

    /// Checks that `batch` keeps the rules of [`Bounds`].
    pub(crate) fn check(&self, batch: &Batch) -> Result<()> {
        batch.check(|group| self.bounds(group))
    }

    /// Takes in a commit.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); then the state is not to be used any more.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<()> {
        for op in &batch.ops {
            self.apply_op(op)
                .map_err(|error| error.with_group(op.group()))?;
        }
        self.sequence = batch.sequence;
        Ok(())
    }

    fn apply_op(&mut self, op: &Op) -> Result<()> {
        let id = op.group();
        let Group {
            header,
            damage,
            changes,
        } = self.groups.entry(id).or_default();
        if damage.is_some() {
            // What the journal has done to it cannot be told either.
            return Ok(());
        }
        let changes = changes.get_or_insert_with(|| {
            self.changed.push(id);
            let settled = header.bounds;
            Box::new(Changes {
                settled,
                ..Changes::default()
            })
        });
        let before = header.bounds;
        header.bounds = before.after(op)?;
        self.bytes += Self::OVERHEAD;
        match op {
            Op::Append { entries, .. } => {
                let payload: u64 = entries.iter().map(|entry| entry.payload.len() as u64).sum();
                self.bytes += payload + Self::OVERHEAD * entries.len() as u64;
                self.appended += entries.len() as u64;
                changes.entries.extend(entries.iter().cloned());
            }
            Op::Truncate { from, .. } => {
                self.frees_space = true;
                changes.truncate(*from);
            }
            Op::Purge { up_to, id, .. } if header.bounds != before => {
                self.frees_space = true;
                changes.forget_entries_up_to(*up_to);
                header.set_name(&StableKey::PURGED, true);
                changes.stable.insert(StableKey::PURGED, Some(id.clone()));
            }
            Op::Purge { .. } => {}
            Op::Put { key, value, .. } => {
                self.bytes += value.as_ref().map_or(0, |value| value.len() as u64);
                header.set_name(key, value.is_some());
                changes.stable.insert(key.clone(), value.clone());
            }
            Op::DropGroup { .. } => {
                self.frees_space = true;
                *header = Header::default();
                **changes = Changes {
                    settled: changes.settled,
                    dropped: true,
                    ..Changes::default()
                };
            }
        }
        Ok(())
    }

    /// What the changes since the last settle take, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many entries were appended since the last settle.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    /// Whether a settle would make space free.
    pub(crate) fn frees_space(&self) -> bool {
        self.frees_space
    }

    /// Adds what makes the settled records the state of now to `batch`.
    pub(crate) fn settle_into(&self, batch: &mut KvBatch, garbage: &mut Garbage) {
        // In the order of the keys: engines write that fastest.
        let mut changed: Vec<_> = self.changed.clone();
        changed.sort_unstable();
        let mut value = Vec::new();
        for id in changed {
            let Some(Group {
                header,
                changes: Some(changes),
                ..
            }) = self.groups.get(&id)
            else {
                continue;
            };
            changes.discard_into(id, header.bounds.floor(), batch, garbage);
            for Entry { index, payload } in &changes.entries {
                batch.put(&entry_key(id, *index), payload);
            }
            for (name, value) in &changes.stable {
                match value {
                    Some(value) => batch.put(&stable_key(id, name), value),
                    None => batch.delete(&stable_key(id, name)),
                }
            }
            if header.is_empty() {
                batch.delete(&header_key(id));
            } else {
                header.encode(&mut value);
                batch.put(&header_key(id), &value);
            }
        }
        let groups = self.groups.values().filter(|group| group.exists());
        batch.put(
            layout::SEQUENCE,
            &layout::sequence(self.sequence, groups.count() as u64),
        );
    }

    /// Takes note that what [`settle_into`](Self::settle_into) added is durable.
    pub(crate) fn settled(&mut self) {
        for id in self.changed.drain(..) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.changes = None;
                if !group.exists() {
                    self.groups.remove(&id);
                }
            }
        }
        self.bytes = 0;
        self.appended = 0;
        self.frees_space = false;
    }
}

impl Group {
    /// Whether the group has anything.
    fn exists(&self) -> bool {
        self.damage.is_some() || !self.header.is_empty()
    }
}

impl Changes {
    fn truncate(&mut self, from: u64) {
        self.truncated = Some(self.truncated.map_or(from, |before| before.min(from)));
        let first = self.entries.front().map_or(from, |entry| entry.index);
        let keep = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
    }

    fn forget_entries_up_to(&mut self, up_to: u64) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.index <= up_to)
        {
            self.entries.pop_front();
        }
    }

    /// Adds the deletion of the settled records that are not valid any more.
    fn discard_into(
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
        let mut settled = self.settled.range();
        if let Some(from) = self.truncated {
            if let Some((first, last)) = settled.intersect(IndexRange::new(from..)).bounds() {
                batch.delete_range(entry_keys(id, first..=last));
            }
            settled = settled.intersect(IndexRange::new(..from));
        }
        if let Some(floor) = floor {
            garbage.add(id, settled.intersect(IndexRange::new(..=floor)), batch);
        }
    }
}
