//! A store over the engine for tests, and what is written to it.

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, GroupId, IndexRange, Op, Result, StableKey,
};
use raft_logstore_kv::{KvBackend, layout};

use crate::map_engine::MapEngine;

pub(crate) const GROUP: GroupId = GroupId(1);

/// The first byte of its number is the mark of a reserved name.
pub(crate) const OTHER: GroupId = GroupId(0x2100_0000_0000_0000);

pub(crate) struct Store {
    pub(crate) engine: MapEngine,
    pub(crate) backend: KvBackend<MapEngine>,
    pub(crate) sequence: u64,
}

impl Store {
    pub(crate) fn new() -> Self {
        let engine = MapEngine::new_store();
        Self {
            backend: engine.open().unwrap(),
            engine,
            sequence: 0,
        }
    }

    pub(crate) fn commit(&mut self, ops: impl Into<Vec<Op>>) {
        self.sequence += 1;
        self.backend
            .commit(&Batch {
                sequence: self.sequence,
                ops: ops.into(),
            })
            .unwrap();
    }

    /// As after the crash of the process: what the journal holds is read from there.
    pub(crate) fn reopen(&mut self) {
        self.engine.crash();
        // The one before has ended, with what it does in the background, when the next is opened.
        self.backend = MapEngine::new_store().open().unwrap();
        self.backend = self.engine.open().unwrap();
    }

    /// Closes the store, which settles it, and opens it again.
    pub(crate) fn settle(&mut self) {
        let opened = MapEngine::new_store().open();
        let backend = std::mem::replace(&mut self.backend, opened.unwrap());
        Box::new(backend).close().unwrap();
        self.backend = self.engine.open().unwrap();
    }

    pub(crate) fn open_again(&self) -> Result<KvBackend<MapEngine>> {
        self.engine.open()
    }

    /// Removes records behind the backend's back.
    pub(crate) fn lose(&self, keys: &[Vec<u8>]) {
        self.engine
            .damage(|map| map.retain(|key, _| !keys.contains(key)));
    }

    pub(crate) fn bounds(&self, group: GroupId) -> (Option<u64>, Option<u64>, Option<u64>) {
        let bounds: Bounds = self.backend.bounds(group).unwrap();
        (bounds.floor(), bounds.first(), bounds.last())
    }

    pub(crate) fn indexes(&self, group: GroupId) -> Vec<u64> {
        let entries = self
            .backend
            .read(group, IndexRange::new(..), u64::MAX)
            .unwrap();
        entries.iter().map(|entry| entry.index).collect()
    }

    pub(crate) fn stored_entries(&self, group: GroupId) -> usize {
        let keys = layout::entry_keys(group, 0..=u64::MAX);
        let stored = self.engine.keys();
        stored
            .iter()
            .filter(|key| (&keys.start()[..]..=&keys.end()[..]).contains(&&key[..]))
            .count()
    }
}

pub(crate) fn payload(index: u64) -> Bytes {
    format!("payload {index}").into()
}

pub(crate) fn append(group: GroupId, first: u64, last: u64) -> Op {
    Op::Append {
        group,
        entries: (first..=last)
            .map(|index| Entry::new(index, payload(index)))
            .collect(),
    }
}

pub(crate) fn truncate(group: GroupId, from: u64) -> Op {
    Op::Truncate { group, from }
}

pub(crate) fn purge(group: GroupId, up_to: u64) -> Op {
    Op::Purge {
        group,
        up_to,
        id: format!("id {up_to}").into(),
    }
}

pub(crate) fn put(group: GroupId, value: &'static str) -> Op {
    Op::Put {
        group,
        key: StableKey::VOTE,
        value: Some(value.into()),
    }
}
