use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use raft_logstore::{Backend, BackendConfig, Batch, Entry, GroupId, IndexRange, Op};

use crate::Log;

/// One of our backends alone: a call is one commit. What it does in the background when a store leaves it the time,
/// such as giving space back, it does not do here.
pub(crate) struct Engine {
    backend: Box<dyn Backend>,
    sequence: u64,
}

impl Engine {
    /// Opens the backend in this folder, or creates it when the folder is empty.
    pub(crate) fn open(config: &impl BackendConfig, dir: &Path) -> Result<Self> {
        if std::fs::read_dir(dir)?.next().is_none() {
            config.create(dir)?;
        }
        let backend = config.open(dir)?;
        Ok(Self {
            sequence: backend.sequence()?,
            backend,
        })
    }

    fn commit(&mut self, ops: Vec<Op>) -> Result<()> {
        self.sequence += 1;
        let sequence = self.sequence;
        Ok(self.backend.commit(&Batch { sequence, ops })?)
    }
}

impl Log for Engine {
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        let op = |(group, entries)| Op::Append { group, entries };
        self.commit(appends.into_iter().map(op).collect())
    }

    fn read(&self, group: GroupId, range: Range<u64>) -> Result<Vec<Entry>> {
        Ok(self.backend.read(group, IndexRange::new(range), u64::MAX)?)
    }

    fn purge(&mut self, group: GroupId, upto: u64) -> Result<()> {
        let id = Default::default();
        self.commit(vec![Op::Purge {
            group,
            up_to: upto,
            id,
        }])
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.backend.close()?)
    }
}
