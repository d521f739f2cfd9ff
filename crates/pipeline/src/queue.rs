//! The hand-off between callers and whoever commits.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use futures_channel::oneshot;
use raft_logstore_core::{Bounds, Completion, Error, ErrorKind, Op, Result};

use crate::group::GroupState;
use crate::progress::{Place, Progress};
use crate::stats::Counters;
use crate::sync::{Arc, AtomicBool, Condvar, Mutex, Ordering, lock, thread};

/// Numbers the requests of a store in queue order, from 1.
pub(crate) type Ticket = u64;

/// What a request takes in memory beside what it writes, in bytes.
const REQUEST_OVERHEAD: u64 = 256;

/// The least number of waiting callers among which to look for some that have left.
const CROWD: usize = 64;

/// How long nothing must have come before there is time for work in the background: a caller that writes one
/// thing after the other comes back sooner, and would find the writer busy.
const QUIET: Duration = Duration::from_millis(1);

/// Under load that never pauses, background work still gets a slice after this many commits.
const COMMITS_PER_SLICE: u64 = 256;

/// One accepted write on its way to the disk.
pub(crate) struct Request {
    /// Its place in the queue.
    pub(crate) ticket: Ticket,
    /// The group it belongs to; `None` for a barrier.
    pub(crate) group: Option<Arc<GroupState>>,
    /// What to write; `None` when there is nothing to write but a completion to fire in its turn.
    pub(crate) op: Option<Op>,
    /// The bounds of the group's log once it is durable.
    pub(crate) bounds: Bounds,
    /// Fires when everything up to this request is durable.
    pub(crate) done: Completion,
    /// Whether somebody waits for its commit, and who.
    pub(crate) urgency: Urgency,
    /// The room it takes in the queue, in bytes, until it [leaves](Queue::leave).
    room: u64,
}

/// Whether a request asks for a commit of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Wakes the writer.
    Durable,
    /// A thread is about to wait for it, and commits it itself unless somebody else is committing.
    Awaited,
    /// Rides along with the next request that is not lazy.
    Lazy,
}

/// The queue of a store: ordered, bounded in bytes, and the one place that knows whether the store
/// still takes writes.
pub(crate) struct Queue {
    limit: u64,
    counters: Arc<Counters>,
    on_backpressure: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    inner: Mutex<Inner>,
    /// How far the requests have come.
    pub(crate) progress: Progress,
    /// A request waits that asks for a commit. Changed under the lock, and looked at without it by [`Self::linger`].
    urgent: AtomicBool,
    work: Condvar,
}

struct Inner {
    requests: VecDeque<Request>,
    /// The writer waits to be woken, and nobody has woken it.
    sleeps: bool,
    last_ticket: Ticket,
    /// How often requests were taken for a commit.
    takes: u64,
    /// The number of the last of those commits that has ended.
    ended: u64,
    /// There may be work in the background.
    idle_work: bool,
    /// How often requests had been taken when such work had its last turn.
    takes_before_slice: u64,
    /// Bytes reserved by callers, waiting, or in commit.
    bytes: u64,
    /// Callers waiting for room, first come first served.
    waiting: VecDeque<(u64, oneshot::Sender<Permit>)>,
    /// So many waiting callers are a reason to look for some that have left.
    crowded: usize,
    phase: Phase,
    was_poisoned: bool,
}

enum Phase {
    Open,
    /// Takes no more writes; what is queued is still written.
    Closing,
    /// A commit failed: takes no more writes, reads go on.
    Poisoned(Error),
    Closed,
}

/// What the writer should do next.
pub(crate) enum Work {
    /// Commit what waits.
    Commit,
    /// Do background work: nothing waits, or it has had no turn for long.
    Maintain,
    /// Nothing waits and nothing more will come.
    Close,
}

impl Queue {
    pub(crate) fn new(
        limit: u64,
        counters: Arc<Counters>,
        on_backpressure: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    ) -> Self {
        let inner = Inner {
            requests: VecDeque::new(),
            sleeps: false,
            last_ticket: 0,
            takes: 0,
            ended: 0,
            // A store may have been closed with purged space still to be given back.
            idle_work: true,
            takes_before_slice: 0,
            bytes: 0,
            waiting: VecDeque::new(),
            crowded: CROWD,
            phase: Phase::Open,
            was_poisoned: false,
        };
        Self {
            limit,
            counters,
            on_backpressure,
            inner: Mutex::new(inner),
            progress: Progress::default(),
            urgent: AtomicBool::new(false),
            work: Condvar::new(),
        }
    }

