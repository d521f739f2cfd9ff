use std::fmt;
use std::sync::Arc;

use raft_logstore_core::{Error, ErrorKind, Result};

/// Bounds and switches of a [`Store`](crate::Store). The defaults suit most.
#[derive(Clone)]
pub struct StoreConfig {
    /// How many bytes of writes may be waiting or in commit, over all groups; callers wait for room
    /// when more would. 64 KiB to 4 GiB, default 64 MiB. A single larger write is let through
    /// alone.
    pub queue_bytes: u64,
    /// How many bytes of durable entries stay in memory behind the ones in flight, over all groups,
    /// oldest out first. 0 to 1 TiB, default 64 MiB. Each entry counts 96 bytes more than its
    /// payload.
    pub cache_bytes: u64,
    /// How many bytes of writes one commit may carry; at least one write. 64 KiB to 1 GiB, default
    /// 8 MiB. Bounds what an engine holds in memory for one commit.
    pub batch_bytes: u64,
    /// The largest payload of one entry, or stable value, in bytes. 1 to 1 GiB, default 64 MiB. The
    /// entries of one append may take 2 GiB together, each with 96 bytes more than its payload.
    pub max_entry_bytes: u64,
    /// Threads that read what is not in memory. 1 to 64, default 2.
    pub reader_threads: usize,
    /// Opens a store although the engine came back with fewer commits than were acknowledged.
    ///
    /// **Acknowledged data is lost then**, and this node may contradict what it told its peers.
    /// Only for recovery by hand; default false.
    pub accept_lost_commits: bool,
    /// Called each time a caller has to wait for room in the queue, with the bytes queued. Must be
    /// short.
    pub on_backpressure: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            queue_bytes: 64 * MIB,
            cache_bytes: 64 * MIB,
            batch_bytes: 8 * MIB,
            max_entry_bytes: 64 * MIB,
            reader_threads: 2,
            accept_lost_commits: false,
            on_backpressure: None,
        }
    }
}

impl StoreConfig {
    /// Refuses values out of bounds, naming the field.
    pub(crate) fn check(&self) -> Result<()> {
        for (field, value, min, max) in [
            ("queue_bytes", self.queue_bytes, 64 * KIB, 4 * GIB),
            ("cache_bytes", self.cache_bytes, 0, 1024 * GIB),
            ("batch_bytes", self.batch_bytes, 64 * KIB, GIB),
            ("max_entry_bytes", self.max_entry_bytes, 1, GIB),
            ("reader_threads", self.reader_threads as u64, 1, 64),
        ] {
            if !(min..=max).contains(&value) {
                return Err(Error::new(ErrorKind::Config, "open").with_advice(format!(
                    "StoreConfig::{field} is {value}; it must lie in {min}..={max}"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queue_bytes,
            cache_bytes,
            batch_bytes,
            max_entry_bytes,
            reader_threads,
            accept_lost_commits,
            on_backpressure,
        } = self;
        f.debug_struct("StoreConfig")
            .field("queue_bytes", queue_bytes)
            .field("cache_bytes", cache_bytes)
            .field("batch_bytes", batch_bytes)
            .field("max_entry_bytes", max_entry_bytes)
            .field("reader_threads", reader_threads)
            .field("accept_lost_commits", accept_lost_commits)
            .field("on_backpressure", &on_backpressure.is_some())
            .finish()
    }
}
