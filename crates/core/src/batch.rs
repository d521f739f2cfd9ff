use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use bytes::Bytes;

use crate::{Bounds, Entry, Error, ErrorKind, GroupId, Result, StableKey};

/// What one commit writes: operations in order, over any number of groups, all or nothing (law 10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Number of this commit in the store, counted from 1. A backend stores it in the same atomic
    /// step as the operations and reports it as [`Backend::sequence`](crate::Backend::sequence).
    pub sequence: u64,
    /// The operations, applied from first to last.
    pub ops: Vec<Op>,
}

impl Batch {
    /// Checks that the batch is the one after commit `last`.
    ///
    /// # Errors
    ///
    /// [`Gap`](ErrorKind::Gap).
    pub fn check_follows(&self, last: u64) -> Result<()> {
        if last.checked_add(1) == Some(self.sequence) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Gap, "commit").with_advice(format!(
            "commit {} does not follow commit {last}",
            self.sequence
        )))
    }

    /// Checks that the operations keep the rules of [`Bounds`], for a backend that does not take the
    /// caller's word for it; `bounds` says what a group has before.
    ///
    /// # Errors
    ///
    /// Those of `bounds` and of [`Bounds::after`], naming the group.
    pub fn check(&self, bounds: impl Fn(GroupId) -> Result<Bounds>) -> Result<()> {
        let mut known = HashMap::with_capacity(self.ops.len());
        for op in &self.ops {
            let group = op.group();
            let bounds = match known.entry(group) {
                Slot::Occupied(known) => known.into_mut(),
                Slot::Vacant(unknown) => unknown.insert(bounds(group)?),
            };
            *bounds = bounds.after(op).map_err(|error| error.with_group(group))?;
        }
        Ok(())
    }
}

/// One operation of a [`Batch`].
///
/// Exhaustive on purpose: a new operation must break every backend's build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Appends entries, contiguous with each other and with the log as the operations before left
    /// it.
    Append {
        /// The group.
        group: GroupId,
        /// At least one entry.
        entries: Vec<Entry>,
    },
    /// Drops `from` and every entry after it.
    Truncate {
        /// The group.
        group: GroupId,
        /// The first index to go; above the purge floor.
        from: u64,
    },
    /// Drops `up_to` and every entry before it, and moves the purge floor there.
    Purge {
        /// The group.
        group: GroupId,
        /// The new purge floor; above the old one.
        up_to: u64,
        /// The new value of [`StableKey::PURGED`].
        id: Bytes,
    },
    /// Sets a stable key, or removes it.
    Put {
        /// The group.
        group: GroupId,
        /// The name.
        key: StableKey,
        /// The value; `None` removes the key.
        value: Option<Bytes>,
    },
    /// Removes every trace of a group.
    DropGroup {
        /// The group.
        group: GroupId,
    },
}

impl Op {
    /// The group the operation is about.
    pub fn group(&self) -> GroupId {
        match self {
            Self::Append { group, .. }
            | Self::Truncate { group, .. }
            | Self::Purge { group, .. }
            | Self::Put { group, .. }
            | Self::DropGroup { group } => *group,
        }
    }
}
