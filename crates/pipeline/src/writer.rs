//! The thread that commits unless a caller does.

use crate::committer::{Callers, Committer};
use crate::linger::Linger;
use crate::queue::{Queue, Work};
use crate::sync::{Mutex, lock};

/// Where a store's [`Committer`] is found: nothing is there before the store is open and after it is closed.
pub(crate) type Desk = Mutex<Option<Committer>>;

/// Commits what is queued until the queue is closed, then takes the committer away.
pub(crate) fn run(queue: &Queue, desk: &Desk) {
    let mut linger = Linger::default();
    loop {
        let work = queue.next();
        let mut desk = lock(desk);
        match (work, &mut *desk) {
            (Work::Commit, Some(committer)) => commit(queue, committer, &mut linger),
            (Work::Maintain, Some(committer)) => committer.maintain(),
            (Work::Close, committer) => {
                if let Some(committer) = committer.take() {
                    committer.close();
                }
                return;
            }
            // Nobody else takes it.
            (Work::Commit | Work::Maintain, None) => return,
        }
    }
}

/// Commits, and again as long as the next request is there soon.
fn commit(queue: &Queue, committer: &mut Committer, linger: &mut Linger) {
    // Where one thread is alone it does better without this one, and must find the desk free.
    while committer.commit() == Some(Callers::Others) && linger.is_worth_it() && !queue.owes_slice()
    {
        linger.note(queue.linger(Linger::YIELDS));
    }
}
