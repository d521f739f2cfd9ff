use std::future::Future;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use raft_logstore_core::{
    Bounds, Completion, Entry, Error, ErrorKind, IndexRange, LogStore, MAX_INDEX, Result,
    StableKey, StableStore,
};
use tokio::sync::Mutex;

use super::bounds::Core;
use super::names::Names;
use super::storage::{LogId, Reader, Storage, Stored};
use super::turns::Turns;
use crate::payload::number;

/// How long a call of the store may take. Far more than any needs, and less than a law waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the handles of one open store share.
pub(super) struct Shared {
    core: Mutex<Core>,
    turns: Arc<Turns>,
    names: Arc<Names>,
    /// Where the log begins at the earliest.
    start: AtomicU64,
    /// The highest index that was ever written.
    highest: AtomicU64,
}

impl Shared {
    pub(super) async fn new(
        mut storage: Box<dyn Storage>,
        names: Arc<Names>,
        lowest: u64,
    ) -> Result<Self> {
        let state = within_patience("get_log_state", storage.state()).await?;
        let mut reader = storage.reader().await;
        let vote = within_patience("read_vote", reader.vote()).await?;
        let terms = [state.purged, state.last].into_iter().flatten();
        let terms = terms.map(|id| id.term).chain(vote);
        names.rise_above(terms.max().unwrap_or(0));
        let index = |id: Option<LogId>| id.map(|id| id.index);
        Ok(Self {
            core: Mutex::new(Core {
                storage,
                reader,
                term: names.new_term(),
                lowest,
            }),
            turns: Arc::default(),
            names,
            start: AtomicU64::new(index(state.purged).map_or(lowest, |floor| floor + 1)),
            highest: AtomicU64::new(index(state.last.max_by_index(state.purged)).unwrap_or(0)),
        })
    }

    pub(super) async fn reader(&self) -> Box<dyn Reader> {
        self.core.lock().await.storage.reader().await
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest.load(Ordering::SeqCst)
    }

    fn raise(&self, index: u64) {
        self.highest.fetch_max(index, Ordering::SeqCst);
    }
}

/// The later of two log ids.
trait MaxByIndex {
    fn max_by_index(self, other: Self) -> Self;
}

impl MaxByIndex for Option<LogId> {
    fn max_by_index(self, other: Self) -> Self {
        [self, other]
            .into_iter()
            .flatten()
            .max_by_key(|id| id.index)
    }
}

/// One handle: writes go to the storage, reads to a reader of its own.
pub(super) struct ForeignLog {
    shared: Arc<Shared>,
    reader: Mutex<Box<dyn Reader>>,
}

impl ForeignLog {
    pub(super) fn new(shared: Arc<Shared>, reader: Box<dyn Reader>) -> Self {
        let reader = Mutex::new(reader);
        Self { shared, reader }
    }

    /// A write that is done when its call returns. Whoever calls this holds the storage.
    async fn write(&self, done: Completion, call: impl Future<Output = Result<()>>) -> Result<()> {
        let turn = self.shared.turns.submit(done);
        let result = call.await;
        self.shared.turns.returned(turn, result.clone());
        result
    }
}

/// Entries as the laws know them.
pub(super) fn entries(found: Vec<Stored>) -> Vec<Entry> {
    let entry = |(id, payload): Stored| Entry::new(id.index, payload);
    found.into_iter().map(entry).collect()
}

/// The result of a call of the store, or that it never returned.
pub(super) async fn within_patience<T>(
    call: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| {
        Error::new(ErrorKind::Io, call).with_advice(format!("no return within {PATIENCE:?}"))
    })?
}

