//! Where a run keeps the data of its nodes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A directory of one run: temporary unless the user named one.
pub(crate) enum WorkDir {
    /// Removed when dropped.
    Temporary(TempDir),
    Given(PathBuf),
}

impl WorkDir {
    /// Creates it. A named directory must be empty: a run checks everything its nodes hold.
    pub(crate) fn create(named: Option<&Path>) -> Result<Self> {
        let Some(dir) = named else {
            let dir = tempfile::Builder::new()
                .prefix("raft-logstore-cluster-")
                .tempdir()?;
            return Ok(Self::Temporary(dir));
        };
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let empty = fs::read_dir(dir)?.next().is_none();
        ensure!(
            empty,
            "{} is not empty; a run starts from nothing",
            dir.display()
        );
        Ok(Self::Given(std::path::absolute(dir)?))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Given(dir) => dir,
        }
    }

    /// Leaves the directory where it is, and says where.
    pub(crate) fn keep(self) -> PathBuf {
        match self {
            Self::Temporary(dir) => dir.keep(),
            Self::Given(dir) => dir,
        }
    }
}
