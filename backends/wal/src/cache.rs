use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use raft_logstore_core::Result;

use crate::places::{self, PLACE};
use crate::record::Place;
use crate::segment::Segment;

/// The places of entries in sealed segments that were looked up last, within a bound of memory.
#[derive(Debug)]
pub(crate) struct Cache {
    /// In bytes.
    capacity: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    chunks: HashMap<Key, (Arc<[Place]>, u64)>,
    /// The chunks by the time of their last use.
    by_use: BTreeMap<u64, Key>,
    clock: u64,
    /// In bytes.
    size: u64,
}

/// The salt of the segment, and where the chunk starts in it.
type Key = (u64, u64);

impl Cache {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            kept: Mutex::default(),
        }
    }

    /// The `count` places that start at `at`; perhaps more, when more were read before.
    ///
    /// # Errors
    ///
    /// As [`places::read`].
    pub(crate) fn places(&self, segment: &Segment, at: u64, count: usize) -> Result<Arc<[Place]>> {
        let key = (segment.file.header().salt, at);
        if let Some(found) = self.with(|kept| kept.use_again(key))
            && found.len() >= count
        {
            return Ok(found);
        }
        let read: Arc<[Place]> = places::read(segment, at, count)?.into();
        self.with(|kept| kept.insert(key, Arc::clone(&read), self.capacity));
        Ok(read)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        // Whatever a panic left half done is only memory that is not used again.
        work(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn use_again(&mut self, key: Key) -> Option<Arc<[Place]>> {
        self.clock += 1;
        let (places, used) = self.chunks.get_mut(&key)?;
        self.by_use.remove(used);
        *used = self.clock;
        self.by_use.insert(self.clock, key);
        Some(Arc::clone(places))
    }

    fn insert(&mut self, key: Key, places: Arc<[Place]>, capacity: u64) {
        self.remove(key);
        self.clock += 1;
        self.size += (PLACE * places.len()) as u64;
        self.chunks.insert(key, (places, self.clock));
        self.by_use.insert(self.clock, key);
        while self.size > capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some((places, used)) = self.chunks.remove(&key) {
            self.by_use.remove(&used);
            self.size -= (PLACE * places.len()) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(places: usize) -> Arc<[Place]> {
        vec![Place { at: 1, len: 2 }; places].into()
    }

    #[test]
    fn what_was_used_last_is_kept_within_the_bound() {
        let mut kept = Kept::default();
        let bound = 3 * 10 * PLACE as u64;
        for at in 0..3 {
            kept.insert((7, at), chunk(10), bound);
        }
        assert!(kept.use_again((7, 0)).is_some());
        kept.insert((7, 3), chunk(10), bound);
        assert!(
            kept.use_again((7, 1)).is_none(),
            "the one not used for longest"
        );
        for at in [0, 2, 3] {
            assert!(kept.use_again((7, at)).is_some(), "{at}");
        }
        kept.insert((7, 4), chunk(1000), bound);
        assert_eq!(
            (kept.chunks.len(), kept.by_use.len(), kept.size),
            (0, 0, 0),
            "one that is larger than the bound is not kept"
        );
    }
}
