use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::storage::LogId;

/// Which bytes of the laws stand behind which votes and log ids of openraft.
///
/// A vote carries no bytes, only a term. Each vote that is saved, each opening of a store and each
/// truncate takes a term that was never used: so votes and log ids grow as Raft has them grow, and each is one
/// that no other store has.
#[derive(Default)]
pub(crate) struct Names {
    terms: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    votes: HashMap<u64, Bytes>,
    purged: HashMap<LogId, Bytes>,
    committed: HashMap<LogId, Bytes>,
}

impl Names {
    /// A term above all before it.
    pub(crate) fn new_term(&self) -> u64 {
        self.terms.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The term of a vote that stands for `value`.
    pub(crate) fn name_vote(&self, value: Bytes) -> u64 {
        let mut known = self.known();
        let term = self.new_term();
        known.votes.insert(term, value);
        term
    }

    /// Has a log id stand for `value` when it is purged; the first to name it is right.
    pub(crate) fn name_purged(&self, id: LogId, value: Bytes) {
        self.known().purged.entry(id).or_insert(value);
    }

    /// Has a log id stand for `value` when it is committed.
    pub(crate) fn name_committed(&self, id: LogId, value: Bytes) {
        self.known().committed.insert(id, value);
    }

    pub(crate) fn vote(&self, term: u64) -> Bytes {
        let vote = self.known().votes.get(&term).cloned();
        vote.unwrap_or_else(|| format!("a vote of term {term} that was never saved").into())
    }

    pub(crate) fn purged(&self, id: LogId) -> Bytes {
        let purged = self.known().purged.get(&id).cloned();
        purged.unwrap_or_else(|| format!("{id:?}, which was never purged").into())
    }

    pub(crate) fn committed(&self, id: LogId) -> Bytes {
        let committed = self.known().committed.get(&id).cloned();
        committed.unwrap_or_else(|| format!("{id:?}, which was never committed").into())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each map is whole after every insertion.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
