use raft_logstore_core::{Error, Result};

use crate::queue::{Ticket, poisoned};
use crate::sync::{AtomicU64, Condvar, Mutex, Ordering, lock};

/// How far the requests of a store have come, for the threads that wait for theirs.
///
/// One call to the kernel wakes all whose requests went into the same commit, and of the others only those for whom it
/// had no room: what is queued during a commit waits for the next, at the other of the two conditions.
#[derive(Default)]
pub(crate) struct Progress {
    /// Every request up to this ticket is durable. Changed under the lock, and looked at without it where there may be
    /// no need to wait.
    durable: AtomicU64,
    state: Mutex<State>,
    turned: [Condvar; 2],
}

/// A request's place in the queue.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) ticket: Ticket,
    /// The number of the commit that it goes into, unless that is full; then it is a later one.
    pub(crate) commit: u64,
}

#[derive(Default)]
struct State {
    /// The number of the last durable commit.
    commit: u64,
    end: Option<End>,
    /// How many wait at each condition.
    waiting: [usize; 2],
}

/// Why no further request becomes durable.
struct End {
    cause: Error,
    /// The last ticket that failed of this cause, and not because it came too late.
    failed: Ticket,
}

impl Progress {
    /// Commit `number` is durable, and with it every request up to `ticket`.
    pub(crate) fn advance(&self, number: u64, ticket: Ticket) {
        let mut state = lock(&self.state);
        state.commit = number;
        self.durable.store(ticket, Ordering::Release);
        let turned = parity(number);
        if state.waiting[turned] > 0 {
            drop(state);
            self.turned[turned].notify_all();
        }
    }

    /// No further request becomes durable; those up to `failed` because of `cause`. The first end is final.
    pub(crate) fn end(&self, cause: Error, failed: Ticket) {
        lock(&self.state).end.get_or_insert(End { cause, failed });
        for turned in &self.turned {
            turned.notify_all();
        }
    }

    /// Whether a request is durable.
    pub(crate) fn is_durable(&self, ticket: Ticket) -> bool {
        ticket <= self.durable.load(Ordering::Acquire)
    }

    /// Blocks until a request is durable or has failed.
    pub(crate) fn wait(&self, place: Place) -> Result<()> {
        let mut state = lock(&self.state);
        loop {
            if self.is_durable(place.ticket) {
                return Ok(());
            }
            if let Some(end) = &state.end {
                return Err(end.error(place.ticket));
            }
            // It goes into the commit it was queued for or, when that was full, into one after it.
            let turned = parity(place.commit.max(state.commit + 1));
            state.waiting[turned] += 1;
            state = self.turned[turned]
                .wait(state)
                .unwrap_or_else(|poison| poison.into_inner());
            state.waiting[turned] -= 1;
        }
    }
}

impl End {
    fn error(&self, ticket: Ticket) -> Error {
        if ticket <= self.failed {
            self.cause.clone()
        } else {
            poisoned(&self.cause)
        }
    }
}

fn parity(commit: u64) -> usize {
    usize::from(commit % 2 == 1)
}
