//! What is found of the commits that are not settled yet.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use raft_logstore_core::{Backend, Batch, Entry, Error, ErrorKind, IndexRange, Op};
use rstest::rstest;

use crate::map_engine::MapEngine;
use crate::store::{GROUP, Store, append, purge, put, truncate};

/// Where the first commit is, what comes before its body, and how long the file is when nothing made it grow.
const START: usize = 4096;
const HEAD: usize = 32;
const CAPACITY: u64 = 4 << 20;

/// The file that the first commits go into.
fn journal(store: &Store) -> PathBuf {
    store.engine.dir().join("journal-0")
}

/// The one that commits go into while those are settled.
fn other_journal(store: &Store) -> PathBuf {
    store.engine.dir().join("journal-1")
}

fn write_at(path: &Path, bytes: &[u8], at: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
}

fn flip(path: &Path, bit: usize) {
    let mut byte = [0];
    let file = fs::File::open(path).unwrap();
    file.read_exact_at(&mut byte, (bit / 8) as u64).unwrap();
    byte[0] ^= 1 << (bit % 8);
    write_at(path, &byte, bit / 8);
}

/// Where each commit in the journal starts, and where the next one goes.
fn frames(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let mut frames = vec![START];
    let mut at = START;
    while bytes[at..at + HEAD] != [0; HEAD] {
        let body = u32::from_be_bytes(bytes[at + 16..at + 20].try_into().unwrap());
        at += (HEAD + body as usize).next_multiple_of(8);
        frames.push(at);
    }
    frames
}

fn kept_aside(store: &Store) -> Vec<String> {
    let files = fs::read_dir(store.engine.dir()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("journal-")).collect();
    names.sort();
    names
}

/// Four commits, each of an entry.
fn four_commits() -> Store {
    let mut store = Store::new();
    for index in 1..=4 {
        store.commit([append(GROUP, index, index)]);
    }
    store
}

fn corrupt(store: &Store) -> Error {
    let error = store.open_again().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    error
}

#[test]
fn a_damaged_commit_before_the_last_is_reported_whichever_bit_it_is() {
    let store = four_commits();
    let path = journal(&store);
    let frames = frames(&path);
    for (commit, frame) in (1..=3).zip(frames.windows(2)) {
        for bit in frame[0] * 8..frame[1] * 8 {
            flip(&path, bit);
            // The padding says nothing and is not checked.
            if let Err(error) = store.open_again() {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                let named = error.to_string().contains(&format!("commit {commit} "));
                assert!(named && error.path() == Some(&path), "{error}");
            } else {
                assert!(bit / 8 >= frame[1] - 7, "bit {bit} of commit {commit}");
            }
            flip(&path, bit);
        }
    }
    assert_eq!(store.open_again().unwrap().sequence().unwrap(), 4);
}

#[test]
fn zeros_in_place_of_a_commit_before_the_last_are_reported() {
    let store = four_commits();
    let path = journal(&store);
    let frames = frames(&path);
    write_at(&path, &vec![0; frames[2] - frames[1]], frames[1]);
    assert!(corrupt(&store).to_string().contains("commit 2 "));
}

#[test]
fn a_torn_last_commit_is_not_counted_and_kept_aside_before_it_is_overwritten() {
    let mut store = four_commits();
    let path = journal(&store);
    let frames = frames(&path);
    let (last, end) = (frames[3], frames[4]);
    let whole = fs::read(&path).unwrap();
    for cut in last + 1..end {
        // As after a power cut: the rest of the write never reached the disk.
        write_at(&path, &whole[last..cut], last);
        write_at(&path, &vec![0; end - cut], cut);
        let backend = store.open_again().unwrap();
        let found = backend.sequence().unwrap();
        let whole_but_for_zeros = whole[cut..end].iter().all(|byte| *byte == 0);
        assert_eq!(
            found,
            if whole_but_for_zeros { 4 } else { 3 },
            "cut at {cut}"
        );
        // A look, or a store that is only read, leaves it in place.
        assert_eq!(kept_aside(&store), [""; 0]);
        write_at(&path, &whole[last..end], last);
    }
    let torn = &whole[last..end - 9];
    write_at(&path, torn, last);
    write_at(&path, &[0; 9], end - 9);
    store.sequence = 3;
    store.reopen();
    store.commit([put(GROUP, "vote")]);
    assert_eq!(kept_aside(&store), ["torn-commit-4.1"]);
    let kept = fs::read(store.engine.dir().join("torn-commit-4.1")).unwrap();
    assert!(kept.starts_with(torn));
    store.reopen();
    assert_eq!(
        (store.indexes(GROUP), store.backend.sequence().unwrap()),
        (vec![1, 2, 3], 4)
    );
}

