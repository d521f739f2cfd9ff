//! Stores for the openraft 0.9 line.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use openraft_0_9::entry::FromAppData;
use openraft_0_9::storage::{LogFlushed, LogState, RaftLogStorage, RaftLogStorageExt};
use openraft_0_9::{
    CommittedLeaderId, LogId as RaftLogId, OptionalSend, RaftLogId as _, RaftLogReader,
    RaftTypeConfig, StorageError, Vote,
};
use raft_logstore_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use super::StorageSubject;
use super::answer::run_where_woken;
use super::names::is_committed;
use super::payloads::{Payloads, corrupt};
use super::storage::{Answer, LogId, Range, Reader, State, Storage, Stored};

/// A store of the openraft 0.9 line: `open` opens it in a directory, `encode` and `decode` say how bytes
/// travel in its entries.
///
/// The whole test, with `harness = false`, but for the name of the store:
///
/// ```
/// use std::io::Cursor;
/// use std::path::PathBuf;
/// use std::process::ExitCode;
///
/// use openraft_0_9::EntryPayload;
/// use openraft_0_9::storage::RaftLogStorage;
/// use raft_logstore_conformance::{Feature, openraft_0_9 as line, text};
///
/// openraft_0_9::declare_raft_types!(pub TypeConfig: D = String, R = String);
///
/// fn check<MyStore, F>(open: fn(PathBuf) -> F) -> ExitCode
/// where
///     MyStore: RaftLogStorage<TypeConfig>,
///     F: Future<Output = std::io::Result<MyStore>> + Send + 'static,
/// {
///     let subject = line::subject::<TypeConfig, _, _, _>(
///         open,
///         |bytes| text::encode(&bytes),
///         |entry| match entry.payload {
///             EntryPayload::Normal(data) => text::decode(&data),
///             _ => None,
///         },
///     );
///     raft_logstore_conformance::main(subject.without(Feature::Committed, "not implemented"))
/// }
/// ```
///
/// # Panics
///
/// When no async runtime can be started.
pub fn subject<C, S, E, F>(
    open: impl Fn(PathBuf) -> F + Send + Sync + 'static,
    encode: impl Fn(Bytes) -> C::D + Send + Sync + 'static,
    decode: impl Fn(C::Entry) -> Option<Bytes> + Send + Sync + 'static,
) -> StorageSubject
where
    C: RaftTypeConfig,
    C::NodeId: From<u64>,
    S: RaftLogStorage<C>,
    E: Into<Box<dyn StdError + Send + Sync>>,
    F: Future<Output = std::result::Result<S, E>> + Send + 'static,
{
    let payloads = Payloads::new(encode, decode, |entry: &C::Entry| {
        Words::<C>::read_id(entry.get_log_id())
    });
    StorageSubject::new(open, move |storage| Line {
        storage: Arc::new(Mutex::new(storage)),
        payloads: Arc::clone(&payloads),
    })
}

/// How the laws say what openraft has types for.
struct Words<C>(PhantomData<C>);

impl<C> Words<C>
where
    C: RaftTypeConfig,
    C::NodeId: From<u64>,
{
    fn vote(term: u64) -> Vote<C::NodeId> {
        let node = (term % 3).into();
        if is_committed(term) {
            Vote::new_committed(term, node)
        } else {
            Vote::new(term, node)
        }
    }

    fn term_of(vote: &Vote<C::NodeId>) -> Result<u64> {
        let term = vote.leader_id.get_term();
        if *vote == Self::vote(term) {
            Ok(term)
        } else {
            Err(corrupt("read_vote", vote))
        }
    }

    fn to_openraft(id: LogId) -> RaftLogId<C::NodeId> {
        let leader = CommittedLeaderId::new(id.term, (id.term % 3).into());
        RaftLogId::new(leader, id.index)
    }

    fn read_id(id: &RaftLogId<C::NodeId>) -> Result<LogId> {
        let found = LogId {
            term: id.leader_id.term,
            index: id.index,
        };
        if *id == Self::to_openraft(found) {
            Ok(found)
        } else {
            Err(corrupt("read a log id", id))
        }
    }
}

fn failed<C: RaftTypeConfig>(
    operation: &'static str,
) -> impl FnOnce(StorageError<C::NodeId>) -> Error {
    move |error| Error::new(ErrorKind::Io, operation).with_advice(error.to_string())
}

struct Line<C: RaftTypeConfig, S> {
    /// Shared with its readers: in this line the storage itself reads the vote.
    storage: Arc<Mutex<S>>,
    payloads: Arc<Payloads<C::D, C::Entry>>,
}

