use std::collections::HashMap;
use std::ops::Range;

use anyhow::Result;
use futures_executor::block_on;
use raft_logstore::{Completion, Entry, Group, GroupId, LogStore, LogStoreExt, Store};

use crate::Log;

/// A log through a [`Store`]: a call submits its writes together and waits until all are durable.
pub(crate) struct Stored {
    pub(crate) store: Store,
    /// Whether to wait for completions, and not to block.
    pub(crate) by_completions: bool,
    groups: HashMap<GroupId, Group>,
}

impl Stored {
    pub(crate) fn new(store: Store, by_completions: bool) -> Self {
        Self {
            store,
            by_completions,
            groups: HashMap::new(),
        }
    }

    pub(crate) fn group(&mut self, id: GroupId) -> &Group {
        let store = &self.store;
        self.groups.entry(id).or_insert_with(|| store.group(id))
    }

    fn append_by_completions(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        let mut submitted = Vec::with_capacity(appends.len());
        for (group, entries) in appends {
            let (done, durable) = Completion::pending();
            block_on(self.group(group).append(entries, done))?;
            submitted.push(durable);
        }
        for durable in submitted {
            block_on(durable)?;
        }
        Ok(())
    }
}

impl Log for Stored {
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        if self.by_completions {
            return self.append_by_completions(appends);
        }
        let mut submitted = Vec::with_capacity(appends.len());
        for (group, entries) in appends {
            submitted.push(self.group(group).blocking().append(entries)?);
        }
        for one in submitted {
            one.wait()?;
        }
        Ok(())
    }

    fn read(&self, group: GroupId, range: Range<u64>) -> Result<Vec<Entry>> {
        Ok(block_on(self.store.group(group).entries(range))?)
    }

    fn purge(&mut self, group: GroupId, upto: u64) -> Result<()> {
        let (done, durable) = Completion::pending();
        block_on(self.group(group).purge(upto, Default::default(), done))?;
        Ok(block_on(durable)?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(block_on(self.store.close())?)
    }
}
