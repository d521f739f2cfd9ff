use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

use super::verdict::Verdict;

/// What the last panic of this process said, in whatever thread.
pub(super) struct Panics(Arc<Mutex<Option<String>>>);

impl Panics {
    /// Notes what panics say from now on.
    pub(super) fn note() -> Self {
        let last = Arc::default();
        let noted = Self(Arc::clone(&last));
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
        }));
        noted
    }

    /// Runs `check`; a panic is a verdict.
    pub(super) fn contain(&self, check: impl FnOnce() -> Verdict) -> Verdict {
        panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| {
            let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            Verdict::Panicked(last.unwrap_or_else(|| "a panic without a message".to_owned()))
        })
    }
}
