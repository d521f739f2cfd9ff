//! Cuts the power of a store, in thousands of ways, and looks at what is left. Linux only, behind the
//! feature `crash`.
//!
//! A writer process runs a workload on the store, in a file system in memory that records every write,
//! change of a name and sync in the order of the kernel. From the record the kit builds what the disk
//! may hold if the power goes at some point: what was synced, and any part of what was not. A checker
//! process opens each such image. The store must show the state after the first writes, in their order:
//! as many as were acknowledged, or more of those that were in flight (laws 3, 8, 9 and 10).
//!
//! [`main`] is the whole program for stores of one's own:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use raft_logstore_conformance::StoreSubject;
//! use raft_logstore_conformance::crash::{self, Target};
//!
//! fn main() -> ExitCode {
//!     crash::main(vec![Target::new("mine", StoreSubject::memory())])
//! }
//! ```
//!
//! A test calls [`serve`] first, because the kit starts the program again to be writer and checker, and
//! then [`Sweep::run`].
//!
//! The model of the disk is on `Disk` in `disk.rs`; what it cannot see is in the README of the crate.

mod checker;
mod child;
mod cut;
mod disk;
mod examiner;
mod ext4;
mod faults;
mod image;
mod laws;
mod mark;
mod mount;
mod mutate;
mod mutation;
mod names;
mod nested;
mod op_log;
mod oracle;
mod panics;
mod plan;
mod program;
mod recorder;
mod recording;
mod report;
mod scope;
mod sparse_file;
mod state;
mod sweep;
mod target;
mod trial;
mod verdict;
mod window;
mod workload;
mod writer;

pub use child::serve;
pub use cut::{Cut, cut_unavailable};
pub use faults::{Call, FaultKind, FaultPlan, FaultRule};
pub use laws::{FAULT_LAWS, FaultLaw, law_trials, laws_main};
pub use mount::{is_required, unavailable};
pub use mutate::MutationReport;
pub use program::{main, main_with};
pub use report::{Failure, Report};
pub use sweep::Sweep;
pub use target::Target;
pub use trial::trial;