#[test]
fn a_settled_commit_never_comes_back_from_what_is_left_of_it() {
    let mut store = four_commits();
    store.settle();
    // The places of commits 2 to 4 still hold them.
    store.commit([put(GROUP, "v")]);
    for _ in 0..3 {
        store.reopen();
        assert_eq!(store.backend.sequence().unwrap(), 5);
        assert_eq!(store.indexes(GROUP), [1, 2, 3, 4]);
    }
    // Also when the commit that overwrote the first of them is torn.
    write_at(&journal(&store), &[1], START + HEAD);
    store.reopen();
    assert_eq!(store.backend.sequence().unwrap(), 4);
}

#[test]
fn an_engine_that_lost_a_settle_is_reported() {
    let mut store = four_commits();
    let before = store.engine.records();
    store.settle();
    store.commit([append(GROUP, 5, 5)]);
    store.engine.damage(|map| *map = before);
    assert!(corrupt(&store).to_string().contains("commit 1 "));
}

#[test]
fn a_payload_that_looks_like_a_commit_is_none() {
    let mut store = Store::new();
    let path = journal(&store);
    // What lies in the journal, as an entry; then the frame that held it is overwritten in part.
    store.commit([put(GROUP, "vote")]);
    let mut forged = fs::read(&path).unwrap()[START..START + 64].to_vec();
    forged[..8].copy_from_slice(&[7; 8]);
    let entries = vec![Entry::new(1, forged.repeat(64))];
    store.commit([Op::Append {
        group: GROUP,
        entries,
    }]);
    store.settle();
    store.commit([put(GROUP, "vote 2")]);
    store.reopen();
    assert_eq!(
        (store.backend.sequence().unwrap(), store.indexes(GROUP)),
        (3, vec![1])
    );
}

#[rstest]
#[case::missing(|path: &Path| fs::remove_file(path).unwrap())]
#[case::empty(|path: &Path| fs::write(path, "").unwrap())]
#[case::cut_short(|path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(CAPACITY - 1).unwrap())]
#[case::of_another_store(|path: &Path| {
    fs::copy(MapEngine::new_store().dir().join("journal-0"), path).unwrap();
})]
#[case::of_another_program(|path: &Path| write_at(path, b"something else, longer than a header", 0))]
fn a_journal_that_is_not_there_or_not_its_own_is_reported(#[case] damage: fn(&Path)) {
    let store = four_commits();
    damage(&journal(&store));
    let error = corrupt(&store);
    assert_eq!(error.path(), Some(&*journal(&store)), "{error}");
}

#[test]
fn a_flipped_bit_in_the_header_of_the_journal_is_reported() {
    let store = four_commits();
    let path = journal(&store);
    for bit in 0..40 * 8 {
        flip(&path, bit);
        corrupt(&store);
        flip(&path, bit);
    }
}

#[test]
fn a_journal_of_a_newer_format_is_refused_naming_both() {
    let store = four_commits();
    let path = journal(&store);
    let mut header = fs::read(&path).unwrap()[..36].to_vec();
    header[11] = 8;
    let checksum = crc32c::crc32c(&header);
    write_at(&path, &[&header[..], &checksum.to_be_bytes()].concat(), 0);
    let error = store.open_again().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(
        error.to_string().contains("format 8") && error.to_string().contains("reads format 1"),
        "{error}"
    );
}

