use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{GroupId, IndexRange};

/// The result of every fallible operation of a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where good data may be had when what is stored is damaged.
pub const RESTORE: &str = "restore the store from another replica or a backup";

/// What went wrong, where, and what to do next.
///
/// An error is a [kind](ErrorKind) to match on, the operation that failed, where known the group,
/// the index range and the path, advice, and the source. Cloning is cheap: one failed commit
/// answers every caller that waited for it.
///
/// ```
/// use raft_logstore_core::{Error, ErrorKind, GroupId};
///
/// let error = Error::new(ErrorKind::Gap, "append")
///     .with_group(GroupId(7))
///     .with_indexes(12..=14)
///     .with_advice("next is index 10");
/// assert_eq!(error.kind(), ErrorKind::Gap);
/// assert_eq!(
///     error.to_string(),
///     "append failed: not contiguous with the log (group 7, indexes 12..=14): next is index 10"
/// );
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    group: Option<GroupId>,
    indexes: Option<IndexRange>,
    path: Option<PathBuf>,
    advice: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of error a store reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An append that does not start right after the last entry, or a truncate above the floor that
    /// would leave a hole. Nothing changed.
    Gap,
    /// The operation reaches at or below the purge floor. Nothing changed.
    Purged,
    /// An entry, a stable value or an append is larger than the store allows. Nothing changed.
    TooLarge,
    /// A stored record does not match its checksum, is missing, or cannot be what was written.
    Corrupt,
    /// The engine came back with fewer commits than were acknowledged.
    LostCommits,
    /// An earlier commit failed; the store takes no more writes until it is opened again.
    Poisoned,
    /// Another store, here or in another process, has the directory open.
    Locked,
    /// The store was opened to be looked at, and takes no writes.
    ReadOnly,
    /// The disk is full. Nothing acknowledged is lost.
    DiskFull,
    /// The directory or record belongs to another backend, another program, or a newer format.
    Format,
    /// A setting, URI or argument is not valid.
    Config,
    /// The store is closed, or was dropped before the operation was durable.
    Closed,
    /// The operating system or the engine reported another failure.
    Io,
}

impl ErrorKind {
    fn describe(self) -> &'static str {
        match self {
            Self::Gap => "not contiguous with the log",
            Self::Purged => "at or below the purge floor",
            Self::TooLarge => "too large",
            Self::Corrupt => "stored data is corrupt",
            Self::LostCommits => "acknowledged commits are missing",
            Self::Poisoned => "the store is poisoned by an earlier failure",
            Self::Locked => "the directory is in use",
            Self::ReadOnly => "opened for reading only",
            Self::DiskFull => "the disk is full",
            Self::Format => "not a store that can be opened here",
            Self::Config => "invalid configuration",
            Self::Closed => "the store is closed",
            Self::Io => "input/output error",
        }
    }
}

