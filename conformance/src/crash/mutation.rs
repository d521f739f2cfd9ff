use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::mark::Mark;

/// The number of a file or directory.
pub(super) type Ino = u64;

/// The root of the file system.
pub(super) const ROOT: Ino = 1;

/// One change of the recorded file system, a sync, or a mark: what the order of the log is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mutation {
    /// A new file or directory.
    Create {
        parent: Ino,
        name: String,
        ino: Ino,
        directory: bool,
    },
    /// One more name of a file.
    Link {
        parent: Ino,
        name: String,
        ino: Ino,
    },
    /// A name moves, over whatever had the new name.
    Rename {
        parent: Ino,
        name: String,
        new_parent: Ino,
        new_name: String,
        ino: Ino,
    },
    /// A name goes.
    Remove {
        parent: Ino,
        name: String,
        ino: Ino,
    },
    Write {
        ino: Ino,
        offset: u64,
        data: Bytes,
        /// The file was opened with `O_DSYNC`: these bytes, and only these, are durable.
        synced: bool,
    },
    Resize {
        ino: Ino,
        len: u64,
    },
    /// A sync of a file or directory.
    Sync {
        ino: Ino,
        outcome: SyncOutcome,
    },
    Mark(Mark),
}

/// What a sync did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SyncOutcome {
    /// What was written before is durable.
    Done,
    /// It reported an error. The kernel calls the pages clean then: no later sync writes them.
    Failed,
    /// It answered that all went well, and did nothing.
    Lied,
}

impl Mutation {
    /// The mark, if it is one.
    pub(super) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Mark(mark) => Some(*mark),
            _ => None,
        }
    }

    /// Whether a crash beside it is more likely to show a fault than one elsewhere.
    pub(super) fn is_critical(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Write { synced: false, .. } | Self::Resize { .. } => false,
            Self::Link { .. }
            | Self::Rename { .. }
            | Self::Remove { .. }
            | Self::Write { synced: true, .. }
            | Self::Sync { .. }
            | Self::Mark(_) => true,
        }
    }

    /// Whether it makes something durable, and so can be left out to see who notices.
    pub(super) fn is_sync(&self) -> bool {
        matches!(
            self,
            Self::Write { synced: true, .. }
                | Self::Sync {
                    outcome: SyncOutcome::Done,
                    ..
                }
        )
    }
}
