//! Stores that know no crate of this project: implementations of openraft's `RaftLogStorage`.

mod answer;
mod bounds;
mod log;
mod names;
#[cfg(feature = "openraft-0-10")]
pub mod openraft_0_10;
#[cfg(feature = "openraft-0-9")]
pub mod openraft_0_9;
mod payloads;
mod storage;
mod store;
mod subject;
pub mod text;
mod turns;

pub use subject::StorageSubject;
