use std::path::Path;

use anyhow::Result;

/// What one node keeps the logs of its groups in.
pub trait NodeStore: Send + Sync + Sized + 'static {
    /// Opens a fresh store in this directory, which is there and empty.
    fn open(dir: &Path) -> impl Future<Output = Result<Self>> + Send;

    /// What it has made durable since it was opened; `None` for a store that does not count it.
    fn counted(&self) -> Option<Counted> {
        None
    }

    /// Closes it, when nothing uses its logs any more.
    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

/// What a store has made durable since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Entries, of all groups.
    pub entries: u64,
    /// Commits, each with one sync.
    pub syncs: u64,
}
