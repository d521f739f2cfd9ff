use std::path::Path;

use bytes::Bytes;

use crate::{Batch, Bounds, Entry, GroupId, IndexRange, Result, StableKey};

/// A storage engine as raft-logstore uses it: bytes, many groups, one durable atomic commit.
///
/// Sync and object-safe. The pipeline calls [`commit`](Self::commit) and
/// [`maintain`](Self::maintain) one call at a time, from changing threads; the reading methods run
/// concurrently with them and with each other, on threads that may block.
///
/// A backend need not check what it is told to write: the pipeline sends only batches that keep the
/// rules of [`Bounds`]. It must check what it reads: every record against its checksum, every range
/// for holes.
///
/// # Failure
///
/// After a commit has failed, the pipeline never commits to this value again (law 12,
/// `a_failed_commit_poisons_the_store`); it may go on reading, and must then see the state of the
/// last successful commit.
pub trait Backend: Send + Sync + 'static {
    /// The backend's name: its URI scheme and the name of its folder inside a store.
    fn name(&self) -> &'static str;

    /// The number of the last commit; 0 before the first.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the stored number cannot be trusted.
    fn sequence(&self) -> Result<u64>;

    /// The groups that have an entry, a purge floor or a stable key, in ascending order.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Io`](crate::ErrorKind::Io).
    fn groups(&self) -> Result<Vec<GroupId>>;

    /// The bounds of a group's log; [`Bounds::default`] for an unknown group.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Io`](crate::ErrorKind::Io), naming the group.
    fn bounds(&self, group: GroupId) -> Result<Bounds>;

    /// The entries of a group inside `range`, in order, from one consistent state (law 7): all that
    /// the log holds there, or the first of them up to `max_bytes` of payload, but at least one if
    /// there is any.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt), naming group and indexes, for a record that fails
    /// its checksum and for a hole (law 14); [`Io`](crate::ErrorKind::Io).
    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>>;

    /// The value of a stable key, as of the last commit.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Io`](crate::ErrorKind::Io), naming the group.
    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>>;

    /// The stable keys of a group that are set, in ascending order, as of the last commit.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Io`](crate::ErrorKind::Io), naming the group.
    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>>;

    /// How many bytes of the backend's files hold nothing and are used again before the files grow:
    /// space that was freed and not given back to the file system. 0 for a backend without any.
    ///
    /// May walk the whole store. For tools, not for the way of a write.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Io`](crate::ErrorKind::Io).
    fn reusable_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    /// Applies a batch, all or nothing, together with its sequence number, and returns when it is
    /// durable: a completed sync covers it (law 10).
    ///
    /// # Errors
    ///
    /// [`DiskFull`](crate::ErrorKind::DiskFull) or [`Io`](crate::ErrorKind::Io). Whether the batch
    /// is there after reopening is then open; that it is there in part is not.
    fn commit(&self, batch: &Batch) -> Result<()>;

    /// Does a short slice (about a millisecond) of background work, such as giving purged space
    /// back, and says whether more is left. Called between commits. Does not count as a commit.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit); the store is poisoned in the same way.
    fn maintain(&self) -> Result<bool> {
        Ok(false)
    }

    /// Closes the engine, so that the next open finds it clean. Everything committed is durable
    /// already.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) when the engine could not shut down cleanly, or what made it
    /// fail before; nothing is lost.
    fn close(self: Box<Self>) -> Result<()>;
}

/// The options of a backend that keeps its data in a folder, and the way to open it.
///
/// Creation and opening are apart, so that opening can never create: a store whose data went
/// missing is reported, not replaced by an empty one. The pipeline calls [`create`](Self::create)
/// on a temporary folder, syncs all of it, and renames it into place; a power cut during the first
/// open leaves nothing or a whole store.
pub trait BackendConfig: Send + Sync + 'static {
    /// The backend's name, as [`Backend::name`].
    fn name(&self) -> &'static str;

    /// Makes an empty store in the existing, empty folder `dir` and closes it.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](crate::ErrorKind::DiskFull), [`Config`](crate::ErrorKind::Config) or
    /// [`Io`](crate::ErrorKind::Io).
    fn create(&self, dir: &Path) -> Result<()>;

    /// Opens the store in `dir`. Never creates one.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when files are missing or damaged,
    /// [`Format`](crate::ErrorKind::Format) for another backend's data or a newer format (naming
    /// both), [`Locked`](crate::ErrorKind::Locked), [`Config`](crate::ErrorKind::Config) or
    /// [`Io`](crate::ErrorKind::Io).
    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>>;

    /// Opens the store in `dir` to be looked at: not a byte of `dir` is changed, created or removed,
    /// so a full or read-only disk will do. Recovery after a crash takes place in memory, or in a
    /// temporary copy.
    ///
    /// Whatever the backend then is asked to write fails with
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>>;
}
