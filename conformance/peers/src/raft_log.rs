use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::codeq::{Decode, Encode};
use raft_log::{Callback, Config, RaftLog, Types};
use raft_logstore_conformance::{openraft_0_10, text};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Peer;

openraft::declare_raft_types!(TypeConfig: D = String, R = ());

type Entry = EntryOf<TypeConfig>;
type LogId = LogIdOf<TypeConfig>;
type Vote = VoteOf<TypeConfig>;

pub(crate) fn peer() -> Peer {
    let subject = openraft_0_10::subject::<TypeConfig, _, _, _>(
        |dir| async move { Store::open(dir) },
        |bytes| text::encode(&bytes),
        |entry| match entry.payload {
            EntryPayload::Normal(data) => text::decode(&data),
            _ => None,
        },
    );
    Peer {
        name: "raft-log 0.4.6",
        line: "0.10",
        subject,
    }
}

/// A value as JSON, in front of it its length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Json<T>(T);

impl<T: Serialize> Encode for Json<T> {
    fn encode<W: Write>(&self, mut to: W) -> io::Result<usize> {
        let text = serde_json::to_string(&self.0)?;
        text.encode(&mut to)
    }
}

impl<T: DeserializeOwned> Decode for Json<T> {
    fn decode<R: Read>(mut from: R) -> io::Result<Self> {
        let text = String::decode(&mut from)?;
        Ok(Self(serde_json::from_str(&text)?))
    }
}

/// What is called when a flush is done.
enum Done {
    Append(IOFlushed<TypeConfig>),
    Vote(tokio::sync::oneshot::Sender<io::Result<()>>),
}

impl Callback for Done {
    fn send(self, result: io::Result<()>) {
        match self {
            Self::Append(callback) => callback.io_completed(result),
            // Whoever waited may have given up.
            Self::Vote(sender) => drop(sender.send(result)),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LogTypes;

impl Types for LogTypes {
    type LogId = Json<LogId>;
    type LogPayload = Json<EntryPayload<String, u64, openraft::BasicNode>>;
    type Vote = Json<Vote>;
    type Callback = Done;
    type UserData = String;

    fn log_index(log_id: &Self::LogId) -> u64 {
        log_id.0.index
    }

    fn payload_size(payload: &Self::LogPayload) -> u64 {
        match &payload.0 {
            EntryPayload::Normal(data) => data.len() as u64,
            _ => 0,
        }
    }
}

/// The smallest adapter: each call of openraft is the call of raft-log that is meant for it. The storage,
/// and its readers.
#[derive(Clone)]
struct Store(Arc<RwLock<RaftLog<LogTypes>>>);

impl Store {
    fn open(dir: PathBuf) -> io::Result<Self> {
        let config = Arc::new(Config::new(dir.to_string_lossy()));
        Ok(Self(Arc::new(RwLock::new(RaftLog::open(config)?))))
    }

    fn read(&self) -> RwLockReadGuard<'_, RaftLog<LogTypes>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, RaftLog<LogTypes>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftLogReader<TypeConfig> for Store {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let log = self.read();
        let found = log.read(start, end);
        found
            .map(|found| {
                let (log_id, payload) = found?;
                Ok(Entry {
                    log_id: log_id.0,
                    payload: payload.0,
                })
            })
            .collect()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.read().log_state().vote().map(|vote| vote.0))
    }
}

impl RaftLogStorage<TypeConfig> for Store {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.read();
        let state = log.log_state();
        Ok(LogState {
            last_purged_log_id: state.purged().map(|id| id.0),
            last_log_id: state.last().map(|id| id.0),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (sender, durable) = tokio::sync::oneshot::channel();
        {
            let mut log = self.write();
            log.save_vote(Json(*vote))?;
            log.flush(true, Some(Done::Vote(sender)))?;
        }
        durable.await.map_err(io::Error::other)?
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else {
            return Ok(());
        };
        let mut log = self.write();
        log.commit(Json(committed))?;
        log.flush(false, None)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.read().log_state().committed().map(|id| id.0))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter();
        let mut log = self.write();
        log.append(entries.map(|entry| (Json(entry.log_id), Json(entry.payload))))?;
        log.flush(true, Some(Done::Append(callback)))
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let mut log = self.write();
        let purged = log.log_state().purged().map_or(0, |id| id.0.index + 1);
        let (from, end) = (
            last_log_id.map_or(purged, |last| last.index + 1),
            log.log_state().last().map_or(0, |id| id.0.index + 1),
        );
        // raft-log refuses what openraft takes for nothing.
        if from < end {
            log.truncate(from)?;
        }
        log.flush(true, None)
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let mut log = self.write();
        log.purge(Json(log_id))?;
        log.flush(true, None)
    }
}
