use std::ops::RangeBounds;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Bounds, Completion, Entry, IndexRange, Result};

/// The log of one Raft group.
///
/// Object-safe and independent of any async runtime. Handles may be used from many tasks at once;
/// writes take effect in the order in which their calls return, and each is visible to every handle
/// from then on, durable or not: each takes effect at one moment for everything it changes (law
/// `every_write_takes_effect_at_one_moment`).
///
/// # Writing
///
/// A write returns once it is accepted and visible; its [`Completion`] fires when it is durable
/// (law 3). Completions of one store fire in submission order, across groups, appends, truncates,
/// purges and stable keys. A write that is refused changes nothing, returns the error, and fires
/// its completion with the same error. A call may wait for room in the store's queue (backpressure)
/// before it is accepted.
///
/// # Failure
///
/// After a failed commit every write returns [`Poisoned`](crate::ErrorKind::Poisoned), naming the
/// cause; reads show the durable state, as far as the engine still answers, and nothing that was in
/// flight (law `a_failed_commit_poisons_the_store`). Writes are refused before anything is shown as
/// reverted, so a write that is still accepted proves that what was read before it is not. After
/// the store is closed everything returns [`Closed`](crate::ErrorKind::Closed).
#[async_trait]
pub trait LogStore: Send + Sync {
    /// The bounds of the log, including entries that are not durable yet. Reads no disk.
    ///
    /// Laws `state_survives_reopen`, `an_empty_log_reports_its_floor_as_last`.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed); [`Corrupt`](crate::ErrorKind::Corrupt) for a group that was found damaged
    /// when the store was opened, as of every method here until it is dropped.
    async fn bounds(&self) -> Result<Bounds>;

    /// Appends entries, which must be contiguous. Returns without waiting for the disk; from then
    /// on every handle sees the entries. `done` fires when they are durable. An empty append is
    /// accepted, writes nothing, and completes in its turn; with a completion that is
    /// [ignored](Completion::is_ignored) it only tells whether writes are taken.
    ///
    /// Laws `appends_are_contiguous`, `appended_entries_are_visible_at_once`,
    /// `completions_fire_once_in_order_after_durability`.
    ///
    /// # Errors
    ///
    /// [`Gap`](crate::ErrorKind::Gap) for a hole or an overlap,
    /// [`Purged`](crate::ErrorKind::Purged) at or below the floor,
    /// [`TooLarge`](crate::ErrorKind::TooLarge); nothing changed.
    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()>;

    /// The entries inside `range`, from one consistent state: all that the log holds there, or the
    /// first of them up to `max_bytes` of payload, but at least one if there is any. Indexes that
    /// are purged or not yet appended are left out; inside the log there is never a hole.
    ///
    /// Laws `reads_are_atomic_and_whole`, `reads_honour_every_kind_of_range`,
    /// `reads_honour_their_byte_cap`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) naming group and indexes: never wrong bytes, never a
    /// silently shorter answer (law 14). [`Io`](crate::ErrorKind::Io).
    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>>;

    /// Drops `from` and every entry after it; beyond the end that is nothing. Visible at once,
    /// valid while the entries are still in flight: their completions fire in their turn. `done`
    /// fires when the truncation is durable.
    ///
    /// Laws `truncate_drops_the_suffix`, `truncate_is_valid_while_entries_are_in_flight`.
    ///
    /// # Errors
    ///
    /// [`Purged`](crate::ErrorKind::Purged) when `from` is at or below the purge floor; nothing
    /// changed.
    async fn truncate(&self, from: u64, done: Completion) -> Result<()>;

    /// Drops `up_to` and every entry before it, moves the purge floor there, and stores `id` as
    /// [`StableKey::PURGED`](crate::StableKey::PURGED), all in one batch. May lie beyond the last
    /// entry or below the first; at or below the floor it changes nothing, `id` included. Visible
    /// at once; `done` fires when it is durable. Space is given back in the background.
    ///
    /// Laws `purge_drops_the_prefix_and_moves_the_floor`, `purge_may_pass_the_last_entry`,
    /// `purge_never_moves_the_floor_back`, `purged_space_is_given_back`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) past [`MAX_INDEX`](crate::MAX_INDEX) or for an
    /// oversized `id`; nothing changed.
    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()>;
}

/// Conveniences over [`LogStore`], for every implementor; none can be overridden.
#[async_trait]
pub trait LogStoreExt: LogStore {
    /// The first entry's index; `None` when the log is empty.
    ///
    /// # Errors
    ///
    /// As [`LogStore::bounds`].
    async fn first_index(&self) -> Result<Option<u64>> {
        Ok(self.bounds().await?.first())
    }

    /// The last entry's index, or the purge floor when the log is empty; `None` when nothing was
    /// ever written.
    ///
    /// # Errors
    ///
    /// As [`LogStore::bounds`].
    async fn last_index(&self) -> Result<Option<u64>> {
        Ok(self.bounds().await?.last())
    }

    /// The entry at `index`; `None` when it is purged or not yet appended.
    ///
    /// # Errors
    ///
    /// As [`LogStore::read`].
    async fn entry(&self, index: u64) -> Result<Option<Entry>> {
        Ok(self
            .read(IndexRange::new(index..=index), u64::MAX)
            .await?
            .pop())
    }

    /// Every entry inside any kind of range, without a byte cap.
    ///
    /// # Errors
    ///
    /// As [`LogStore::read`].
    async fn entries(&self, range: impl RangeBounds<u64> + Send) -> Result<Vec<Entry>>
    where
        Self: Sized,
    {
        self.read(IndexRange::new(range), u64::MAX).await
    }

    /// [Appends](LogStore::append) and waits until the entries are durable.
    ///
    /// # Errors
    ///
    /// As [`LogStore::append`], or that of the failed commit.
    async fn append_durable(&self, entries: Vec<Entry>) -> Result<()> {
        let (done, durable) = Completion::pending();
        self.append(entries, done).await?;
        durable.await
    }

    /// [Truncates](LogStore::truncate) and waits until that is durable.
    ///
    /// # Errors
    ///
    /// As [`LogStore::truncate`], or that of the failed commit.
    async fn truncate_durable(&self, from: u64) -> Result<()> {
        let (done, durable) = Completion::pending();
        self.truncate(from, done).await?;
        durable.await
    }

    /// [Purges](LogStore::purge) and waits until that is durable.
    ///
    /// # Errors
    ///
    /// As [`LogStore::purge`], or that of the failed commit.
    async fn purge_durable(&self, up_to: u64, id: Bytes) -> Result<()> {
        let (done, durable) = Completion::pending();
        self.purge(up_to, id, done).await?;
        durable.await
    }
}

impl<L: LogStore + ?Sized> LogStoreExt for L {}
