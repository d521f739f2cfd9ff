//! Turns any [`Backend`](raft_logstore_core::Backend) into a [`Store`]: many groups, group commit by one thread at a
//! time, ordered completions, a tail in memory, and the commit watermark.
//!
//! ```
//! use raft_logstore_core::{Entry, GroupId, LogStoreExt, MemoryBackend};
//! use raft_logstore_pipeline::{Store, StoreConfig};
//!
//! # futures_executor::block_on(async {
//! let store = Store::with_backend(MemoryBackend::new(), StoreConfig::default()).await?;
//! let group = store.group(GroupId(1));
//! group.append_durable(vec![Entry::new(1, "first")]).await?;
//! assert_eq!(group.last_index().await?, Some(1));
//! store.close().await?;
//! # Ok::<(), raft_logstore_core::Error>(()) }).unwrap();
//! ```
//!
//! # How a write travels
//!
//! 1. The caller waits for room in the `queue` if it is full (the only wait before it is accepted).
//! 2. Under the group's lock the write is checked, queued, and made visible in the group's
//!    `tail`. Queue order is visible order.
//! 3. The `writer`'s thread, or a caller that blocks ([`BlockingGroup`]), takes the `committer`; that takes everything
//!    that waits, makes one [`Batch`](raft_logstore_core::Batch) of it and commits it: one sync for all of them. There
//!    is no timer; a batch grows while the sync before it is under way.
//! 4. The `watermark` is recorded, the tail is told what is durable, and the completions fire in queue
//!    order.
//!
//! No lock that a caller waits for is held across a commit or a read of the disk. Nothing here needs an async runtime, and
//! nothing blocks one: reads that miss the tail run on the store's reader threads (`readers`).

mod blocking;
mod committer;
mod config;
mod directory;
mod evictor;
mod group;
mod inspection;
mod linger;
mod panics;
mod progress;
mod queue;
mod readers;
mod stats;
mod store;
mod sync;
mod tail;
mod watermark;
mod writer;

pub use blocking::{BlockingGroup, Submitted};
pub use config::StoreConfig;
pub use group::Group;
pub use inspection::Inspection;
pub use stats::StoreStats;
pub use store::Store;
