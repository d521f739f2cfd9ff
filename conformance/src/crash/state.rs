use std::collections::BTreeMap;

use bytes::Bytes;
use futures_executor::block_on;
use raft_logstore_core::{
    Backend, Bounds, Entry, GroupId, IndexRange, MemoryBackend, Result, StableKey,
};

use super::scope::Scope;
use crate::OpenStore;

/// Everything a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    groups: BTreeMap<GroupId, GroupState>,
}

/// Everything a group holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct GroupState {
    bounds: Bounds,
    stable: BTreeMap<StableKey, Bytes>,
    entries: Vec<Entry>,
}

impl State {
    /// What the reference holds.
    pub(super) fn of_reference(memory: &MemoryBackend, scope: Scope) -> Result<Self> {
        Self::collect(&memory.groups()?, |group| {
            Ok(GroupState {
                bounds: memory.bounds(group)?,
                stable: stable(scope, |key| memory.get(group, key))?,
                entries: memory.read(group, IndexRange::new(..), u64::MAX)?,
            })
        })
    }

    /// What a store shows, in each group and of each key that a workload uses.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(super) fn of_store(store: &dyn OpenStore, scope: Scope) -> Result<Self> {
        Self::collect(scope.groups(), |group| {
            let log = store.group(group)?;
            Ok(GroupState {
                bounds: block_on(log.bounds())?,
                stable: stable(scope, |key| block_on(log.get(key)))?,
                entries: block_on(log.read(IndexRange::new(..), u64::MAX))?,
            })
        })
    }

    fn collect(
        groups: &[GroupId],
        mut read: impl FnMut(GroupId) -> Result<GroupState>,
    ) -> Result<Self> {
        let mut state = Self::default();
        for &group in groups {
            let found = read(group)?;
            if found != GroupState::default() {
                state.groups.insert(group, found);
            }
        }
        Ok(state)
    }

    /// The groups that hold something.
    pub(super) fn groups(&self) -> Vec<GroupId> {
        self.groups.keys().copied().collect()
    }

    /// Whether every entry and stable key here is in `whole` with the same value: this is `whole` with
    /// something missing.
    pub(super) fn is_part_of(&self, whole: &Self) -> bool {
        self.groups.iter().all(|(id, part)| {
            let Some(whole) = whole.groups.get(id) else {
                return false;
            };
            let stable = part.stable.iter();
            let mut stable = stable.map(|(key, value)| whole.stable.get(key) == Some(value));
            let mut entries = part
                .entries
                .iter()
                .map(|entry| whole.entries.contains(entry));
            stable.all(|is_there| is_there) && entries.all(|is_there| is_there)
        })
    }

    /// Says where two states differ first.
    pub(super) fn difference(&self, expected: &Self) -> String {
        let blank = GroupState::default();
        let ids = self.groups.keys().chain(expected.groups.keys());
        for id in ids {
            let found = self.groups.get(id).unwrap_or(&blank);
            let expected = expected.groups.get(id).unwrap_or(&blank);
            if let Some(difference) = found.difference(expected) {
                return format!("group {id}: {difference}");
            }
        }
        "they are equal".to_owned()
    }
}

impl GroupState {
    fn difference(&self, expected: &Self) -> Option<String> {
        if self.bounds != expected.bounds {
            return Some(format!(
                "found {:?}, expected {:?}",
                self.bounds, expected.bounds
            ));
        }
        if self.stable != expected.stable {
            return Some(format!(
                "found the stable keys {:?}, expected {:?}",
                self.stable, expected.stable
            ));
        }
        let entries = self.entries.iter().zip(&expected.entries);
        let mut differing = entries.filter(|(found, expected)| found != expected);
        if let Some((found, expected)) = differing.next() {
            return Some(format!(
                "entry {} of {} bytes where entry {} of {} bytes should be, with other bytes",
                found.index,
                found.payload.len(),
                expected.index,
                expected.payload.len()
            ));
        }
        (self.entries.len() != expected.entries.len()).then(|| {
            format!(
                "{} entries were read, expected {}",
                self.entries.len(),
                expected.entries.len()
            )
        })
    }
}

fn stable(
    scope: Scope,
    get: impl Fn(&StableKey) -> Result<Option<Bytes>>,
) -> Result<BTreeMap<StableKey, Bytes>> {
    let mut stable = BTreeMap::new();
    for key in scope.keys() {
        if let Some(value) = get(&key)? {
            stable.insert(key, value);
        }
    }
    Ok(stable)
}
