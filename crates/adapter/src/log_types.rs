use std::fmt::Display;

/// The types in which a Raft library speaks of its log, and what the log has to know about them.
///
/// Implemented by an adapter, on a type that has no values.
pub trait LogTypes: 'static {
    /// An entry; it knows its own log id.
    type Entry: Send + Sync + 'static;

    /// What names an entry in every log: its index, and the leader that appended it. Ordered by
    /// leader, then by index.
    type LogId: Clone + Display + PartialOrd + Send + Sync + 'static;

    /// The vote, with the term.
    type Vote: Send + Sync + 'static;

    /// The index of an entry.
    fn entry_index(entry: &Self::Entry) -> u64;

    /// The log id of an entry.
    fn entry_id(entry: &Self::Entry) -> Self::LogId;

    /// The index of a log id.
    fn index(id: &Self::LogId) -> u64;

    /// Whether both entries were appended by one leader in one term.
    fn is_of_one_leader(one: &Self::LogId, other: &Self::LogId) -> bool;
}
