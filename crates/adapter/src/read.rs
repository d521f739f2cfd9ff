use raft_logstore_core::{
    Entry, Error, ErrorKind, IndexRange, LogStore, MAX_INDEX, Result, StableStore,
};

use crate::tail_cache::Cached;
use crate::typed_log::unreadable;
use crate::{LogCodec, LogTypes, TypedLog};

impl<T, S, K> TypedLog<T, S, K>
where
    T: LogTypes,
    T::Entry: Clone,
    S: LogStore + StableStore + ?Sized,
    K: LogCodec<T>,
{
    /// The entries inside `range`, from one consistent state. Indexes that are purged or not yet
    /// appended are left out; inside the log there is never a hole.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) for an entry that is damaged, missing or not what the codec
    /// writes, naming its index. After a failed commit [`Poisoned`](ErrorKind::Poisoned), unless
    /// memory holds it all.
    pub async fn read(&self, range: IndexRange) -> Result<Vec<T::Entry>> {
        self.read_capped(range, u64::MAX).await
    }

    /// The entries from `start` up to and without `end`, up to
    /// [`read_bytes`](crate::RaftLogConfig::read_bytes), at least one.
    ///
    /// Nothing when `start` is purged or not yet appended, even if a later entry is there: it would
    /// look like the successor of `start - 1` to the follower it is sent to.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_to_replicate(&self, start: u64, end: u64) -> Result<Vec<T::Entry>> {
        let entries = self
            .read_capped(IndexRange::new(start..end), self.read_bytes)
            .await?;
        let begins_at_start = entries
            .first()
            .is_some_and(|entry| T::entry_index(entry) == start);
        Ok(if begins_at_start { entries } else { Vec::new() })
    }

    /// The entries inside `range`, from one consistent state: all that the log holds there, or the
    /// first of them up to `max_bytes` of encoded size, but at least one if there is any.
    async fn read_capped(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<T::Entry>> {
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

    /// [`read_capped`](Self::read_capped), asking the store; `changes` is the state of the cache's
    /// counter.
    async fn read_store(
        &self,
        range: IndexRange,
        max_bytes: u64,
        changes: u64,
    ) -> Result<Vec<T::Entry>> {
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

    /// [`read_capped`](Self::read_capped) without the cache, while truncates and purges go on.
    async fn read_store_at_once(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<T::Entry>> {
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
    ) -> Result<Vec<T::Entry>> {
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
    fn decode_entries(&self, first: u64, last: u64, stored: &[Entry]) -> Result<Vec<T::Entry>> {
        let decode = |(expected, stored): (u64, &Entry)| {
            if stored.index != expected || expected > last {
                return Err(mismatch(expected.min(last), last));
            }
            let entry: T::Entry = self
                .codec
                .decode(&stored.payload)
                .map_err(|error| unreadable(error).with_indexes(expected..=expected))?;
            if T::entry_index(&entry) != expected {
                let advice = format!(
                    "the entry stored there says that it is entry {}",
                    T::entry_index(&entry)
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
        .map(|cached| cached.entry().clone())
        .collect()
}

fn mismatch(first: u64, last: u64) -> Error {
    Error::new(ErrorKind::Corrupt, "read")
        .with_indexes(first..=last)
        .with_advice("the store did not answer with the entries that its bounds say it holds")
}
