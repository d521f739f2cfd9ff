use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft_logstore_core::{Error, ErrorKind, Result};

use crate::LawResult;
use crate::violation::ensure;

/// Records which completions fire, in which order, and what they say. Clones share the record.
#[derive(Clone, Default)]
pub struct Tracker(Arc<(Mutex<Record>, Condvar)>);

#[derive(Default)]
struct Record {
    issued: usize,
    fired: Vec<(usize, Option<ErrorKind>)>,
}

impl Tracker {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one submission; to be called with its outcome.
    pub(crate) fn ticket(&self) -> impl FnOnce(&Result<()>) + Send + 'static {
        let number = {
            let mut record = self.record();
            record.issued += 1;
            record.issued - 1
        };
        let tracker = self.clone();
        move |outcome| {
            tracker
                .record()
                .fired
                .push((number, outcome.as_ref().err().map(Error::kind)));
            tracker.0.1.notify_all();
        }
    }

    /// How many completions have fired.
    pub fn fired(&self) -> usize {
        self.record().fired.len()
    }

    /// Waits until every completion has fired, and checks that each fired once, in the order in
    /// which the writes were submitted. Returns what they said in that order.
    ///
    /// # Errors
    ///
    /// The first departure from that.
    pub fn all_fired_in_order(&self, deadline: Duration) -> LawResult<Vec<Option<ErrorKind>>> {
        let record = self.record();
        let waited = self.0.1.wait_timeout_while(record, deadline, |record| {
            record.fired.len() < record.issued
        });
        let (record, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(
            record.fired.len() >= record.issued,
            "{} of {} completions did not fire within {deadline:?}",
            record.issued - record.fired.len(),
            record.issued
        );
        for (place, (number, _)) in record.fired.iter().enumerate() {
            ensure!(
                *number == place,
                "write {number} completed in place {place}: completions fire in submission order"
            );
        }
        Ok(record.fired.iter().map(|(_, outcome)| *outcome).collect())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Nothing panics while the lock is held, so the record behind a poisoned lock is whole.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
