use std::fmt;
use std::ops::{Range, RangeInclusive};

use raft_logstore_core::envelope;

/// The bytes of memory that a cleared batch keeps for the next commit.
const KEEP_BYTES: usize = 4 << 20;

/// The operations that a cleared batch keeps room for.
const KEEP_OPS: usize = 64 << 10;

/// What one [`KvEngine::write`](crate::KvEngine::write) applies: puts, deletes and range deletes, in
/// order, all or nothing.
///
/// Keys and records lie in one arena that is reused from commit to commit, so a commit of the usual
/// size allocates nothing per entry and copies each value once.
///
/// ```
/// use raft_logstore_kv::{KvBatch, KvOp};
///
/// let mut batch = KvBatch::new();
/// batch.delete_range(b"a"..=b"c");
/// batch.put(b"b", b"value");
/// let ops: Vec<_> = batch.ops().collect();
/// assert_eq!(ops[0], KvOp::DeleteRange { first: b"a", last: b"c" });
/// assert!(matches!(ops[1], KvOp::Put { key: b"b", .. }));
/// ```
#[derive(Default)]
pub struct KvBatch {
    arena: Vec<u8>,
    ops: Vec<Stored>,
}

/// Where an operation lies in the arena: its key from `start` to `middle`, then its record or its
/// second key up to the start of the next operation.
struct Stored {
    kind: Kind,
    start: usize,
    middle: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// One operation of a [`KvBatch`].
///
/// Exhaustive on purpose: a new operation must break every engine's build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvOp<'a> {
    /// Stores `record` under `key`, in place of what was there.
    Put {
        /// The key.
        key: &'a [u8],
        /// The value, sealed with its checksum.
        record: &'a [u8],
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Removes every key from `first` to `last`, both included.
    DeleteRange {
        /// The least key to go.
        first: &'a [u8],
        /// The greatest key to go; not below `first`.
        last: &'a [u8],
    },
}

impl KvBatch {
    /// A batch without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seals `value` and stores it under `key`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.key(Kind::Put, key);
        envelope::seal(key, value, &mut self.arena);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.key(Kind::Delete, key);
    }

    /// Removes every key in `keys`, both ends included.
    pub fn delete_range<K: AsRef<[u8]>>(&mut self, keys: RangeInclusive<K>) {
        self.key(Kind::DeleteRange, keys.start().as_ref());
        self.arena.extend_from_slice(keys.end().as_ref());
    }

    fn key(&mut self, kind: Kind, key: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        self.ops.push(Stored {
            kind,
            start,
            middle: self.arena.len(),
        });
    }

    /// The operations, from first to last.
    pub fn ops(&self) -> impl Iterator<Item = KvOp<'_>> + Clone {
        self.ops.iter().enumerate().map(|(at, op)| {
            let end = self
                .ops
                .get(at + 1)
                .map_or(self.arena.len(), |next| next.start);
            let (first, second) = (self.bytes(op.start..op.middle), self.bytes(op.middle..end));
            match op.kind {
                Kind::Put => KvOp::Put {
                    key: first,
                    record: second,
                },
                Kind::Delete => KvOp::Delete { key: first },
                Kind::DeleteRange => KvOp::DeleteRange {
                    first,
                    last: second,
                },
            }
        })
    }

    fn bytes(&self, at: Range<usize>) -> &[u8] {
        &self.arena[at]
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Removes all operations. Keeps the memory for the next commit, up to 4 MiB of keys and records
    /// and 65,536 operations: one huge commit does not hold its memory for ever.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.arena.shrink_to(KEEP_BYTES);
        self.ops.clear();
        self.ops.shrink_to(KEEP_OPS);
    }
}

impl fmt::Debug for KvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ops()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_batch_keeps_its_memory_but_not_that_of_a_huge_commit() {
        let mut batch = KvBatch::new();
        // A commit of the usual size: the next one needs no allocation.
        batch.put(b"key", &[1; 1000]);
        let capacity = batch.arena.capacity();
        batch.clear();
        assert!(batch.is_empty() && batch.arena.capacity() == capacity);
        // A huge one gives its memory back.
        batch.put(b"key", &vec![1; 4 * KEEP_BYTES]);
        batch.clear();
        assert!(
            batch.arena.capacity() <= KEEP_BYTES,
            "{}",
            batch.arena.capacity()
        );
    }

    #[test]
    fn a_put_is_sealed_under_its_key() {
        let mut batch = KvBatch::new();
        batch.delete(b"gone");
        batch.put(b"key", b"value");
        batch.put(b"empty", b"");
        let ops: Vec<_> = batch.ops().collect();
        assert_eq!(ops[0], KvOp::Delete { key: b"gone" });
        for (op, expected) in [(ops[1], &b"value"[..]), (ops[2], b"")] {
            let KvOp::Put { key, record } = op else {
                panic!("{op:?}")
            };
            assert_eq!(envelope::open(key, record), Some(expected));
        }
    }
}
