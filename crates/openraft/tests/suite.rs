//! openraft's own storage suite, over every kind of store.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use rstest::rstest;

use support::{Disk, Log, StateMachine, TypeConfig, log};

/// Builds an empty store for each check of the suite.
struct On(fn() -> Disk);

impl StoreBuilder<TypeConfig, Log, StateMachine, Disk> for On {
    async fn build(&self) -> Result<(Disk, Log, StateMachine), StorageError<TypeConfig>> {
        let disk = (self.0)();
        let log = log(&disk.open().await);
        Ok((disk, log, StateMachine::default()))
    }
}

#[rstest]
#[case::memory(Disk::memory)]
#[case::redb(Disk::redb)]
#[case::heed(Disk::heed)]
#[case::fjall(Disk::fjall)]
#[case::wal(Disk::wal)]
#[tokio::test]
async fn openrafts_suite_passes(#[case] disk: fn() -> Disk) {
    Suite::test_all(On(disk)).await.unwrap();
}
