use async_trait::async_trait;
use bytes::Bytes;

use crate::{Completion, Error, ErrorKind, Result, StableKey};

/// The stable keys of one Raft group: its vote, and other small named values.
///
/// Writes share the order, the completions and the failure rules of the group's
/// [`LogStore`](crate::LogStore): a vote saved before an append is durable before it.
#[async_trait]
pub trait StableStore: Send + Sync {
    /// The newest value of a key, durable or not; `None` when it was never set or is removed.
    ///
    /// Laws `readers_see_the_newest_vote`, `truncate_and_purge_touch_no_stable_key`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Io`](crate::ErrorKind::Io), naming the group.
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>>;

    /// Sets a key, or removes it with `None`. Visible when this returns; `done` fires when it is
    /// durable. A vote may be acted on only after that; [`StableStoreExt::set`] waits for it.
    ///
    /// Laws `a_vote_is_durable_when_saved`, `completions_fire_once_in_order_after_durability`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) for an oversized value;
    /// [`Config`](crate::ErrorKind::Config) for [`StableKey::PURGED`], which only a purge writes.
    /// Nothing changed.
    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()>;

    /// Sets a key without asking for durability: visible when this returns, written in order with
    /// the next batch that is synced for another reason, at the latest when the store is closed. A
    /// crash may lose it; it never comes back newer than the log around it.
    ///
    /// Law `committed_is_lazy_and_never_ahead_of_the_log`.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()>;
}

/// Conveniences over [`StableStore`], for every implementor; none can be overridden.
#[async_trait]
pub trait StableStoreExt: StableStore {
    /// Sets a key and waits until it is durable.
    ///
    /// # Errors
    ///
    /// As [`StableStore::put`], or that of the failed commit.
    async fn set(&self, key: &StableKey, value: Bytes) -> Result<()> {
        let (done, durable) = Completion::pending();
        self.put(key, Some(value), done).await?;
        durable.await
    }

    /// Removes a key and waits until that is durable.
    ///
    /// # Errors
    ///
    /// As [`StableStore::put`], or that of the failed commit.
    async fn remove(&self, key: &StableKey) -> Result<()> {
        let (done, durable) = Completion::pending();
        self.put(key, None, done).await?;
        durable.await
    }

    /// The value of a key set by [`set_u64`](Self::set_u64).
    ///
    /// # Errors
    ///
    /// As [`StableStore::get`]; [`Corrupt`](ErrorKind::Corrupt) when the value is not 8 bytes long.
    async fn get_u64(&self, key: &StableKey) -> Result<Option<u64>> {
        let Some(value) = self.get(key).await? else {
            return Ok(None);
        };
        let bytes = <[u8; 8]>::try_from(value.as_ref()).map_err(|_| {
            Error::new(ErrorKind::Corrupt, "get").with_advice(format!(
                "stable key {key} holds {} bytes, not a number",
                value.len()
            ))
        })?;
        Ok(Some(u64::from_be_bytes(bytes)))
    }

    /// Sets a key to a number (8 bytes, big-endian) and waits until it is durable.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    async fn set_u64(&self, key: &StableKey, value: u64) -> Result<()> {
        self.set(key, Bytes::copy_from_slice(&value.to_be_bytes()))
            .await
    }
}

impl<S: StableStore + ?Sized> StableStoreExt for S {}