    /// Bytes reserved, waiting, or in commit.
    pub(crate) fn bytes(&self) -> u64 {
        lock(&self.inner).bytes
    }

    /// Whether writes are still taken.
    pub(crate) fn accepts_writes(&self) -> Result<()> {
        lock(&self.inner).accepts_writes()
    }

    /// Waits until `bytes` more fit, first come first served, and reserves them. A request larger
    /// than the whole queue is let through when the queue is empty.
    pub(crate) async fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Permit> {
        let bytes = bytes + REQUEST_OVERHEAD;
        let (turn, queued) = {
            let mut inner = lock(&self.inner);
            inner.accepts_writes()?;
            inner.forget_the_departed();
            if inner.waiting.is_empty() && inner.has_room(bytes, self.limit) {
                inner.bytes += bytes;
                return Ok(self.permit(bytes));
            }
            let (sender, turn) = oneshot::channel();
            inner.waiting.push_back((bytes, sender));
            // Lazy requests take room too, and somebody needs it now.
            if !inner.requests.is_empty() {
                self.urge(&mut inner);
            }
            let turn = Turn {
                queue: self,
                granted: turn,
            };
            (turn, inner.bytes)
        };
        self.counters.waited(queued);
        if let Some(notify) = &self.on_backpressure {
            notify(queued);
        }
        match turn.wait().await {
            Ok(permit) => Ok(permit),
            // The sender went away: the store takes no more writes.
            Err(oneshot::Canceled) => {
                self.accepts_writes()?;
                Err(closed())
            }
        }
    }

    fn permit(self: &Arc<Self>, bytes: u64) -> Permit {
        Permit {
            queue: Arc::clone(self),
            bytes,
        }
    }

    /// Queues a write that was checked under its group's lock, and returns its place. Called with
    /// that lock held, so that queue order is the order in which the group changes.
    pub(crate) fn push(
        &self,
        group: Option<Arc<GroupState>>,
        op: Option<Op>,
        bounds: Bounds,
        urgency: Urgency,
        done: Completion,
        mut permit: Permit,
    ) -> Result<Place, Refused> {
        let mut inner = lock(&self.inner);
        if let Err(error) = inner.accepts_writes() {
            drop(inner);
            drop(permit);
            return Err(Refused { error, done });
        }
        inner.last_ticket += 1;
        let ticket = inner.last_ticket;
        inner.requests.push_back(Request {
            ticket,
            group,
            op,
            bounds,
            done,
            urgency,
            room: mem::take(&mut permit.bytes),
        });
        match urgency {
            // Neither must hold room that somebody waits for.
            Urgency::Awaited | Urgency::Lazy if !inner.waiting.is_empty() => self.urge(&mut inner),
            Urgency::Durable => self.urge(&mut inner),
            Urgency::Awaited => self.urgent.store(true, Ordering::Relaxed),
            Urgency::Lazy => {}
        }
        Ok(Place {
            ticket,
            commit: inner.takes + 1,
        })
    }

    /// Asks for a commit.
    fn urge(&self, inner: &mut Inner) {
        self.urgent.store(true, Ordering::Relaxed);
        self.wake(inner);
    }

    /// Wakes the writer if it sleeps and nobody has yet: to ask the kernel takes time also when there is nobody to wake.
    fn wake(&self, inner: &mut Inner) {
        if mem::take(&mut inner.sleeps) {
            self.work.notify_one();
        }
    }

    /// Wakes the writer if something waits for it: what was queued while another thread committed.
    pub(crate) fn nudge(&self) {
        let mut inner = lock(&self.inner);
        if self.urgent.load(Ordering::Relaxed) || inner.owes_slice() {
            self.wake(&mut inner);
        }
    }