#[test]
fn the_journal_is_settled_before_it_grows_without_bound() {
    let mut store = Store::new();
    for index in 1..=100 {
        store.commit([large(index)]);
        // Entries in their place and entries in the journal are one log.
        assert_eq!(store.indexes(GROUP), (1..=index).collect::<Vec<_>>());
    }
    // No engine write for a commit, but one for the settle of 20 to 40.
    let writes = store.engine.writes() - 1;
    assert!((2..=5).contains(&writes), "{writes} writes");
    for path in [journal(&store), other_journal(&store)] {
        assert_eq!(fs::metadata(path).unwrap().len(), CAPACITY);
    }
    // A crash in between loses nothing; a close leaves everything in its place.
    store.reopen();
    assert_eq!(store.indexes(GROUP), (1..=100).collect::<Vec<_>>());
    store.commit([put(GROUP, "vote")]);
    store.settle();
    assert_eq!(store.stored_entries(GROUP), 100);
    assert_eq!(store.indexes(GROUP), (1..=100).collect::<Vec<_>>());
}

/// A commit of 100 KiB.
fn large(index: u64) -> Op {
    let entries = vec![Entry::new(index, vec![index as u8; 100 << 10])];
    Op::Append {
        group: GROUP,
        entries,
    }
}

/// A store with 22 commits, each of 100 KiB. The last has begun to settle those before, which does not come to its
/// end.
fn settling() -> Store {
    let mut store = Store::new();
    store.engine.hold_settles();
    for index in 1..=22 {
        store.commit([large(index)]);
    }
    store.engine.wait_for_settle();
    store
}

#[test]
fn commits_go_on_while_those_before_are_settled() {
    let mut store = settling();
    // Appended after them, cut out of them, hidden below them: a read sees one log.
    store.commit([large(23), put(GROUP, "vote")]);
    assert_eq!(store.indexes(GROUP), (1..=23).collect::<Vec<_>>());
    store.commit([truncate(GROUP, 12), append(GROUP, 12, 13)]);
    assert_eq!(store.indexes(GROUP), (1..=13).collect::<Vec<_>>());
    store.commit([purge(GROUP, 3)]);
    let expected: Vec<_> = (4..=13).collect();
    assert_eq!(store.indexes(GROUP), expected);
    assert_eq!(store.engine.writes(), 1);
    // A crash in the middle loses nothing, nor one after the end of it.
    store.reopen();
    assert_eq!(store.indexes(GROUP), expected);
    assert_eq!(store.backend.sequence().unwrap(), store.sequence);
    store.commit([put(GROUP, "vote 2")]);
    store.settle();
    assert_eq!(store.indexes(GROUP), expected);
    assert_eq!(store.stored_entries(GROUP), expected.len());
}

#[test]
fn a_group_dropped_while_it_is_settled_stays_dropped() {
    let mut store = settling();
    store.commit([Op::DropGroup { group: GROUP }]);
    assert_eq!(store.backend.groups().unwrap(), []);
    store.engine.release_settles();
    store.settle();
    assert_eq!(
        (store.backend.groups().unwrap(), store.stored_entries(GROUP)),
        (vec![], 0)
    );
}

#[test]
fn after_a_crash_both_files_may_be_in_use() {
    let mut store = settling();
    for index in 23..=40 {
        store.commit([large(index)]);
    }
    store.reopen();
    // The next commits find the rest of the room, and then that of a file which was settled.
    for index in 41..=140 {
        store.commit([large(index)]);
    }
    store.reopen();
    assert_eq!(store.indexes(GROUP), (1..=140).collect::<Vec<_>>());
    store.commit([put(GROUP, "vote")]);
    store.settle();
    assert_eq!(store.stored_entries(GROUP), 140);
}

#[test]
fn commits_may_follow_settled_ones_in_a_file() {
    // Both files have a commit, since a settle of the first never came to its end.
    let mut store = Store::new();
    store.engine.hold_settles();
    store.commit([append(GROUP, 1, 5), truncate(GROUP, 3)]);
    assert!(store.backend.maintain().unwrap());
    store.engine.wait_for_settle();
    store.commit([append(GROUP, 3, 5)]);
    store.reopen();
    // Now both are settled, with a commit behind that has no other file to go to.
    assert!(store.backend.maintain().unwrap());
    store.commit([append(GROUP, 6, 6)]);
    store.reopen();
    assert_eq!(store.indexes(GROUP), (1..=6).collect::<Vec<_>>());
}

