use std::path::Path;

use raft_logstore::{Entry, GroupId};
use raft_logstore_bench::{Log, Rival};

use crate::{raft_engine, raft_log, rocks};

/// Entries of a group whose payloads tell them apart, of 1 byte to some KiB.
fn entries(group: GroupId, from: u64, to: u64) -> Vec<Entry> {
    let payload = |index: u64| {
        let length = 1 + (index * 37 % 4096) as usize;
        vec![(index + group.0) as u8; length]
    };
    (from..=to)
        .map(|index| Entry::new(index, payload(index)))
        .collect()
}

fn open(rival: &Rival, dir: &Path) -> Box<dyn Log> {
    (rival.open)(dir).unwrap()
}

/// Appends to each of these groups, reads all and parts of it back, purges, and finds the rest after a close.
fn keeps_what_it_was_given(rival: &Rival, groups: &[GroupId]) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(rival, dir.path());
    for (from, to) in [(1, 1), (2, 100), (101, 300)] {
        let appends = groups
            .iter()
            .map(|group| (*group, entries(*group, from, to)));
        log.append(appends.collect()).unwrap();
    }
    let holds = |log: &dyn Log, from, to| {
        for group in groups {
            let read = log.read(*group, from..to + 1).unwrap();
            assert_eq!(read, entries(*group, from, to), "{group:?}");
        }
    };
    holds(&*log, 1, 300);
    holds(&*log, 100, 101);
    for group in groups {
        log.purge(*group, 250).unwrap();
    }
    holds(&*log, 251, 300);
    log.close().unwrap();

    let mut log = open(rival, dir.path());
    holds(&*log, 251, 300);
    let appends = groups
        .iter()
        .map(|group| (*group, entries(*group, 301, 310)));
    log.append(appends.collect()).unwrap();
    holds(&*log, 251, 310);
    log.close().unwrap();

    let log = open(rival, dir.path());
    holds(&*log, 251, 310);
    log.close().unwrap();
}

const SOME: [GroupId; 3] = [GroupId(1), GroupId(2), GroupId(1 << 40)];

#[test]
fn raft_engine_keeps_what_it_was_given() {
    keeps_what_it_was_given(&raft_engine::RIVAL, &SOME);
}

#[test]
fn raft_log_keeps_what_it_was_given() {
    keeps_what_it_was_given(&raft_log::RIVAL, &SOME[..1]);
}

#[test]
fn rocksdb_keeps_what_it_was_given() {
    keeps_what_it_was_given(&rocks::RIVAL, &SOME);
}

#[test]
fn raft_log_refuses_a_commit_of_two_groups() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(&raft_log::RIVAL, dir.path());
    let appends = SOME.map(|group| (group, entries(group, 1, 1)));
    log.append(appends.to_vec()).unwrap_err();
}
