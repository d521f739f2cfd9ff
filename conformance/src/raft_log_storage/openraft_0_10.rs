//! Stores for the openraft 0.10 line.

use std::error::Error as StdError;
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use openraft::RaftTypeConfig;
use openraft::alias::{CommittedLeaderIdOf, LogIdOf, VoteOf};
use openraft::entry::{RaftEntry, RaftPayload};
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::{RaftLeaderId, RaftTerm, RaftVote};
use raft_logstore_core::{Error, ErrorKind, Result};

use super::StorageSubject;
use super::answer::run_where_woken;
use super::names::is_committed;
use super::payloads::{Payloads, corrupt};
use super::storage::{Answer, LogId, Range, Reader, State, Storage, Stored};

/// A store of the openraft 0.10 line: `open` opens it in a directory, `encode` and `decode` say how bytes
/// travel in its entries.
///
/// The whole test, with `harness = false`, but for the name of the store:
///
/// ```
/// use std::path::PathBuf;
/// use std::process::ExitCode;
///
/// use openraft::EntryPayload;
/// use openraft::storage::RaftLogStorage;
/// use raft_logstore_conformance::{Feature, openraft_0_10, text};
///
/// openraft::declare_raft_types!(pub TypeConfig: D = String, R = String);
///
/// fn check<MyStore, F>(open: fn(PathBuf) -> F) -> ExitCode
/// where
///     MyStore: RaftLogStorage<TypeConfig>,
///     F: Future<Output = std::io::Result<MyStore>> + Send + 'static,
/// {
///     let subject = openraft_0_10::subject::<TypeConfig, _, _, _>(
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
    C::Term: From<u64>,
    C::NodeId: From<u64>,
    S: RaftLogStorage<C>,
    E: Into<Box<dyn StdError + Send + Sync>>,
    F: Future<Output = std::result::Result<S, E>> + Send + 'static,
{
    let payloads = Payloads::new(encode, decode, |entry: &C::Entry| {
        Words::<C>::read_id(&entry.log_id())
    });
    StorageSubject::new(open, move |storage| Line {
        storage,
        payloads: Arc::clone(&payloads),
    })
}

/// How the laws say what openraft has types for.
struct Words<C>(PhantomData<C>);

