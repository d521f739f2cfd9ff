use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_logstore_core::MAX_INDEX;

/// One cached entry of an append, and its encoded size in bytes.
///
/// The entries of an append share one allocation, which lasts as long as any of them is cached.
#[derive(Debug)]
pub(crate) struct Cached<E> {
    append: Arc<[E]>,
    at: usize,
    pub(crate) bytes: u64,
}

impl<E> Cached<E> {
    /// The entry at `at` of an append.
    pub(crate) fn new(append: &Arc<[E]>, at: usize, bytes: u64) -> Self {
        Self {
            append: Arc::clone(append),
            at,
            bytes,
        }
    }

    pub(crate) fn entry(&self) -> &E {
        &self.append[self.at]
    }

    /// What it costs to keep the entry.
    fn weight(&self) -> u64 {
        self.bytes + (size_of::<E>() + size_of::<Self>()) as u64
    }
}

impl<E> Clone for Cached<E> {
    fn clone(&self) -> Self {
        Self::new(&self.append, self.at, self.bytes)
    }
}

/// The end of a log as typed entries, shared by the writer and all readers.
///
/// Everything in it is in the store as well: it is filled after the store has accepted an append,
/// and cut before the store is asked to truncate or purge. It says nothing about where the log
/// starts or ends; only the store knows that.
#[derive(Debug)]
pub(crate) struct TailCache<E> {
    capacity: u64,
    tail: Mutex<Tail<E>>,
}

#[derive(Debug)]
struct Tail<E> {
    /// Index of the first of `entries`, which are contiguous.
    first: u64,
    entries: VecDeque<Cached<E>>,
    weight: u64,
    /// Counts the starts and the ends of truncates and purges: odd while one is under way.
    changes: u64,
    /// A commit failed: what was not durable is gone, and the store answers no more reads.
    failed: bool,
}

/// The part of a range that the cache holds.
#[derive(Debug)]
pub(crate) struct Warm<E> {
    /// The first index held; one past the range when the cache does not hold its end.
    pub(crate) start: u64,
    /// The entries from `start` on, up to the byte cap.
    pub(crate) entries: Vec<Cached<E>>,
    /// The state of the [change counter](TailCache::quiet_since).
    pub(crate) changes: u64,
}

impl<E> TailCache<E> {
    /// An empty cache that holds entries up to `capacity` bytes.
    pub(crate) fn new(capacity: u64) -> Self {
        let entries = VecDeque::new();
        let tail = Tail {
            first: 0,
            entries,
            weight: 0,
            changes: 0,
            failed: false,
        };
        Self {
            capacity,
            tail: Mutex::new(tail),
        }
    }

    /// Adds entries that the store has just accepted, contiguous from index `first` on.
    pub(crate) fn push(&self, first: u64, entries: Vec<Cached<E>>) {
        let mut tail = self.lock();
        if tail.failed {
            return;
        }
        // After an append that was abandoned half-way the cache does not know what came between.
        let mut dropped = if tail.end() == first {
            VecDeque::new()
        } else {
            tail.clear()
        };
        if tail.entries.is_empty() {
            tail.first = first;
        }
        tail.weight += entries.iter().map(Cached::weight).sum::<u64>();
        tail.entries.extend(entries);
        while tail.weight > self.capacity
            && let Some(oldest) = tail.entries.pop_front()
        {
            tail.weight -= oldest.weight();
            tail.first += 1;
            dropped.push_back(oldest);
        }
        drop(tail);
        drop(dropped);
    }

    /// What the cache holds of `first..=last`, which must not be empty: the longest run that ends at
    /// `last`, and of that the first `max_bytes`, at least one entry.
    pub(crate) fn read(&self, first: u64, last: u64, max_bytes: u64) -> Warm<E> {
        debug_assert!(first <= last && last <= MAX_INDEX);
        let tail = self.lock();
        let holds_the_end = !tail.entries.is_empty() && (tail.first..tail.end()).contains(&last);
        let start = if holds_the_end {
            first.max(tail.first)
        } else {
            last + 1
        };
        let mut bytes = 0u64;
        let skipped = start.saturating_sub(tail.first) as usize;
        let held = tail.entries.iter().skip(skipped);
        let run = held.take((last + 1 - start) as usize);
        let entries = run.take_while(|cached| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(cached.bytes.max(1));
            is_first || bytes <= max_bytes
        });
        Warm {
            start,
            entries: entries.cloned().collect(),
            changes: tail.changes,
        }
    }

    /// Whether no truncate or purge was under way when [`read`](Self::read) reported `changes`, and
    /// none has begun since: what was read from the store in between belongs to the same state.
    pub(crate) fn quiet_since(&self, changes: u64) -> bool {
        changes.is_multiple_of(2) && self.lock().changes == changes
    }

    /// How many starts and ends of truncates and purges there were.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Forgets everything for good, because a commit failed.
    pub(crate) fn fail(&self) {
        let mut tail = self.lock();
        tail.failed = true;
        tail.changes += 2;
        let dropped = tail.clear();
        drop(tail);
        drop(dropped);
    }

    /// Drops `from` and everything after it, before the store is asked to. The truncate is under
    /// way until the guard is dropped.
    pub(crate) fn truncate(&self, from: u64) -> Change<'_, E> {
        let mut tail = self.lock();
        let keep = from
            .saturating_sub(tail.first)
            .min(tail.entries.len() as u64) as usize;
        let dropped = tail.entries.split_off(keep);
        self.begin_change(tail, dropped)
    }

    /// Drops `up_to` and everything before it, before the store is asked to. The purge is under way
    /// until the guard is dropped.
    pub(crate) fn purge(&self, up_to: u64) -> Change<'_, E> {
        let mut tail = self.lock();
        let past = up_to.saturating_add(1).saturating_sub(tail.first);
        let drop = past.min(tail.entries.len() as u64);
        let kept = tail.entries.split_off(drop as usize);
        tail.first += drop;
        let dropped = mem::replace(&mut tail.entries, kept);
        self.begin_change(tail, dropped)
    }

    fn begin_change<'a>(
        &'a self,
        mut tail: MutexGuard<'_, Tail<E>>,
        dropped: VecDeque<Cached<E>>,
    ) -> Change<'a, E> {
        tail.weight -= dropped.iter().map(Cached::weight).sum::<u64>();
        tail.changes += 1;
        Change {
            cache: self,
            _dropped: dropped,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tail<E>> {
        // No foreign code runs while the lock is held, so the state behind a poisoned lock is whole.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Tail<E> {
    /// One past the last index.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn clear(&mut self) -> VecDeque<Cached<E>> {
        self.weight = 0;
        mem::take(&mut self.entries)
    }
}

/// A truncate or purge under way. Entries are freed with it, outside the lock.
#[derive(Debug)]
#[must_use = "the change ends when this is dropped"]
pub(crate) struct Change<'a, E> {
    cache: &'a TailCache<E>,
    _dropped: VecDeque<Cached<E>>,
}

impl<E> Drop for Change<'_, E> {
    fn drop(&mut self) {
        self.cache.lock().changes += 1;
    }
}