    /// Blocks until there is something to do: a request that asks for a commit, or background work and no commit under
    /// way for [`QUIET`], or the end. For the writer thread alone.
    pub(crate) fn next(&self) -> Work {
        let mut inner = lock(&self.inner);
        let mut is_quiet = false;
        loop {
            if inner.owes_slice() {
                return Work::Maintain;
            }
            if self.has_work(&inner) {
                return Work::Commit;
            }
            let until_quiet = match inner.phase {
                Phase::Closing | Phase::Closed => return Work::Close,
                Phase::Open if inner.idle_work && is_quiet => return Work::Maintain,
                Phase::Open => inner.idle_work,
                Phase::Poisoned(_) => false,
            };
            inner.sleeps = true;
            let before = (inner.takes, inner.ended);
            if until_quiet {
                let (woken, waited) = self
                    .work
                    .wait_timeout(inner, QUIET)
                    .unwrap_or_else(|poison| poison.into_inner());
                inner = woken;
                let stood_still =
                    (inner.takes, inner.ended) == before && inner.takes == inner.ended;
                is_quiet = waited.timed_out() && stood_still;
            } else {
                inner = self
                    .work
                    .wait(inner)
                    .unwrap_or_else(|poison| poison.into_inner());
            }
            inner.sleeps = false;
        }
    }

    /// Moves the requests of the next commit into `taken`, if any asks for one: all that wait, up to `batch_bytes`,
    /// at least one. Returns the number of the commit.
    pub(crate) fn take(&self, taken: &mut Vec<Request>, batch_bytes: u64) -> Option<u64> {
        let mut inner = lock(&self.inner);
        if !self.has_work(&inner) {
            return None;
        }
        let mut bytes = 0;
        while let Some(request) = inner.requests.front() {
            bytes += request.room;
            if bytes > batch_bytes && !taken.is_empty() {
                break;
            }
            taken.extend(inner.requests.pop_front());
        }
        let left_some = !inner.requests.is_empty();
        self.urgent.store(left_some, Ordering::Relaxed);
        inner.takes += 1;
        Some(inner.takes)
    }

    fn has_work(&self, inner: &Inner) -> bool {
        let closing = !matches!(inner.phase, Phase::Open);
        self.urgent.load(Ordering::Relaxed) || (closing && !inner.requests.is_empty())
    }

    /// Whether background work has had no turn for long.
    pub(crate) fn owes_slice(&self) -> bool {
        lock(&self.inner).owes_slice()
    }

    /// Says that a commit has left work to do in the background.
    pub(crate) fn note_idle_work(&self) {
        let mut inner = lock(&self.inner);
        if !mem::replace(&mut inner.idle_work, true) {
            self.wake(&mut inner);
        }
    }

    /// Says that background work has had a turn, and whether there is more.
    pub(crate) fn maintained(&self, more: bool) {
        let mut inner = lock(&self.inner);
        inner.idle_work = more;
        inner.takes_before_slice = inner.takes;
    }

    /// Looks for a request that asks for a commit, without sleeping, until it has given its core away `yields`
    /// times. Says whether there is one.
    pub(crate) fn linger(&self, yields: u32) -> bool {
        for _ in 0..yields {
            if self.urgent.load(Ordering::Relaxed) {
                return true;
            }
            thread::yield_now();
        }
        self.urgent.load(Ordering::Relaxed)
    }

    /// Stops taking writes for good and hands back those that wait, to be answered. Their room is free again.
    pub(crate) fn poison(&self, error: Error) -> VecDeque<Request> {
        let mut inner = lock(&self.inner);
        if matches!(inner.phase, Phase::Open | Phase::Closing) {
            let closing = matches!(inner.phase, Phase::Closing);
            // A store that is closing has nobody left to read the cause: it just closes.
            inner.phase = if closing {
                Phase::Closing
            } else {
                Phase::Poisoned(error)
            };
        }
        inner.was_poisoned = true;
        inner.idle_work = false;
        self.urgent.store(false, Ordering::Relaxed);
        let requests = mem::take(&mut inner.requests);
        inner.bytes -= requests.iter().map(|request| request.room).sum::<u64>();
        let waiting = mem::take(&mut inner.waiting);
        drop(inner);
        drop(waiting);
        requests
    }

