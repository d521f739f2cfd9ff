use std::any::type_name;
use std::sync::Arc;

use bytes::Bytes;
use openraft::RaftTypeConfig;
use openraft::entry::RaftEntry;
use raft_logstore_core::{
    Completion, Entry, Error, ErrorKind, IndexRange, LogStore, MAX_INDEX, Result, StableKey,
    StableStore,
};

use crate::tail_cache::{Cached, TailCache};
use crate::{Codec, CodecError, RaftCodec, RaftLogConfig};

/// The entries of one append, as bytes for the store and with their type for the cache.
pub(crate) struct Encoded<E> {
    pub(crate) stored: Vec<Entry>,
    pub(crate) cached: Vec<Cached<E>>,
}

/// A group's log with openraft's types: the store, the codec, and the cache in front of them.
pub(crate) struct TypedLog<C: RaftTypeConfig, S: ?Sized, K> {
    pub(crate) cache: Arc<TailCache<C::Entry>>,
    pub(crate) read_bytes: u64,
    codec: K,
    pub(crate) store: Arc<S>,
}

impl<C, S, K> TypedLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized,
    K: RaftCodec<C>,
{
    pub(crate) fn new(store: Arc<S>, codec: K, config: &RaftLogConfig) -> Self {
        let cache = Arc::new(TailCache::new(config.cache_bytes));
        Self {
            cache,
            read_bytes: config.read_bytes,
            codec,
            store,
        }
    }

    /// The value of a stable key.
    pub(crate) async fn get<T>(&self, key: &StableKey) -> Result<Option<T>>
    where
        K: Codec<T>,
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

    /// The bytes of a stable value.
    pub(crate) fn encode<T>(&self, value: &T) -> Result<Bytes>
    where
        K: Codec<T>,
    {
        let mut bytes = Vec::new();
        self.codec
            .encode(value, &mut bytes)
            .map_err(unwritable::<T>)?;
        Ok(bytes.into())
    }

    /// Encodes an append. One buffer holds the bytes of all entries.
    pub(crate) fn encode_entries(
        &self,
        entries: impl IntoIterator<Item = C::Entry>,
    ) -> Result<Encoded<C::Entry>> {
        let mut buffer = Vec::new();
        let mut cached = Vec::new();
        for entry in entries {
            let start = buffer.len();
            self.codec.encode(&entry, &mut buffer).map_err(|error| {
                unwritable::<C::Entry>(error).with_indexes(entry.index()..=entry.index())
            })?;
            cached.push(Cached::new(entry, (buffer.len() - start) as u64));
        }
        let mut buffer = Bytes::from(buffer);
        let stored = cached
            .iter()
            .map(|cached| Entry::new(cached.entry.index(), buffer.split_to(cached.bytes as usize)))
            .collect();
        Ok(Encoded { stored, cached })
    }

    /// What `asking` the store found, if the store has not failed. After a failed commit a store goes
    /// back to what is durable, while openraft may have applied entries that were not: such an
    /// answer must not be given. A store refuses writes before it goes back, so one that still takes
    /// a write, even an empty one, had not gone back when it was asked before.
    pub(crate) async fn before_any_failure<T>(
        &self,
        asking: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let found = asking.await;
        self.store.append(Vec::new(), Completion::ignore()).await?;
        found
    }

    /// The entries inside `range`, from one consistent state: all that the log holds there, or the
    /// first of them up to `max_bytes` of encoded size, but at least one if there is any.
    pub(crate) async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<C::Entry>> {
        let range = range.intersect(IndexRange::new(..=MAX_INDEX));
        let Some((first, last)) = range.bounds() else {
            return Ok(Vec::new());
        };
        let warm = self.cache.read(first, last, max_bytes);
        if warm.start == first {
            return Ok(owned(warm.entries));
        }
        // The cache is cold, or the range passes the end of the log: only the store can tell.
        self.before_any_failure(self.read_store(range, max_bytes, warm.changes))
            .await
    }

    /// [`read`](Self::read), asking the store; `changes` is the state of the cache's counter.
    async fn read_store(
        &self,
        range: IndexRange,
        max_bytes: u64,
        changes: u64,
    ) -> Result<Vec<C::Entry>> {
        let held = range.intersect(self.store.bounds().await?.range());
        let Some((first, last)) = held.bounds() else {
            return Ok(Vec::new());
        };
        let warm = self.cache.read(first, last, max_bytes);
        let cold = IndexRange::new(first..warm.start);
        let stored = if cold.is_empty() {
            Vec::new()
        } else {
            self.store.read(cold, max_bytes).await?
        };
        if !self.cache.quiet_since(changes) {
            // The parts may belong to different states; one read by the store belongs to one.
            return self.read_store_at_once(range, max_bytes).await;
        }

        let mut entries = self.decode_answer(cold, max_bytes, &stored)?;
        if first + (entries.len() as u64) < warm.start {
            return Ok(entries); // the byte cap ends inside the cold part
        }
        let mut bytes = stored
            .iter()
            .map(|entry| entry.payload.len() as u64)
            .sum::<u64>();
        let fits = warm.entries.into_iter().take_while(|cached| {
            bytes = bytes.saturating_add(cached.bytes);
            bytes <= max_bytes || stored.is_empty()
        });
        entries.extend(owned(fits));
        Ok(entries)
    }

    /// [`read`](Self::read) without the cache, while truncates and purges go on.
    async fn read_store_at_once(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<C::Entry>> {
        loop {
            let changes = self.cache.changes();
            let before = range.intersect(self.store.bounds().await?.range());
            let stored = if before.is_empty() {
                Vec::new()
            } else {
                self.store.read(before, max_bytes).await?
            };
            let after = before.intersect(self.store.bounds().await?.range());
            if self.cache.changes() != changes {
                continue;
            }
            // No change began or ended, so at most the one under way took effect meanwhile: the
            // store answered from before it or from after it.
            let answer = self.decode_answer(before, max_bytes, &stored);
            return match answer {
                Err(_) if after != before => self.decode_answer(after, max_bytes, &stored),
                answer => answer,
            };
        }
    }

    /// Decodes what the store answered to a read of `range`, all of which it holds: every entry, or
    /// under a byte cap the first of them.
    fn decode_answer(
        &self,
        range: IndexRange,
        max_bytes: u64,
        stored: &[Entry],
    ) -> Result<Vec<C::Entry>> {
        let Some((first, last)) = range.bounds() else {
            return match stored.first() {
                Some(entry) => Err(mismatch(entry.index, entry.index)),
                None => Ok(Vec::new()),
            };
        };
        let entries = self.decode_entries(first, last, stored)?;
        let next = first + entries.len() as u64;
        let capped = max_bytes < u64::MAX && !entries.is_empty();
        if next <= last && !capped {
            return Err(mismatch(next, last));
        }
        Ok(entries)
    }

    /// Decodes entries that must be contiguous from `first` and not pass `last`.
    fn decode_entries(&self, first: u64, last: u64, stored: &[Entry]) -> Result<Vec<C::Entry>> {
        let decode = |(expected, stored): (u64, &Entry)| {
            if stored.index != expected || expected > last {
                return Err(mismatch(expected.min(last), last));
            }
            let entry: C::Entry = self
                .codec
                .decode(&stored.payload)
                .map_err(|error| unreadable(error).with_indexes(expected..=expected))?;
            if entry.index() != expected {
                let advice = format!(
                    "the entry stored there says that it is entry {}",
                    entry.index()
                );
                return Err(Error::new(ErrorKind::Corrupt, "decode")
                    .with_indexes(expected..=expected)
                    .with_advice(advice));
            }
            Ok(entry)
        };
        (first..).zip(stored).map(decode).collect()
    }
}

/// Owned entries; cloned outside the cache's lock.
fn owned<E: Clone>(cached: impl IntoIterator<Item = Cached<E>>) -> Vec<E> {
    cached
        .into_iter()
        .map(|cached| Arc::unwrap_or_clone(cached.entry))
        .collect()
}

fn mismatch(first: u64, last: u64) -> Error {
    Error::new(ErrorKind::Corrupt, "read")
        .with_indexes(first..=last)
        .with_advice("the store did not answer with the entries that its bounds say it holds")
}

fn unreadable(error: CodecError) -> Error {
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
