//! openraft's own storage suite, over every kind of store.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use raft_logstore_core::{BackendConfig, MemoryBackend};
use raft_logstore_fjall::FjallConfig;
use raft_logstore_heed::HeedConfig;
use raft_logstore_pipeline::{Store, StoreConfig};
use raft_logstore_redb::RedbConfig;
use rstest::rstest;
use tempfile::TempDir;

use support::{Log, StateMachine, TypeConfig, log, store};

#[derive(Clone, Copy)]
enum Stores {
    Memory,
    Redb,
    Heed,
    Fjall,
}

type Guard = Option<TempDir>;

impl StoreBuilder<TypeConfig, Log, StateMachine, Guard> for Stores {
    async fn build(&self) -> Result<(Guard, Log, StateMachine), StorageError<TypeConfig>> {
        let (guard, store) = match self {
            Self::Memory => (None, store(&MemoryBackend::new()).await),
            Self::Redb => on_disk(RedbConfig::default()).await,
            Self::Heed => on_disk(HeedConfig::default()).await,
            Self::Fjall => on_disk(FjallConfig::default()).await,
        };
        Ok((guard, log(&store), StateMachine::default()))
    }
}

async fn on_disk(config: impl BackendConfig) -> (Guard, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), config, StoreConfig::default())
        .await
        .unwrap();
    (Some(dir), store)
}

#[rstest]
#[case::memory(Stores::Memory)]
#[case::redb(Stores::Redb)]
#[case::heed(Stores::Heed)]
#[case::fjall(Stores::Fjall)]
#[tokio::test]
async fn openrafts_suite_passes(#[case] stores: Stores) {
    Suite::test_all(stores).await.unwrap();
}
