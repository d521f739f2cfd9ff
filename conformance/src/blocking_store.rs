use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use bytes::Bytes;
use futures_executor::block_on;
use raft_logstore_core::{
    Bounds, Completion, Entry, GroupId, IndexRange, LogStore, Result, StableKey, StableStore,
};
use raft_logstore_pipeline::{BlockingGroup, Store, Submitted};

use crate::{Log, OpenStore};

/// A [`Store`] that is written by threads that block: each write is submitted through a [`BlockingGroup`], and one
/// thread waits for all of them in turn, and then fires their completions.
pub(crate) struct BlockingStore {
    store: Store,
    waiter: Arc<Waiter>,
}

struct BlockingLog {
    group: BlockingGroup,
    waiter: Arc<Waiter>,
}

/// The way to the thread that waits.
struct Waiter(Mutex<Sender<Wait>>);

/// What that thread does next.
enum Wait {
    For(Submitted, Completion),
    /// Says that it has done everything before.
    Answer(Sender<()>),
}

impl BlockingStore {
    pub(crate) fn new(store: Store) -> Self {
        let (sender, waits) = channel();
        thread::spawn(move || wait(&waits));
        Self {
            store,
            waiter: Arc::new(Waiter(Mutex::new(sender))),
        }
    }
}

/// Ends when the store and all its logs are gone.
fn wait(waits: &Receiver<Wait>) {
    for wait in waits {
        match wait {
            Wait::For(submitted, done) => done.complete(submitted.wait()),
            // Whoever asked may have gone.
            Wait::Answer(answer) => drop(answer.send(())),
        }
    }
}

impl Waiter {
    /// Submits a write; `done` fires in the order of submission.
    fn submit(&self, done: Completion, write: impl FnOnce() -> Result<Submitted>) -> Result<()> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match write() {
            Ok(submitted) => {
                // A completion that comes back, because the thread has gone, fires with an error.
                drop(sender.send(Wait::For(submitted, done)));
                Ok(())
            }
            Err(error) => {
                drop(sender);
                done.complete(Err(error.clone()));
                Err(error)
            }
        }
    }
}

impl OpenStore for BlockingStore {
    fn group(&self, id: GroupId) -> Result<Arc<dyn Log>> {
        Ok(Arc::new(BlockingLog {
            group: self.store.group(id).blocking(),
            waiter: Arc::clone(&self.waiter),
        }))
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        OpenStore::groups(&self.store)
    }

    fn drop_group(&self, id: GroupId) -> Result<()> {
        OpenStore::drop_group(&self.store, id)
    }

    fn close(self: Box<Self>) -> Result<()> {
        let closed = block_on(self.store.close());
        let (answer, answered) = channel();
        let sender = self.waiter.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = sender.send(Wait::Answer(answer)).is_ok();
        drop(sender);
        assert!(
            asked && answered.recv().is_ok(),
            "the thread that waits panicked"
        );
        closed
    }
}

#[async_trait]
impl LogStore for BlockingLog {
    async fn bounds(&self) -> Result<Bounds> {
        self.group.group().bounds().await
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        self.waiter.submit(done, || self.group.append(entries))
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.group.group().read(range, max_bytes).await
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        self.waiter.submit(done, || self.group.truncate(from))
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        self.waiter.submit(done, || self.group.purge(up_to, id))
    }
}

#[async_trait]
impl StableStore for BlockingLog {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        self.group.group().get(key).await
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        self.waiter.submit(done, || self.group.put(key, value))
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        self.group.group().put_lazy(key, value).await
    }
}
