use std::ops::{ControlFlow, RangeInclusive};

use bytes::Bytes;
use raft_logstore_core::Result;

use crate::KvBatch;

/// An ordered key-value engine with atomic durable writes: all that
/// [`KvBackend`](crate::KvBackend) needs to be a backend.
///
/// Keys are byte strings of 1 to [`layout::MAX_KEY_LEN`](crate::layout::MAX_KEY_LEN) bytes, ordered
/// byte by byte; values are byte strings of any length the store allows for an entry, plus
/// [`envelope::OVERHEAD`](raft_logstore_core::envelope::OVERHEAD). [`write`](Self::write) and
/// [`maintain`](Self::maintain) are called one at a time; views are taken concurrently with them, on
/// other threads, and must not wait for a sync.
///
/// An engine need not protect values against bit rot; it must not panic on damaged files.
pub trait KvEngine: Send + Sync + 'static {
    /// One consistent state of the engine.
    type View<'a>: KvView
    where
        Self: 'a;

    /// The name of the backend that this engine makes: its URI scheme and the name of its folder.
    fn name(&self) -> &'static str;

    /// The state as of the last completed [`write`](Self::write), unchanged by later ones. Views are
    /// dropped at the end of the backend call that took them, so an engine may pin old data for one.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt) or
    /// [`Io`](raft_logstore_core::ErrorKind::Io).
    fn view(&self) -> Result<Self::View<'_>>;

    /// Applies the operations of `batch` from first to last, all or nothing, and returns when they
    /// are durable: a completed sync covers them. A later operation on a key wins over an earlier
    /// one; deleting what does not exist is nothing.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](raft_logstore_core::ErrorKind::DiskFull) or
    /// [`Io`](raft_logstore_core::ErrorKind::Io); views then still show the last completed write.
    fn write(&self, batch: &KvBatch) -> Result<()>;

    /// Whether the engine will have room for `appended` bytes of entries beside the `waiting` bytes that are
    /// in the journal. Asked before a commit that appends goes into the journal, because what is there must
    /// find its place later. For an engine with a limit of its own, which should keep room beyond the limit
    /// for what is never asked about: a store that takes no purge stays full, and one that takes no vote
    /// is no use to Raft.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](raft_logstore_core::ErrorKind::DiskFull).
    fn check_room(&self, _appended: u64, _waiting: u64) -> Result<()> {
        Ok(())
    }

    /// How many bytes of the engine's files are free and used again before the files grow. For tools:
    /// may walk the whole store.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt) or
    /// [`Io`](raft_logstore_core::ErrorKind::Io).
    fn reusable_bytes(&self) -> Result<u64>;

    /// Does a short slice (about a millisecond) of the engine's own background work and says whether
    /// more is left.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn maintain(&self) -> Result<bool> {
        Ok(false)
    }

    /// Closes the engine, so that the next open finds it clean. Everything written is durable
    /// already.
    ///
    /// # Errors
    ///
    /// [`Io`](raft_logstore_core::ErrorKind::Io) when it could not shut down cleanly; nothing is lost.
    fn close(self) -> Result<()>;
}

/// One consistent state of a [`KvEngine`].
pub trait KvView {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt) or
    /// [`Io`](raft_logstore_core::ErrorKind::Io).
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// Shows the pairs inside `keys`, both ends included, to `visit`, in ascending order, until it
    /// breaks or fails. Getting to the first pair must be a seek, not a walk.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt) or
    /// [`Io`](raft_logstore_core::ErrorKind::Io), or what `visit` returned.
    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()>;
}

/// What [`KvView::scan`] calls with each key and value.
pub type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;
