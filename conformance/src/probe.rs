use std::ops::RangeBounds;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;
use raft_logstore_core::{
    Bounds, Completion, Entry, Error, ErrorKind, IndexRange, Result, StableKey,
};

use crate::{Log, Submission, Tracker};

/// A handle for one group, as laws use it: blocking, and every write is a [`Submission`].
#[derive(Clone)]
pub struct Probe {
    log: Weak<dyn Log>,
    deadline: Duration,
    tracker: Option<Tracker>,
}

impl Probe {
    pub(crate) fn new(log: &Arc<dyn Log>, deadline: Duration) -> Self {
        Self {
            log: Arc::downgrade(log),
            deadline,
            tracker: None,
        }
    }

    /// The same handle; what it writes is recorded by `tracker` too.
    #[must_use]
    pub fn tracked(&self, tracker: &Tracker) -> Self {
        Self {
            tracker: Some(tracker.clone()),
            ..self.clone()
        }
    }

    /// The bounds of the log.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn bounds(&self) -> Result<Bounds> {
        block_on(self.log()?.bounds())
    }

    /// The entries inside a range.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Result<Vec<Entry>> {
        self.read_capped(range, u64::MAX)
    }

    /// The entries inside a range, up to `max_bytes` of payload.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn read_capped(&self, range: impl RangeBounds<u64>, max_bytes: u64) -> Result<Vec<Entry>> {
        block_on(self.log()?.read(IndexRange::new(range), max_bytes))
    }

    /// The value of a stable key.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        block_on(self.log()?.get(key))
    }

    /// Appends entries.
    pub fn append(&self, entries: Vec<Entry>) -> Submission {
        self.submit(|log, done| block_on(log.append(entries, done)))
    }

    /// Drops `from` and everything after it.
    pub fn truncate(&self, from: u64) -> Submission {
        self.submit(|log, done| block_on(log.truncate(from, done)))
    }

    /// Drops `up_to` and everything before it.
    pub fn purge(&self, up_to: u64, id: impl Into<Bytes>) -> Submission {
        let id = id.into();
        self.submit(|log, done| block_on(log.purge(up_to, id, done)))
    }

    /// Sets a stable key.
    pub fn set(&self, key: &StableKey, value: impl Into<Bytes>) -> Submission {
        let value = Some(value.into());
        self.submit(|log, done| block_on(log.put(key, value, done)))
    }

    /// Removes a stable key.
    pub fn remove(&self, key: &StableKey) -> Submission {
        self.submit(|log, done| block_on(log.put(key, None, done)))
    }

    /// Sets a stable key lazily, or removes it.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        block_on(self.log()?.put_lazy(key, value))
    }

    /// Appends entries with a completion of the law's own.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn append_then(
        &self,
        entries: Vec<Entry>,
        then: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<()> {
        block_on(self.log()?.append(entries, Completion::new(then)))
    }

    /// Sets a stable key with a completion of the law's own.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn set_then(
        &self,
        key: &StableKey,
        value: impl Into<Bytes>,
        then: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<()> {
        let value = Some(value.into());
        block_on(self.log()?.put(key, value, Completion::new(then)))
    }

    fn submit(&self, write: impl FnOnce(&dyn Log, Completion) -> Result<()>) -> Submission {
        Submission::new(self.deadline, self.tracker.as_ref(), |done| {
            match self.log() {
                Ok(log) => write(log.as_ref(), done),
                Err(error) => Err(error),
            }
        })
    }

    fn log(&self) -> Result<Arc<dyn Log>> {
        self.log.upgrade().ok_or_else(|| {
            Error::new(ErrorKind::Closed, "use a handle").with_advice("its session has ended")
        })
    }
}
