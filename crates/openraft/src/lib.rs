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
//! # Reads
//!
//! openraft reads each entry once per follower and once to apply it, moments after it was appended.
//! Recent entries therefore stay in memory with their type, bounded by
//! [`RaftLogConfig::cache_bytes`]: such a read clones and does not decode. What a read finds in
//! memory and what it finds in the store always belong to one state of the log.
//!
//! # Failure
//!
//! After a failed commit the store goes back to what is durable, but openraft may already have
//! applied entries that were not. No read shows the log going back: what is in memory is read as it
//! was before the failure, until the failed append is answered; everything else is an error.
//! Close the store, open it again, and start the node anew.
//!
//! This relies on the store to refuse writes before it shows what is durable, as the pipeline does:
//! a read that asked the store is trusted when the store still takes an empty append after it.
//!
//! # Codec
//!
//! Entries, votes and log ids are written by a [`Codec`], by default [`MessagePack`] through serde.
//! Enable the feature `serde` of openraft (this crate does) and derive `Serialize` and `Deserialize`
//! for the application's data; or bring a codec.

mod codec;
mod codec_error;
mod config;
mod log_reader;
mod message_pack;
mod raft_log;
mod tail_cache;
mod typed_log;

pub use codec::{Codec, RaftCodec};
pub use codec_error::CodecError;
pub use config::RaftLogConfig;
pub use log_reader::LogReader;
pub use message_pack::MessagePack;
pub use raft_log::RaftLog;
