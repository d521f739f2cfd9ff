//! Durable storage for Raft logs and votes: engines behind one API, dropped into a Raft library, the
//! engine picked by cargo feature.
//!
//! ```
//! use raft_logstore::{Entry, GroupId, LogStoreExt, StableKey, StableStoreExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), raft_logstore::Error> {
//! let store = raft_logstore::open("memory:").await?; // on disk: "redb:/var/lib/raft"
//! let group = store.group(GroupId(1)); // a store holds many Raft groups
//!
//! group.set(&StableKey::VOTE, "term 1, node 7".into()).await?; // durable when this returns
//! group.append_durable(vec![Entry::new(1, "x = 1"), Entry::new(2, "x = 2")]).await?;
//!
//! assert_eq!(group.last_index().await?, Some(2));
//! store.close().await
//! # }
//! ```
//!
//! Under openraft 0.10 (feature `openraft-0-10`) a group becomes the log storage of a node:
//!
#![cfg_attr(feature = "openraft-0-10", doc = "```")]
#![cfg_attr(not(feature = "openraft-0-10"), doc = "```ignore")]
//! use raft_logstore::{GroupId, openraft_0_10::RaftLog};
//!
//! openraft::declare_raft_types!(pub TypeConfig: D = String, R = String);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), raft_logstore::Error> {
//! let store = raft_logstore::open("memory:").await?;
//! let log: RaftLog<TypeConfig, _> = RaftLog::new(store.group(GroupId(1)));
//! // let raft = openraft::Raft::new(id, config, network, log, state_machine).await?;
//! # drop(log);
//! # Ok(())
//! # }
//! ```
//!
//! Under openraft 0.9, which `cargo add openraft` gives (feature `openraft-0-9`), it is the same with
//! the other module:
//!
#![cfg_attr(feature = "openraft-0-9", doc = "```")]
#![cfg_attr(not(feature = "openraft-0-9"), doc = "```ignore")]
//! # use openraft_0_9 as openraft;
//! use std::io::Cursor; // the snapshot data of declare_raft_types
//!
//! use raft_logstore::{GroupId, openraft_0_9::RaftLog};
//!
//! openraft::declare_raft_types!(pub TypeConfig: D = String, R = String);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), raft_logstore::Error> {
//! let store = raft_logstore::open("memory:").await?;
//! let log: RaftLog<TypeConfig, _> = RaftLog::new(store.group(GroupId(1)));
//! // let raft = openraft::Raft::new(id, config, network, log, state_machine).await?;
//! # drop(log);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! No acknowledged write is ever silently lost, on any engine. A completion fires after a completed
//! sync, never before; writes of all groups that wait at the same time share one. What comes back
//! damaged, short or not at all is a typed [`Error`] that says what to do next. The exact contract is
//! on [`LogStore`] and [`StableStore`].
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `redb` | the redb engine: scheme `redb:`, module `redb` | yes |
//! | `heed` | the LMDB engine, in C: scheme `heed:`, module `heed` | no |
//! | `fjall` | the fjall engine: scheme `fjall:`, module `fjall` | no |
//! | `wal` | the segmented log made for Raft: scheme `wal:`, module `wal` | no |
//! | `openraft-0-10` | the adapter for openraft 0.10: module `openraft_0_10` | no |
//! | `openraft-0-9` | the adapter for openraft 0.9: module `openraft_0_9` | no |
//!
//! The in-memory reference, scheme `memory:`, is always there. Both adapters may be on at once.
//!
//! # An engine of your own
//!
//! Implement `KvEngine` of the crate `raft-logstore-kv` for an ordered key-value engine, or
//! [`Backend`] itself for anything else, and [`BackendConfig`], which goes to [`Store::open`]. To use
//! a store of your own under an adapter, implement [`LogStore`] and [`StableStore`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod open;
// Only the backends that have a folder have options.
#[cfg_attr(
    not(any(feature = "fjall", feature = "heed", feature = "redb", feature = "wal")),
    allow(dead_code)
)]
mod options;
mod target;
// Paths and options are read by the backends that have a folder.
#[cfg_attr(
    not(any(feature = "fjall", feature = "heed", feature = "redb", feature = "wal")),
    allow(dead_code)
)]
mod uri;

pub use open::{open, open_with};
pub use target::Target;

#[doc(inline)]
pub use raft_logstore_core::{
    Backend, BackendConfig, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId,
    IndexRange, InvalidStableKey, LogStore, LogStoreExt, MAX_INDEX, MemoryBackend, Op, Pending,
    ReadOnly, Result, StableKey, StableStore, StableStoreExt, envelope,
};
#[cfg(feature = "fjall")]
#[doc(inline)]
pub use raft_logstore_fjall as fjall;
#[cfg(feature = "heed")]
#[doc(inline)]
pub use raft_logstore_heed as heed;
#[cfg(feature = "openraft-0-10")]
#[doc(inline)]
pub use raft_logstore_openraft as openraft_0_10;
#[cfg(feature = "openraft-0-9")]
#[doc(inline)]
pub use raft_logstore_openraft_0_9 as openraft_0_9;
#[doc(inline)]
pub use raft_logstore_pipeline::{
    BlockingGroup, Group, Inspection, Store, StoreConfig, StoreStats, Submitted,
};
#[cfg(feature = "redb")]
#[doc(inline)]
pub use raft_logstore_redb as redb;
#[cfg(feature = "wal")]
#[doc(inline)]
pub use raft_logstore_wal as wal;
