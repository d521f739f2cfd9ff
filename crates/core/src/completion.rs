use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;

use crate::{Error, ErrorKind, Result};

/// Tells a caller once whether a write became durable.
///
/// Law 3, `completions_fire_once_in_order_after_durability`: a completion fires exactly once; `Ok`
/// only after a sync covers the write, in the order in which writes were submitted to the store;
/// with an error when the write was refused, the commit failed, or the store went away. One that is
/// dropped unanswered fires with [`ErrorKind::Closed`]: nobody waits for ever.
///
/// It runs on the thread that commits, of the store or of a caller that blocks: it must be short and must not wait for
/// the store.
///
/// ```
/// use raft_logstore_core::{Completion, ErrorKind};
///
/// let (done, pending) = Completion::pending();
/// drop(done);
/// let result = futures_executor::block_on(pending);
/// assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
/// ```
pub struct Completion(Option<Box<dyn FnOnce(Result<()>) + Send>>);

impl Completion {
    /// Calls `then` with the outcome.
    pub fn new(then: impl FnOnce(Result<()>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// For a caller that does not wait: a failure shows in the next operation, because a failed
    /// store takes no more writes (law 12).
    pub fn ignore() -> Self {
        Self(None)
    }

    /// Whether nobody waits for it: it was made by [`ignore`](Self::ignore).
    pub fn is_ignored(&self) -> bool {
        self.0.is_none()
    }

    /// A completion and the future that resolves with its outcome.
    pub fn pending() -> (Self, Pending) {
        let (sender, receiver) = oneshot::channel();
        // The receiver may be gone: the caller stopped waiting, and the write stays as it is.
        let completion = Self::new(move |result| drop(sender.send(result)));
        (completion, Pending(receiver))
    }

    /// Fires.
    pub fn complete(mut self, result: Result<()>) {
        if let Some(then) = self.0.take() {
            then(result);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(Error::new(ErrorKind::Closed, "complete").with_advice(
                "the write was dropped before it was durable; it may or may not be stored",
            )));
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completion")
    }
}

/// The future side of [`Completion::pending`]: resolves when the write is durable or has failed.
///
/// Needs no particular runtime. Dropping it does not undo the write.
#[derive(Debug)]
#[must_use = "a write is durable only when its pending future resolves with Ok"]
pub struct Pending(oneshot::Receiver<Result<()>>);

impl Future for Pending {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|received| {
            // A completion always fires, at the latest when dropped, so the sender never goes
            // unused.
            received.unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "complete")))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_executor::block_on;

    use super::*;

    #[test]
    fn a_completion_fires_once_even_though_it_is_dropped_afterwards() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        Completion::new(move |result| log.lock().unwrap().push(result.is_ok())).complete(Ok(()));
        assert_eq!(*seen.lock().unwrap(), [true]);
    }

    #[test]
    fn the_pending_future_resolves_with_the_outcome() {
        let (done, pending) = Completion::pending();
        done.complete(Ok(()));
        assert!(block_on(pending).is_ok());
    }
}
