//! Vote, committed, purged and bounds, while the store lives and after it is opened again.

use raft_logstore_core::{
    ErrorKind, GroupId, MemoryBackend, StableKey, StableStore, StableStoreExt,
};
use rstest::rstest;

use crate::support::{
    Disk, HeldGroup, Log, LogId, Point, RaftLog, RaftLogReader, RaftLogStorage, append, entries,
    fresh_log, id, ids, is, log, read_vote, soon, state, store, truncate_after, vote,
};

#[tokio::test]
async fn the_vote_is_the_newest() {
    let mut log = fresh_log().await;
    assert_eq!(read_vote(&mut log).await.unwrap(), None);
    for term in 1..=3 {
        log.save_vote(&vote(term)).await.unwrap();
        assert_eq!(read_vote(&mut log).await.unwrap(), Some(vote(term)));
    }
}

#[tokio::test]
async fn vote_and_committed_survive_truncate_and_purge() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    log.save_vote(&vote(2)).await.unwrap();
    log.save_committed(Some(id(1, 5))).await.unwrap();

    truncate_after(&mut log, Some(id(1, 7))).await.unwrap();
    log.purge(id(1, 3)).await.unwrap();
    assert_eq!(read_vote(&mut log).await.unwrap(), Some(vote(2)));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 5)));
}

#[tokio::test]
async fn reads_start_no_commit_for_what_is_committed() {
    let store = store(&MemoryBackend::new()).await;
    let mut log = log(&store);
    append(&mut log, entries(1, 1..=9)).await;
    log.save_vote(&vote(1)).await.unwrap();
    let commits = store.stats().commits;

    for index in 1..=9 {
        log.save_committed(Some(id(1, index))).await.unwrap();
        assert_eq!(read_vote(&mut log).await.unwrap(), Some(vote(1)));
        assert_eq!(state(&mut log).await, (None, Some(id(1, 9))));
        assert_eq!(log.read_committed().await.unwrap(), Some(id(1, index)));
        // Time for a writer that was woken.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(store.stats().commits, commits);
}

#[tokio::test]
async fn truncating_everything_keeps_what_is_purged() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    log.purge(id(1, 4)).await.unwrap();

    truncate_after(&mut log, None).await.unwrap();
    assert_eq!(state(&mut log).await, (Some(id(1, 4)), Some(id(1, 4))));
    append(&mut log, entries(2, 5..=6)).await;
    assert_eq!(state(&mut log).await, (Some(id(1, 4)), Some(id(2, 6))));
}

#[tokio::test]
async fn truncating_into_what_is_purged_is_refused() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    log.purge(id(1, 4)).await.unwrap();
    log.save_committed(Some(id(1, 8))).await.unwrap();

    let refused = truncate_after(&mut log, Some(id(1, 2))).await.unwrap_err();
    assert!(is(&refused, ErrorKind::Purged), "{refused}");
    assert_eq!(state(&mut log).await, (Some(id(1, 4)), Some(id(1, 9))));
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 8)));
}

#[tokio::test]
async fn truncating_beyond_the_end_changes_nothing() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=3)).await;
    for beyond in [3, 4, u64::MAX] {
        truncate_after(&mut log, Some(id(1, beyond))).await.unwrap();
        assert_eq!(
            state(&mut log).await,
            (None, Some(id(1, 3))),
            "after {beyond}"
        );
    }
}

#[tokio::test]
async fn purge_is_idempotent_and_never_goes_back() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    log.purge(id(1, 6)).await.unwrap();

    // Again, back, and back with another leader: nothing changes.
    for purged in [id(1, 6), id(1, 2), id(7, 6)] {
        log.purge(purged).await.unwrap();
        assert_eq!(
            state(&mut log).await,
            (Some(id(1, 6)), Some(id(1, 9))),
            "purge {purged}"
        );
    }
}

#[tokio::test]
async fn purge_beyond_the_end_leaves_an_empty_log_that_ends_there() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=3)).await;
    log.purge(id(4, 20)).await.unwrap();
    assert_eq!(state(&mut log).await, (Some(id(4, 20)), Some(id(4, 20))));

    append(&mut log, entries(4, 21..=22)).await;
    let mut reader = log.get_log_reader().await;
    assert_eq!(ids(&mut reader, ..).await, [id(4, 21), id(4, 22)]);
}

#[rstest]
#[case::memory(Disk::memory())]
#[case::redb(Disk::redb())]
#[case::heed(Disk::heed())]
#[case::fjall(Disk::fjall())]
#[tokio::test]
async fn everything_survives_reopening(#[case] disk: Disk) {
    // A log whose purged id has a term of its own.
    let store = disk.open().await;
    let mut before = log(&store);
    append(&mut before, entries(2, 1..=4)).await;
    append(&mut before, entries(3, 5..=9)).await;
    before.save_vote(&vote(5)).await.unwrap();
    before.save_committed(Some(id(3, 7))).await.unwrap();
    before.purge(id(2, 4)).await.unwrap();
    truncate_after(&mut before, Some(id(3, 8))).await.unwrap();
    let expected = before
        .get_log_reader()
        .await
        .try_get_log_entries(..)
        .await
        .unwrap();
    store.close().await.unwrap();

    let store = disk.open().await;
    let mut after = log(&store);
    assert_eq!(state(&mut after).await, (Some(id(2, 4)), Some(id(3, 8))));
    assert_eq!(after.read_committed().await.unwrap(), Some(id(3, 7)));
    let mut reader = after.get_log_reader().await;
    assert_eq!(read_vote(&mut after).await.unwrap(), Some(vote(5)));
    assert_eq!(reader.try_get_log_entries(..).await.unwrap(), expected);

    // And the log goes on from there.
    append(&mut after, entries(6, 9..=9)).await;
    assert_eq!(state(&mut after).await, (Some(id(2, 4)), Some(id(6, 9))));
    store.close().await.unwrap();
}

