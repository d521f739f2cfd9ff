//! What a group was, write by write, and which of it a read may show.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, BytesMut};
use raft_logstore_core::{Bounds, Entry};

use crate::LawResult;
use crate::payload::{Mix, payload};
use crate::violation::ensure;

/// A state that a group was in: who wrote each entry, and what its stable keys said.
#[derive(Clone)]
pub(super) struct State {
    pub(super) floor: Option<u64>,
    pub(super) first: u64,
    pub(super) generations: Vec<u64>,
    pub(super) vote: Option<u64>,
    pub(super) committed: Option<u64>,
}

impl State {
    /// A group that was never written; it will begin at 1.
    pub(super) fn new() -> Self {
        Self {
            floor: None,
            first: 1,
            generations: Vec::new(),
            vote: None,
            committed: None,
        }
    }

    /// The next index.
    pub(super) fn end(&self) -> u64 {
        self.first + self.generations.len() as u64
    }

    pub(super) fn bounds(&self) -> LawResult<Bounds> {
        let entries = (!self.generations.is_empty()).then(|| (self.first, self.end() - 1));
        Ok(Bounds::new(self.floor, entries)?)
    }

    /// Drops what is in front of `first`, which may be behind the end.
    pub(super) fn purge(&mut self, first: u64) {
        let purged = (first - self.first).min(self.generations.len() as u64);
        self.generations.drain(..purged as usize);
        (self.floor, self.first) = (Some(first - 1), first);
    }

    /// Whether reading `first..last` in this state finds these entries, as pairs of index and
    /// generation.
    pub(super) fn reads(&self, first: u64, last: u64, found: &[(u64, u64)]) -> bool {
        let (first, last) = (first.max(self.first), last.min(self.end()));
        let generation = |index: u64| self.generations[(index - self.first) as usize];
        found.len() as u64 == last.saturating_sub(first)
            && found
                .iter()
                .zip(first..)
                .all(|(&found, index)| found == (index, generation(index)))
    }

    /// The entries of this state, as [`stamped`] makes them.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let stamped = |(index, generation)| stamped(index, generation);
        (self.first..)
            .zip(self.generations.iter().copied())
            .map(stamped)
            .collect()
    }
}

/// The states a group went through, and how many of them are certainly visible.
pub(super) struct History {
    states: Mutex<Vec<Arc<State>>>,
    visible: AtomicUsize,
}

/// The states that a read may show: those between its beginning and its end.
pub(super) struct Moment {
    oldest: usize,
    states: Vec<Arc<State>>,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            states: Mutex::new(vec![Arc::new(State::new())]),
            visible: AtomicUsize::new(0),
        }
    }

    /// Does a write that brings the group into `next`.
    pub(super) fn write(&self, next: &State, write: impl FnOnce() -> LawResult) -> LawResult {
        let number = {
            let mut states = self.states();
            states.push(Arc::new(next.clone()));
            states.len() - 1
        };
        write()?;
        self.visible.store(number, Ordering::SeqCst);
        Ok(())
    }

    /// Does a read, and returns with its result the moment it was made in: from the last write that had
    /// returned when it began to the last that had begun when it ended.
    pub(super) fn read<T>(&self, read: impl FnOnce() -> LawResult<T>) -> LawResult<(T, Moment)> {
        let oldest = self.visible.load(Ordering::SeqCst);
        let found = read()?;
        let states = self.states()[oldest..].to_vec();
        Ok((found, Moment { oldest, states }))
    }

    fn states(&self) -> MutexGuard<'_, Vec<Arc<State>>> {
        // A vector is whole after every push, so a poisoned lock does no harm.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Moment {
    /// Whether some state fits.
    pub(super) fn any(&self, mut fits: impl FnMut(&State) -> bool) -> bool {
        self.states.iter().any(|state| fits(state))
    }

    /// The number of the first state that fits and is not before number `seen`.
    pub(super) fn first_since(
        &self,
        seen: usize,
        mut fits: impl FnMut(&State) -> bool,
    ) -> Option<usize> {
        let numbered = (self.oldest..).zip(&self.states);
        let mut since = numbered.filter(|(number, _)| *number >= seen);
        since
            .find(|(_, state)| fits(state))
            .map(|(number, _)| number)
    }

    /// The numbers of the states.
    pub(super) fn numbers(&self) -> std::ops::Range<usize> {
        self.oldest..self.oldest + self.states.len()
    }
}

/// An entry that says which generation wrote it. Most are small, some of 4 KiB, and one in a thousand of 1 MiB.
pub(super) fn stamped(index: u64, generation: u64) -> Entry {
    let bytes = match Mix::new(index.rotate_left(32) ^ generation).below(1024) {
        0 => 1 << 20,
        1..64 => 4 << 10,
        64..256 => 0,
        256..448 => 1,
        _ => 24,
    };
    let mut stamped = BytesMut::with_capacity(16 + bytes);
    stamped.put_u64(index);
    stamped.put_u64(generation);
    stamped.extend_from_slice(&payload(index, generation, bytes));
    Entry::new(index, stamped.freeze())
}

/// Index and generation of a stamped entry.
pub(super) fn stamp(entry: &Entry) -> LawResult<(u64, u64)> {
    let generation = entry.payload.get(8..16).map_or(Ok(0), super::number)?;
    ensure!(
        *entry == stamped(entry.index, generation),
        "entry {} holds bytes that were never written",
        entry.index
    );
    Ok((entry.index, generation))
}
