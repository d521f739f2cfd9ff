use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What the writer says of its progress. A mark is a write to a file: to one of the recorded file system,
/// so that it has its place in the one order of all writes, or to one outside of what loses its power.
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
    /// Faults end.
    Disarm,
    /// The store has reported a fault, and does what it must since.
    Failed,
}

impl Mark {
    /// The name of the file; in the root of a recorded file system.
    pub(super) const FILE: &'static str = "marks";
    /// Bytes of a mark. A write of them is never split, in a recorded file system neither: the file is
    /// opened without the page cache there.
    pub(super) const LEN: usize = 16;

    fn encode(self) -> [u8; Self::LEN] {
        let (kind, number) = match self {
            Self::Opened => (1_u64, 0),
            Self::Submitted(number) => (2, number),
            Self::Acknowledged(number) => (3, number),
            Self::Resumed(number) => (4, number),
            Self::Killed => (5, 0),
            Self::Finished => (6, 0),
            Self::Arm => (7, 0),
            Self::Disarm => (8, 0),
            Self::Failed => (9, 0),
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
            8 => Some(Self::Disarm),
            9 => Some(Self::Failed),
            _ => None,
        }
    }
}

/// The writer's end of the mark file.
pub(super) struct Marker(File);

impl Marker {
    /// Opens the mark file at `path`, which is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self(file))
    }

    /// Sets a mark. When this returns, the mark is in the log, or in the kernel's pages of the file.
    pub(super) fn set(&self, mark: Mark) -> io::Result<()> {
        (&self.0).write_all(&mark.encode())
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
            Mark::Disarm,
            Mark::Failed,
        ] {
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }
        assert_eq!(Mark::decode(b"something"), None);
    }
}
