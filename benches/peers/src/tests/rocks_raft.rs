use std::path::Path;

use openraft::Vote;
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log_id;
use raft_logstore_bench_openraft::{NodeStore, RaftLogs, TypeConfig};

use crate::rocks_raft::{RocksLog, RocksNode};

fn id(index: u64) -> LogIdOf<TypeConfig> {
    log_id::<TypeConfig>(1, 0, index)
}

fn entries(from: u64, to: u64) -> Vec<EntryOf<TypeConfig>> {
    let entry = |index| EntryOf::<TypeConfig>::new_normal(id(index), format!("write {index}"));
    (from..=to).map(entry).collect()
}

async fn open(dir: &Path) -> (RocksNode, RocksLog) {
    let node = RocksNode::open(dir).await.unwrap();
    let log = node.log(0);
    (node, log)
}

/// The log has been purged up to an index, and holds the entries behind it up to another.
async fn holds(log: &mut RocksLog, purged: u64, last: u64) {
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(id(purged)));
    assert_eq!(state.last_log_id, Some(id(last)));
    let read = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(read, entries(purged + 1, last));
    let read = log.try_get_log_entries(last..=last).await.unwrap();
    assert_eq!(read, entries(last, last));
}

#[tokio::test]
async fn rocksdb_keeps_what_openraft_gave_it() {
    let dir = tempfile::tempdir().unwrap();
    let vote: VoteOf<TypeConfig> = Vote::new(2, 1);
    let (node, mut log) = open(dir.path()).await;
    log.save_vote(&vote).await.unwrap();
    log.blocking_append(entries(0, 9)).await.unwrap();
    log.truncate_after(Some(id(7))).await.unwrap();
    log.purge(id(2)).await.unwrap();
    log.blocking_append(entries(8, 8)).await.unwrap();
    holds(&mut log, 2, 8).await;
    drop(log);
    node.close().await.unwrap();

    let (node, mut log) = open(dir.path()).await;
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    holds(&mut log, 2, 8).await;
    drop(log);
    node.close().await.unwrap();
}
