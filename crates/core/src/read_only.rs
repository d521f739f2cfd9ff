use bytes::Bytes;

use crate::{
    Backend, Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, Result, StableKey,
};

/// A backend that is only to be looked at: reads go through, a commit is refused with
/// [`ErrorKind::ReadOnly`], and there is no background work.
///
/// ```
/// use raft_logstore_core::{Backend, Batch, ErrorKind, MemoryBackend, ReadOnly};
///
/// let backend = ReadOnly::new(Box::new(MemoryBackend::new()));
/// assert_eq!(backend.sequence()?, 0);
/// assert_eq!(backend.commit(&Batch::default()).unwrap_err().kind(), ErrorKind::ReadOnly);
/// # Ok::<(), raft_logstore_core::Error>(())
/// ```
pub struct ReadOnly(Box<dyn Backend>);

impl ReadOnly {
    /// The same backend without its writes.
    pub fn new(backend: Box<dyn Backend>) -> Self {
        Self(backend)
    }

    /// What a write to a store that is only looked at is answered with.
    pub fn refusal(operation: &'static str) -> Error {
        Error::new(ErrorKind::ReadOnly, operation)
            .with_advice("open the store with Store::open to write to it")
    }
}

#[deny(clippy::missing_trait_methods)]
impl Backend for ReadOnly {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn sequence(&self) -> Result<u64> {
        self.0.sequence()
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        self.0.groups()
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        self.0.bounds(group)
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.0.read(group, range, max_bytes)
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        self.0.get(group, key)
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        self.0.stable_keys(group)
    }

    fn reusable_bytes(&self) -> Result<u64> {
        self.0.reusable_bytes()
    }

    fn commit(&self, _batch: &Batch) -> Result<()> {
        Err(Self::refusal("commit"))
    }

    fn maintain(&self) -> Result<bool> {
        Ok(false)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.0.close()
    }
}