#[test]
fn damage_in_the_file_that_is_settled_is_reported_when_the_other_goes_on() {
    let mut store = settling();
    store.commit([put(GROUP, "vote")]);
    store.engine.crash();
    let path = journal(&store);
    let frames = frames(&path);
    let (last, commit) = (frames[frames.len() - 2], frames.len() - 1);
    for bit in (0..HEAD * 8).chain([HEAD * 8 + 100]) {
        flip(&path, last * 8 + bit);
        let error = corrupt(&store);
        assert!(
            error.to_string().contains(&format!("commit {commit} ")),
            "{error}"
        );
        flip(&path, last * 8 + bit);
    }
    store.reopen();
    assert_eq!(store.backend.sequence().unwrap(), store.sequence);
}

#[test]
fn a_first_commit_that_is_torn_is_kept_aside_before_the_file_is_used_again() {
    let mut store = settling();
    let commits = store.sequence - 1;
    // Only the first page of it reached the disk; the process is gone.
    let path = other_journal(&store);
    let torn = fs::read(&path).unwrap()[START..2 * START].to_vec();
    write_at(&path, &vec![0; 100 << 10], 2 * START);
    store.reopen();
    assert_eq!(store.backend.sequence().unwrap(), commits);
    store.sequence = commits;
    store.commit([large(22)]);
    let kept = format!("torn-commit-{}.1", commits + 1);
    assert_eq!(kept_aside(&store), [&*kept]);
    let kept = fs::read(store.engine.dir().join(kept)).unwrap();
    assert!(kept.starts_with(&torn));
    store.reopen();
    assert_eq!(store.indexes(GROUP), (1..=22).collect::<Vec<_>>());
}

#[test]
fn a_settle_that_fails_ends_writing_and_loses_nothing() {
    let mut store = settling();
    store.engine.crash();
    // It is seen by a commit soon after.
    let failure = loop {
        let batch = Batch {
            sequence: store.sequence + 1,
            ops: vec![put(GROUP, "vote")],
        };
        match store.backend.commit(&batch) {
            Ok(()) => store.sequence += 1,
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind(), ErrorKind::Io);
    let error = store.backend.maintain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    // What was acknowledged is there, for readers and after the next open.
    for _ in 0..2 {
        assert_eq!(store.indexes(GROUP), (1..=22).collect::<Vec<_>>());
        assert_eq!(store.backend.sequence().unwrap(), store.sequence);
        store.reopen();
    }
}

#[test]
fn a_commit_larger_than_the_journal_makes_it_grow_until_it_is_settled() {
    let mut store = four_commits();
    let entries: Vec<_> = (5..=10)
        .map(|index| Entry::new(index, vec![index as u8; 1 << 20]))
        .collect();
    store.commit([Op::Append {
        group: GROUP,
        entries: entries.clone(),
    }]);
    // It has no room behind the others, so they are settled and it goes into the other file.
    let path = other_journal(&store);
    assert!(fs::metadata(&path).unwrap().len() > CAPACITY + (2 << 20));
    let read = |store: &Store| {
        store
            .backend
            .read(GROUP, IndexRange::new(5..), u64::MAX)
            .unwrap()
    };
    store.reopen();
    assert_eq!(read(&store), entries);
    // Cut short, its end is missing: only the watermark of a store knows that it was there.
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    file.set_len(whole.len() as u64 - 1000).unwrap();
    assert_eq!(store.open_again().unwrap().sequence().unwrap(), 4);
    fs::write(&path, whole).unwrap();
    store.reopen();
    store.settle();
    // What is left of it when it is settled is not taken for a torn one.
    store.commit([put(GROUP, "vote")]);
    store.settle();
    assert_eq!(fs::metadata(&path).unwrap().len(), CAPACITY);
    assert_eq!(read(&store), entries);
    store.commit([put(GROUP, "vote 2")]);
    assert_eq!(kept_aside(&store), [""; 0]);
}
