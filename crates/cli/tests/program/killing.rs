//! A copy that is killed goes on where it was, and is never taken for a whole one.

use std::fs::{self, File};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use raft_logstore::StableKey;
use tempfile::{TempDir, tempdir};

use crate::support::{
    SCHEMES, append, aside, close, content, copy, copy_between, damage, entry_key, open, open_uri,
    purge, run, set, start, uri, uri_of,
};

/// Makes a store that takes a while to copy: 40 MB, some five commits of a copy.
fn large(uri: &str) {
    let store = open_uri(uri);
    for group in 1..=10 {
        purge(&store, group, 5);
        append(&store, group, 7, 2000, 2000);
        set(&store, group, &StableKey::VOTE, "term 1");
    }
    close(store);
}

/// The highest commit that the watermark of a store, which another process writes, tells.
fn commits(store: &Path) -> u64 {
    let bytes = fs::read(store.join("WATERMARK")).unwrap_or_default();
    let slot = |at: usize| {
        bytes
            .get(at + 16..at + 24)
            .map(|slot| u64::from_le_bytes(slot.try_into().unwrap()))
    };
    slot(0).max(slot(4096)).unwrap_or(0)
}

/// Starts a copy and kills it as soon as `when` holds. Says whether it was killed before its end.
fn kill(from: &str, to: &str, when: impl Fn() -> bool) -> bool {
    let mut child = start(["copy", "--from", from, "--to", to]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !when() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the copy does not get on");
        sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// A source, and a target whose copy was killed when some of it was durable.
fn half_done() -> (TempDir, std::path::PathBuf, std::path::PathBuf) {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    large(&uri(&from));
    let store = aside(&to).join("store");
    assert!(kill(&uri(&from), &uri(&to), || commits(&store) >= 2));
    (dir, from, to)
}

#[test]
fn a_killed_copy_goes_on_at_whatever_moment_it_was_killed() {
    let dir = tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    large(&uri(&from));
    let (workplace, store) = (aside(&to), aside(&to).join("store"));
    let mut kills = 0;
    // What is there for a moment only may be missed.
    let made = || store.join("redb").exists();
    for part in [
        workplace.clone(),
        workplace.join("COPY"),
        store.clone(),
        store.join("redb.new"),
    ] {
        kills += u32::from(kill(&uri(&from), &uri(&to), || part.exists() || made()));
        assert!(!to.exists());
    }
    // Then after each of some commits; what was durable is not done again.
    for _ in 0..3 {
        let before = commits(&store);
        if !kill(&uri(&from), &uri(&to), || commits(&store) > before) {
            break;
        }
        kills += 1;
        assert!(
            to.exists() || commits(&store) > before,
            "the copy started over"
        );
    }
    // Then while it compares, which it does with the store closed.
    let before = commits(&store);
    let closed = || fs::read(store.join("LOCK")).is_ok_and(|note| note == b"closed");
    kills += u32::from(kill(&uri(&from), &uri(&to), || {
        commits(&store) > before && closed()
    }));
    assert!(kills >= 5, "{kills} kills");
    if !to.exists() || workplace.exists() {
        copy(&from, &to).exits(0);
    }
    assert!(!workplace.exists());
    assert_eq!(content(&uri(&from)), content(&uri(&to)));
    run(["check", &uri(&to)]).exits(0);
}

#[test]
fn a_killed_copy_to_another_backend_goes_on() {
    for (at, from_scheme) in SCHEMES.iter().enumerate() {
        let dir = tempdir().unwrap();
        let target = dir.path().join("to");
        let from = uri_of(from_scheme, &dir.path().join("from"));
        let to = uri_of(SCHEMES[(at + 1) % SCHEMES.len()], &target);
        large(&from);
        let store = aside(&target).join("store");
        assert!(kill(&from, &to, || commits(&store) >= 2));
        assert!(!target.exists());
        let before = commits(&store);
        copy_between(&from, &to).exits(0);
        assert_eq!(content(&from), content(&to));
        assert!(commits(&target) > before, "{from} started over to {to}");
        run(["check", &to]).exits(0);
    }
}

#[test]
fn a_copy_of_a_source_that_has_changed_is_refused() {
    let (_dir, from, to) = half_done();
    let store = open(&from);
    append(&store, 1, 2007, 1, 10);
    close(store);
    copy(&from, &to).exits(2).says("remove it to start over");
    assert!(!to.exists());
    fs::remove_dir_all(aside(&to)).unwrap();
    copy(&from, &to).exits(0);
    assert_eq!(content(&uri(&from)), content(&uri(&to)));
}

#[test]
fn a_second_copy_to_the_same_target_is_refused() {
    let (_dir, from, to) = half_done();
    let note = File::open(aside(&to).join("COPY")).unwrap();
    note.lock().unwrap();
    copy(&from, &to)
        .exits(2)
        .says("another process is making a copy");
    drop(note);
    copy(&from, &to).exits(0);
}

#[test]
fn a_part_that_is_not_of_the_source_is_found() {
    // Changed behind the back of the copy: bytes that are sealed, but others.
    let (_dir, from, to) = half_done();
    let part = aside(&to).join("store");
    close(open(&part));
    let group = 1;
    let store = open(&part);
    let last = futures_executor::block_on(async {
        use raft_logstore::{GroupId, LogStoreExt};
        let group = store.group(GroupId(group));
        let last = group.last_index().await.unwrap().unwrap();
        group.truncate_durable(last).await.unwrap();
        last
    });
    append(&store, group, last, 1, 17);
    close(store);
    copy(&from, &to)
        .exits(1)
        .says("remove the copy and start over");
    assert!(!to.exists());

    // Damaged: the same, in other words.
    damage(&part, |records| records.flip(&entry_key(group, 8)));
    copy(&from, &to).exits(1).says("group 1");
    assert!(!to.exists());
}

#[test]
fn something_else_in_the_place_of_the_parts_is_refused() {
    let (_dir, from, to) = half_done();
    let letter = aside(&to).join("letter.txt");
    fs::write(&letter, "dear reader").unwrap();
    copy(&from, &to).exits(2).says("letter.txt");
    fs::remove_file(letter).unwrap();
    fs::write(aside(&to).join("COPY"), "{\"origin\":").unwrap();
    copy(&from, &to)
        .exits(2)
        .says("does not say of what it is a copy");
}

#[test]
fn a_copy_that_was_killed_while_it_cleaned_up_is_whole() {
    let (_dir, from, to) = half_done();
    // What a kill right after the rename leaves.
    let note = fs::read_to_string(aside(&to).join("COPY")).unwrap();
    copy(&from, &to).exits(0);
    fs::create_dir(aside(&to)).unwrap();
    let compared = note.replace("\"compared\":false", "\"compared\":true");
    assert_ne!(note, compared);
    fs::write(aside(&to).join("COPY"), &compared).unwrap();
    let ran = copy(&from, &to).exits(0);
    assert!(ran.stdout.contains("is a whole copy"), "{ran:?}");
    assert!(!aside(&to).exists());
    assert_eq!(content(&uri(&from)), content(&uri(&to)));

    // A target that came from elsewhere meanwhile is not taken for the copy.
    fs::create_dir(aside(&to)).unwrap();
    fs::write(aside(&to).join("COPY"), &note).unwrap();
    copy(&from, &to).exits(2).says("not the copy");
}
