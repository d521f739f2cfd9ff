//! When and how writes are answered: openraft 0.10's suite passes a store that never calls back.

use futures_util::FutureExt;
use raft_logstore_core::{ErrorKind, MemoryBackend};

use crate::support::{
    Codec, CodecError, Entry, HeldGroup, Log, LogId, MessagePack, RaftLog, RaftLogReader,
    RaftLogStorage, TypeConfig, Vote, append, callback, entries, id, id_of, ids, is, log,
    read_vote, soon, state, store, truncate_after, vote,
};

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
    soon(answer).await.unwrap();
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
    soon(answers.pop().unwrap()).await.unwrap();
    for (before, answer) in answers.into_iter().enumerate() {
        // Tokio lets a task look at about a hundred answers only before it goes away for a while.
        let result = tokio::task::unconstrained(answer)
            .now_or_never()
            .expect("an earlier append is still unanswered");
        assert!(result.is_ok(), "append {before}");
    }
}

#[tokio::test]
async fn an_append_that_fails_on_disk_is_answered_with_the_error_and_not_served_any_more() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    let mut reader = log.get_log_reader().await;
    group.hold();
    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap();

    group.fail();
    let error = soon(answer).await.unwrap_err();
    assert!(error.to_string().contains("the cable fell out"), "{error}");

    // Neither from memory nor from the store, which no longer stands by what it said.
    reader.try_get_log_entries(1..=3).await.unwrap_err();
    reader.try_get_log_entries(7..).await.unwrap_err();
    reader.limited_get_log_entries(1, 4).await.unwrap_err();
    read_vote(&mut log).await.unwrap_err();
    log.get_log_state().await.unwrap_err();
    log.read_committed().await.unwrap_err();
}

#[tokio::test]
async fn an_append_that_the_store_drops_is_answered_with_an_error() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    group.hold();
    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap();

    group.drop_held();
    let error = soon(answer).await.unwrap_err();
    assert!(is(&error, ErrorKind::Closed), "{error}");
}

#[tokio::test]
async fn an_append_to_a_closed_store_is_answered_with_an_error() {
    let store = store(&MemoryBackend::new()).await;
    let mut log = log(&store);
    store.close().await.unwrap();

    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap_err();
    soon(answer).await.unwrap_err();
}

#[tokio::test]
async fn an_append_that_leaves_a_hole_is_refused_and_soon() {
    let mut log = log(&store(&MemoryBackend::new()).await);
    append(&mut log, entries(1, 1..=3)).await;

    let (done, answer) = callback();
    let refused = log.append(entries(1, [5]), done).await.unwrap_err();
    assert!(is(&refused, ErrorKind::Gap), "{refused}");
    let answer = soon(answer).await.unwrap_err();
    assert!(is(&answer, ErrorKind::Gap), "{answer}");
    assert_eq!(state(&mut log).await, (None, Some(id(1, 3))));
}

/// MessagePack, except that entry 2 cannot be written.
struct Picky;

impl Codec<Entry> for Picky {
    fn encode(&self, entry: &Entry, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if id_of(entry).index == 2 {
            return Err(CodecError::new("a lock is held"));
        }
        MessagePack.encode(entry, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Entry, CodecError> {
        MessagePack.decode(bytes)
    }
}

impl Codec<Vote> for Picky {
    fn encode(&self, vote: &Vote, out: &mut Vec<u8>) -> Result<(), CodecError> {
        MessagePack.encode(vote, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vote, CodecError> {
        MessagePack.decode(bytes)
    }
}

impl Codec<LogId> for Picky {
    fn encode(&self, id: &LogId, out: &mut Vec<u8>) -> Result<(), CodecError> {
        MessagePack.encode(id, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<LogId, CodecError> {
        MessagePack.decode(bytes)
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_encoded_is_refused_and_the_message_does_not_blame_a_setting() {
    let mut log: RaftLog<TypeConfig, _, _> = RaftLog::with_codec(HeldGroup::default(), Picky);
    let (done, answer) = callback();
    let refused = log.append(entries(1, 1..=3), done).await.unwrap_err();
    soon(answer).await.unwrap_err();

    assert!(is(&refused, ErrorKind::Config), "{refused}");
    let message = refused.to_string();
    for part in ["indexes 2..=2", "not a setting", "Entry", "a lock is held"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_log_id, None);
}

#[tokio::test]
async fn an_empty_append_is_soon() {
    let mut log = log(&store(&MemoryBackend::new()).await);
    let (done, answer) = callback();
    log.append([], done).await.unwrap();
    soon(answer).await.unwrap();
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
    soon(saving).await.unwrap();
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
    soon(saving).await.unwrap_err();
}

#[tokio::test]
async fn truncate_purge_and_committed_do_not_wait_for_the_disk() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    append(&mut log, entries(1, 1..=9)).await;
    group.hold();

    truncate_after(&mut log, Some(id(1, 7))).await.unwrap();
    log.purge(id(1, 2)).await.unwrap();
    log.save_committed(Some(id(1, 5))).await.unwrap();
    assert_eq!(state(&mut log).await, (Some(id(1, 2)), Some(id(1, 7))));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 5)));
}