    /// Stops taking writes; the writer writes what waits, and closes. Callers waiting for room are
    /// refused.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        if matches!(inner.phase, Phase::Open | Phase::Poisoned(_)) {
            inner.phase = Phase::Closing;
        }
        let waiting = mem::take(&mut inner.waiting);
        self.wake(&mut inner);
        drop(inner);
        drop(waiting);
    }

    /// Whether a commit has failed.
    pub(crate) fn was_poisoned(&self) -> bool {
        lock(&self.inner).was_poisoned
    }

    /// Says that the writer is gone.
    pub(crate) fn closed(&self) {
        lock(&self.inner).phase = Phase::Closed;
        self.progress.end(closed(), Ticket::MAX);
    }

    /// Whether reads are still answered.
    pub(crate) fn answers_reads(&self) -> Result<()> {
        match lock(&self.inner).phase {
            Phase::Open | Phase::Poisoned(_) => Ok(()),
            Phase::Closing | Phase::Closed => Err(closed()),
        }
    }

    /// Ends the commit that was taken last, and gives back the room of its requests, all at once.
    pub(crate) fn leave<'a>(self: &Arc<Self>, requests: impl Iterator<Item = &'a mut Request>) {
        {
            let mut inner = lock(&self.inner);
            inner.ended = inner.takes;
        }
        self.release(requests.map(|request| mem::take(&mut request.room)).sum());
    }

    /// Gives room back and lets waiting callers in.
    fn release(self: &Arc<Self>, mut bytes: u64) {
        loop {
            let mut granted = Vec::new();
            {
                let mut inner = lock(&self.inner);
                inner.bytes -= mem::take(&mut bytes);
                inner.forget_the_departed();
                while let Some(&(wanted, _)) = inner.waiting.front()
                    && inner.has_room(wanted, self.limit)
                    && let Some((_, sender)) = inner.waiting.pop_front()
                {
                    inner.bytes += wanted;
                    granted.push((sender, self.permit(wanted)));
                }
            }
            for (sender, permit) in granted {
                // A caller that left in this very moment does not take its permit.
                if let Err(mut permit) = sender.send(permit) {
                    bytes += mem::take(&mut permit.bytes);
                }
            }
            if bytes == 0 {
                return;
            }
        }
    }
}

/// A caller's place among those that wait for room. Leaving early gives the place up.
struct Turn<'a> {
    queue: &'a Arc<Queue>,
    granted: oneshot::Receiver<Permit>,
}

impl Turn<'_> {
    async fn wait(mut self) -> Result<Permit, oneshot::Canceled> {
        (&mut self.granted).await
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Whoever waits behind may fit where this caller did not. After a turn that was taken there
        // is nothing to do.
        self.granted.close();
        self.queue.release(0);
    }
}

impl Inner {
    /// Drops the places of callers that stopped waiting. Those further back go when they get to the
    /// front, or when they have become the greater part.
    fn forget_the_departed(&mut self) {
        while self
            .waiting
            .front()
            .is_some_and(|(_, sender)| sender.is_canceled())
        {
            self.waiting.pop_front();
        }
        if self.waiting.len() >= self.crowded {
            self.waiting.retain(|(_, sender)| !sender.is_canceled());
            self.crowded = (2 * self.waiting.len()).max(CROWD);
        }
    }

    fn owes_slice(&self) -> bool {
        self.idle_work && self.takes - self.takes_before_slice >= COMMITS_PER_SLICE
    }

    fn accepts_writes(&self) -> Result<()> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Poisoned(cause) => Err(poisoned(cause)),
            Phase::Closing | Phase::Closed => Err(closed()),
        }
    }

    fn has_room(&self, bytes: u64, limit: u64) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= limit
    }
}

/// A write that came too late: the store takes no more.
pub(crate) struct Refused {
    error: Error,
    done: Completion,
}

impl Refused {
    pub(crate) fn new(error: Error, done: Completion) -> Self {
        Self { error, done }
    }

    /// Answers the completion and returns the error. Call it without a lock held.
    pub(crate) fn answer(self) -> Error {
        refuse(self.error, self.done)
    }
}

/// Answers a write that changes nothing with the error that its caller gets as well.
pub(crate) fn refuse(error: Error, done: Completion) -> Error {
    done.complete(Err(error.clone()));
    error
}

/// What a caller is told after a failed commit.
pub(crate) fn poisoned(cause: &Error) -> Error {
    Error::new(ErrorKind::Poisoned, "write")
        .with_advice(
            "no write is accepted after a failed commit; close the store and open it again",
        )
        .with_source(cause.clone())
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "use store").with_advice("open the store again")
}

/// Room reserved in a [`Queue`]; given back when dropped, unless a request has it.
pub(crate) struct Permit {
    queue: Arc<Queue>,
    bytes: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.queue.release(self.bytes);
        }
    }
}
