use std::fmt;

use raft_logstore::{GroupId, IndexRange};
use serde::Serialize;

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// The group it is in; `null` for the store as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<u64>,
    /// The first index concerned, where it is about entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<u64>,
    /// The last index concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<u64>,
    /// What is wrong, and what to do. Where several records in a row are damaged, that of the first.
    pub(crate) message: String,
}

impl Fault {
    /// A fault of the store as a whole.
    pub(crate) fn of_store(message: impl fmt::Display) -> Self {
        Self {
            group: None,
            first: None,
            last: None,
            message: message.to_string(),
        }
    }

    /// A fault of a group.
    pub(crate) fn of_group(group: GroupId, message: impl fmt::Display) -> Self {
        Self {
            group: Some(group.0),
            ..Self::of_store(message)
        }
    }

    /// A fault of entries.
    pub(crate) fn of_entries(
        group: GroupId,
        indexes: IndexRange,
        message: impl fmt::Display,
    ) -> Self {
        let (first, last) = indexes.bounds().unzip();
        Self {
            first,
            last,
            ..Self::of_group(group, message)
        }
    }

    /// Takes in `next` if it is the same fault at the index after this one.
    pub(crate) fn extend(&mut self, next: &Self) -> bool {
        let Some(after) = self.last.and_then(|last| last.checked_add(1)) else {
            return false;
        };
        let follows = self.group == next.group && next.first == Some(after);
        if follows {
            self.last = next.last;
        }
        follows
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.group, self.first, self.last) {
            (Some(group), Some(first), Some(last)) if first != last => {
                write!(f, "group {group}, indexes {first}..={last}: ")?;
            }
            (Some(group), Some(index), _) => write!(f, "group {group}, index {index}: ")?,
            (Some(group), None, _) => write!(f, "group {group}: ")?,
            (None, ..) => f.write_str("store: ")?,
        }
        f.write_str(&self.message)
    }
}
