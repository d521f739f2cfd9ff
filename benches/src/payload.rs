use bytes::Bytes;
use raft_logstore::Entry;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Makes entries with random, incompressible payloads, cheaply: slices of one random block.
pub(crate) struct Payloads {
    block: Bytes,
    at: usize,
}

impl Payloads {
    pub(crate) fn new(largest: usize) -> Self {
        let mut block = vec![0; (largest * 2).max(1 << 20)];
        SmallRng::seed_from_u64(7).fill_bytes(&mut block);
        Self {
            block: block.into(),
            at: 0,
        }
    }

    /// The next payload of `len` bytes.
    pub(crate) fn next(&mut self, len: usize) -> Bytes {
        self.at = (self.at + 4099) % (self.block.len() - len);
        self.block.slice(self.at..self.at + len)
    }

    /// `count` entries of `len` bytes from `first` on.
    pub(crate) fn entries(&mut self, first: u64, count: u64, len: usize) -> Vec<Entry> {
        (first..first + count)
            .map(|index| Entry::new(index, self.next(len)))
            .collect()
    }
}
