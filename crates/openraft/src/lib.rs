//! raft-logstore as the log storage of openraft 0.10.
//!
//! [`RaftLog`] keeps the log, the vote and the committed log id of one openraft node in one group of
//! a store: in the pipeline's `Group`, or in anything else that is
//! [`LogStore`](raft_logstore_core::LogStore) and [`StableStore`](raft_logstore_core::StableStore).
//!
//! ```
//! use openraft::storage::RaftLogStorage;
//! use raft_logstore_core::{GroupId, MemoryBackend};
//! use raft_logstore_openraft::RaftLog;
//! use raft_logstore_pipeline::{Store, StoreConfig};
//!
//! openraft::declare_raft_types!(pub TypeConfig: D = String, R = String);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::with_backend(MemoryBackend::new(), StoreConfig::default()).await?;
//! let mut log: RaftLog<TypeConfig, _> = RaftLog::new(store.group(GroupId(1)));
//!
//! // openraft takes it from here: Raft::new(id, config, network, log, state_machine).await
//! assert_eq!(log.get_log_state().await?.last_log_id, None);
//! # Ok(())
//! # }
//! ```
//!
//! # Appends
//!
//! openraft 0.10 keeps many appends in flight and does not wait for any of them. Each one returns as
//! soon as its entries are readable; whatever waits while a sync is under way shares the next one.
//!
//! # Reads and failure
//!
//! Recent entries stay in memory with their type. No read shows the log going back, not even after a
//! failed commit. This is the same in every adapter: see [`raft_logstore_adapter`].
//!
//! # Codec
//!
//! Entries, votes and log ids are written by a [`Codec`], by default [`MessagePack`] through serde.
//! Enable the feature `serde` of openraft (this crate does) and derive `Serialize` and `Deserialize`
//! for the application's data; or bring a codec.

mod log_reader;
mod raft_codec;
mod raft_log;
mod types;

pub use log_reader::LogReader;
pub use raft_codec::RaftCodec;
pub use raft_log::RaftLog;
#[doc(inline)]
pub use raft_logstore_adapter::{Codec, CodecError, MessagePack, RaftLogConfig};
