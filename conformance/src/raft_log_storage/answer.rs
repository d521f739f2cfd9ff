use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

/// Runs a future on whatever thread wakes it, within the call that does.
///
/// openraft's callbacks end in a channel. What waits at its other end must not be scheduled like a
/// task, or the order in which a store calls its callbacks is lost on the way.
pub(crate) fn run_where_woken(future: impl Future<Output = ()> + Send + 'static) {
    // A store may answer from within a task of tokio, whose budget is not ours to wait for.
    let future = tokio::task::unconstrained(future);
    Arc::new(Inline {
        future: Mutex::new(Some(Box::pin(future))),
        woken: AtomicBool::new(false),
    })
    .wake();
}

struct Inline {
    /// `None` when it is done.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    woken: AtomicBool,
}

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        // Whoever holds the lock looks again before it is done; also when that is this thread.
        while self.woken.load(Ordering::SeqCst) {
            let mut future = match self.future.try_lock() {
                Ok(future) => future,
                Err(TryLockError::WouldBlock) => return,
                // A law panicked in it. Nobody waits for it any more.
                Err(TryLockError::Poisoned(_)) => return,
            };
            self.woken.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&self));
            let mut context = Context::from_waker(&waker);
            if let Some(running) = future.as_mut()
                && let Poll::Ready(()) = running.as_mut().poll(&mut context)
            {
                *future = None;
            }
            drop(future);
        }
    }
}
