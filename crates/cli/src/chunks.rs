use raft_logstore::{Backend, Entry, Error, ErrorKind, GroupId, IndexRange, Result};

/// The most entries of a chunk: bounds what empty payloads take in memory.
pub(crate) const CHUNK_ENTRIES: u64 = 16_384;
/// The most payload of a chunk, but for a single larger entry.
pub(crate) const CHUNK_BYTES: u64 = 4 << 20;

/// The entries of a group inside a range, a bounded number at a time.
pub(crate) struct Chunks<'a> {
    backend: &'a dyn Backend,
    group: GroupId,
    /// What is still to be read.
    rest: IndexRange,
}

impl<'a> Chunks<'a> {
    /// Reads `range`, which the log has to hold from end to end.
    pub(crate) fn new(backend: &'a dyn Backend, group: GroupId, range: IndexRange) -> Self {
        Self {
            backend,
            group,
            rest: range,
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Vec<Entry>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (from, to) = self.rest.bounds()?;
        let end = to.min(from.saturating_add(CHUNK_ENTRIES - 1));
        let read = read(self.backend, self.group, from, end, CHUNK_BYTES);
        self.rest = match read.as_ref().map(|entries| entries.last()) {
            Ok(Some(last)) if last.index < to => IndexRange::new(last.index + 1..=to),
            _ => IndexRange::EMPTY,
        };
        Some(read)
    }
}

/// At least the entry `from` and what follows it up to `end`, as far as `max_bytes` go.
///
/// # Errors
///
/// What the backend reports; `Corrupt` when it answers with other entries than it was asked for.
pub(crate) fn read(
    backend: &dyn Backend,
    group: GroupId,
    from: u64,
    end: u64,
    max_bytes: u64,
) -> Result<Vec<Entry>> {
    let entries = backend.read(group, IndexRange::new(from..=end), max_bytes)?;
    let in_order = (from..=end)
        .zip(&entries)
        .all(|(index, entry)| index == entry.index);
    if entries.is_empty() || !in_order {
        return Err(Error::new(ErrorKind::Corrupt, "read entries")
            .with_group(group)
            .with_indexes(from..=end)
            .with_advice("the log does not hold what its bounds say"));
    }
    Ok(entries)
}
