use raft_logstore_core::{BackendConfig, MemoryBackend};
use raft_logstore_fjall::FjallConfig;
use raft_logstore_heed::HeedConfig;
use raft_logstore_pipeline::{Store, StoreConfig};
use raft_logstore_redb::RedbConfig;
use raft_logstore_wal::WalConfig;
use tempfile::TempDir;

use super::store;

/// Every kind of store, each of which can be closed and opened again.
pub(crate) enum Disk {
    Memory(MemoryBackend),
    Redb(TempDir),
    Heed(TempDir),
    Fjall(TempDir),
    Wal(TempDir),
}

impl Disk {
    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryBackend::new())
    }

    pub(crate) fn redb() -> Self {
        Self::Redb(TempDir::new().unwrap())
    }

    pub(crate) fn heed() -> Self {
        Self::Heed(TempDir::new().unwrap())
    }

    pub(crate) fn fjall() -> Self {
        Self::Fjall(TempDir::new().unwrap())
    }

    pub(crate) fn wal() -> Self {
        Self::Wal(TempDir::new().unwrap())
    }

    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Memory(memory) => store(memory).await,
            Self::Redb(dir) => on_disk(dir, RedbConfig::default()).await,
            Self::Heed(dir) => on_disk(dir, HeedConfig::default()).await,
            Self::Fjall(dir) => on_disk(dir, FjallConfig::default()).await,
            Self::Wal(dir) => {
                let config = WalConfig::default().with_segment_bytes(WalConfig::MIN_SEGMENT_BYTES);
                on_disk(dir, config).await
            }
        }
    }
}

async fn on_disk(dir: &TempDir, config: impl BackendConfig) -> Store {
    Store::open(dir.path(), config, StoreConfig::default())
        .await
        .unwrap()
}
