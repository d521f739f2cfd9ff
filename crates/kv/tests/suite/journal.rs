//! What is found of the commits that are not settled yet.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use raft_logstore_core::{Backend, Entry, Error, ErrorKind, IndexRange, Op};
use rstest::rstest;

use crate::map_engine::MapEngine;
use crate::store::{GROUP, Store, append, put};

/// Where the first commit is, what comes before its body, and how long the file is when nothing made it grow.
const START: usize = 4096;
const HEAD: usize = 32;
const CAPACITY: u64 = 4 << 20;

fn journal(store: &Store) -> PathBuf {
    store.engine.dir().join("journal")
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
    let mut names: Vec<_> = names.filter(|name| name != "journal").collect();
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
    fs::copy(MapEngine::new_store().dir().join("journal"), path).unwrap();
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
        let entries = vec![Entry::new(index, vec![index as u8; 100 << 10])];
        store.commit([Op::Append {
            group: GROUP,
            entries,
        }]);
        // Entries in their place and entries in the journal are one log.
        assert_eq!(store.indexes(GROUP), (1..=index).collect::<Vec<_>>());
    }
    // No engine write for a commit, but one for the settle of about 20.
    let writes = store.engine.writes() - 1;
    assert!((4..=6).contains(&writes), "{writes} writes");
    assert_eq!(fs::metadata(journal(&store)).unwrap().len(), CAPACITY);
    // A crash in between loses nothing; a close leaves everything in its place.
    store.reopen();
    assert_eq!(store.indexes(GROUP), (1..=100).collect::<Vec<_>>());
    store.commit([put(GROUP, "vote")]);
    store.settle();
    assert_eq!(store.stored_entries(GROUP), 100);
    assert_eq!(store.indexes(GROUP), (1..=100).collect::<Vec<_>>());
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
    let path = journal(&store);
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
    file.set_len(whole.len() as u64 - 100).unwrap();
    assert_eq!(store.open_again().unwrap().sequence().unwrap(), 4);
    fs::write(&path, whole).unwrap();
    store.reopen();
    store.settle();
    store.commit([put(GROUP, "vote")]);
    store.settle();
    assert_eq!(fs::metadata(&path).unwrap().len(), CAPACITY);
    assert_eq!(read(&store), entries);
}
