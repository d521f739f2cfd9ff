//! When and how writes are answered: openraft's suite passes a store that never calls back.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

use std::io;

use futures_util::FutureExt;
use openraft::storage::{RaftLogReader, RaftLogStorage};
use raft_logstore_core::MemoryBackend;
use raft_logstore_openraft::RaftLog;

use support::{HeldGroup, Log, append, callback, entries, id, ids, log, state, store, vote};

#[tokio::test]
async fn append_returns_and_its_entries_are_readable_before_they_are_durable() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    let mut reader = log.get_log_reader().await;
    group.hold();

    // The disk does nothing, and yet the append returns and an older reader sees it.
    let (done, mut answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap();
    assert_eq!(ids(&mut reader, ..).await, [id(1, 1), id(1, 2), id(1, 3)]);
    assert!(
        (&mut answer).now_or_never().is_none(),
        "answered before it was durable"
    );

    group.release();
    answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn every_append_in_flight_is_answered_in_order() {
    let mut log = log(&store(&MemoryBackend::new()).await);
    let mut answers = Vec::new();
    for index in 1..=500 {
        let (done, answer) = callback();
        log.append(entries(1, [index]), done).await.unwrap();
        answers.push(answer);
    }

    // Once the last is answered, so is every one before it.
    answers.pop().unwrap().await.unwrap().unwrap();
    for (before, mut answer) in answers.into_iter().enumerate() {
        let result = answer
            .try_recv()
            .expect("an earlier append is still unanswered");
        assert!(result.is_ok(), "append {before}");
    }
}

#[tokio::test]
async fn an_append_that_fails_on_disk_is_answered_with_the_error_and_not_served_from_memory() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    let mut reader = log.get_log_reader().await;
    group.hold();
    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap();

    group.fail();
    let error = answer.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("the cable fell out"), "{error}");

    // What the log holds now is for the store to say.
    let before = group.reads();
    reader.try_get_log_entries(1..=3).await.unwrap();
    assert_eq!(group.reads(), before + 1);
}

#[tokio::test]
async fn an_append_that_the_store_drops_is_answered_with_an_error() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    group.hold();
    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap();

    group.drop_held();
    assert_eq!(
        answer.await.unwrap().unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

#[tokio::test]
async fn an_append_to_a_closed_store_is_answered_with_an_error() {
    let store = store(&MemoryBackend::new()).await;
    let mut log = log(&store);
    store.close().await.unwrap();

    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap_err();
    answer.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn an_append_that_leaves_a_hole_is_refused_and_answered() {
    let mut log = log(&store(&MemoryBackend::new()).await);
    append(&mut log, entries(1, 1..=3)).await;

    let (done, answer) = callback();
    let refused = log.append(entries(1, [5]), done).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        answer.await.unwrap().unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert_eq!(state(&mut log).await, (None, Some(id(1, 3))));
}

#[tokio::test]
async fn an_empty_append_is_answered() {
    let mut log = log(&store(&MemoryBackend::new()).await);
    let (done, answer) = callback();
    log.append([], done).await.unwrap();
    answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_vote_is_saved_only_when_it_is_durable() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    group.hold();

    let vote = vote(3);
    let mut saving = Box::pin(log.save_vote(&vote));
    assert!(
        (&mut saving).now_or_never().is_none(),
        "returned before the disk was asked"
    );
    assert_eq!(group.held(), 1);
    group.release();
    saving.await.unwrap();
}

#[tokio::test]
async fn a_vote_that_fails_on_disk_is_an_error() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    group.hold();

    let vote = vote(3);
    let mut saving = Box::pin(log.save_vote(&vote));
    assert!((&mut saving).now_or_never().is_none());
    group.fail();
    saving.await.unwrap_err();
}

#[tokio::test]
async fn truncate_purge_and_committed_do_not_wait_for_the_disk() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    append(&mut log, entries(1, 1..=9)).await;
    group.hold();

    log.truncate_after(Some(id(1, 7))).await.unwrap();
    log.purge(id(1, 2)).await.unwrap();
    log.save_committed(Some(id(1, 5))).await.unwrap();
    assert_eq!(state(&mut log).await, (Some(id(1, 2)), Some(id(1, 7))));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 5)));
}
