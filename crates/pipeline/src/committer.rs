use std::time::{Duration, Instant};

use raft_logstore_core::{Backend, Batch, Completion, Error, Op, Result};

use crate::config::StoreConfig;
use crate::evictor::Evictor;
use crate::group::GroupState;
use crate::panics::contain;
use crate::queue::{Queue, Request, Ticket, Urgency, poisoned};
use crate::stats::Counters;
use crate::store::Groups;
use crate::sync::Arc;
use crate::tail::{memory_bytes, payload_bytes};
use crate::watermark::Watermark;

/// A commit that takes longer is worth a warning: Raft elections fail at about this pace.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// What it takes to commit. A store has one, under a lock: whoever holds it, the writer thread or a caller that
/// waits, is the only one that writes, so commits and completions come in queue order.
pub(crate) struct Committer {
    queue: Arc<Queue>,
    backend: Arc<Box<dyn Backend>>,
    /// None for a store without a directory.
    watermark: Option<Watermark>,
    sequence: u64,
    groups: Arc<Groups>,
    evictor: Evictor,
    counters: Arc<Counters>,
    batch_bytes: u64,
    // Empty between commits; kept for their room.
    taken: Vec<Request>,
    batch: Batch,
    waiting: Vec<Waiting>,
    durable: Vec<Durable>,
}

/// What is remembered of a request while its operation is in a batch.
struct Waiting {
    request: Request,
    entries: u64,
    bytes: u64,
    /// The last index appended and what the entries cost in memory.
    appended: Option<(u64, u64)>,
}

/// Entries of a group that became durable: their last index and what they cost in memory.
type Durable = (Arc<GroupState>, u64, u64);

/// Who waited for a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callers {
    /// One thread that could have committed itself.
    LoneThread,
    /// Others, or several.
    Others,
}

impl Committer {
    /// For a store whose last durable commit has this `sequence`.
    pub(crate) fn new(
        queue: Arc<Queue>,
        backend: Arc<Box<dyn Backend>>,
        watermark: Option<Watermark>,
        sequence: u64,
        groups: Arc<Groups>,
        counters: Arc<Counters>,
        config: &StoreConfig,
    ) -> Self {
        Self {
            queue,
            backend,
            watermark,
            sequence,
            groups,
            evictor: Evictor::new(config.cache_bytes),
            counters,
            batch_bytes: config.batch_bytes,
            taken: Vec::new(),
            batch: Batch::default(),
            waiting: Vec::new(),
            durable: Vec::new(),
        }
    }

    /// Commits what waits as one batch and completes it; a failure ends writing for good. `None` when nothing
    /// asked for a commit.
    pub(crate) fn commit(&mut self) -> Option<Callers> {
        let number = self.queue.take(&mut self.taken, self.batch_bytes)?;
        let callers = match &*self.taken {
            [one] if one.urgency == Urgency::Awaited => Callers::LoneThread,
            _ => Callers::Others,
        };
        // Whoever runs this may be a caller: a panic must not unwind through it and leave others waiting.
        if let Err(error) = contain("write", || self.write(number)) {
            self.poison(error);
        }
        Some(callers)
    }

    /// Lets the engine do background work for a moment.
    pub(crate) fn maintain(&mut self) {
        // A caller's commit may have failed since the writer thread decided on this.
        if self.queue.was_poisoned() {
            return;
        }
        match contain("maintain", || self.backend.maintain()) {
            Ok(more) => self.queue.maintained(more),
            Err(error) => self.poison(error),
        }
    }

    /// Leaves the watermark as exact as it can be.
    pub(crate) fn close(self) {
        if let Some(watermark) = &self.watermark
            && let Err(error) = watermark.sync()
        {
            // It is at or behind the truth without the sync as well.
            tracing::warn!("the watermark could not be synced on close: {error}");
        }
    }

