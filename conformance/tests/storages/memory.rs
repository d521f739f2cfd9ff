use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::StorageFault;

/// What is stored: entries, log ids and votes of a line of openraft.
pub(super) struct Memory<E, I, V> {
    log: BTreeMap<u64, (I, E)>,
    purged: Option<(u64, I)>,
    pub(super) vote: Option<V>,
    pub(super) committed: Option<I>,
}

impl<E: Clone, I: Clone, V> Memory<E, I, V> {
    fn new() -> Self {
        Self {
            log: BTreeMap::new(),
            purged: None,
            vote: None,
            committed: None,
        }
    }

    /// The log ids of what was purged last, and of the last entry.
    pub(super) fn state(&self, fault: StorageFault) -> (Option<I>, Option<I>) {
        let purged = self.purged.as_ref().map(|(_, id)| id.clone());
        let last = self.log.last_key_value().map(|(_, (id, _))| id.clone());
        match fault {
            StorageFault::EmptyLogForgetsLast => (purged, last),
            _ => (purged.clone(), last.or(purged)),
        }
    }

    pub(super) fn append(&mut self, entries: Vec<(u64, I, E)>, fault: StorageFault) {
        for (index, id, entry) in entries {
            if fault == StorageFault::TruncateKeepsEntries {
                self.log.entry(index).or_insert((id, entry));
            } else {
                self.log.insert(index, (id, entry));
            }
        }
    }

    pub(super) fn truncate(&mut self, from: u64, fault: StorageFault) {
        match fault {
            StorageFault::TruncateLosesVote => self.vote = None,
            StorageFault::TruncateForgetsPurged if self.start() >= from => self.purged = None,
            StorageFault::TruncateKeepsEntries => return,
            _ => {}
        }
        self.log.split_off(&from);
    }

    fn start(&self) -> u64 {
        self.purged.as_ref().map_or(0, |(index, _)| index + 1)
    }

    pub(super) fn purge(&mut self, index: u64, id: I, fault: StorageFault) {
        match fault {
            StorageFault::PurgeLosesVote => self.vote = None,
            StorageFault::PurgeLosesCommitted => self.committed = None,
            StorageFault::PurgeStopsAtLast
                if self
                    .log
                    .last_key_value()
                    .is_none_or(|(last, _)| *last < index) =>
            {
                return;
            }
            _ => {}
        }
        self.log = self.log.split_off(&(index + 1));
        self.purged = Some((index, id));
    }

    pub(super) fn read(&self, range: impl RangeBounds<u64>, fault: StorageFault) -> Vec<E> {
        let start = match range.start_bound() {
            Bound::Excluded(start) if fault == StorageFault::ExcludedStartIncluded => {
                Bound::Included(*start)
            }
            start => start.cloned(),
        };
        let found = self.log.range((start, range.end_bound().cloned()));
        found.map(|(_, (_, entry))| entry.clone()).collect()
    }

    pub(super) fn limited(&self, start: u64, end: u64, fault: StorageFault) -> Vec<E> {
        if fault == StorageFault::LimitedReadsNothing && end - start > 20 {
            return Vec::new();
        }
        let mut found = self.read(start..end, fault);
        found.truncate(5);
        found
    }
}

impl<E: Clone, I: Clone, V: Clone> Memory<E, I, V> {
    /// What a reader reads that was made now and sees nothing new.
    pub(super) fn frozen(&self) -> Self {
        Self {
            log: self.log.clone(),
            purged: self.purged.clone(),
            vote: self.vote.clone(),
            committed: self.committed.clone(),
        }
    }
}

/// A store, as its readers and the next opening see it.
pub(super) type Shared<E, I, V> = Arc<Mutex<Memory<E, I, V>>>;

/// What is stored in which directory.
pub(super) struct Disks<E, I, V>(Mutex<HashMap<PathBuf, Shared<E, I, V>>>);

impl<E: Clone, I: Clone, V> Disks<E, I, V> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn open(&self, dir: PathBuf, fault: StorageFault) -> Shared<E, I, V> {
        let mut disks = self.0.lock().unwrap();
        let new = || Arc::new(Mutex::new(Memory::new()));
        let memory = Arc::clone(disks.entry(dir).or_insert_with(new));
        if fault == StorageFault::VoteInMemory {
            lock(&memory).vote = None;
        }
        memory
    }
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap()
}

/// Calls the callbacks of appends, or does not.
#[derive(Default)]
pub(super) struct Callbacks(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Callbacks {
    pub(super) fn call(
        &mut self,
        callback: impl FnOnce() + Send + Sync + 'static,
        fault: StorageFault,
    ) {
        match fault {
            StorageFault::CallbackNeverCalled => std::mem::forget(callback),
            StorageFault::CallbackDropped => drop(callback),
            StorageFault::CallbacksSwapped => match self.0.take() {
                None => self.0 = Some(Box::new(callback)),
                Some(earlier) => {
                    callback();
                    earlier();
                }
            },
            _ => callback(),
        }
    }
}