#[async_trait]
impl LogStore for ForeignLog {
    async fn bounds(&self) -> Result<Bounds> {
        let mut core = self.shared.core.lock().await;
        within_patience("bounds", core.bounds()).await
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        let mut core = self.shared.core.lock().await;
        let Some(last) = entries.last() else {
            // openraft never appends nothing.
            let turn = self.shared.turns.submit(done);
            self.shared.turns.returned(turn, Ok(()));
            return Ok(());
        };
        self.shared.raise(last.index);
        let term = core.term;
        let stored = |entry: Entry| {
            let index = entry.index;
            (LogId { term, index }, entry.payload)
        };
        let entries = entries.into_iter().map(stored).collect();
        let answer = self.shared.turns.append(done);
        within_patience("append", core.storage.append(entries, answer)).await
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        let Some((first, last)) = range.bounds() else {
            return Ok(Vec::new());
        };
        // openraft never reads in front of the log, where a store may still have what is purged; and it
        // names an end that is not far behind it. Not too near: the log grows while it is read.
        let start = first.max(self.shared.start.load(Ordering::SeqCst));
        if start > last || start > MAX_INDEX {
            return Ok(Vec::new());
        }
        let end = last.saturating_add(1);
        let near = start.max(self.shared.highest()).saturating_add(1 << 16);
        let end = end.min(near);
        let mut reader = self.reader.lock().await;
        let found = if max_bytes == u64::MAX {
            let range = (Bound::Included(start), Bound::Excluded(end));
            within_patience("try_get_log_entries", reader.read(range)).await
        } else {
            within_patience("limited_get_log_entries", reader.limited(start, end)).await
        };
        found.map(entries)
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        let mut core = self.shared.core.lock().await;
        let names = &self.shared.names;
        self.write(done, async {
            let before = core.id_before(from).await?;
            let from = core.id_at(from).await?;
            within_patience("truncate", core.storage.truncate(from, before)).await?;
            // Whoever truncates writes as a new leader.
            core.term = names.new_term();
            Ok(())
        })
        .await
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        let mut core = self.shared.core.lock().await;
        let shared = &self.shared;
        self.write(done, async {
            let up_to = core.id_at(up_to).await?;
            shared.names.name_purged(up_to, id);
            shared.raise(up_to.index);
            within_patience("purge", core.storage.purge(up_to)).await?;
            shared.start.fetch_max(up_to.index + 1, Ordering::SeqCst);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl StableStore for ForeignLog {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        let names = &self.shared.names;
        if *key == StableKey::VOTE {
            let mut reader = self.reader.lock().await;
            let vote = within_patience("read_vote", reader.vote()).await?;
            return Ok(vote.map(|term| names.vote(term)));
        }
        let mut core = self.shared.core.lock().await;
        if *key == StableKey::PURGED {
            let state = within_patience("get_log_state", core.storage.state()).await?;
            Ok(state.purged.map(|id| names.purged(id)))
        } else if *key == StableKey::COMMITTED {
            let committed = core.storage.read_committed();
            let committed = within_patience("read_committed", committed).await?;
            Ok(committed.map(|id| names.committed(id)))
        } else {
            Err(unknown(key))
        }
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        let mut core = self.shared.core.lock().await;
        let names = &self.shared.names;
        self.write(done, async {
            match value {
                Some(value) if *key == StableKey::VOTE => {
                    let vote = core.storage.save_vote(names.name_vote(value));
                    within_patience("save_vote", vote).await
                }
                value if *key == StableKey::COMMITTED => {
                    let committed = match value {
                        Some(value) => Some(name_committed(&mut core, names, value).await?),
                        None => None,
                    };
                    let committed = core.storage.save_committed(committed);
                    within_patience("save_committed", committed).await
                }
                _ => Err(unknown(key)),
            }
        })
        .await
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        self.put(key, value, Completion::ignore()).await
    }
}

/// The log id that stands for a committed value: that of the entry whose number the value is, or of the
/// last one.
async fn name_committed(core: &mut Core, names: &Names, value: Bytes) -> Result<LogId> {
    let last = core.bounds().await?.last().unwrap_or(0);
    let id = core.id_at(number(&value).unwrap_or(last)).await?;
    names.name_committed(id, value);
    Ok(id)
}

fn unknown(key: &StableKey) -> Error {
    Error::new(ErrorKind::Config, "stable key").with_advice(format!(
        "openraft has nothing that is {key}, or cannot remove it"
    ))
}
