//! What the adapters of raft-logstore share, without a Raft library in sight.
//!
//! An adapter is the trait of a Raft library over a group of a store. The libraries differ in that
//! trait and in the types it speaks; what has to happen behind it is the same, and it is here, once:
//!
//! * [`TypedLog`]: a group's log, vote and committed log id, with the library's types. An adapter
//!   names those types in one impl of [`LogTypes`] and forwards each call.
//! * [`Codec`]: how the types become bytes; [`MessagePack`] by default.
//! * [`RaftLogConfig`]: how much memory and how large a read.
//!
//! Users of an adapter find what they need re-exported there.
//!
//! # Reads
//!
//! A Raft library reads each entry once per follower and once to apply it, moments after it was
//! appended. Recent entries therefore stay in memory with their type, bounded by
//! [`RaftLogConfig::cache_bytes`]: such a read clones and does not decode. What a read finds in
//! memory and what it finds in the store always belong to one state of the log.
//!
//! # Failure
//!
//! After a failed commit the store goes back to what is durable, but the library may already have
//! applied entries that were not. No read shows the log going back: what is in memory is read as it
//! was before the failure, until the failed append is answered; everything else is an error.
//! Close the store, open it again, and start the node anew.
//!
//! This relies on the store to refuse writes before it shows what is durable, as the pipeline does:
//! a read that asked the store is trusted when the store still takes an empty append after it.
//!
//! # Committed
//!
//! The committed log id is written with the next batch, and reported only as far as the log is known
//! to reach it: when its entry is missing, the last entry takes its place if it is of the same
//! leader, and otherwise the purged log id does. So it is never ahead of the durable log, even after
//! a crash.

mod codec;
mod codec_error;
mod config;
mod log_types;
mod message_pack;
mod nesting;
mod read;
mod state;
mod tail_cache;
mod typed_log;

pub use codec::{Codec, LogCodec};
pub use codec_error::CodecError;
pub use config::RaftLogConfig;
pub use log_types::LogTypes;
pub use message_pack::MessagePack;
pub use state::LogState;
pub use typed_log::TypedLog;
