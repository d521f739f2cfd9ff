use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::storage::LogId;
use crate::payload::{number, of_number};

/// Which bytes of the laws stand behind which votes and log ids of openraft.
///
/// A vote carries no bytes, only a term. Each vote that is saved, each opening of a store and each
/// truncate takes a term that was never used: so votes and log ids grow as Raft has them grow, and each is one
/// that no other store has.
///
/// Another process knows no bytes that this one gave a name. It can still read numbers (eight bytes, the
/// highest first): that of a vote is in its term, and a log id of a term of another process stands for its
/// index. So votes that are small numbers, and indexes that are purged or committed, keep their bytes.
pub(crate) struct Names {
    count: AtomicU64,
    process: u64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    votes: HashMap<u64, Bytes>,
    purged: HashMap<LogId, Bytes>,
    committed: HashMap<LogId, Bytes>,
}

/// A term is a count, which grows; the process that took it; and the number that a vote stands for, or 0.
const BITS: u32 = 20;
const MASK: u64 = (1 << BITS) - 1;

impl Default for Names {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            process: u64::from(std::process::id()) & MASK,
            known: Mutex::default(),
        }
    }
}

impl Names {
    /// A term above all before it.
    pub(crate) fn new_term(&self) -> u64 {
        self.new_term_of(0)
    }

    /// Has every term from now on be above `term`.
    pub(crate) fn rise_above(&self, term: u64) {
        self.count.fetch_max(term >> (2 * BITS), Ordering::SeqCst);
    }

    fn new_term_of(&self, number: u64) -> u64 {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        count << (2 * BITS) | self.process << BITS | number
    }

    /// The term of a vote that stands for `value`.
    pub(crate) fn name_vote(&self, value: Bytes) -> u64 {
        let mut known = self.known();
        let number = number(&value).filter(|number| *number <= MASK);
        let term = self.new_term_of(number.unwrap_or(0));
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
        vote.or_else(|| self.of_another(term, term & MASK))
            .unwrap_or_else(|| format!("a vote of term {term} that was never saved").into())
    }

    pub(crate) fn purged(&self, id: LogId) -> Bytes {
        let purged = self.known().purged.get(&id).cloned();
        purged
            .or_else(|| self.of_another(id.term, id.index))
            .unwrap_or_else(|| format!("{id:?}, which was never purged").into())
    }

    pub(crate) fn committed(&self, id: LogId) -> Bytes {
        let committed = self.known().committed.get(&id).cloned();
        committed
            .or_else(|| self.of_another(id.term, id.index))
            .unwrap_or_else(|| format!("{id:?}, which was never committed").into())
    }

    /// The bytes of a number in a term that another process took.
    fn of_another(&self, term: u64, number: u64) -> Option<Bytes> {
        let is_ours = term >> BITS & MASK == self.process;
        (!is_ours).then(|| of_number(number))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each map is whole after every insertion.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the vote of a term is that of a leader whom a quorum accepted: both kinds are saved.
pub(crate) fn is_committed(term: u64) -> bool {
    term.count_ones().is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_process(process: u64) -> Names {
        Names {
            process,
            ..Names::default()
        }
    }

    #[test]
    fn another_process_reads_numbers() {
        let (one, other) = (of_process(1), of_process(2));
        let vote = one.name_vote(of_number(77));
        assert_eq!(other.vote(vote), of_number(77));
        let id = LogId {
            term: one.new_term(),
            index: 9,
        };
        one.name_purged(id, of_number(9));
        assert_eq!(other.purged(id), of_number(9));
        assert_eq!(other.committed(id), of_number(9));
    }

    #[test]
    fn a_process_knows_what_it_never_named() {
        let names = of_process(1);
        let id = LogId {
            term: names.new_term(),
            index: 9,
        };
        assert_ne!(names.purged(id), of_number(9));
        assert_ne!(names.committed(id), of_number(9));
        assert_ne!(names.vote(id.term), of_number(0));
    }

    #[test]
    fn terms_grow_above_those_of_another_process() {
        let (one, other) = (of_process(7), of_process(1));
        one.rise_above(0);
        let mut last = one.new_term();
        for number in [3, 1, 2] {
            let next = one.name_vote(of_number(number));
            assert!(next > last);
            last = next;
        }
        other.rise_above(last);
        assert!(other.new_term() > last);
    }
}
