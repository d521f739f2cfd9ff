//! What no law can test for every engine: damaged, missing and foreign files (law 14), and a look that
//! changes nothing. A full disk (law 15) needs a disk of its own.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

use std::fs;
use std::path::Path;

use custom_backend::SqliteConfig;
use raft_logstore_core::{
    Backend, BackendConfig, Batch, Entry, ErrorKind, GroupId, IndexRange, Op, Result,
};
use rstest::rstest;
use tempfile::{TempDir, tempdir};

const GROUP: GroupId = GroupId(1);

fn commit(backend: &dyn Backend, number: u64) {
    let append = Op::Append {
        group: GROUP,
        entries: vec![Entry::new(
            number,
            format!("payload {number} {}", "x".repeat(100)),
        )],
    };
    let batch = Batch {
        sequence: number,
        ops: vec![append],
    };
    backend.commit(&batch).unwrap();
}

/// A closed store with 50 entries.
fn store() -> TempDir {
    let dir = tempdir().unwrap();
    SqliteConfig.create(dir.path()).unwrap();
    let backend = SqliteConfig.open(dir.path()).unwrap();
    (1..=50).for_each(|number| commit(&*backend, number));
    backend.close().unwrap();
    dir
}

fn read_all(dir: &Path) -> Result<usize> {
    let backend = SqliteConfig.open(dir)?;
    backend.bounds(GROUP)?;
    Ok(backend.read(GROUP, IndexRange::new(..), u64::MAX)?.len())
}

#[test]
fn a_flipped_bit_is_an_error_or_nothing_never_another_answer() {
    let dir = store();
    let file = dir.path().join("data.sqlite");
    let whole = fs::read(&file).unwrap();
    let mut found = 0;
    for at in (0..whole.len()).step_by(41) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&file, damaged).unwrap();
        match read_all(dir.path()) {
            Ok(entries) => assert_eq!(entries, 50, "byte {at}"),
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Corrupt | ErrorKind::Format | ErrorKind::Io),
                    "{error}"
                );
                found += 1;
            }
        }
    }
    assert!(found > whole.len() / 41 / 4, "{found} flips were found");
}

#[rstest]
#[case::missing(None, ErrorKind::Corrupt)]
#[case::empty(Some(&b""[..]), ErrorKind::Format)]
#[case::of_another_program(Some(&b"dear reader, this is a letter"[..]), ErrorKind::Corrupt)]
fn a_file_that_is_no_store_is_said(#[case] content: Option<&[u8]>, #[case] kind: ErrorKind) {
    let dir = store();
    let file = dir.path().join("data.sqlite");
    fs::remove_file(&file).unwrap();
    if let Some(content) = content {
        fs::write(&file, content).unwrap();
    }
    let error = read_all(dir.path()).unwrap_err();
    assert_eq!(
        (error.kind(), file.exists()),
        (kind, content.is_some()),
        "{error}"
    );
}

#[test]
fn what_a_killed_process_left_is_there_and_a_look_changes_nothing() {
    let dir = store();
    let backend = SqliteConfig.open(dir.path()).unwrap();
    // SQLite writes when the journal is settled: a truncate is a reason for that, also when it drops nothing.
    commit(&*backend, 51);
    let nothing = vec![Op::Truncate {
        group: GROUP,
        from: 99,
    }];
    backend
        .commit(&Batch {
            sequence: 52,
            ops: nothing,
        })
        .unwrap();
    while backend.maintain().unwrap() {}
    // The files as they are while the store is open: what a killed process leaves.
    let killed = tempdir().unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), killed.path().join(entry.file_name())).unwrap();
    }
    let files = || -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(killed.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
            .into_iter()
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect()
    };
    let before = files();
    let names: Vec<_> = before.iter().map(|(_, path)| path.file_name()).collect();
    assert!(
        names.contains(&Some("data.sqlite-wal".as_ref())),
        "{names:?}"
    );
    let looked_at = SqliteConfig.open_read_only(killed.path()).unwrap();
    assert_eq!(looked_at.bounds(GROUP).unwrap().last(), Some(51));
    looked_at.close().unwrap();
    assert!(files() == before);
    assert_eq!(read_all(killed.path()).unwrap(), 51);
}
