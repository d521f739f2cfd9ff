use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;
use raft_logstore_core::Result;

/// The log id of either line: who wrote an entry, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogId {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

/// What a log storage says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) purged: Option<LogId>,
    pub(crate) last: Option<LogId>,
}

/// A range of indexes as openraft gives it.
pub(crate) type Range = (Bound<u64>, Bound<u64>);

/// What is called with the outcome of an append. One that is dropped counts as never called.
pub(crate) type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// An entry: its log id and the payload.
pub(crate) type Stored = (LogId, Bytes);

/// `RaftLogStorage` of either line, in the words of both.
///
/// As in openraft, one caller writes, one write after the other.
#[async_trait]
pub(crate) trait Storage: Send {
    async fn state(&mut self) -> Result<State>;

    async fn reader(&mut self) -> Box<dyn Reader>;

    async fn append(&mut self, entries: Vec<Stored>, answer: Answer) -> Result<()>;

    /// Drops `from` and what is behind it; `before` is the log id in front of it.
    async fn truncate(&mut self, from: LogId, before: Option<LogId>) -> Result<()>;

    async fn purge(&mut self, up_to: LogId) -> Result<()>;

    /// Saves the vote that stands for `term`.
    async fn save_vote(&mut self, term: u64) -> Result<()>;

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<()>;

    async fn read_committed(&mut self) -> Result<Option<LogId>>;
}

/// `RaftLogReader` of either line.
#[async_trait]
pub(crate) trait Reader: Send {
    async fn read(&mut self, range: Range) -> Result<Vec<Stored>>;

    /// The same as a stream; `None` where the line has none.
    async fn stream(&mut self, range: Range) -> Option<Result<Vec<Stored>>>;

    /// Some of the first entries of `start..end`.
    async fn limited(&mut self, start: u64, end: u64) -> Result<Vec<Stored>>;

    /// The term whose vote was saved last.
    async fn vote(&mut self) -> Result<Option<u64>>;
}
