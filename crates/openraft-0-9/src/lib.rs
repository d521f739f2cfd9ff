//! raft-logstore as the log storage of openraft 0.9, the stable line.
//!
//! [`RaftLog`] keeps the log, the vote and the committed log id of one openraft node in one group of
//! a store: in the pipeline's `Group`, or in anything else that is
//! [`LogStore`](raft_logstore_core::LogStore) and [`StableStore`](raft_logstore_core::StableStore).
//!
//! openraft 0.9 lets nobody implement its storage traits without its feature `storage-v2`. This crate
//! turns it on, and `serde`; an application that implements the state machine names it as well:
//! `cargo add openraft@0.9 --features storage-v2,serde`.
//!
//! ```
//! # use openraft_0_9 as openraft;
//! use std::io::Cursor; // the snapshot data of declare_raft_types
//!
//! use openraft::storage::RaftLogStorage;
//! use raft_logstore_core::{GroupId, MemoryBackend};
//! use raft_logstore_openraft_0_9::RaftLog;
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
//! An append returns as soon as its entries are readable, and is answered when they are durable. But
//! openraft 0.9 awaits that answer before it appends again, and appends each client write alone: one
//! node makes one sync per write, whatever the store could do. Group commit pays across groups only,
//! when several nodes, such as the shards of one process, keep their logs in one store. openraft 0.10
//! keeps many appends in flight, so there it pays within one group as well.
//!
//! # Reads and failure
//!
//! Recent entries stay in memory with their type. No read shows the log going back, not even after a
//! failed commit. This is the same in every adapter: see [`raft_logstore_adapter`].
//!
//! # Codec
//!
//! Entries, votes and log ids are written by a [`Codec`], by default [`MessagePack`] through serde:
//! derive `Serialize` and `Deserialize` for the application's data, or bring a codec.
//!
//! openraft's feature `single-term-leader` changes what a vote and a log id are made of: a store that
//! was written with it must be opened with it, and one that was not, without.

mod log_reader;
mod raft_codec;
mod raft_log;
mod storage_error;
mod types;

pub use log_reader::LogReader;
pub use raft_codec::RaftCodec;
pub use raft_log::RaftLog;
#[doc(inline)]
pub use raft_logstore_adapter::{Codec, CodecError, MessagePack, RaftLogConfig};
