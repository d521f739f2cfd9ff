use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use raft_logstore_core::{
    Completion, Entry, Error, ErrorKind, LogStore, Result, StableKey, StableStore, StableStoreExt,
};

use crate::tail_cache::{Cached, TailCache};
use crate::{Codec, CodecError, LogCodec, LogTypes, RaftLogConfig};

/// The log, the vote and the committed log id of one group, with the types of a Raft library: the
/// store, the codec, and the cache in front of them.
///
/// `S` is the group: anything that is [`LogStore`] and [`StableStore`]. Any number of tasks may read
/// at once; writes come from one task.
///
/// Appends, truncates and purges return without waiting for the disk, visible to every read from
/// then on, in an order the store keeps. After a failed commit writes are errors, and so is every
/// read that memory cannot answer: see the [crate's documentation](crate#failure).
pub struct TypedLog<T: LogTypes, S: ?Sized, K> {
    pub(crate) cache: Arc<TailCache<T::Entry>>,
    pub(crate) read_bytes: u64,
    pub(crate) codec: K,
    pub(crate) store: Arc<S>,
}

impl<T: LogTypes, S: ?Sized, K> fmt::Debug for TypedLog<T, S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedLog").finish_non_exhaustive()
    }
}

impl<T, S, K> TypedLog<T, S, K>
where
    T: LogTypes,
    T::Entry: Clone,
    S: LogStore + StableStore + ?Sized,
    K: LogCodec<T>,
{
    /// The log kept in the group `store`, written by `codec`.
    pub fn new(store: Arc<S>, codec: K, config: &RaftLogConfig) -> Self {
        Self {
            cache: Arc::new(TailCache::new(config.cache_bytes)),
            read_bytes: config.read_bytes,
            codec,
            store,
        }
    }

    /// Appends entries, which must be contiguous with the log. Calls `answer` exactly once: with
    /// `Ok` when the entries are durable, with an error when they cannot become so, also when they
    /// are refused and when the store is closed or dropped. It may be called on the thread that
    /// commits, so it must be short.
    ///
    /// # Errors
    ///
    /// As [`LogStore::append`]; [`Config`](ErrorKind::Config) for an entry that the codec cannot
    /// write. Nothing was appended.
    pub async fn append(
        &self,
        entries: impl IntoIterator<Item = T::Entry>,
        answer: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<()> {
        let cache = Arc::clone(&self.cache);
        let done = Completion::new(move |result| {
            if result.is_err() {
                cache.fail();
            }
            answer(result);
        });
        let Encoded { stored, cached } = match self.encode_entries(entries) {
            Ok(encoded) => encoded,
            Err(error) => {
                done.complete(Err(error.clone()));
                return Err(error);
            }
        };
        let first = stored.first().map(|entry| entry.index);
        self.store.append(stored, done).await?;
        if let Some(first) = first {
            self.cache.push(first, cached);
        }
        Ok(())
    }

    /// Drops entry `from` and everything after it; beyond the end that is nothing. A committed log
    /// id that names a dropped entry is lowered to the last one that is kept, on disk not later than
    /// the truncate.
    ///
    /// # Errors
    ///
    /// As [`LogStore::truncate`]; nothing changed.
    pub async fn truncate(&self, from: u64) -> Result<()> {
        let lowered = self.before_any_failure(self.plan_truncate(from)).await?;
        // Queued first, so that it is on disk not later than the truncate.
        if let Some(committed) = lowered {
            self.save_committed(committed.as_ref()).await?;
        }
        let _change = self.cache.truncate(from);
        // A commit that fails shows in the next write.
        self.store.truncate(from, Completion::ignore()).await
    }

    /// Drops everything up to `last`, inclusive, and remembers `last`. May lie beyond the last entry;
    /// never goes back.
    ///
    /// # Errors
    ///
    /// As [`LogStore::purge`]; [`Config`](ErrorKind::Config) when the codec cannot write the log id.
    /// Nothing changed.
    pub async fn purge(&self, last: &T::LogId) -> Result<()> {
        let id = self.encode(last)?;
        let _change = self.cache.purge(T::index(last));
        // A commit that fails shows in the next write.
        self.store
            .purge(T::index(last), id, Completion::ignore())
            .await
    }

    /// Saves the vote, which is durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`StableStore::put`], or that of the failed commit; [`Config`](ErrorKind::Config) when the
    /// codec cannot write it.
    pub async fn save_vote(&self, vote: &T::Vote) -> Result<()> {
        let value = self.encode(vote)?;
        self.store.set(&StableKey::VOTE, value).await
    }

    /// The vote saved last.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when it is not what this codec writes;
    /// [`Poisoned`](ErrorKind::Poisoned) after a failed commit.
    pub async fn read_vote(&self) -> Result<Option<T::Vote>> {
        self.before_any_failure(self.get(&StableKey::VOTE)).await
    }

    /// Saves the committed log id with the next batch, without waking the disk for it.
    ///
    /// # Errors
    ///
    /// As [`StableStore::put_lazy`]; [`Config`](ErrorKind::Config) when the codec cannot write it.
    pub async fn save_committed(&self, committed: Option<&T::LogId>) -> Result<()> {
        let value = committed
            .map(|committed| self.encode(committed))
            .transpose()?;
        self.store.put_lazy(&StableKey::COMMITTED, value).await
    }

    /// The value of a stable key.
    pub(crate) async fn get<V>(&self, key: &StableKey) -> Result<Option<V>>
    where
        K: Codec<V>,
    {
        let Some(bytes) = self.store.get(key).await? else {
            return Ok(None);
        };
        self.codec.decode(&bytes).map(Some).map_err(|error| {
            unreadable(error).with_advice(format!(
                "stable key {key} is not what this codec writes; \
                 was the store written with another codec or other types?"
            ))
        })
    }

    /// What `asking` the store found, if the store has not failed. After a failed commit a store goes
    /// back to what is durable, while the library may have applied entries that were not: such an
    /// answer must not be given. A store refuses writes before it goes back, so one that still takes
    /// a write, even an empty one, had not gone back when it was asked before.
    pub(crate) async fn before_any_failure<V>(
        &self,
        asking: impl Future<Output = Result<V>>,
    ) -> Result<V> {
        let found = asking.await;
        self.store.append(Vec::new(), Completion::ignore()).await?;
        found
    }

    /// The bytes of a stable value.
    fn encode<V>(&self, value: &V) -> Result<Bytes>
    where
        K: Codec<V>,
    {
        let mut bytes = Vec::new();
        self.codec
            .encode(value, &mut bytes)
            .map_err(unwritable::<V>)?;
        Ok(bytes.into())
    }

    /// Encodes an append. One buffer holds the bytes of all entries.
    fn encode_entries(
        &self,
        entries: impl IntoIterator<Item = T::Entry>,
    ) -> Result<Encoded<T::Entry>> {
        let append: Arc<[T::Entry]> = entries.into_iter().collect();
        let mut buffer = Vec::new();
        let mut cached = Vec::with_capacity(append.len());
        for (at, entry) in append.iter().enumerate() {
            let start = buffer.len();
            self.codec.encode(entry, &mut buffer).map_err(|error| {
                let index = T::entry_index(entry);
                unwritable::<T::Entry>(error).with_indexes(index..=index)
            })?;
            let bytes = buffer.len() - start;
            if at == 0 {
                // The others are likely to be as long.
                let others = bytes.saturating_mul(append.len());
                buffer.reserve(others.min(MOST_RESERVED));
            }
            cached.push(Cached::new(&append, at, bytes as u64));
        }
        let mut buffer = Bytes::from(buffer);
        let stored = cached
            .iter()
            .map(|cached| {
                let payload = buffer.split_to(cached.bytes as usize);
                Entry::new(T::entry_index(cached.entry()), payload)
            })
            .collect();
        Ok(Encoded { stored, cached })
    }
}

/// How much room is made at once for the bytes of an append.
const MOST_RESERVED: usize = 1 << 20;

/// The entries of one append, as bytes for the store and with their type for the cache.
struct Encoded<E> {
    stored: Vec<Entry>,
    cached: Vec<Cached<E>>,
}

pub(crate) fn unreadable(error: CodecError) -> Error {
    Error::new(ErrorKind::Corrupt, "decode").with_source(error)
}

fn unwritable<T>(error: CodecError) -> Error {
    let advice = format!(
        "the argument, not a setting, is at fault: the codec cannot write this {}; \
         nothing was stored, see how the type is serialized",
        type_name::<T>()
    );
    Error::new(ErrorKind::Config, "encode")
        .with_advice(advice)
        .with_source(error)
}
