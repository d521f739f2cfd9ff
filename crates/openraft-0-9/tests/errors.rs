//! What openraft is told when a call fails.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

use raft_logstore_core::{ErrorKind, MemoryBackend};
use rstest::rstest;

use support::{
    Log, RaftLogReader, RaftLogStorage, StorageError, callback, entries, id, is, log, soon, store,
    vote,
};

/// A log whose store is closed.
async fn closed() -> Log {
    let store = store(&MemoryBackend::new()).await;
    store.close().await.unwrap();
    log(&store)
}

#[rstest]
#[case::entries(closed().await.try_get_log_entries(..).await, "Read Logs")]
#[case::limited(closed().await.limited_get_log_entries(1, 2).await, "Read Logs")]
#[case::state(closed().await.get_log_state().await, "Read Logs")]
#[case::append(closed().await.append(entries(1, [1]), callback().0).await, "Write Logs")]
#[case::truncate(closed().await.truncate(id(1, 1)).await, "Delete Logs")]
#[case::purge(closed().await.purge(id(1, 1)).await, "Delete Logs")]
#[case::save_vote(closed().await.save_vote(&vote(1)).await, "Write Vote")]
#[case::read_vote(closed().await.read_vote().await, "Read Vote")]
#[case::save_committed(closed().await.save_committed(Some(id(1, 1))).await, "Write Store")]
#[case::read_committed(closed().await.read_committed().await, "Read Store")]
#[tokio::test]
async fn an_error_says_what_failed_on_what_and_why<T: std::fmt::Debug>(
    #[case] result: Result<T, StorageError>,
    #[case] doing: &str,
) {
    let error = result.unwrap_err();
    assert!(is(&error, ErrorKind::Closed), "{error}");
    let message = error.to_string();
    assert!(message.starts_with(&format!("when {doing}: ")), "{message}");
    let io = error
        .into_io()
        .expect("an error of the disk, not of the caller");
    let source = std::error::Error::source(&io).expect("the store's own error");
    assert!(
        source.to_string().contains("raft_logstore_core"),
        "{source}"
    );
}

#[tokio::test]
async fn the_answer_to_a_refused_append_is_the_error_too() {
    let (done, answer) = callback();
    let refused = closed().await.append(entries(1, [1]), done).await;
    assert!(is(&refused.unwrap_err(), ErrorKind::Closed));
    assert!(is(&soon(answer).await.unwrap_err(), ErrorKind::Closed));
}