#[async_trait]
impl<C, S> Storage for Line<C, S>
where
    C: RaftTypeConfig,
    C::NodeId: From<u64>,
    S: RaftLogStorage<C>,
{
    async fn state(&mut self) -> Result<State> {
        let state = self.storage.lock().await.get_log_state().await;
        let state = state.map_err(failed::<C>("get_log_state"))?;
        let id =
            |id: Option<RaftLogId<C::NodeId>>| id.map(|id| Words::<C>::read_id(&id)).transpose();
        Ok(State {
            purged: id(state.last_purged_log_id)?,
            last: id(state.last_log_id)?,
        })
    }

    async fn reader(&mut self) -> Box<dyn Reader> {
        Box::new(LineReader {
            reader: self.storage.lock().await.get_log_reader().await,
            storage: Arc::clone(&self.storage),
            payloads: Arc::clone(&self.payloads),
        })
    }

    async fn append(&mut self, entries: Vec<Stored>, answer: Answer) -> Result<()> {
        let entry = |(id, payload): Stored| {
            let mut entry = C::Entry::from_app_data(self.payloads.encode(payload));
            entry.set_log_id(&Words::<C>::to_openraft(id));
            entry
        };
        let entries: Vec<C::Entry> = entries.into_iter().map(entry).collect();
        let callback = callback::<C>(answer)?;
        let mut storage = self.storage.lock().await;
        let appended = storage.append(entries, callback).await;
        appended.map_err(failed::<C>("append"))
    }

    async fn truncate(&mut self, from: LogId, _before: Option<LogId>) -> Result<()> {
        let from = Words::<C>::to_openraft(from);
        let truncated = self.storage.lock().await.truncate(from).await;
        truncated.map_err(failed::<C>("truncate"))
    }

    async fn purge(&mut self, up_to: LogId) -> Result<()> {
        let up_to = Words::<C>::to_openraft(up_to);
        let purged = self.storage.lock().await.purge(up_to).await;
        purged.map_err(failed::<C>("purge"))
    }

    async fn save_vote(&mut self, term: u64) -> Result<()> {
        let mut storage = self.storage.lock().await;
        let saved = storage.save_vote(&Words::<C>::vote(term)).await;
        saved.map_err(failed::<C>("save_vote"))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<()> {
        let committed = committed.map(Words::<C>::to_openraft);
        let saved = self.storage.lock().await.save_committed(committed).await;
        saved.map_err(failed::<C>("save_committed"))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>> {
        let committed = self.storage.lock().await.read_committed().await;
        let committed = committed.map_err(failed::<C>("read_committed"))?;
        committed.map(|id| Words::<C>::read_id(&id)).transpose()
    }
}

struct LineReader<C: RaftTypeConfig, R, S> {
    reader: R,
    storage: Arc<Mutex<S>>,
    payloads: Arc<Payloads<C::D, C::Entry>>,
}

#[async_trait]
impl<C, R, S> Reader for LineReader<C, R, S>
where
    C: RaftTypeConfig,
    C::NodeId: From<u64>,
    R: RaftLogReader<C>,
    S: RaftLogStorage<C>,
{
    async fn read(&mut self, range: Range) -> Result<Vec<Stored>> {
        let found = self.reader.try_get_log_entries(range).await;
        self.payloads
            .read(found.map_err(failed::<C>("try_get_log_entries"))?)
    }

    async fn stream(&mut self, _range: Range) -> Option<Result<Vec<Stored>>> {
        None
    }

    async fn limited(&mut self, start: u64, end: u64) -> Result<Vec<Stored>> {
        let found = self.reader.limited_get_log_entries(start, end).await;
        self.payloads
            .read(found.map_err(failed::<C>("limited_get_log_entries"))?)
    }

    async fn vote(&mut self) -> Result<Option<u64>> {
        let vote = self.storage.lock().await.read_vote().await;
        let vote = vote.map_err(failed::<C>("read_vote"))?;
        vote.map(|vote| Words::<C>::term_of(&vote)).transpose()
    }
}

/// A callback that gives `answer`. openraft makes callbacks for a storage only, so one is caught there.
fn callback<C: RaftTypeConfig>(answer: Answer) -> Result<LogFlushed<C>> {
    let mut catcher = Catcher::<C>(Arc::default());
    let caught = Arc::clone(&catcher.0);
    run_where_woken(async move {
        answer(match catcher.blocking_append([]).await {
            Ok(()) => Ok(()),
            Err(error) if error.to_string().contains("channel closed") => {
                Err(Error::new(ErrorKind::Closed, "append")
                    .with_advice("the callback was dropped without being called"))
            }
            Err(error) => Err(failed::<C>("append")(error)),
        });
    });
    let callback = caught.lock().unwrap_or_else(PoisonError::into_inner).take();
    callback.ok_or_else(|| Error::new(ErrorKind::Io, "append").with_advice("openraft has changed"))
}

/// A storage that keeps the callback of an append, and nothing else.
struct Catcher<C: RaftTypeConfig>(Arc<SyncMutex<Option<LogFlushed<C>>>>);

/// Asked for nothing but an append.
const APPENDS_ONLY: &str = "the catcher of callbacks is appended to, and no more";

impl<C: RaftTypeConfig> RaftLogReader<C> for Catcher<C> {
    async fn try_get_log_entries<RB>(
        &mut self,
        _range: RB,
    ) -> std::result::Result<Vec<C::Entry>, StorageError<C::NodeId>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        unreachable!("{APPENDS_ONLY}")
    }
}

impl<C: RaftTypeConfig> RaftLogStorage<C> for Catcher<C> {
    type LogReader = Self;

    async fn append<I>(
        &mut self,
        _entries: I,
        callback: LogFlushed<C>,
    ) -> std::result::Result<(), StorageError<C::NodeId>>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(callback);
        Ok(())
    }

    async fn get_log_state(&mut self) -> std::result::Result<LogState<C>, StorageError<C::NodeId>> {
        unreachable!("{APPENDS_ONLY}")
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        unreachable!("{APPENDS_ONLY}")
    }

    async fn save_vote(
        &mut self,
        _vote: &Vote<C::NodeId>,
    ) -> std::result::Result<(), StorageError<C::NodeId>> {
        unreachable!("{APPENDS_ONLY}")
    }

    async fn read_vote(
        &mut self,
    ) -> std::result::Result<Option<Vote<C::NodeId>>, StorageError<C::NodeId>> {
        unreachable!("{APPENDS_ONLY}")
    }

    async fn truncate(
        &mut self,
        _log_id: RaftLogId<C::NodeId>,
    ) -> std::result::Result<(), StorageError<C::NodeId>> {
        unreachable!("{APPENDS_ONLY}")
    }

    async fn purge(
        &mut self,
        _log_id: RaftLogId<C::NodeId>,
    ) -> std::result::Result<(), StorageError<C::NodeId>> {
        unreachable!("{APPENDS_ONLY}")
    }
}
