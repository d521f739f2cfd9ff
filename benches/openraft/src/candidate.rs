use std::path::PathBuf;

use anyhow::{Result, bail};
use futures_util::future::BoxFuture;
use raft_logstore::fjall::FjallConfig;
use raft_logstore::heed::HeedConfig;
use raft_logstore::redb::RedbConfig;
use raft_logstore::wal::WalConfig;

use crate::contender::Contender;
use crate::options::Line;
use crate::ours::Ours;
use crate::v0_10::RaftRival;
use crate::{v0_9, v0_10};

/// Starts a cluster with so many groups, in a directory that is not there yet.
pub(crate) type Start = fn(PathBuf, u64) -> BoxFuture<'static, Result<Box<dyn Contender>>>;

/// The name of the store that the others are compared with.
pub(crate) const MEMORY: &str = "memory";

/// A store to measure under one line of openraft.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// Whether a node's store holds many groups.
    pub(crate) many_groups: bool,
    pub(crate) start: Start,
}

impl Candidate {
    fn ours(name: &'static str, start: Start) -> Self {
        Self {
            name,
            many_groups: true,
            start,
        }
    }
}

/// The stores with these names, or all; those that this line of openraft knows.
///
/// # Errors
///
/// A name that neither line knows.
pub(crate) fn named(names: &[String], line: Line, rivals: &[RaftRival]) -> Result<Vec<Candidate>> {
    let known = all(Line::V0_10, rivals);
    let is_unknown = |name: &&String| known.iter().all(|one| one.name != name.as_str());
    if let Some(name) = names.iter().find(is_unknown) {
        let known: Vec<_> = known.iter().map(|one| one.name).collect();
        bail!("there is no store {name:?}; there are {}", known.join(", "));
    }
    let mut candidates = all(line, rivals);
    candidates.retain(|one| names.is_empty() || names.iter().any(|name| name == one.name));
    Ok(candidates)
}

/// The log in memory, every backend, and under openraft 0.10 the rivals.
fn all(line: Line, rivals: &[RaftRival]) -> Vec<Candidate> {
    match line {
        Line::V0_10 => {
            let rivals = rivals.iter().map(|rival| Candidate {
                name: rival.name,
                many_groups: rival.many_groups,
                start: rival.start,
            });
            let ours = [
                Candidate::ours(MEMORY, v0_10::start::<v0_10::Memory>),
                Candidate::ours("redb", v0_10::start::<Ours<RedbConfig>>),
                Candidate::ours("heed", v0_10::start::<Ours<HeedConfig>>),
                Candidate::ours("fjall", v0_10::start::<Ours<FjallConfig>>),
                Candidate::ours("wal", v0_10::start::<Ours<WalConfig>>),
            ];
            ours.into_iter().chain(rivals).collect()
        }
        Line::V0_9 => vec![
            Candidate::ours(MEMORY, v0_9::start::<v0_9::Memory>),
            Candidate::ours("redb", v0_9::start::<Ours<RedbConfig>>),
            Candidate::ours("heed", v0_9::start::<Ours<HeedConfig>>),
            Candidate::ours("fjall", v0_9::start::<Ours<FjallConfig>>),
            Candidate::ours("wal", v0_9::start::<Ours<WalConfig>>),
        ],
    }
}