impl<C> Words<C>
where
    C: RaftTypeConfig,
    C::Term: From<u64>,
    C::NodeId: From<u64>,
{
    fn leader(term: u64) -> C::LeaderId {
        C::LeaderId::new(term.into(), (term % 3).into())
    }

    fn vote(term: u64) -> VoteOf<C> {
        VoteOf::<C>::from_leader_id(Self::leader(term), is_committed(term))
    }

    fn term_of(vote: &VoteOf<C>) -> Result<u64> {
        let term = vote.leader_id().term().as_u64();
        let whole = term.filter(|&term| Self::vote(term) == *vote);
        whole.ok_or_else(|| corrupt("read_vote", &vote))
    }

    fn to_openraft(id: LogId) -> LogIdOf<C> {
        LogIdOf::<C>::new(Self::leader(id.term).to_committed(), id.index)
    }

    fn read_id(id: &LogIdOf<C>) -> Result<LogId> {
        let term = Self::term_of_leader(&id.leader_id);
        let index = id.index;
        let term = term.ok_or_else(|| corrupt("read a log id", id))?;
        Ok(LogId { term, index })
    }

    /// The term of a leader, whose id need not say it; but ids grow as terms do.
    fn term_of_leader(leader: &CommittedLeaderIdOf<C>) -> Option<u64> {
        let (mut low, mut high) = (0, u64::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if Self::leader(middle).to_committed() < *leader {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (Self::leader(low).to_committed() == *leader).then_some(low)
    }
}

fn failed(operation: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::new(ErrorKind::Io, operation).with_source(error)
}

struct Line<C: RaftTypeConfig, S> {
    storage: S,
    payloads: Arc<Payloads<C::D, C::Entry>>,
}

#[async_trait]
impl<C, S> Storage for Line<C, S>
where
    C: RaftTypeConfig,
    C::Term: From<u64>,
    C::NodeId: From<u64>,
    S: RaftLogStorage<C>,
{
    async fn state(&mut self) -> Result<State> {
        let state = self.storage.get_log_state().await;
        let state = state.map_err(failed("get_log_state"))?;
        let id = |id: Option<LogIdOf<C>>| id.map(|id| Words::<C>::read_id(&id)).transpose();
        Ok(State {
            purged: id(state.last_purged_log_id)?,
            last: id(state.last_log_id)?,
        })
    }

    async fn reader(&mut self) -> Box<dyn Reader> {
        Box::new(LineReader {
            reader: self.storage.get_log_reader().await,
            payloads: Arc::clone(&self.payloads),
        })
    }

    async fn append(&mut self, entries: Vec<Stored>, answer: Answer) -> Result<()> {
        let entry = |(id, payload): Stored| {
            let payload = C::Payload::normal(self.payloads.encode(payload));
            C::Entry::new(Words::<C>::to_openraft(id), payload)
        };
        let entries: Vec<C::Entry> = entries.into_iter().map(entry).collect();
        let (callback, called) = C::oneshot::<io::Result<()>>();
        run_where_woken(called.map(|called| {
            answer(match called {
                Ok(outcome) => outcome.map_err(failed("append")),
                Err(_) => Err(Error::new(ErrorKind::Closed, "append")
                    .with_advice("the callback was dropped without being called")),
            });
        }));
        let appended = self.storage.append(entries, IOFlushed::signal(callback));
        appended.await.map_err(failed("append"))
    }

    async fn truncate(&mut self, _from: LogId, before: Option<LogId>) -> Result<()> {
        let before = before.map(|id| Words::<C>::to_openraft(id));
        let truncated = self.storage.truncate_after(before).await;
        truncated.map_err(failed("truncate_after"))
    }

    async fn purge(&mut self, up_to: LogId) -> Result<()> {
        let purged = self.storage.purge(Words::<C>::to_openraft(up_to)).await;
        purged.map_err(failed("purge"))
    }

    async fn save_vote(&mut self, term: u64) -> Result<()> {
        let saved = self.storage.save_vote(&Words::<C>::vote(term)).await;
        saved.map_err(failed("save_vote"))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<()> {
        let committed = committed.map(|id| Words::<C>::to_openraft(id));
        let saved = self.storage.save_committed(committed).await;
        saved.map_err(failed("save_committed"))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>> {
        let committed = self.storage.read_committed().await;
        let committed = committed.map_err(failed("read_committed"))?;
        committed.map(|id| Words::<C>::read_id(&id)).transpose()
    }
}

struct LineReader<C: RaftTypeConfig, R> {
    reader: R,
    payloads: Arc<Payloads<C::D, C::Entry>>,
}

#[async_trait]
impl<C, R> Reader for LineReader<C, R>
where
    C: RaftTypeConfig,
    C::Term: From<u64>,
    C::NodeId: From<u64>,
    R: RaftLogReader<C>,
{
    async fn read(&mut self, range: Range) -> Result<Vec<Stored>> {
        let found = self.reader.try_get_log_entries(range).await;
        self.payloads
            .read(found.map_err(failed("try_get_log_entries"))?)
    }

    async fn stream(&mut self, range: Range) -> Option<Result<Vec<Stored>>> {
        let stream = self.reader.entries_stream(range).await;
        let found: std::result::Result<Vec<_>, _> = stream.try_collect().await;
        let found = found.map_err(failed("entries_stream"));
        Some(found.and_then(|found| self.payloads.read(found)))
    }

    async fn limited(&mut self, start: u64, end: u64) -> Result<Vec<Stored>> {
        let found = self.reader.limited_get_log_entries(start, end).await;
        self.payloads
            .read(found.map_err(failed("limited_get_log_entries"))?)
    }

    async fn vote(&mut self) -> Result<Option<u64>> {
        let vote = self.reader.read_vote().await.map_err(failed("read_vote"))?;
        vote.map(|vote| Words::<C>::term_of(&vote)).transpose()
    }
}
