use std::fs;
use std::path::Path;

use anyhow::Result;
use futures_executor::block_on;
use raft_logstore::fjall::FjallConfig;
use raft_logstore::heed::HeedConfig;
use raft_logstore::redb::RedbConfig;
use raft_logstore::wal::WalConfig;
use raft_logstore::{BackendConfig, Inspection, Store, StoreConfig};

use crate::contender::{ENGINE, STORE};
use crate::engine::Engine;
use crate::{Log, Rival};

/// A log to measure: one of our backends, or a rival.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// Whether one of these holds many groups.
    pub(crate) many_groups: bool,
    open: fn(&Path) -> Result<Box<dyn Log>>,
    /// What a backend of ours has beside the bare engine.
    pub(crate) ours: Option<Ours>,
}

/// A backend of ours below a store.
#[derive(Clone, Copy)]
pub(crate) struct Ours {
    pub(crate) name: &'static str,
    open: fn(&Path) -> Result<Store>,
    inspect: fn(&Path) -> Result<Inspection>,
}

impl Candidate {
    fn of<C: BackendConfig + Default>(name: &'static str) -> Self {
        Self {
            name,
            many_groups: true,
            open: |dir| Ok(Box::new(Engine::open(&C::default(), dir)?)),
            ours: Some(Ours {
                name,
                open: |dir| {
                    let opened = Store::open(dir, C::default(), StoreConfig::default());
                    Ok(block_on(opened)?)
                },
                inspect: |dir| Ok(Inspection::open(dir, &C::default())?),
            }),
        }
    }

    /// The paths that lead to it.
    pub(crate) fn paths(&self) -> &'static [&'static str] {
        match self.ours {
            Some(_) => &[ENGINE, STORE],
            None => &[ENGINE],
        }
    }

    /// The bare log in `dir`; a fresh one if there is none.
    pub(crate) fn open(&self, dir: &Path) -> Result<Box<dyn Log>> {
        fs::create_dir_all(dir)?;
        (self.open)(dir)
    }
}

impl From<&Rival> for Candidate {
    fn from(rival: &Rival) -> Self {
        Self {
            name: rival.name,
            many_groups: rival.many_groups,
            open: rival.open,
            ours: None,
        }
    }
}

impl Ours {
    /// The store in `dir`; a fresh one if there is none.
    pub(crate) fn store(&self, dir: &Path) -> Result<Store> {
        (self.open)(dir)
    }

    /// The closed store in `dir`, to look at.
    pub(crate) fn inspect(&self, dir: &Path) -> Result<Inspection> {
        (self.inspect)(dir)
    }
}

/// Every compiled backend that keeps its data on disk.
pub(crate) fn all() -> Vec<Candidate> {
    vec![
        Candidate::of::<RedbConfig>("redb"),
        Candidate::of::<HeedConfig>("heed"),
        Candidate::of::<FjallConfig>("fjall"),
        Candidate::of::<WalConfig>("wal"),
    ]
}
