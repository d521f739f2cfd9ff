use raft_logstore_core::MemoryBackend;
use raft_logstore_pipeline::{Store, StoreConfig};
use raft_logstore_redb::RedbConfig;
use tempfile::TempDir;

use super::store;

/// Every kind of store, each of which can be closed and opened again.
pub(crate) enum Disk {
    Memory(MemoryBackend),
    Redb(TempDir),
}

impl Disk {
    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryBackend::new())
    }

    pub(crate) fn redb() -> Self {
        Self::Redb(TempDir::new().unwrap())
    }

    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Memory(memory) => store(memory).await,
            Self::Redb(dir) => {
                let config = StoreConfig::default();
                Store::open(dir.path(), RedbConfig::default(), config)
                    .await
                    .unwrap()
            }
        }
    }
}
