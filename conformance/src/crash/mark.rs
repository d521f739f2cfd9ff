use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What the writer says of its progress. A mark is a write to a file of the recorded file system, so
/// it has its place in the one order of all writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mark {
    /// The first open of the store has returned.
    Opened,
    /// The first so many writes are submitted, the last of them in a moment.
    Submitted(u64),
    /// The first so many writes are acknowledged.
    Acknowledged(u64),
    /// A store that was killed shows exactly the first so many writes again.
    Resumed(u64),
    /// The writer kills itself, to be started again on what is in the page cache.
    Killed,
    /// The workload is done.
    Finished,
    /// Faults begin.
    Arm,
}

impl Mark {
    /// The name of the file, in the root of the recorded file system.
    pub(super) const FILE: &'static str = "marks";
    /// Bytes of a mark. A write of them is never split: the file is opened without the page cache,
    /// and every mark goes to its beginning.
    const LEN: usize = 16;

    fn encode(self) -> [u8; Self::LEN] {
        let (kind, number) = match self {
            Self::Opened => (1_u64, 0),
            Self::Submitted(number) => (2, number),
            Self::Acknowledged(number) => (3, number),
            Self::Resumed(number) => (4, number),
            Self::Killed => (5, 0),
            Self::Finished => (6, 0),
            Self::Arm => (7, 0),
        };
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// The mark in what was written to the file; `None` for anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; Self::LEN] = bytes.try_into().ok()?;
        let (kind, number) = bytes.split_at(8);
        let number = u64::from_le_bytes(number.try_into().ok()?);
        match u64::from_le_bytes(kind.try_into().ok()?) {
            1 => Some(Self::Opened),
            2 => Some(Self::Submitted(number)),
            3 => Some(Self::Acknowledged(number)),
            4 => Some(Self::Resumed(number)),
            5 => Some(Self::Killed),
            6 => Some(Self::Finished),
            7 => Some(Self::Arm),
            _ => None,
        }
    }
}

/// The writer's end of the mark file.
pub(super) struct Marker(File);

impl Marker {
    /// Opens the mark file of the file system mounted at `root`.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(root.join(Mark::FILE))?;
        Ok(Self(file))
    }

    /// Sets a mark. When this returns, the mark is in the log.
    pub(super) fn set(&self, mark: Mark) -> io::Result<()> {
        self.0.write_all_at(&mark.encode(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_set() {
        for mark in [
            Mark::Opened,
            Mark::Submitted(3),
            Mark::Acknowledged(u64::MAX),
            Mark::Resumed(0),
            Mark::Killed,
            Mark::Finished,
            Mark::Arm,
        ] {
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }
        assert_eq!(Mark::decode(b"something"), None);
    }
}