#[rstest]
#[case::memory(Disk::memory())]
#[case::redb(Disk::redb())]
#[case::heed(Disk::heed())]
#[case::fjall(Disk::fjall())]
#[tokio::test]
async fn a_purged_empty_log_survives_reopening(#[case] disk: Disk) {
    let store = disk.open().await;
    log(&store).purge(id(7, 30)).await.unwrap();
    store.close().await.unwrap();

    let store = disk.open().await;
    assert_eq!(
        state(&mut log(&store)).await,
        (Some(id(7, 30)), Some(id(7, 30)))
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn committed_goes_back_and_away() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    for committed in [Some(id(1, 8)), Some(id(1, 3)), None] {
        log.save_committed(committed).await.unwrap();
        assert_eq!(log.read_committed().await.unwrap(), committed);
    }
}

#[tokio::test]
async fn committed_never_passes_the_last_entry() {
    let mut log = fresh_log().await;

    // Of an empty log nothing is committed.
    log.save_committed(Some(id(1, 8))).await.unwrap();
    assert_eq!(log.read_committed().await.unwrap(), None);

    // What a leader appended before its committed entry is committed with it.
    append(&mut log, entries(1, 1..=5)).await;
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 5)));

    // Nor beyond the floor of a purged one.
    log.purge(id(1, 6)).await.unwrap();
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 6)));
}

#[tokio::test]
async fn an_entry_of_an_earlier_leader_is_not_committed_by_a_later_one_that_is_missing() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=5)).await;
    log.save_committed(Some(id(2, 8))).await.unwrap();

    // The committed log may hold other entries in the place of these; only what is purged is sure.
    assert_eq!(log.read_committed().await.unwrap(), None);
    log.purge(id(1, 3)).await.unwrap();
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 3)));

    // A truncate does not vouch for them either.
    truncate_after(&mut log, Some(id(1, 4))).await.unwrap();
    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 3)));
}

#[tokio::test]
async fn committed_is_lowered_before_the_log_is_cut() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    append(&mut log, entries(1, 1..=9)).await;
    log.save_committed(Some(id(1, 8))).await.unwrap();

    let pause = group.pause(Point::BeforeCut);
    let cutting = tokio::spawn(async move { truncate_after(&mut log, Some(id(1, 4))).await });
    pause.reached().await;
    let mut uncut: Log<HeldGroup> = RaftLog::new(group);
    assert_eq!(state(&mut uncut).await, (None, Some(id(1, 9))));
    assert_eq!(uncut.read_committed().await.unwrap(), Some(id(1, 4)));
    pause.go_on();
    soon(cutting).await.unwrap().unwrap();
}

#[rstest]
#[case::to_an_entry(Some(id(1, 4)))]
#[case::to_nothing(None)]
#[tokio::test]
async fn truncating_below_committed_lowers_it(#[case] last: Option<LogId>) {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    log.save_committed(Some(id(1, 8))).await.unwrap();
    truncate_after(&mut log, last).await.unwrap();

    // Entries appended in place of the old ones are not committed.
    append(
        &mut log,
        entries(2, last.map_or(1, |last| last.index + 1)..=9),
    )
    .await;
    assert_eq!(log.read_committed().await.unwrap(), last);
}

#[tokio::test]
async fn a_committed_entry_that_is_another_in_the_log_is_an_error() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=5)).await;
    for wrong in [id(2, 4), id(0, 9)] {
        log.save_committed(Some(wrong)).await.unwrap();
        let error = log.read_committed().await.unwrap_err();
        assert!(is(&error, ErrorKind::Corrupt), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn a_vote_that_cannot_be_decoded_is_an_error() {
    let store = store(&MemoryBackend::new()).await;
    let group = store.group(GroupId(1));
    group
        .set(&StableKey::VOTE, vec![0xc1].into())
        .await
        .unwrap();
    group
        .put_lazy(&StableKey::COMMITTED, Some(vec![0xc1].into()))
        .await
        .unwrap();

    let mut log = log(&store);
    let vote = read_vote(&mut log).await.unwrap_err();
    assert!(is(&vote, ErrorKind::Corrupt), "{vote}");
    assert!(vote.to_string().contains("vote"), "{vote}");
    let committed = log.read_committed().await.unwrap_err();
    assert!(is(&committed, ErrorKind::Corrupt), "{committed}");
}
