use bytes::Bytes;

/// The highest index an entry may have. One below `u64::MAX`, so that "one past the last" is always
/// a number.
pub const MAX_INDEX: u64 = u64::MAX - 1;

/// One entry of a Raft log.
///
/// The payload is opaque to everything below an adapter; cloning an entry shares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the log, 0 to [`MAX_INDEX`].
    pub index: u64,
    /// What the Raft library wrote, 0 bytes and up.
    pub payload: Bytes,
}

impl Entry {
    /// An entry at `index` holding `payload`.
    ///
    /// ```
    /// use raft_logstore_core::Entry;
    ///
    /// let entry = Entry::new(1, "set x = 1");
    /// assert_eq!(entry.payload, "set x = 1");
    /// ```
    pub fn new(index: u64, payload: impl Into<Bytes>) -> Self {
        Self {
            index,
            payload: payload.into(),
        }
    }
}
