//! The storage contract of raft-logstore.
//!
//! Everything a Raft library needs from its disk, without a Raft library, an engine or an async
//! runtime in sight:
//!
//! * [`LogStore`] and [`StableStore`]: what an adapter consumes. Async, object-safe, one group.
//! * [`Backend`] and [`BackendConfig`]: what an engine provides. Sync, bytes, many groups; a
//!   [`Batch`] is durable when [`Backend::commit`] returns.
//! * [`Bounds`]: the rules of one log (contiguous appends, truncate, purge, floor) as pure
//!   functions.
//! * [`envelope`]: the checksummed record every key-value engine stores.
//! * [`MemoryBackend`]: the reference, obviously correct before fast.
//! * [`Error`]: one error for all of it.
//!
//! The crate `raft-logstore-pipeline` turns a [`Backend`] into the two async traits. The words used
//! here are the field's: group, entry, hard state, stable key, purge, truncate, durable,
//! acknowledged.
//!
//! The *laws* named in the contract prose are the functions of `raft-logstore-conformance`: each is
//! checked for every backend. ARCHITECTURE.md lists them by number.

mod backend;
mod batch;
mod bounds;
mod completion;
mod entry;
pub mod envelope;
mod error;
mod group;
mod log_store;
mod memory;
mod panics;
mod range;
mod read_only;
mod stable_key;
mod stable_store;

pub use backend::{Backend, BackendConfig};
pub use batch::{Batch, Op};
pub use bounds::Bounds;
pub use completion::{Completion, Pending};
pub use entry::{Entry, MAX_INDEX};
pub use error::{Error, ErrorKind, RESTORE, Result};
pub use group::GroupId;
pub use log_store::{LogStore, LogStoreExt};
pub use memory::MemoryBackend;
pub use panics::contain;
pub use range::IndexRange;
pub use read_only::ReadOnly;
pub use stable_key::{InvalidStableKey, StableKey};
pub use stable_store::{StableStore, StableStoreExt};
