use std::path::Path;

use raft_logstore_core::Result;
use raft_logstore_pipeline::Inspection;

use crate::{CommitControl, OpenStore};

/// A kind of store, as the suite tests it: something that opens stores in directories.
///
/// One method is required. The suite gives every case an empty directory of its own, and opens the
/// same directory again where a law speaks of reopening.
pub trait Subject: Send + Sync + 'static {
    /// Opens the store in `dir`, an existing directory; empty the first time, what the store left
    /// there later on.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Locked`](raft_logstore_core::ErrorKind::Locked) when it is open already.
    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>>;

    /// Opens the store so that as little as possible of the log stays in memory, and reads reach the
    /// disk.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn open_cold(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        self.open(dir)
    }

    /// Why the store does without a feature; `None` when it has it. Cases that need a missing
    /// feature are ignored, and the reason is shown with them.
    fn lacks(&self, _feature: Feature) -> Option<&'static str> {
        None
    }

    /// How many bytes the store's files may take beside what the log holds, however often it was
    /// written and purged; 16 MiB unless said otherwise.
    fn kept_bytes(&self) -> u64 {
        16 << 20
    }

    /// How to put the store's commits under control, if it has commits that can be.
    fn controlled(&self) -> Option<&dyn ControlledSubject> {
        None
    }

    /// How to look at a store without changing it, if that can be done.
    fn inspected(&self) -> Option<&dyn InspectedSubject> {
        None
    }

    /// Which of the subjects of its program it is. A law that needs another process starts the program
    /// again, with the same arguments, and tells it this text
    /// ([`second_process::variant`](crate::second_process::variant)); empty when there is but one.
    fn variant(&self) -> String {
        String::new()
    }

    /// Whether [`OpenStore::read_in_every_form`] is implemented.
    fn range_forms(&self) -> bool {
        false
    }

    /// Calls `work` where the store can run: inside the async runtime it needs, if it needs one.
    /// Every thread of the suite that touches the store goes through here.
    fn within(&self, work: &mut dyn FnMut()) {
        work();
    }
}

/// A [`Subject`] whose commits the suite can hold back, watch and fail.
pub trait ControlledSubject {
    /// Opens the store with every commit under `control`, and otherwise as
    /// [`open_cold`](Subject::open_cold): then one read spans the disk and what is in flight.
    ///
    /// # Errors
    ///
    /// As [`Subject::open`].
    fn open_controlled(&self, dir: &Path, control: &CommitControl) -> Result<Box<dyn OpenStore>>;
}

/// A [`Subject`] whose stores can be looked at without changing them.
pub trait InspectedSubject {
    /// Opens the store in `dir` to look at it.
    ///
    /// # Errors
    ///
    /// Those of [`Inspection::open`].
    fn inspect(&self, dir: &Path) -> Result<Inspection>;
}

/// What a store may do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// What was written is there after closing the store and opening the directory again.
    Reopen,
    /// More than one group, listing them and dropping one.
    Groups,
    /// Handles that outlive the closing of the store, and refuse everything then.
    Close,
    /// A directory that only one store can have open.
    Lock,
    /// Files in the directory, whose size says what the store uses.
    Disk,
    /// Commits that can be held back, watched and failed ([`Subject::controlled`]).
    CommitControl,
    /// Looking at a store without changing it ([`Subject::inspected`]).
    Inspection,
    /// A refusal to open because of damage that leaves every other file as it was, so that all is there again
    /// once the damage is undone.
    UntouchedRest,
    /// An error, not the end of the process, where the disk cannot be read.
    ReadErrors,
    /// Answers to writes that Raft never makes: an error for a gap, an overlap or what is purged;
    /// nothing for a purge at or below the floor.
    Refusals,
    /// An empty log that begins at any index above its floor, as far as indexes go.
    AnyFirstIndex,
    /// Reads that honour a cap in bytes, not only return some of the first entries.
    ByteCap,
    /// Stable keys of any name, and removing one; without it, the vote can be set.
    StableKeys,
    /// The stable key `committed`.
    Committed,
    /// Truncates and purges that are durable when they complete, and lazy writes that are when the store is
    /// closed: not only as soon as a later append or vote is. Asked by the crash kit alone.
    DurableCuts,
    /// Appends and truncates of several entries that a crash keeps whole or not at all; without it a crash may keep
    /// the first entries of an append, and those in front of what a truncate dropped already. Asked by the crash
    /// kit alone.
    WholeWrites,
    /// Several forms of one range, each read by a way of its own
    /// ([`Subject::range_forms`]).
    RangeForms,
}

/// Why `subject` does without `feature`; `None` when it has it.
pub(crate) fn lacks(subject: &dyn Subject, feature: Feature) -> Option<&'static str> {
    match feature {
        Feature::CommitControl if subject.controlled().is_none() => {
            Some("its commits cannot be controlled")
        }
        Feature::Inspection if subject.inspected().is_none() => {
            Some("it cannot be looked at without opening it")
        }
        Feature::RangeForms if !subject.range_forms() => Some("it takes ranges in one form"),
        _ => subject.lacks(feature),
    }
}
