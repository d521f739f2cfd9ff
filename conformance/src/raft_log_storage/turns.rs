use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_logstore_core::{Completion, Result};

use super::storage::Answer;

/// The completions of one store, in the order in which its writes were submitted.
///
/// In openraft only an append has a callback. Its completion fires the moment that is called, so that a
/// callback out of order is seen as one. The other writes are done when their call returns; openraft
/// does not say that the callbacks of earlier appends come first, so their completions wait for those.
#[derive(Default)]
pub(crate) struct Turns(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    submitted: u64,
    waiting: VecDeque<Turn>,
}

struct Turn {
    number: u64,
    done: Completion,
    /// What a call returned. Stays `None` for an append, which leaves the queue when it is answered.
    returned: Option<Result<()>>,
}

impl Turns {
    /// Submits an append.
    pub(crate) fn append(self: &Arc<Self>, done: Completion) -> Answer {
        let number = self.submit(done);
        let turns = Arc::clone(self);
        Box::new(move |result| turns.answered(number, result))
    }

    /// Submits a write that is done when its call has [returned](Self::returned). Returns its number.
    pub(crate) fn submit(&self, done: Completion) -> u64 {
        let mut queue = self.queue();
        queue.submitted += 1;
        let number = queue.submitted;
        queue.waiting.push_back(Turn {
            number,
            done,
            returned: None,
        });
        number
    }

    /// The call of a write has returned.
    pub(crate) fn returned(&self, number: u64, result: Result<()>) {
        let mut queue = self.queue();
        if let Some(turn) = queue.waiting.iter_mut().find(|turn| turn.number == number) {
            turn.returned = Some(result);
        }
        queue.complete_from_the_front();
    }

    fn answered(&self, number: u64, result: Result<()>) {
        let mut queue = self.queue();
        let place = queue.waiting.iter().position(|turn| turn.number == number);
        if let Some(turn) = place.and_then(|place| queue.waiting.remove(place)) {
            turn.done.complete(result);
        }
        queue.complete_from_the_front();
    }

    /// Completions run under the lock, so that two threads cannot change their order.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn complete_from_the_front(&mut self) {
        while let Some(turn) = self.waiting.pop_front() {
            match turn.returned {
                Some(result) => turn.done.complete(result),
                None => return self.waiting.push_front(turn),
            }
        }
    }
}
