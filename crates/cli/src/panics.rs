use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

/// Runs the program. A panic is a bug, and is reported as one instead of with a stack trace.
///
/// Engines panic on some damaged files; backends contain that and report it as damage, so what a panic
/// has to say is kept back until it turns out that nobody contained it.
pub(crate) fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    static LAST: Mutex<String> = Mutex::new(String::new());
    panic::set_hook(Box::new(|panic| {
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        Err(anyhow!(
            "this is a bug in raft-logstore, please report it: {last}"
        ))
    })
}
