use raft_logstore_core::{Error, ErrorKind, Result};

/// Runs code that is not the store's own, an engine's or a caller's; a panic inside becomes an
/// error, so that it cannot take a thread of the store down with everybody who waits for it.
///
/// Unwind safety: after a failed commit nobody commits to the engine again, and reads go
/// through the engine's own locks.
pub(crate) fn contain<T>(operation: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    raft_logstore_core::contain(run, |message| {
        Error::new(ErrorKind::Io, operation).with_advice(format!("panicked: {message}"))
    })
}
