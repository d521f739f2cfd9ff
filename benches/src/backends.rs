use std::path::Path;

use anyhow::{Result, bail};
use futures_executor::block_on;
use raft_logstore::fjall::FjallConfig;
use raft_logstore::heed::HeedConfig;
use raft_logstore::redb::RedbConfig;
use raft_logstore::wal::WalConfig;
use raft_logstore::{Backend, BackendConfig, Inspection, Store, StoreConfig};

/// A backend to measure.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    open_engine: fn(&Path) -> Result<Box<dyn Backend>>,
    open_store: fn(&Path) -> Result<Store>,
    inspect: fn(&Path) -> Result<Inspection>,
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
            inspect: |dir| Ok(Inspection::open(dir, &C::default())?),
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

    /// The closed store in `dir`, to look at.
    pub(crate) fn inspect(&self, dir: &Path) -> Result<Inspection> {
        (self.inspect)(dir)
    }

    /// The store in `dir`; a fresh one if there is none.
    pub(crate) fn store(&self, dir: &Path) -> Result<Store> {
        (self.open_store)(dir)
    }
}

/// The backends with these names, or all.
pub(crate) fn named(names: &[String]) -> Result<Vec<Candidate>> {
    let mut candidates = all();
    let known: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "there is no backend {name:?}; compiled in are {}",
            known.join(", ")
        );
    }
    candidates
        .retain(|candidate| names.is_empty() || names.iter().any(|name| name == candidate.name));
    Ok(candidates)
}

/// Every compiled backend that keeps its data on disk.
fn all() -> Vec<Candidate> {
    vec![
        Candidate::of::<RedbConfig>("redb"),
        Candidate::of::<HeedConfig>("heed"),
        Candidate::of::<FjallConfig>("fjall"),
        Candidate::of::<WalConfig>("wal"),
    ]
}