impl Error {
    /// An error of `kind` in `operation` (a verb of the API: `append`, `open`, `commit`).
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Arc::new(Inner {
            kind,
            operation,
            group: None,
            indexes: None,
            path: None,
            advice: Cow::Borrowed(""),
            source: None,
        }))
    }

    /// An operating system error in `operation`. A full disk gets its own kind.
    pub fn io(operation: &'static str, source: io::Error) -> Self {
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let error = if full {
            Self::new(ErrorKind::DiskFull, operation)
                .with_advice("free space, then open the store again")
        } else {
            Self::new(ErrorKind::Io, operation)
        };
        error.with_source(source)
    }

    /// Damage found in `operation`: `what` is wrong, and the advice says where good data may be had.
    ///
    /// ```
    /// use raft_logstore_core::Error;
    ///
    /// let error = Error::corrupt("read", "the entry fails its checksum");
    /// assert!(error.to_string().ends_with("restore the store from another replica or a backup"));
    /// ```
    pub fn corrupt(operation: &'static str, what: &str) -> Self {
        Self::new(ErrorKind::Corrupt, operation).with_advice(format!("{what}; {RESTORE}"))
    }

    /// An earlier write of a backend failed, so that nobody knows what it holds: `operation` is refused.
    pub fn poisoned(operation: &'static str) -> Self {
        Self::new(ErrorKind::Poisoned, operation).with_advice("close the store and open it again")
    }

    /// Names the group.
    pub fn with_group(self, group: GroupId) -> Self {
        self.with(|inner| inner.group = Some(group))
    }

    /// Names the indexes concerned.
    pub fn with_indexes(self, indexes: impl Into<IndexRange>) -> Self {
        self.with(|inner| inner.indexes = Some(indexes.into()))
    }

    /// Names the file or directory.
    pub fn with_path(self, path: impl Into<PathBuf>) -> Self {
        self.with(|inner| inner.path = Some(path.into()))
    }

    /// Names the file or directory, unless one is named already.
    pub fn or_path(self, path: impl Into<PathBuf>) -> Self {
        if self.path().is_some() {
            self
        } else {
            self.with_path(path)
        }
    }

    /// Says what is known and what to do next.
    pub fn with_advice(self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.with(|inner| inner.advice = advice.into())
    }

    /// Keeps the cause.
    pub fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.with(|inner| inner.source = Some(Arc::from(source.into())))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The group concerned.
    pub fn group(&self) -> Option<GroupId> {
        self.0.group
    }

    /// The indexes concerned.
    pub fn indexes(&self) -> Option<IndexRange> {
        self.0.indexes
    }

    /// What made it fail: an error of the operating system, of the engine, or of an earlier commit.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// The file or directory concerned.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            operation,
            group,
            indexes,
            path,
            advice,
            source,
        } = &*self.0;
        write!(f, "{operation} failed: {}", kind.describe())?;
        let place: Vec<String> = [
            group.map(|group| format!("group {group}")),
            indexes.map(|indexes| format!("indexes {indexes}")),
            path.as_ref().map(|path| path.display().to_string()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !place.is_empty() {
            write!(f, " ({})", place.join(", "))?;
        }
        if !advice.is_empty() {
            write!(f, ": {advice}")?;
        }
        if let Some(source) = source {
            write!(f, " [caused by: {source}]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    /// What lies behind the cause. The message tells the cause itself, and a printer of the whole
    /// chain must not tell it twice.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().and_then(|cause| cause.source())
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Corrupt | ErrorKind::LostCommits | ErrorKind::Format => {
                io::ErrorKind::InvalidData
            }
            ErrorKind::Gap | ErrorKind::Purged | ErrorKind::TooLarge | ErrorKind::Config => {
                io::ErrorKind::InvalidInput
            }
            ErrorKind::Locked => io::ErrorKind::ResourceBusy,
            ErrorKind::DiskFull => io::ErrorKind::StorageFull,
            ErrorKind::Closed => io::ErrorKind::BrokenPipe,
            ErrorKind::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            ErrorKind::Poisoned | ErrorKind::Io => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures() {
        let full = Error::io("commit", io::Error::from(io::ErrorKind::StorageFull));
        let other = Error::io("commit", io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(full.kind(), ErrorKind::DiskFull);
        assert_eq!(other.kind(), ErrorKind::Io);
    }

    #[test]
    fn a_chain_tells_each_cause_once() {
        let cause = Error::io("commit", io::Error::other("the cable fell out"));
        let error = Error::new(ErrorKind::Poisoned, "append").with_source(cause);
        let mut chain = error.to_string();
        let mut next = std::error::Error::source(&error);
        while let Some(source) = next {
            chain += &format!(": {source}");
            next = source.source();
        }
        assert_eq!(chain.matches("the cable fell out").count(), 1, "{chain}");
    }

    #[test]
    fn the_message_names_what_where_and_why() {
        let error =
            Error::io("open", io::Error::other("the cable fell out")).with_path("/data/raft");
        let message = error.to_string();
        assert!(
            message.contains("open") && message.contains("/data/raft"),
            "{message}"
        );
        assert!(message.contains("the cable fell out"), "{message}");
    }
}
