#![allow(
    clippy::unwrap_used,
    reason = "test code; clippy does not see it in helper modules"
)]

use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore,
    MAX_INDEX, MemoryBackend, Op, Result, StableKey, StableStore,
};

/// A log store without threads or queues: one group in memory, every write complete on return.
#[derive(Default)]
pub(crate) struct TinyLog {
    memory: Mutex<MemoryBackend>,
}

const GROUP: GroupId = GroupId(0);

impl TinyLog {
    fn memory(&self) -> MutexGuard<'_, MemoryBackend> {
        self.memory.lock().unwrap()
    }

    fn write(&self, op: Result<Option<Op>>, done: Completion) -> Result<()> {
        let memory = self.memory();
        let written = op.and_then(|op| {
            let Some(op) = op else { return Ok(()) };
            memory.commit(&Batch {
                sequence: memory.sequence()? + 1,
                ops: vec![op],
            })
        });
        // Under the lock, so that completions keep the order of the writes.
        done.complete(written.clone());
        written
    }
}

fn check(allowed: bool, kind: ErrorKind, operation: &'static str, op: Op) -> Result<Option<Op>> {
    if allowed {
        Ok(Some(op))
    } else {
        Err(Error::new(kind, operation))
    }
}

#[async_trait]
impl LogStore for TinyLog {
    async fn bounds(&self) -> Result<Bounds> {
        self.memory().bounds(GROUP)
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        let append = (!entries.is_empty()).then_some(Op::Append {
            group: GROUP,
            entries,
        });
        self.write(Ok(append), done)
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.memory().read(GROUP, range, max_bytes)
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        self.write(Ok(Some(Op::Truncate { group: GROUP, from })), done)
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        let purge = Op::Purge {
            group: GROUP,
            up_to,
            id,
        };
        self.write(
            check(up_to <= MAX_INDEX, ErrorKind::TooLarge, "purge", purge),
            done,
        )
    }
}

#[async_trait]
impl StableStore for TinyLog {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        self.memory().get(GROUP, key)
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        let put = Op::Put {
            group: GROUP,
            key: key.clone(),
            value,
        };
        self.write(
            check(*key != StableKey::PURGED, ErrorKind::Config, "put", put),
            done,
        )
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        self.put(key, value, Completion::ignore()).await
    }
}
