use std::sync::atomic::{AtomicU64, Ordering};

/// What a store has done since it was opened, and what it holds now. A snapshot; cheap to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Durable commits, each of which costs the engine's syncs (one for redb).
    pub commits: u64,
    /// Entries made durable.
    pub entries: u64,
    /// Bytes of payload and stable values made durable.
    pub bytes: u64,
    /// Bytes waiting or in commit now.
    pub queue_bytes: u64,
    /// Bytes of durable entries kept in memory now.
    pub cache_bytes: u64,
    /// How often a caller had to wait for room in the queue.
    pub waits: u64,
    /// Reads that needed the disk.
    pub cold_reads: u64,
}

impl StoreStats {
    /// Entries per commit: what group commit gained. 0 before the first commit.
    pub fn entries_per_commit(&self) -> f64 {
        if self.commits == 0 {
            0.0
        } else {
            self.entries as f64 / self.commits as f64
        }
    }
}

/// The counters behind [`StoreStats`], also reported through the `metrics` facade.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    cache_bytes: AtomicU64,
    waits: AtomicU64,
    cold_reads: AtomicU64,
}

impl Counters {
    /// Counts a commit, before anybody is told of it: the statistics hold what was acknowledged.
    pub(crate) fn committed(&self, entries: u64, bytes: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Reports a commit that was counted. A recorder is not the store's own code, and may panic.
    pub(crate) fn report(entries: u64, bytes: u64, seconds: f64) {
        metrics::counter!("raft_logstore_commits_total").increment(1);
        metrics::counter!("raft_logstore_entries_total").increment(entries);
        metrics::counter!("raft_logstore_bytes_total").increment(bytes);
        metrics::histogram!("raft_logstore_commit_seconds").record(seconds);
    }

    pub(crate) fn cached(&self, bytes: u64) {
        self.cache_bytes.store(bytes, Ordering::Relaxed);
        metrics::gauge!("raft_logstore_cache_bytes").set(bytes as f64);
    }

    pub(crate) fn waited(&self, queue_bytes: u64) {
        self.waits.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("raft_logstore_waits_total").increment(1);
        metrics::gauge!("raft_logstore_queue_bytes").set(queue_bytes as f64);
    }

    pub(crate) fn read_cold(&self) {
        self.cold_reads.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("raft_logstore_cold_reads_total").increment(1);
    }

    pub(crate) fn snapshot(&self, queue_bytes: u64) -> StoreStats {
        StoreStats {
            commits: self.commits.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            queue_bytes,
            cache_bytes: self.cache_bytes.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
            cold_reads: self.cold_reads.load(Ordering::Relaxed),
        }
    }
}
