use std::sync::Arc;

use bytes::Bytes;
use raft_logstore::Entry;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Makes entries with random, incompressible payloads, cheaply: copies out of one random block.
///
/// As an adapter makes them, the payloads of one append are slices of one buffer, which no other append shares: else
/// threads would contend for its count of owners.
#[derive(Clone)]
pub(crate) struct Payloads {
    block: Arc<[u8]>,
    at: usize,
}

impl Payloads {
    pub(crate) fn new(largest: usize) -> Self {
        let mut block = vec![0; (largest * 2).max(1 << 20)];
        SmallRng::seed_from_u64(7).fill_bytes(&mut block);
        let block = block.into();
        Self { block, at: 0 }
    }

    /// The same block for another thread, whose payloads begin elsewhere: with a block each, threads would find little of
    /// theirs in the caches of the processor.
    pub(crate) fn for_thread(&self, number: u64) -> Self {
        let mut payloads = self.clone();
        payloads.at = (number as usize * 65_537) % (self.block.len() / 2);
        payloads
    }

    /// The next payload of `len` bytes.
    pub(crate) fn next(&mut self, len: usize) -> Bytes {
        Bytes::copy_from_slice(self.random(len))
    }

    /// `count` entries of `len` bytes from `first` on.
    pub(crate) fn entries(&mut self, first: u64, count: u64, len: usize) -> Vec<Entry> {
        let mut buffer = Vec::new();
        for _ in 0..count {
            buffer.extend_from_slice(self.random(len));
        }
        let mut buffer = Bytes::from(buffer);
        (first..first + count)
            .map(|index| Entry::new(index, buffer.split_to(len)))
            .collect()
    }

    fn random(&mut self, len: usize) -> &[u8] {
        self.at = (self.at + 4099) % (self.block.len() - len);
        &self.block[self.at..self.at + len]
    }
}
