//! `copy`: everything arrives, and what cannot be copied is refused.

use std::fs;
use std::os::unix::fs::symlink;

use futures_executor::block_on;
use raft_logstore::{Completion, Entry, GroupId, LogStore, StableKey, StableStore};
use tempfile::tempdir;

use crate::support::{
    append, aside, close, content, copy, damage, entry_key, fingerprint, open, run, sample, uri,
};

#[test]
fn a_copy_has_everything() {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    sample(&from);
    let ran = copy(&from, &to).exits(0);
    assert!(ran.stdout.contains("2012 entries in 7 groups"), "{ran:?}");
    assert_eq!(content(&uri(&from)), content(&uri(&to)));
    assert!(!aside(&to).exists());
    // It is a store to go on with.
    let store = open(&to);
    append(&store, 5, 2000, 1, 10);
    close(store);
    run(["check", &uri(&to)]).exits(0);
}

#[test]
fn a_copy_may_go_to_an_empty_directory_and_an_empty_store_be_copied() {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    close(open(&from));
    fs::create_dir(&to).unwrap();
    copy(&from, &to).exits(0);
    assert_eq!(
        run(["check", &uri(&to), "--json"]).exits(0).json()["groups"],
        0
    );
}

#[test]
fn thousands_of_groups_and_the_largest_entries_are_copied() {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let store = open(&from);
    block_on(async {
        for number in 0..3000 {
            let group = store.group(GroupId(number));
            let entries = vec![
                Entry::new(number, "first"),
                Entry::new(number + 1, "second"),
            ];
            group
                .put_lazy(&StableKey::VOTE, Some("term 1".into()))
                .await
                .unwrap();
            group.append(entries, Completion::ignore()).await.unwrap();
        }
    });
    append(&store, 5000, 1, 1, 64 << 20);
    append(&store, 5001, 1, 50_000, 0);
    close(store);
    let ran = copy(&from, &to).exits(0);
    assert!(
        ran.stdout.contains("56001 entries in 3002 groups"),
        "{ran:?}"
    );
    let check = run(["check", &uri(&to), "--json"]).exits(0).json();
    assert_eq!(
        (&check["entries"], &check["stable_keys"]),
        (&56_001.into(), &3000.into())
    );
}

#[test]
fn what_cannot_be_a_target_is_refused_and_left_alone() {
    let dir = tempdir().unwrap();
    let from = dir.path().join("from");
    sample(&from);
    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("letter.txt"), "dear reader").unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    symlink(&full, dir.path().join("link")).unwrap();
    let before = fingerprint(dir.path());
    for (to, message) in [
        ("full", "is not empty"),
        ("from", "is not empty"),
        ("file", "is a file or a link"),
        ("link", "is a file or a link"),
        ("nowhere/to", "make that folder first"),
        ("from/to", "in each other"),
        ("from/redb/to", "in each other"),
        ("full/..", "no name of its own"),
    ] {
        copy(&from, &dir.path().join(to)).exits(2).says(message);
        assert!(fingerprint(dir.path()) == before, "{to} changed something");
    }
    run(["copy", "--from", &uri(&from), "--to", "redb:/"])
        .exits(2)
        .says("no name of its own");
}

#[test]
fn a_damaged_source_is_not_copied() {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    sample(&from);
    damage(&from, |records| records.flip(&entry_key(5, 1000)));
    copy(&from, &to)
        .exits(1)
        .says("group 5, indexes 1000..=1000");
    assert!(!to.exists());
}
