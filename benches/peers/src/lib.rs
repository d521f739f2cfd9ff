//! Raft logs that others publish, to be measured beside raft-logstore's engines: bare ([`RIVALS`]), and under openraft
//! ([`RAFT_RIVALS`]). What is measured, and how, is in the packages that are called with them.

mod raft_engine;
mod raft_log;
mod rocks;
mod rocks_raft;
#[cfg(test)]
mod tests;

use raft_logstore_bench::Rival;
use raft_logstore_bench_openraft::RaftRival;

/// Every log that is measured bare, in the order of the tables.
pub const RIVALS: [Rival; 3] = [raft_engine::RIVAL, raft_log::RIVAL, rocks::RIVAL];

/// Every store that is measured under openraft 0.10.
pub const RAFT_RIVALS: [RaftRival; 1] = [rocks_raft::RIVAL];
