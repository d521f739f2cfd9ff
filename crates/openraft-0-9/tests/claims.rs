//! What every adapter claims, checked through the traits of openraft 0.9.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

#[path = "../../adapter/tests/claims/callbacks.rs"]
mod callbacks;
#[path = "../../adapter/tests/claims/failure.rs"]
mod failure;
#[path = "../../adapter/tests/claims/reads.rs"]
mod reads;
#[path = "../../adapter/tests/claims/state.rs"]
mod state;

use raft_logstore_core::ErrorKind;
use support::{
    RaftLogReader, RaftLogStorage, RaftLogStorageExt, append, entries, fresh_log, id, ids, is,
    state,
};

#[tokio::test]
async fn the_storage_reads_as_its_reader_does() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    assert_eq!(
        log.try_get_log_entries(..).await.unwrap(),
        entries(1, 1..=9)
    );
    assert_eq!(
        log.limited_get_log_entries(4, 7).await.unwrap(),
        entries(1, 4..7)
    );
}

#[tokio::test]
async fn entries_that_are_purged_are_left_out_of_an_append() {
    let mut log = fresh_log().await;
    log.purge(id(3, 4)).await.unwrap();
    append(&mut log, entries(3, 2..=4)).await;
    assert_eq!(state(&mut log).await, (Some(id(3, 4)), Some(id(3, 4))));
    append(&mut log, entries(3, 3..=6)).await;
    assert_eq!(state(&mut log).await, (Some(id(3, 4)), Some(id(3, 6))));
    let mut reader = log.get_log_reader().await;
    assert_eq!(ids(&mut reader, ..).await, [id(3, 5), id(3, 6)]);

    // What is left must follow the log.
    for wrong in [4..=5, 8..=9] {
        let refused = log.blocking_append(entries(4, wrong)).await.unwrap_err();
        assert!(is(&refused, ErrorKind::Gap), "{refused}");
    }
}
