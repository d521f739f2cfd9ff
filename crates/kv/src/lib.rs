//! Turns any ordered key-value engine into a raft-logstore backend.
//!
//! An engine implements [`KvEngine`] (a consistent view to get and scan, one durable atomic write,
//! close) and has a full [`Backend`](raft_logstore_core::Backend) in [`KvBackend`]: the key
//! [`layout`], the checksum around every record, the format marker, the header that says what
//! a group has, the journal, and giving purged space back in slices.
//!
//! ```text
//! Batch  -> Journal: one frame, one sync                             durable
//! settle -> records in key order                -> KvEngine::write   now and then, on a thread of its own
//! read   <- Recent: what the journal holds
//!         + Reader: records, checked            <- KvEngine::view    one consistent state
//! ```

mod backend;
mod changes;
mod desk;
mod engine;
mod format;
mod garbage;
mod header;
mod journal;
pub mod layout;
mod reader;
mod recent;
mod settlement;
mod settler;
mod write;

pub use backend::KvBackend;
pub use engine::{KvEngine, KvView, Visitor};
pub use format::FORMAT_VERSION;
pub use write::{KvBatch, KvOp};
