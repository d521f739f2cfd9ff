use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raft_logstore_core::{Error, ErrorKind, Result};

/// What every transaction passes, so that the map can be moved while there is none.
///
/// Many may be inside at a time; whoever wants to be alone waits until they have left, and newcomers
/// wait meanwhile. They are inside only for as long as one call takes.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    /// Somebody is alone inside, or waits to be.
    closed: bool,
    /// The map is gone: nobody may come in any more.
    lost: bool,
}

impl Gate {
    /// Comes in; the pass is to be held for as long as the transaction lives.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when the map was lost.
    pub(crate) fn enter(&self) -> Result<Pass<'_>> {
        let mut state = self.wait(self.state(), |state| state.closed && !state.lost);
        if state.lost {
            return Err(lost());
        }
        state.inside += 1;
        Ok(Pass(self))
    }

    /// Comes in alone: waits, `patience` long, until the others have left.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when they did not leave: somebody holds a transaction across a write.
    pub(crate) fn alone(&self, patience: Duration) -> Result<Alone<'_>> {
        let mut state = self.wait(self.state(), |state| state.closed && !state.lost);
        if state.lost {
            return Err(lost());
        }
        state.closed = true;
        let alone = Alone(self);
        let until = Instant::now() + patience;
        while state.inside > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                return Err(Error::new(ErrorKind::Io, "commit").with_advice(
                    "the map of the file has to grow and a read does not end; end it, then open the \
                     store again",
                ));
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(state);
        Ok(alone)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_while(state, |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Io, "read").with_advice(
        "the map of the file could not be put in place again; close the store and open it again",
    )
}

/// Held by who is inside, with others.
#[derive(Debug)]
pub(crate) struct Pass<'a>(&'a Gate);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.inside -= 1;
        if state.inside == 0 && state.closed {
            self.0.changed.notify_all();
        }
    }
}

/// Held by who is inside alone.
#[derive(Debug)]
pub(crate) struct Alone<'a>(&'a Gate);

impl Alone<'_> {
    /// Lets nobody in any more.
    pub(crate) fn lose(&self) {
        self.0.state().lost = true;
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.state().closed = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn whoever_is_alone_is_alone_and_nobody_waits_for_ever() {
        let gate = Gate::default();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let _pass = gate.enter().unwrap();
                        inside.fetch_add(1, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..200 {
                let _alone = gate.alone(LONG).unwrap();
                for _ in 0..10 {
                    assert_eq!(inside.load(Ordering::SeqCst), 0);
                    thread::yield_now();
                }
            }
        });
    }

    #[test]
    fn a_transaction_that_does_not_end_is_an_error_and_the_gate_stays_open() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        let error = gate.alone(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        drop((gate.enter().unwrap(), pass));
        drop(gate.alone(LONG).unwrap());
    }

    #[test]
    fn nobody_gets_in_once_the_map_is_lost() {
        let gate = Gate::default();
        gate.alone(LONG).unwrap().lose();
        assert_eq!(gate.enter().unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(gate.alone(LONG).unwrap_err().kind(), ErrorKind::Io);
    }
}
