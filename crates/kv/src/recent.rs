use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use raft_logstore_core::{
    Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, Op, Result, StableKey,
};

use crate::changes::Changes;
use crate::header::Header;
use crate::settlement::{Settlement, Settling};

/// What the journal holds, in memory: the header of every group as of the last commit, and what the
/// commits have changed that are not settled yet, in two layers: those that are being settled and those
/// after them.
///
/// Together with the records that were settled this is the state of the store: a read takes what it
/// finds here from here, and the rest from the engine. Where a settle is under way the engine may be asked before or
/// after it: of what is valid both have the same.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The number of the last commit.
    pub(crate) sequence: u64,
    groups: HashMap<GroupId, Group>,
    /// The groups that have changes which no settle has begun with.
    changed: Vec<GroupId>,
    /// What these changes take in memory, in bytes; roughly what they take in the journal.
    bytes: u64,
    /// How many entries they have appended.
    appended: u64,
    /// Whether they make space free once they are settled.
    frees_space: bool,
    /// What the changes that are being settled take in memory, in bytes.
    settling_bytes: u64,
    /// That groups are missing altogether.
    missing: Option<Error>,
}

#[derive(Debug, Default)]
struct Group {
    header: Header,
    /// Why the header could not be read: then there is none to rely on.
    damage: Option<Error>,
    /// What no settle has begun with.
    changes: Option<Box<Changes>>,
    /// What is being settled.
    settling: Option<Arc<Settling>>,
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
                ..Group::default()
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
        let changed = |changes: &Changes| changes.stable.get(name).cloned();
        let latest = group.changes.as_deref().and_then(changed);
        let is_set = group.header.names.contains(name);
        Ok(match latest {
            Some(value) => StableValue::Here(value),
            // Also when the group was dropped since: then what is older says nothing.
            None if !is_set => StableValue::Here(None),
            None => match group.settling().and_then(changed) {
                Some(value) => StableValue::Here(value),
                None => StableValue::Settled,
            },
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
        let (range, latest) = Changes::split(group.changes.as_deref(), range);
        let (settled, settling) = Changes::split(group.settling(), range);
        let mut bytes = 0u64;
        let within_cap = |&(at, entry): &(usize, &Entry)| {
            bytes = bytes.saturating_add(entry.payload.len() as u64);
            bytes <= max_bytes || at == 0
        };
        let newer = settling.chain(latest).enumerate().take_while(within_cap);
        Ok((settled, newer.map(|(_, entry)| entry.clone()).collect()))
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
            ..
        } = self.groups.entry(id).or_default();
        if damage.is_some() {
            // What the journal has done to it cannot be told either.
            return Ok(());
        }
        let changes = changes.get_or_insert_with(|| {
            self.changed.push(id);
            Box::new(Changes::new(header.bounds))
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
                changes.drop_group();
            }
        }
        Ok(())
    }

    /// What the changes take that no settle has begun with, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What all changes take that are not settled, in bytes.
    pub(crate) fn unsettled_bytes(&self) -> u64 {
        self.bytes + self.settling_bytes
    }

    /// Whether a settle would make space free.
    pub(crate) fn frees_space(&self) -> bool {
        self.frees_space
    }

    /// Begins to settle all changes. There must be none that are being settled.
    pub(crate) fn begin_to_settle(&mut self) -> Settlement {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        let groups = changed.into_iter().filter_map(|id| {
            let group = self.groups.get_mut(&id)?;
            let settling = Arc::new(Settling {
                header: group.header.clone(),
                changes: *group.changes.take()?,
            });
            group.settling = Some(Arc::clone(&settling));
            Some((id, settling))
        });
        let groups = groups.collect();
        let existing = self.groups.values().filter(|group| group.exists()).count();
        self.settling_bytes = std::mem::take(&mut self.bytes);
        self.frees_space = false;
        Settlement {
            sequence: self.sequence,
            existing: existing as u64,
            appended: std::mem::take(&mut self.appended),
            groups,
        }
    }

    /// Takes note that the changes with which a settle began are durable in their places.
    pub(crate) fn settled(&mut self, settlement: &Settlement) {
        for (id, _) in &settlement.groups {
            if let Some(group) = self.groups.get_mut(id) {
                group.settling = None;
                if !group.exists() && group.changes.is_none() {
                    self.groups.remove(id);
                }
            }
        }
        self.settling_bytes = 0;
    }
}

impl Group {
    /// Whether the group has anything.
    fn exists(&self) -> bool {
        self.damage.is_some() || !self.header.is_empty()
    }

    fn settling(&self) -> Option<&Changes> {
        self.settling.as_ref().map(|settling| &settling.changes)
    }
}
