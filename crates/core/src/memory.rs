use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{
    Backend, Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, Op, Result, StableKey,
};

/// The reference backend: everything in ordered maps, obviously correct before fast.
///
/// Guarantees: exactly those of [`Backend`], except that nothing survives the process. Clones share
/// one store, so that a test can close a `Store` and open another one on the same data. Unlike an
/// engine it checks what it is told to write, and refuses a batch that breaks the rules of
/// [`Bounds`] without applying any of it.
///
/// ```
/// use raft_logstore_core::{Backend, Batch, Entry, GroupId, MemoryBackend, Op};
///
/// let memory = MemoryBackend::new();
/// let entries = vec![Entry::new(1, "a"), Entry::new(2, "b")];
/// memory.commit(&Batch { sequence: 1, ops: vec![Op::Append { group: GroupId(0), entries }] })?;
/// assert_eq!(memory.bounds(GroupId(0))?.last(), Some(2));
/// # Ok::<(), raft_logstore_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    groups: BTreeMap<GroupId, Group>,
}

#[derive(Debug, Default)]
struct Group {
    bounds: Bounds,
    entries: BTreeMap<u64, Bytes>,
    stable: BTreeMap<StableKey, Bytes>,
}

impl Group {
    fn holds_anything(&self) -> bool {
        self.bounds != Bounds::default() || !self.stable.is_empty()
    }
}

impl MemoryBackend {
    /// The backend's name and URI scheme.
    pub const NAME: &'static str = "memory";

    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so the state behind a poisoned lock is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bounds(&self, group: GroupId) -> Bounds {
        let group = self.groups.get(&group);
        group.map_or(Bounds::default(), |group| group.bounds)
    }

    fn apply(&mut self, op: &Op) -> Result<()> {
        let group = self.groups.entry(op.group()).or_default();
        match op {
            Op::Append { entries, .. } => {
                for entry in entries {
                    group.bounds = group.bounds.append(entry.index, 1)?;
                    group.entries.insert(entry.index, entry.payload.clone());
                }
            }
            Op::Truncate { from, .. } => {
                group.bounds = group.bounds.truncate(*from)?;
                group.entries.split_off(from);
            }
            Op::Purge { up_to, id, .. } => {
                if group.bounds.floor() < Some(*up_to) {
                    group.stable.insert(StableKey::PURGED, id.clone());
                }
                group.bounds = group.bounds.purge(*up_to);
                group.entries = group.entries.split_off(&up_to.saturating_add(1));
            }
            Op::Put {
                key,
                value: Some(value),
                ..
            } => {
                group.stable.insert(key.clone(), value.clone());
            }
            Op::Put {
                key, value: None, ..
            } => {
                group.stable.remove(key);
            }
            Op::DropGroup { .. } => *group = Group::default(),
        }
        Ok(())
    }
}

impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn sequence(&self) -> Result<u64> {
        Ok(self.state().sequence)
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        let state = self.state();
        let with_data = state
            .groups
            .iter()
            .filter(|(_, group)| group.holds_anything());
        Ok(with_data.map(|(id, _)| *id).collect())
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        Ok(self.state().bounds(group))
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        let state = self.state();
        let (Some((first, last)), Some(group)) = (range.bounds(), state.groups.get(&group)) else {
            return Ok(Vec::new());
        };
        let mut bytes = 0u64;
        let within_cap = |(index, payload): &(&u64, &Bytes)| {
            bytes = bytes.saturating_add(payload.len() as u64);
            bytes <= max_bytes || **index == first.max(group.bounds.first().unwrap_or(first))
        };
        let entries = group.entries.range(first..=last).take_while(within_cap);
        Ok(entries
            .map(|(index, payload)| Entry::new(*index, payload.clone()))
            .collect())
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        Ok(self
            .state()
            .groups
            .get(&group)
            .and_then(|group| group.stable.get(key).cloned()))
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        let state = self.state();
        let group = state.groups.get(&group);
        Ok(group.map_or_else(Vec::new, |group| group.stable.keys().cloned().collect()))
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        let mut state = self.state();
        if batch.sequence != state.sequence + 1 {
            return Err(Error::new(ErrorKind::Config, "commit").with_advice(format!(
                "batch {} does not follow commit {}",
                batch.sequence, state.sequence
            )));
        }
        batch.check(|group| Ok(state.bounds(group)))?;
        for op in &batch.ops {
            state.apply(op)?;
        }
        state.groups.retain(|_, group| group.holds_anything());
        state.sequence = batch.sequence;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);

    fn append(first: u64, count: u64) -> Op {
        let entries = (first..first + count)
            .map(|index| Entry::new(index, vec![7; 10]))
            .collect();
        Op::Append {
            group: GROUP,
            entries,
        }
    }

    #[test]
    fn a_batch_that_breaks_a_rule_changes_nothing() {
        let memory = MemoryBackend::new();
        let bad = Batch {
            sequence: 1,
            ops: vec![append(1, 3), append(9, 1)],
        };
        assert_eq!(memory.commit(&bad).unwrap_err().kind(), ErrorKind::Gap);
        assert_eq!(
            (memory.sequence().unwrap(), memory.groups().unwrap()),
            (0, vec![])
        );
    }

    #[test]
    fn a_byte_cap_returns_at_least_one_entry() {
        let memory = MemoryBackend::new();
        memory
            .commit(&Batch {
                sequence: 1,
                ops: vec![append(5, 4)],
            })
            .unwrap();
        for (cap, expected) in [(0, 1), (10, 1), (19, 1), (20, 2), (u64::MAX, 4)] {
            let read = memory.read(GROUP, IndexRange::new(..), cap).unwrap();
            assert_eq!(read.len(), expected, "cap {cap}");
        }
    }
}
