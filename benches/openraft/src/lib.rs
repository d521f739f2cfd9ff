//! What openraft makes of a log store, end to end: a cluster of three nodes in one process, whose network is a
//! function call, and clients that each wait for their write before the next.
//!
//! ```text
//! cargo run --release -p raft-logstore-bench-openraft -- --openraft 0.10
//! cargo run --release -p raft-logstore-bench-openraft -- --openraft 0.9 --groups 256 --clients 1024 --json
//! ```
//!
//! The stores take turns in rounds of one run: one that keeps the log in memory and promises nothing, which is
//! the ceiling, each backend of raft-logstore, and whatever [`run`] is given beside. All clusters are alike but
//! for the store, which each node has in a directory of its own.
//!
//! Nothing is measured that is not checked: at the end each state machine of each node must have applied
//! exactly the writes that were acknowledged.

mod candidate;
mod cluster;
mod contender;
mod node_store;
mod options;
mod ours;
mod payloads;
mod report;
mod rounds;
mod summary;
mod v0_10;
mod v0_9;

use anyhow::{Context, Result};
use clap::Parser;

pub use node_store::{Counted, NodeStore};
pub use v0_10::{RaftLogs, RaftRival, TypeConfig};

use crate::options::Options;

/// The whole command line, with these further stores measured beside ours in the same run.
///
/// # Errors
///
/// An unknown store, a cluster that does not start, a write that fails, and a state machine that did not apply
/// exactly what was acknowledged.
pub fn run(rivals: &[RaftRival]) -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no tokio runtime")?;
    let rows = runtime.block_on(rounds::measure(&options, rivals))?;
    report::print(&rows, options.json)
}
