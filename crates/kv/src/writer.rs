use std::collections::HashMap;

use raft_logstore_core::{Batch, Error, GroupId, IndexRange, Op, Result, StableKey};

use crate::garbage::{Garbage, SLICE};
use crate::header::Header;
use crate::layout::{self, entry_key, entry_keys, header_key, meta_keys, stable_key};
use crate::reader::Reader;
use crate::{KvBatch, KvView};

/// What commits work with, one at a time; readers never wait for it.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    groups: HashMap<GroupId, Header>,
    pub(crate) garbage: Garbage,
    pub(crate) batch: KvBatch,
    /// The groups whose header the batch changes, and room to encode it.
    changed: Vec<GroupId>,
    value: Vec<u8>,
    /// Why the last write failed. Then nobody knows what the engine holds.
    pub(crate) failure: Option<Error>,
}

impl Writer {
    /// Learns what the store holds, and checks that it is all there.
    pub(crate) fn open(reader: &Reader<impl KvView>) -> Result<Self> {
        let mut writer = Self::default();
        for group in reader.groups()? {
            let header = reader.header(group)?;
            writer.garbage.find(reader, group, header.bounds)?;
            writer.groups.insert(group, header);
        }
        Ok(writer)
    }

    /// Adds what `batch` writes.
    pub(crate) fn fill(&mut self, batch: &Batch) -> Result<()> {
        for op in &batch.ops {
            self.apply(op)
                .map_err(|error| error.with_group(op.group()))?;
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        for group in self.changed.drain(..) {
            match self.groups.get(&group).filter(|header| !header.is_empty()) {
                Some(header) => {
                    header.encode(&mut self.value);
                    self.batch.put(&header_key(group), &self.value);
                }
                None => {
                    self.groups.remove(&group);
                    self.batch.delete(&header_key(group));
                }
            }
        }
        self.batch.put(
            layout::SEQUENCE,
            &layout::sequence(batch.sequence, self.groups.len() as u64),
        );
        Ok(())
    }

    /// How many indexes of garbage a commit of `batch` takes with it.
    pub(crate) fn garbage_budget(batch: &Batch) -> u64 {
        let entries = batch.ops.iter().map(|op| match op {
            Op::Append { entries, .. } => entries.len() as u64,
            _ => 0,
        });
        SLICE.max(2 * entries.sum::<u64>())
    }

    fn apply(&mut self, op: &Op) -> Result<()> {
        let Self {
            groups,
            garbage,
            batch,
            changed,
            ..
        } = self;
        let group = op.group();
        let header = groups.entry(group).or_default();
        let before = header.bounds;
        let mut names_changed = false;
        match op {
            Op::Append { entries, .. } => {
                for entry in entries {
                    header.bounds = header.bounds.append(entry.index, 1)?;
                    batch.put(&entry_key(group, entry.index), &entry.payload);
                }
            }
            Op::Truncate { from, .. } => {
                header.bounds = before.truncate(*from)?;
                batch.delete_range(entry_keys(group, *from..=u64::MAX));
            }
            Op::Purge { up_to, id, .. } => {
                header.bounds = before.purge(*up_to);
                if header.bounds != before {
                    let hidden = before.range().intersect(IndexRange::new(..=*up_to));
                    garbage.add(group, hidden, batch);
                    names_changed = header.set_name(&StableKey::PURGED, true);
                    batch.put(&stable_key(group, &StableKey::PURGED), id);
                }
            }
            Op::Put {
                key,
                value: Some(value),
                ..
            } => {
                names_changed = header.set_name(key, true);
                batch.put(&stable_key(group, key), value);
            }
            Op::Put {
                key, value: None, ..
            } => {
                names_changed = header.set_name(key, false);
                batch.delete(&stable_key(group, key));
            }
            Op::DropGroup { .. } => {
                *header = Header::default();
                names_changed = true;
                garbage.drop_group(group);
                batch.delete_range(entry_keys(group, 0..=u64::MAX));
                batch.delete_range(meta_keys(group));
            }
        }
        // A group that never held anything is forgotten in the same way as one that is dropped.
        if header.bounds != before || names_changed || header.is_empty() {
            changed.push(group);
        }
        Ok(())
    }
}
