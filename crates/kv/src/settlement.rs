use std::sync::Arc;

use raft_logstore_core::{Entry, GroupId};

use crate::KvBatch;
use crate::changes::Changes;
use crate::garbage::Garbage;
use crate::header::Header;
use crate::layout::{self, entry_key, header_key, stable_key};

/// What a settle puts to its place: all changes up to a commit that are not there yet. Nothing changes it any
/// more.
#[derive(Debug)]
pub(crate) struct Settlement {
    /// The number of the commit.
    pub(crate) sequence: u64,
    /// How many groups there are after it.
    pub(crate) existing: u64,
    /// How many entries the changes have appended.
    pub(crate) appended: u64,
    /// The groups that were changed, in ascending order.
    pub(crate) groups: Vec<(GroupId, Arc<Settling>)>,
}

/// A group that is being settled.
#[derive(Debug)]
pub(crate) struct Settling {
    /// What the group then consists of.
    pub(crate) header: Header,
    pub(crate) changes: Changes,
}

impl Settlement {
    /// Adds what makes the settled records the state after the commit to `batch`, in the order of the keys:
    /// engines write that fastest.
    pub(crate) fn put_into(&self, batch: &mut KvBatch, garbage: &mut Garbage) {
        let mut value = Vec::new();
        for (id, settling) in &self.groups {
            let (id, Settling { header, changes }) = (*id, &**settling);
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
        batch.put(
            layout::SEQUENCE,
            &layout::sequence(self.sequence, self.existing),
        );
    }
}