    /// Writes the requests in `taken` as one batch and completes them. On failure they are left in `waiting`.
    fn write(&mut self, number: u64) -> Result<()> {
        let Self {
            taken,
            batch,
            waiting,
            ..
        } = self;
        for mut request in taken.drain(..) {
            let op = request.op.take();
            waiting.push(Waiting::new(request, op.as_ref()));
            batch.ops.extend(op);
        }
        let (entries, bytes) = waiting.iter().fold((0, 0), |(entries, bytes), one| {
            (entries + one.entries, bytes + one.bytes)
        });
        let mut recorded = Ok(());
        let mut took = None;
        if !batch.ops.is_empty() {
            batch.sequence = self.sequence + 1;
            let started = Instant::now();
            contain("commit", || self.backend.commit(batch))?;
            took = Some(started.elapsed());
            self.sequence = batch.sequence;
            self.counters.committed(entries, bytes);
            if let Some(watermark) = &self.watermark {
                recorded = watermark.record(self.sequence);
            }
        }
        // The commit is durable, and must not look failed whatever comes after it.
        self.complete(number);
        recorded?;
        if let Some(took) = took {
            Counters::report(entries, bytes, took.as_secs_f64());
            if took > SLOW_COMMIT {
                tracing::warn!(
                    seconds = took.as_secs_f64(),
                    ops = self.batch.ops.len(),
                    "slow commit"
                );
            }
        }
        // What frees memory comes last, when only the thread that commits waits for it.
        if self.batch.ops.iter().any(frees_space) {
            self.queue.note_idle_work();
        }
        self.batch.ops.clear();
        for (group, last, bytes) in self.durable.drain(..) {
            self.evictor.durable(group, last, bytes);
        }
        self.counters.cached(self.evictor.bytes());
        Ok(())
    }

    /// Tells the groups and then the callers, in queue order, that their writes are durable.
    fn complete(&mut self, number: u64) {
        self.queue
            .leave(self.waiting.iter_mut().map(|one| &mut one.request));
        for Waiting { request, .. } in &self.waiting {
            if let Some(group) = &request.group {
                group.durable(request.ticket, request.bounds);
            }
        }
        if let Some(last) = self.waiting.last() {
            self.queue.progress.advance(number, last.request.ticket);
        }
        let mut fired = Ok(());
        for Waiting {
            request, appended, ..
        } in self.waiting.drain(..)
        {
            fired = fired.and(fire(request.done, Ok(())));
            if let (Some(group), Some((last, bytes))) = (request.group, appended) {
                self.durable.push((group, last, bytes));
            }
        }
        tell(fired);
    }

    /// Ends writing for good: shows every group as it is on disk, then answers everybody who waits.
    fn poison(&mut self, cause: Error) {
        let queued = self.queue.poison(cause.clone());
        self.queue
            .leave(self.waiting.iter_mut().map(|one| &mut one.request));
        for group in self.groups.all() {
            group.revert();
        }
        let failed = self
            .waiting
            .last()
            .map_or(Ticket::MIN, |one| one.request.ticket);
        self.queue.progress.end(cause.clone(), failed);
        let failed = self
            .waiting
            .drain(..)
            .map(|one| (one.request, cause.clone()));
        let never_written = queued
            .into_iter()
            .map(|request| (request, poisoned(&cause)));
        let mut fired = Ok(());
        for (request, error) in failed.chain(never_written) {
            fired = fired.and(fire(request.done, Err(error)));
        }
        // Last, because a log that cannot be written may panic.
        tracing::error!("the store takes no more writes: {cause}");
        tell(fired);
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

/// Fires a completion. What its owner runs in it is not trusted with the thread that commits: a panic is an error.
fn fire(done: Completion, result: Result<()>) -> Result<()> {
    contain("complete", || {
        done.complete(result);
        Ok(())
    })
}

/// Tells of completions that panicked, after all of them have fired.
fn tell(fired: Result<()>) {
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
