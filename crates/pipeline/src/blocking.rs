use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use raft_logstore_core::{Completion, Entry, Result, StableKey};

use crate::committer::Committer;
use crate::group::Group;
use crate::progress::Place;
use crate::queue::Urgency;
use crate::store::Shared;
use crate::sync::{Arc, block_on, try_lock};

/// Writes of a group for a thread that may block: it commits itself while nobody else does.
///
/// Every write keeps the contract of [`LogStore`](raft_logstore_core::LogStore) and
/// [`StableStore`](raft_logstore_core::StableStore), is visible when its method returns, and is one with those of all
/// other handles: the same order, the same group commit. What differs is who commits. A thread that
/// [waits](Submitted::wait) and finds the store at rest writes to the disk itself, with all that waits there, and so
/// saves being woken by another thread and waking it: 10 to 50 µs on a virtual machine. While another thread commits,
/// it sleeps until its write is durable.
///
/// Not for a thread of an async runtime: it blocks for the time of a sync, and while the queue is full.
///
/// ```
/// use raft_logstore_core::{Entry, GroupId, MemoryBackend, StableKey};
/// use raft_logstore_pipeline::{Store, StoreConfig};
///
/// # futures_executor::block_on(async {
/// let store = Store::with_backend(MemoryBackend::new(), StoreConfig::default()).await?;
/// let group = store.group(GroupId(1)).blocking();
/// let vote = group.put(&StableKey::VOTE, Some("term 1".into()))?;
/// let entries = group.append(vec![Entry::new(1, "first"), Entry::new(2, "second")])?;
/// // One sync for both.
/// entries.wait()?;
/// vote.wait()?;
/// # store.close().await }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct BlockingGroup {
    group: Group,
}

impl BlockingGroup {
    pub(crate) fn new(group: Group) -> Self {
        Self { group }
    }

    /// The same group, for reads and for writes that do not block.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// [`LogStore::append`](raft_logstore_core::LogStore::append).
    ///
    /// # Errors
    ///
    /// As there; then nothing was submitted.
    pub fn append(&self, entries: Vec<Entry>) -> Result<Submitted> {
        self.submit(
            self.group
                .submit_append(entries, Urgency::Awaited, Completion::ignore()),
        )
    }

    /// [`LogStore::truncate`](raft_logstore_core::LogStore::truncate).
    ///
    /// # Errors
    ///
    /// As there; then nothing was submitted.
    pub fn truncate(&self, from: u64) -> Result<Submitted> {
        self.submit(
            self.group
                .submit_truncate(from, Urgency::Awaited, Completion::ignore()),
        )
    }

    /// [`LogStore::purge`](raft_logstore_core::LogStore::purge).
    ///
    /// # Errors
    ///
    /// As there; then nothing was submitted.
    pub fn purge(&self, up_to: u64, id: Bytes) -> Result<Submitted> {
        self.submit(
            self.group
                .submit_purge(up_to, id, Urgency::Awaited, Completion::ignore()),
        )
    }

    /// [`StableStore::put`](raft_logstore_core::StableStore::put).
    ///
    /// # Errors
    ///
    /// As there; then nothing was submitted.
    pub fn put(&self, key: &StableKey, value: Option<Bytes>) -> Result<Submitted> {
        self.submit(
            self.group
                .submit_put(key, value, Urgency::Awaited, Completion::ignore()),
        )
    }

    fn submit(&self, write: impl Future<Output = Result<Place>>) -> Result<Submitted> {
        Ok(Submitted {
            place: finish(write)?,
            needs_nudge: true,
            shared: Arc::clone(self.group.shared()),
        })
    }
}

/// A write that was accepted and is visible to every reader.
///
/// It goes to the disk with the next commit of anybody, at the latest when it is [waited for](Self::wait), or dropped:
/// then it is left to the writer thread. Until then a commit for it alone may not have begun.
#[must_use = "a write is durable only when waiting for it returns Ok"]
pub struct Submitted {
    shared: Arc<Shared>,
    place: Place,
    /// Whether the writer thread may have to be woken when this goes: for this write, or for those that came while this
    /// thread committed and found the desk taken.
    needs_nudge: bool,
}

impl Submitted {
    /// Blocks until the write, and all that were submitted to the store before it, are durable; commits them on this
    /// thread unless another one is committing.
    ///
    /// Hold no lock that a [`Completion`] takes: those of other callers may fire on this thread.
    ///
    /// # Errors
    ///
    /// Those of the failed commit; [`Poisoned`](raft_logstore_core::ErrorKind::Poisoned) when an earlier one failed;
    /// [`Closed`](raft_logstore_core::ErrorKind::Closed) when the store ended without having written it.
    pub fn wait(mut self) -> Result<()> {
        let Shared { queue, desk, .. } = &*self.shared;
        self.needs_nudge = false;
        while !queue.progress.is_durable(self.place.ticket) {
            let Some(mut desk) = try_lock(desk) else {
                // Whoever is committing sees to this write, and to what has come since.
                return queue.progress.wait(self.place);
            };
            self.needs_nudge = true;
            // Between two threads that want it the desk goes to the one that is awake, so background work would never
            // have its turn if this thread did not leave it.
            let committer = desk.as_mut().filter(|_| !queue.owes_slice());
            let committed = committer.and_then(Committer::commit).is_some();
            drop(desk);
            if !committed {
                queue.nudge();
                return queue.progress.wait(self.place);
            }
            // A commit that was full may have left this write to the next.
        }
        Ok(())
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if self.needs_nudge {
            self.shared.queue.nudge();
        }
    }
}

impl fmt::Debug for Submitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitted").finish_non_exhaustive()
    }
}

/// Runs a future that is ready at once unless the queue is full.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => block_on(future),
    }
}
