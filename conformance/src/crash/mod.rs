//! Cuts the power of a store, in thousands of ways, and looks at what is left.

mod checker;
mod child;
mod disk;
mod examiner;
mod faults;
mod image;
mod mark;
mod mount;
mod mutate;
mod mutation;
mod names;
mod nested;
mod op_log;
mod oracle;
mod plan;
mod program;
mod recorder;
mod recording;
mod report;
mod sparse_file;
mod state;
mod sweep;
mod target;
mod verdict;
mod window;
mod workload;
mod writer;

pub use child::serve;
pub use faults::{Call, FaultKind, FaultPlan, FaultRule};
pub use mount::{is_required, unavailable};
pub use mutate::MutationReport;
pub use program::main;
pub use report::{Failure, Report};
pub use sweep::Sweep;
pub use target::Target;
