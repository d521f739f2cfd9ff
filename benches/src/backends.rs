use std::path::Path;

use anyhow::Result;
use futures_executor::block_on;
use raft_logstore::fjall::FjallConfig;
use raft_logstore::redb::RedbConfig;
use raft_logstore::{Backend, BackendConfig, Store, StoreConfig};

/// A backend to measure.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    open_engine: fn(&Path) -> Result<Box<dyn Backend>>,
    open_store: fn(&Path) -> Result<Store>,
}

impl Candidate {
    fn of<C: BackendConfig + Default>(name: &'static str) -> Self {
        Self {
            name,
            open_engine: |dir| {
                std::fs::create_dir_all(dir)?;
                C::default().create(dir)?;
                Ok(C::default().open(dir)?)
            },
            open_store: |dir| {
                Ok(block_on(Store::open(
                    dir,
                    C::default(),
                    StoreConfig::default(),
                ))?)
            },
        }
    }

    /// A fresh engine in `dir`, without the pipeline.
    pub(crate) fn engine(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        (self.open_engine)(dir)
    }

    /// A fresh store in `dir`.
    pub(crate) fn store(&self, dir: &Path) -> Result<Store> {
        (self.open_store)(dir)
    }
}

/// Every compiled backend that keeps its data on disk.
pub(crate) fn all() -> Vec<Candidate> {
    vec![
        Candidate::of::<RedbConfig>("redb"),
        Candidate::of::<FjallConfig>("fjall"),
    ]
}
