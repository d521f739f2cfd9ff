use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raft_logstore_core::{Error, ErrorKind, Result};

/// Runs code that is not the store's own, an engine's or a caller's; a panic inside becomes an
/// error, so that it cannot take a thread of the store down with everybody who waits for it.
///
/// Unwind safety: after a failed commit the writer never commits to the engine again, and reads go
/// through the engine's own locks.
pub(crate) fn contain<T>(operation: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::Io, operation)
            .with_advice(format!("panicked: {}", message(&*panic))))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
