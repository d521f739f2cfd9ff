use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore,
    MemoryBackend, Op, Result, StableKey, StableStore,
};
use tokio::sync::Notify;

use super::soon;

const GROUP: GroupId = GroupId(1);

/// Somebody else's store: a group that is not the pipeline's. Writes are visible at once; when they
/// are durable, and what a read sees, is up to the test.
#[derive(Clone, Default)]
pub(crate) struct HeldGroup {
    memory: MemoryBackend,
    disk: Arc<Disk>,
}

#[derive(Default)]
struct Disk {
    /// Completions that wait for the disk, while it is held.
    held: Mutex<Option<Vec<Completion>>>,
    /// Where the next calls wait.
    pauses: Mutex<Vec<Pause>>,
    /// The sync failed.
    failed: AtomicBool,
    /// Reads leave out this index.
    missing: Mutex<Option<u64>>,
    reads: Mutex<u64>,
}

#[derive(Clone)]
pub(crate) struct Pause {
    at: Point,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

/// A point in a call: before or after it has seen or changed the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Point {
    BeforeRead,
    AfterRead,
    BeforeCut,
    AfterCut,
}

impl Pause {
    /// Waits until a call is there.
    pub(crate) async fn reached(&self) {
        soon(self.reached.notified()).await;
    }

    /// Lets the call go on.
    pub(crate) fn go_on(&self) {
        self.go_on.notify_one();
    }
}

impl HeldGroup {
    /// From now on completions wait for [`release`](Self::release), [`fail`](Self::fail) or
    /// [`drop_held`](Self::drop_held).
    pub(crate) fn hold(&self) {
        *self.disk.held.lock().unwrap() = Some(Vec::new());
    }

    /// The disk has synced everything.
    pub(crate) fn release(&self) {
        self.take_held()
            .into_iter()
            .for_each(|done| done.complete(Ok(())));
    }

    /// The sync failed; no more writes are taken.
    pub(crate) fn fail(&self) {
        self.disk.failed.store(true, Ordering::SeqCst);
        let error = Error::io("commit", std::io::Error::other("the cable fell out"));
        self.take_held()
            .into_iter()
            .for_each(|done| done.complete(Err(error.clone())));
    }

    /// The store goes away without a word.
    pub(crate) fn drop_held(&self) {
        drop(self.take_held());
    }

    fn take_held(&self) -> Vec<Completion> {
        self.disk
            .held
            .lock()
            .unwrap()
            .as_mut()
            .map(mem::take)
            .unwrap_or_default()
    }

    /// How many completions wait.
    pub(crate) fn held(&self) -> usize {
        self.disk.held.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// Makes the next read, or truncate or purge, wait there.
    pub(crate) fn pause(&self, at: Point) -> Pause {
        let pause = Pause {
            at,
            reached: Arc::default(),
            go_on: Arc::default(),
        };
        self.disk.pauses.lock().unwrap().push(pause.clone());
        pause
    }

    async fn pass(&self, point: Point) {
        let pause = {
            let mut pauses = self.disk.pauses.lock().unwrap();
            let here = pauses.iter().position(|pause| pause.at == point);
            here.map(|here| pauses.remove(here))
        };
        if let Some(pause) = pause {
            pause.reached.notify_one();
            pause.go_on.notified().await;
        }
    }

    async fn cut(&self, op: Op, done: Completion) -> Result<()> {
        self.pass(Point::BeforeCut).await;
        let result = self.write(Some(op), done);
        self.pass(Point::AfterCut).await;
        result
    }

    /// Reads leave `index` out from now on.
    pub(crate) fn lose(&self, index: u64) {
        *self.disk.missing.lock().unwrap() = Some(index);
    }

    /// How many reads reached the store.
    pub(crate) fn reads(&self) -> u64 {
        *self.disk.reads.lock().unwrap()
    }

    fn write(&self, op: Option<Op>, done: Completion) -> Result<()> {
        if self.disk.failed.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Poisoned, "write");
            done.complete(Err(error.clone()));
            return Err(error);
        }
        if let Some(op) = op {
            let sequence = self.memory.sequence()? + 1;
            if let Err(error) = self.memory.commit(&Batch {
                sequence,
                ops: vec![op],
            }) {
                done.complete(Err(error.clone()));
                return Err(error);
            }
        }
        match self.disk.held.lock().unwrap().as_mut() {
            Some(held) => held.push(done),
            None => done.complete(Ok(())),
        }
        Ok(())
    }
}

#[async_trait]
impl LogStore for HeldGroup {
    async fn bounds(&self) -> Result<Bounds> {
        self.memory.bounds(GROUP)
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        let op = (!entries.is_empty()).then_some(Op::Append {
            group: GROUP,
            entries,
        });
        self.write(op, done)
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        *self.disk.reads.lock().unwrap() += 1;
        self.pass(Point::BeforeRead).await;
        let mut entries = self.memory.read(GROUP, range, max_bytes)?;
        self.pass(Point::AfterRead).await;
        let missing = *self.disk.missing.lock().unwrap();
        entries.retain(|entry| Some(entry.index) != missing);
        Ok(entries)
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        self.cut(Op::Truncate { group: GROUP, from }, done).await
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        self.cut(
            Op::Purge {
                group: GROUP,
                up_to,
                id,
            },
            done,
        )
        .await
    }
}

#[async_trait]
impl StableStore for HeldGroup {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        self.memory.get(GROUP, key)
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        if *key == StableKey::PURGED {
            return Err(Error::new(ErrorKind::Config, "put"));
        }
        self.write(
            Some(Op::Put {
                group: GROUP,
                key: key.clone(),
                value,
            }),
            done,
        )
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        self.put(key, value, Completion::ignore()).await
    }
}
