use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use tempfile::TempDir;

use crate::Rival;
use crate::backends::{self, Candidate, Ours};
use crate::contender::RAW;

/// What is measured, and on which disk.
pub(crate) struct Bench {
    /// Where stores are made.
    pub(crate) base: PathBuf,
    pub(crate) candidates: Vec<Candidate>,
}

impl Bench {
    /// Our backends and the rivals with these names, or all.
    ///
    /// # Errors
    ///
    /// When a name is unknown, or not the name of one alone.
    pub(crate) fn new(base: PathBuf, names: &[String], rivals: &[Rival]) -> Result<Self> {
        let mut candidates = backends::all();
        for rival in rivals {
            let taken = rival.name == RAW || candidates.iter().any(|one| one.name == rival.name);
            ensure!(!taken, "two logs are called {}", rival.name);
            candidates.push(rival.into());
        }
        let known: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            bail!(
                "there is no backend {name:?}; compiled in are {}",
                known.join(", ")
            );
        }
        candidates.retain(|one| names.is_empty() || names.iter().any(|name| name == one.name));
        Ok(Self { base, candidates })
    }

    /// Those that hold many groups, or all when `groups` is one.
    pub(crate) fn holding(&self, groups: u64) -> impl Iterator<Item = &Candidate> {
        let all = self.candidates.iter();
        all.filter(move |candidate| groups == 1 || candidate.many_groups)
    }

    /// Those that are ours.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Ours> {
        self.candidates.iter().filter_map(|one| one.ours.as_ref())
    }

    /// A folder on the disk that is measured, removed with all in it when dropped.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(&self.base)?)
    }
}
