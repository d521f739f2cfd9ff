//! The one thread that writes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use raft_logstore_core::{Backend, Batch, Completion, Error, Op, Result};

use crate::evictor::Evictor;
use crate::group::GroupState;
use crate::linger::Linger;
use crate::panics::contain;
use crate::queue::{Queue, Request, Work, poisoned};
use crate::stats::Counters;
use crate::store::Groups;
use crate::sync::Arc;
use crate::tail::{memory_bytes, payload_bytes};
use crate::watermark::Watermark;

/// A commit that takes longer is worth a warning: Raft elections fail at about this pace.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// Under load that never pauses, background work still gets a slice after this many commits.
const COMMITS_PER_SLICE: u32 = 256;

pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) backend: Arc<Box<dyn Backend>>,
    /// None for a store without a directory.
    pub(crate) watermark: Option<Watermark>,
    pub(crate) sequence: u64,
    pub(crate) groups: Arc<Groups>,
    pub(crate) evictor: Evictor,
    pub(crate) counters: Arc<Counters>,
    pub(crate) batch_bytes: u64,
    pub(crate) linger: Linger,
}

/// What the writer remembers of a request while its operation is in a batch.
struct Waiting {
    request: Request,
    entries: u64,
    bytes: u64,
    /// The last index appended and what the entries cost in memory.
    appended: Option<(u64, u64)>,
}

/// Entries of a group that became durable: their last index and what they cost in memory.
type Durable = (Arc<GroupState>, u64, u64);

impl Writer {
    /// Commits what is queued until the queue is closed.
    pub(crate) fn run(mut self) {
        let mut taken = Vec::new();
        let mut batch = Batch::default();
        let mut waiting = Vec::new();
        let mut durable = Vec::new();
        // A store may have been closed with purged space still to be given back.
        let mut idle_work = true;
        let mut commits = 0;
        loop {
            let work = self.queue.take(&mut taken, self.batch_bytes, idle_work);
            let outcome = match work {
                Work::Close => break,
                Work::Idle => self.maintain(&mut idle_work),
                Work::Commit => self
                    .commit(&mut taken, &mut batch, &mut waiting, &mut durable)
                    .and_then(|frees_space| {
                        if self.linger.is_worth_it() {
                            self.linger.note(self.queue.linger(Linger::YIELDS));
                        }
                        idle_work |= frees_space;
                        commits += 1;
                        if idle_work && commits % COMMITS_PER_SLICE == 0 {
                            self.maintain(&mut idle_work)
                        } else {
                            Ok(())
                        }
                    }),
            };
            if let Err(error) = outcome {
                idle_work = false;
                self.poison(error, &mut waiting);
            }
        }
        if let Some(watermark) = &self.watermark
            && let Err(error) = watermark.sync()
        {
            // It is at or behind the truth without the sync as well.
            tracing::warn!("the watermark could not be synced on close: {error}");
        }
    }

    /// Writes the requests in `taken` as one batch and completes them. On failure they are left in
    /// `waiting`. Says whether space can be given back.
    fn commit(
        &mut self,
        taken: &mut Vec<Request>,
        batch: &mut Batch,
        waiting: &mut Vec<Waiting>,
        durable: &mut Vec<Durable>,
    ) -> Result<bool> {
        for mut request in taken.drain(..) {
            let op = request.op.take();
            waiting.push(Waiting::new(request, op.as_ref()));
            batch.ops.extend(op);
        }
        if !batch.ops.is_empty() {
            batch.sequence = self.sequence + 1;
            let started = Instant::now();
            contain("commit", || self.backend.commit(batch))?;
            let took = started.elapsed();
            self.sequence = batch.sequence;
            if took > SLOW_COMMIT {
                tracing::warn!(
                    seconds = took.as_secs_f64(),
                    ops = batch.ops.len(),
                    "slow commit"
                );
            }
            let (entries, bytes) = waiting.iter().fold((0, 0), |(entries, bytes), one| {
                (entries + one.entries, bytes + one.bytes)
            });
            self.counters.committed(entries, bytes, took.as_secs_f64());
        }
        let recorded = match &self.watermark {
            Some(watermark) if !batch.ops.is_empty() => watermark.record(self.sequence),
            _ => Ok(()),
        };
        // The commit is durable whether or not that could be recorded, and must not look failed.
        complete(&self.queue, waiting, durable);
        recorded?;
        // What frees memory comes when nobody waits for it any more.
        let frees_space = batch.ops.iter().any(frees_space);
        batch.ops.clear();
        for (group, last, bytes) in durable.drain(..) {
            self.evictor.durable(group, last, bytes);
        }
        self.counters.cached(self.evictor.bytes());
        Ok(frees_space)
    }

    fn maintain(&self, more: &mut bool) -> Result<()> {
        *more = contain("maintain", || self.backend.maintain())?;
        Ok(())
    }

    /// Ends writing for good: shows every group as it is on disk, then answers everybody who waits.
    fn poison(&self, cause: Error, waiting: &mut Vec<Waiting>) {
        tracing::error!("the store takes no more writes: {cause}");
        let queued: VecDeque<Request> = self.queue.poison(cause.clone());
        self.queue.leave(waiting.iter().map(|one| &one.request));
        for group in self.groups.all() {
            group.revert();
        }
        let failed = waiting.drain(..).map(|one| (one.request, cause.clone()));
        let never_written = queued
            .into_iter()
            .map(|request| (request, poisoned(&cause)));
        for (request, error) in failed.chain(never_written) {
            fire(request.done, Err(error));
        }
    }
}

/// Tells the groups and then the callers, in queue order, that their writes are durable.
fn complete(queue: &Arc<Queue>, waiting: &mut Vec<Waiting>, durable: &mut Vec<Durable>) {
    queue.leave(waiting.iter().map(|one| &one.request));
    for Waiting { request, .. } in &*waiting {
        if let Some(group) = &request.group {
            group.durable(request.ticket, request.bounds);
        }
    }
    for Waiting {
        request, appended, ..
    } in waiting.drain(..)
    {
        fire(request.done, Ok(()));
        if let (Some(group), Some((last, bytes))) = (request.group, appended) {
            durable.push((group, last, bytes));
        }
    }
}

impl Waiting {
    fn new(request: Request, op: Option<&Op>) -> Self {
        let (entries, bytes, appended) = match op {
            Some(Op::Append { entries, .. }) => (
                entries.len() as u64,
                payload_bytes(entries),
                entries
                    .last()
                    .map(|last| (last.index, memory_bytes(entries))),
            ),
            Some(Op::Put { value, .. }) => (
                0,
                value.as_ref().map_or(0, |value| value.len() as u64),
                None,
            ),
            Some(Op::Truncate { .. } | Op::Purge { .. } | Op::DropGroup { .. }) | None => {
                (0, 0, None)
            }
        };
        Self {
            request,
            entries,
            bytes,
            appended,
        }
    }
}

/// Fires a completion. What the caller runs in it is not trusted with the writer thread.
fn fire(done: Completion, result: Result<()>) {
    let fired = contain("complete", || {
        done.complete(result);
        Ok(())
    });
    if let Err(panic) = fired {
        tracing::error!("a completion panicked: {panic}");
    }
}

fn frees_space(op: &Op) -> bool {
    match op {
        Op::Truncate { .. } | Op::Purge { .. } | Op::DropGroup { .. } => true,
        Op::Append { .. } | Op::Put { .. } => false,
    }
}
