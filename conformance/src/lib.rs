//! The laws of a Raft log store, as named tests that run against any implementation.
//!
//! Every promise in the contract of `raft-logstore-core` names a function in [`laws`] that proves it.
//! A kind of store is a [`Subject`]; [`main`] checks every law against it and is the whole program of
//! a test with `harness = false`:
//!
//! ```no_run
//! use std::path::Path;
//! use std::process::ExitCode;
//!
//! use raft_logstore_conformance::{Feature, OpenStore, SingleGroup, Subject};
//! use raft_logstore_core::Result;
//! # mod my_log {
//! #     use raft_logstore_core::Result;
//! #     pub fn open(_: &std::path::Path) -> Result<raft_logstore_pipeline::Group> { unimplemented!() }
//! # }
//!
//! struct MyLog;
//!
//! impl Subject for MyLog {
//!     fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
//!         Ok(Box::new(SingleGroup::new(my_log::open(dir)?)))
//!     }
//!
//!     fn lacks(&self, feature: Feature) -> Option<&'static str> {
//!         match feature {
//!             Feature::Groups => Some("holds one group"),
//!             Feature::Close => Some("closes when it is dropped"),
//!             _ => None,
//!         }
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     raft_logstore_conformance::main(MyLog)
//! }
//! ```
//!
//! A backend of raft-logstore is tested through `raft-logstore-pipeline` with a [`StoreSubject`],
//! in one line.

mod answering;
mod blocking_store;
mod commit_control;
#[cfg(all(feature = "crash", target_os = "linux"))]
pub mod crash;
pub mod damage;
mod disk_usage;
mod expect;
#[cfg(feature = "golden")]
pub mod golden;
pub mod interrupt;
mod law;
pub mod laws;
mod open_store;
mod payload;
mod probe;
#[cfg(feature = "storage")]
mod raft_log_storage;
mod runner;
pub mod second_process;
mod session;
mod setting;
mod shared_memory;
mod store_subject;
mod subject;
mod submission;
mod test_bed;
mod tracker;
mod violation;

pub use commit_control::{CommitControl, ControlledBackend, Hold};
pub use law::{DEADLINE, Law};
pub use open_store::{Log, OpenStore, SingleGroup};
pub use probe::Probe;
#[cfg(feature = "openraft-0-9")]
pub use raft_log_storage::openraft_0_9;
#[cfg(feature = "openraft-0-10")]
pub use raft_log_storage::openraft_0_10;
#[cfg(feature = "storage")]
pub use raft_log_storage::{StorageSubject, text};
pub use runner::{main, trials};
pub use session::Session;
pub use setting::{Setting, View};
pub use shared_memory::SharedMemory;
pub use store_subject::StoreSubject;
pub use subject::{ControlledSubject, Feature, InspectedSubject, Subject};
pub use submission::{Accepted, Submission};
pub use test_bed::TestBed;
pub use tracker::Tracker;
pub use violation::{LawResult, Violation};
