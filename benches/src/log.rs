use std::ops::Range;

use anyhow::Result;
use raft_logstore::{Entry, GroupId};

/// A log on disk under measurement: an engine alone, durable when a call returns.
pub trait Log: Send {
    /// One durable commit with these entries of these groups; the indexes of a group are contiguous, from 1 on.
    ///
    /// # Errors
    ///
    /// Whatever keeps the entries from being durable.
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()>;

    /// The entries of a range of indexes that were appended and not purged, in order, with their payloads.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being read.
    fn read(&self, group: GroupId, range: Range<u64>) -> Result<Vec<Entry>>;

    /// Removes all entries up to and including this index; durable when it returns, or at least as durable as that log
    /// makes it.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being removed.
    fn purge(&mut self, group: GroupId, upto: u64) -> Result<()>;

    /// Closes the log, so that the next open finds it clean.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being closed.
    fn close(self: Box<Self>) -> Result<()>;
}
