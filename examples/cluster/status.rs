//! What a node says about itself: `GET /status`.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use serde::{Deserialize, Serialize};

use crate::node::Node;

/// The state of one node, as it sees things.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) node: u64,
    pub(crate) pid: u32,
    pub(crate) role: ServerState,
    /// The leader this node follows.
    pub(crate) leader: Option<u64>,
    pub(crate) term: u64,
    /// The index of the last entry in the log.
    pub(crate) last_log: Option<u64>,
    /// The index of the last entry applied to the state.
    pub(crate) applied: Option<u64>,
    /// The index of the last entry that the snapshot covers.
    pub(crate) snapshot: Option<u64>,
    /// The index up to which the log is purged.
    pub(crate) purged: Option<u64>,
    /// Every member's address, learners included.
    pub(crate) members: BTreeMap<u64, String>,
    pub(crate) voters: BTreeSet<u64>,
    /// How many keys and lines the state holds.
    pub(crate) keys: usize,
    pub(crate) lines: usize,
    pub(crate) store: StoreStatus,
    /// The most memory the process ever held, in KiB; `None` where the system does not say.
    pub(crate) peak_rss_kib: Option<u64>,
}

/// What the log store did since this process opened it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoreStatus {
    /// Durable commits.
    pub(crate) syncs: u64,
    /// Entries made durable by them.
    pub(crate) entries: u64,
    /// Bytes of payload and stable values made durable by them.
    pub(crate) bytes: u64,
    /// Bytes waiting for a commit now.
    pub(crate) queue_bytes: u64,
    /// Bytes of durable entries held in memory now.
    pub(crate) cache_bytes: u64,
}

impl Status {
    /// Asks a node of this process.
    pub(crate) fn of(node: &Node) -> Self {
        let metrics = node.raft.metrics().borrow_watched().clone();
        let membership = &metrics.membership_config;
        let stats = node.store.stats();
        let (keys, lines) = {
            let state = node.machine.read();
            (state.keys.len(), state.lines.len())
        };
        Self {
            node: node.id,
            pid: std::process::id(),
            role: metrics.state,
            leader: metrics.current_leader,
            term: metrics.current_term,
            last_log: metrics.last_log_index,
            applied: metrics.last_applied.map(|id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
            members: membership
                .nodes()
                .map(|(&id, node)| (id, node.addr.clone()))
                .collect(),
            voters: membership.voter_ids().collect(),
            keys,
            lines,
            store: StoreStatus {
                syncs: stats.commits,
                entries: stats.entries,
                bytes: stats.bytes,
                queue_bytes: stats.queue_bytes,
                cache_bytes: stats.cache_bytes,
            },
            peak_rss_kib: peak_rss_kib(),
        }
    }
}

/// Linux tells in `/proc`; elsewhere the file is missing.
fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
