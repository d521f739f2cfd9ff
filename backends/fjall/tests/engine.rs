//! What the fjall backend promises beyond the conformance suite: its options, its files, and what it
//! says when they are not as it left them.

// The helpers of tests state what they expect by unwrapping, too.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raft_logstore_core::{Backend, BackendConfig, Batch, Entry, ErrorKind, IndexRange, Op};
use raft_logstore_fjall::FjallConfig;
use rstest::rstest;
use support::*;

#[test]
fn opening_never_creates_and_creating_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let config = FjallConfig::default();
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.path(), Some(&*dir.path().join("db/version")));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let store = filled();
    let dir = store.unpack();
    let error = config.create(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(opened(&config, dir.path()).unwrap(), store.content);
}

#[test]
fn an_open_store_is_locked_and_a_closed_or_dropped_one_can_be_opened_at_once() {
    let (dir, config) = created();
    for round in 1..=40 {
        let backend = config.open(dir.path()).unwrap();
        commit(&*backend, round, vec![append(GROUP, round, round)]);
        if round == 1 {
            assert_eq!(open_error(&config, dir.path()).kind(), ErrorKind::Locked);
            let error = config.open_read_only(dir.path()).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Locked);
        }
        let start = Instant::now();
        if round % 2 == 0 {
            backend.close().unwrap();
        } else {
            drop(backend);
        }
        assert!(start.elapsed() < Duration::from_secs(30));
    }
    let backend = config.open(dir.path()).unwrap();
    assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(40));
}

#[test]
fn a_reader_sees_a_batch_as_a_whole_while_others_are_written() {
    let (dir, config) = created();
    let backend = config.open(dir.path()).unwrap();
    let (looks, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let [one, two] = [GROUP, OTHER].map(|group| {
                    let entries = backend.read(group, IndexRange::new(..), u64::MAX).unwrap();
                    assert_eq!(entries.len() % 7, 0, "a part of a batch");
                    entries.len()
                });
                // The second was read later, so it may be ahead but never behind.
                assert!(one <= two);
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Until the reader has looked often, however late it began.
        let mut sequence = 0;
        while sequence < 300 || (looks.load(Ordering::Relaxed) < 20 && !reader.is_finished()) {
            let (first, last) = (sequence * 7 + 1, sequence * 7 + 7);
            let ops = vec![append(GROUP, first, last), append(OTHER, first, last)];
            sequence += 1;
            commit(&*backend, sequence, ops);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_entry_of_many_mebibytes_is_kept() {
    let (dir, config) = created();
    let config = config.with_memtable_bytes(1 << 20);
    let payload: Vec<u8> = (0..40u32 << 20).map(|byte| (byte % 251) as u8).collect();
    let backend = config.open(dir.path()).unwrap();
    for index in 1..=4 {
        let entries = vec![Entry::new(index, payload.clone())];
        let ops = vec![Op::Append {
            group: GROUP,
            entries,
        }];
        commit(&*backend, index, ops);
    }
    backend.close().unwrap();
    let backend = config.open(dir.path()).unwrap();
    for index in 1..=4 {
        let entries = backend
            .read(GROUP, (index..=index).into(), u64::MAX)
            .unwrap();
        assert!(entries[0].payload == payload, "{index}");
    }
}

// Other programs' files.

#[rstest]
#[case::with_records(true)]
#[case::empty(false)]
fn a_database_of_another_program_is_refused_and_kept(#[case] with_records: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let open = || {
        let database = fjall::Database::builder(&path).open().unwrap();
        let theirs = database.keyspace("theirs", Default::default).unwrap();
        (database, theirs)
    };
    let (database, theirs) = open();
    if with_records {
        theirs.insert("key", "value").unwrap();
    }
    drop((database, theirs));

    let config = FjallConfig::default();
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Format, "{error}");
    assert!(error.to_string().contains("another program"), "{error}");

    let (_database, theirs) = open();
    let expected = with_records.then(|| "value".into());
    assert_eq!(theirs.get("key").unwrap(), expected);
}

#[rstest]
#[case::another_version(b"FJL\x04", ErrorKind::Format)]
#[case::another_file(b"hello", ErrorKind::Corrupt)]
#[case::nothing(b"", ErrorKind::Corrupt)]
fn a_version_that_is_not_known_is_refused(#[case] version: &[u8], #[case] kind: ErrorKind) {
    let store = filled();
    let dir = store.unpack();
    fs::write(dir.path().join("db/version"), version).unwrap();
    let error = open_error(&store.config, dir.path());
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.path(), Some(&*dir.path().join("db/version")));
}

// Damage.

/// Opens what is left of `store`, all of which was acknowledged, after damage to the file `name`.
/// Nothing acknowledged may be missing: the last batch is in the journal of the store, too. When there is
/// an error, putting the file back must bring everything back.
fn check_damage(store: &Packed, dir: &Path, name: &Path, at: &str) -> bool {
    match opened(&store.config, dir) {
        Ok(found) => {
            assert!(found == store.content, "{} {at}: {found}", name.display());
            false
        }
        Err(error) => {
            let is_version = name.ends_with("version");
            let kinds = [ErrorKind::Corrupt, ErrorKind::Format];
            assert!(
                kinds[..1 + usize::from(is_version)].contains(&error.kind()),
                "{} {at}: {error}",
                name.display()
            );
            store.unpack_file(name, dir);
            let found = opened(&store.config, dir)
                .unwrap_or_else(|error| panic!("{} {at}, put back: {error}", name.display()));
            assert_eq!(found, store.content, "{} {at}, put back", name.display());
            true
        }
    }
}

#[rstest]
#[case::closed(filled())]
#[case::killed(killed())]
fn a_flipped_bit_in_any_file_is_an_error_or_harmless_and_destroys_nothing(#[case] store: Packed) {
    let mut reported = 0;
    for (name, file) in &store.files {
        // A stride that shares no factor with the size of a page visits all kinds of bytes.
        let stride = (file.bytes.len() / 70).max(1) | 1;
        for at in (0..file.bytes.len()).step_by(stride) {
            let dir = store.unpack();
            let damaged = OpenOptions::new()
                .write(true)
                .open(dir.path().join(name))
                .unwrap();
            let byte = file.bytes[at] ^ 1 << (at % 8);
            damaged.write_all_at(&[byte], at as u64).unwrap();
            let is_error = check_damage(&store, dir.path(), name, &format!("byte {at}"));
            reported += u32::from(is_error);
        }
    }
    assert!(reported > 50, "{reported}");
}

#[rstest]
#[case::closed(filled())]
#[case::killed(killed())]
fn a_missing_or_truncated_file_is_an_error_and_destroys_nothing(#[case] store: Packed) {
    for (name, file) in &store.files {
        let dir = store.unpack();
        fs::remove_file(dir.path().join(name)).unwrap();
        let is_error = check_damage(&store, dir.path(), name, "missing");
        // An old list of tables may be left over.
        let may_go = name.file_name().unwrap().to_str().unwrap();
        let may_go = may_go.starts_with('v') && may_go != "version";
        assert!(is_error || may_go, "{}", name.display());
        for part in 0..8 {
            let dir = store.unpack();
            let damaged = OpenOptions::new().write(true).open(dir.path().join(name));
            let len = file.len * part / 8;
            damaged.unwrap().set_len(len).unwrap();
            check_damage(&store, dir.path(), name, &format!("{len} bytes"));
        }
    }
}

/// A store whose last batch, of 4 x 16 KiB, is in the journal, and where it lies there.
fn with_large_last_batch() -> (Packed, PathBuf, u64, u64) {
    let (dir, config) = created();
    let backend = config.open(dir.path()).unwrap();
    commit_and_settle(&*backend, 1, vec![append(GROUP, 1, 50), vote(GROUP, "a")]);
    let start = Packed::of(dir.path(), &config, "").journal().1;
    let entries = (51..=54).map(|index| Entry::new(index, vec![index as u8; 16 << 10]));
    let ops = vec![Op::Append {
        group: GROUP,
        entries: entries.collect(),
    }];
    commit_and_settle(&*backend, 2, ops);
    let content = content(&*backend).unwrap();
    let store = Packed::of(dir.path(), &config, &content);
    let (name, end) = store.journal();
    (store, name, start, end)
}

/// The copies of what was cut off.
fn copies(dir: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("torn-")
        })
        .map(|path| fs::read(path).unwrap())
        .collect()
}

/// Checks that the tail of the journal from `start` on was cut off, with a copy, and that the store
/// goes on.
fn check_cut(store: &Packed, dir: &Path, journal: &Path, start: u64, at: &str) {
    let damaged = fs::read(dir.join(journal)).unwrap();
    let end = damaged.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let backend = store
        .config
        .open(dir)
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    assert_eq!(content(&*backend).unwrap(), store.content, "{at}");
    let copies = copies(dir);
    if end as u64 > start {
        assert_eq!(copies, [&damaged[start as usize..end]], "{at}");
    } else {
        assert!(copies.is_empty(), "{at}");
    }
    commit(&*backend, 3, vec![append(OTHER, 1, 3)]);
    let expected = content(&*backend).unwrap();
    drop(backend);
    assert_eq!(opened(&store.config, dir).unwrap(), expected, "{at}");
}

#[test]
fn a_torn_page_of_the_last_batch_is_cut_off_and_copied_aside() {
    let (store, journal, start, end) = with_large_last_batch();
    for page in start / 4096..end.div_ceil(4096) {
        let dir = store.unpack();
        let damaged = OpenOptions::new()
            .write(true)
            .open(dir.path().join(&journal))
            .unwrap();
        let from = (page * 4096).max(start);
        let len = (page * 4096 + 4096).min(end) - from;
        damaged.write_all_at(&vec![0; len as usize], from).unwrap();
        check_cut(&store, dir.path(), &journal, start, &format!("page {page}"));
    }
}

#[rstest]
#[case::with_the_zeros_that_fjall_put_behind_it(true)]
#[case::without(false)]
fn a_last_batch_that_is_cut_short_anywhere_is_cut_off_and_copied_aside(#[case] keep_len: bool) {
    let store = killed();
    let (journal, end) = store.journal();
    // Every other place each.
    for at in (store.last_batch + u64::from(keep_len)..end).step_by(2) {
        let dir = store.unpack();
        let damaged = OpenOptions::new()
            .write(true)
            .open(dir.path().join(&journal))
            .unwrap();
        damaged.set_len(at).unwrap();
        if keep_len {
            damaged.set_len(64 << 20).unwrap();
        }
        let backend = store.config.open(dir.path()).unwrap();
        assert_eq!(content(&*backend).unwrap(), store.content, "{at}");
        assert_eq!(copies(dir.path()).len(), usize::from(at > store.last_batch));
    }
}

#[test]
fn damage_before_the_last_batch_is_an_error_that_names_the_place_and_cuts_nothing() {
    let store = killed();
    let (journal, _) = store.journal();
    let bytes = &store.files[&journal].bytes;
    let starts: Vec<usize> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, key)| key == b"~batch")
        .map(|(at, _)| at - 34)
        .collect();
    assert!(starts.len() >= 4, "{starts:?}");
    let last = *starts.last().unwrap();
    assert_eq!(last as u64, store.last_batch);
    let mut places = Vec::new();
    for pair in starts.windows(2) {
        // The head of a batch and its end, which fjall's checksum leaves out; some of the middle.
        places.extend(pair[0]..pair[0] + 60);
        places.extend(pair[1] - 13..pair[1]);
        places.extend((pair[0]..pair[1]).step_by((pair[1] - pair[0]) / 5));
    }
    for at in places {
        {
            let mask = if at % 2 == 0 { 0xff } else { 1 };
            let dir = store.unpack();
            let path = dir.path().join(&journal);
            let damaged = OpenOptions::new().write(true).open(&path).unwrap();
            damaged
                .write_all_at(&[bytes[at] ^ mask], at as u64)
                .unwrap();
            let before = fs::read(&path).unwrap();
            match opened(&store.config, dir.path()) {
                // The lowest bits of fjall's sequence number may be any that keep the order.
                Ok(found) => assert_eq!(found, store.content, "byte {at}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
                    assert_eq!(error.path(), Some(&*path), "byte {at}: {error}");
                    assert!(error.to_string().contains("offset"), "{error}");
                    assert!(fs::read(&path).unwrap() == before, "byte {at}");
                    assert!(copies(dir.path()).is_empty(), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn a_lost_page_before_the_last_batch_is_an_error() {
    let store = killed();
    let (journal, _) = store.journal();
    for page in 0..store.last_batch / 4096 {
        let dir = store.unpack();
        let damaged = OpenOptions::new()
            .write(true)
            .open(dir.path().join(&journal))
            .unwrap();
        damaged.write_all_at(&[0; 4096], page * 4096).unwrap();
        let error = open_error(&store.config, dir.path());
        assert_eq!(error.kind(), ErrorKind::Corrupt, "page {page}: {error}");
    }
}

/// The journal of a killed store in two, as it is when fjall has gone on to the next before the last
/// batch.
fn with_sealed_journal() -> (Packed, PathBuf) {
    let mut store = killed();
    let (sealed, _) = store.journal();
    let file = store.files.get_mut(&sealed).unwrap();
    let next = PackedFile {
        bytes: file.bytes.split_off(store.last_batch as usize),
        len: file.len,
    };
    assert_eq!(sealed, Path::new("db/0.jnl"));
    store.files.insert("db/1.jnl".into(), next);
    (store, sealed)
}

#[test]
fn a_damaged_or_missing_sealed_journal_is_an_error() {
    let (store, sealed) = with_sealed_journal();
    let dir = store.unpack();
    assert_eq!(opened(&store.config, dir.path()).unwrap(), store.content);

    let bytes = &store.files[&sealed].bytes;
    for at in [5, bytes.len() / 2, bytes.len() - 5, bytes.len() - 200] {
        let dir = store.unpack();
        let path = dir.path().join(&sealed);
        let damaged = OpenOptions::new().write(true).open(&path).unwrap();
        damaged.write_all_at(&[bytes[at] ^ 4], at as u64).unwrap();
        let error = open_error(&store.config, dir.path());
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{at}: {error}");
        assert!(error.to_string().contains("offset"), "{at}: {error}");
        assert!(check_damage(&store, dir.path(), &sealed, "put back"));
    }
    let dir = store.unpack();
    let path = dir.path().join(&sealed);
    let damaged = OpenOptions::new().write(true).open(&path).unwrap();
    damaged.set_len(bytes.len() as u64 - 1).unwrap();
    assert!(check_damage(&store, dir.path(), &sealed, "one byte short"));

    let dir = store.unpack();
    fs::remove_file(dir.path().join(&sealed)).unwrap();
    let error = open_error(&store.config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("journal is missing"), "{error}");
    assert!(check_damage(&store, dir.path(), &sealed, "missing"));
}

/// A torn batch at the end of a journal that was sealed after it failed.
#[test]
fn a_torn_batch_may_be_followed_by_an_empty_journal() {
    let mut store = torn();
    let empty = PackedFile {
        bytes: Vec::new(),
        len: 64 << 20,
    };
    store.files.insert("db/1.jnl".into(), empty);
    let dir = store.unpack();
    assert_eq!(opened(&store.config, dir.path()).unwrap(), store.content);
    assert_eq!(copies(dir.path()).len(), 1);
}

// Looking without changing.

#[rstest]
#[case::closed(filled())]
#[case::killed(killed())]
#[case::torn(torn())]
fn a_store_that_is_only_looked_at_is_not_changed(#[case] store: Packed) {
    let dir = store.unpack();
    let before = listing(dir.path());
    let backend = store.config.open_read_only(dir.path()).unwrap();
    assert_eq!(content(&*backend).unwrap(), store.content);
    // Two may look at once; nobody may write meanwhile.
    let second = store.config.open_read_only(dir.path()).unwrap();
    assert_eq!(content(&*second).unwrap(), store.content);
    second.close().unwrap();
    assert_eq!(
        open_error(&store.config, dir.path()).kind(),
        ErrorKind::Locked
    );
    let batch = Batch {
        sequence: 9,
        ops: vec![vote(GROUP, "b")],
    };
    let error = backend.commit(&batch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(!backend.maintain().unwrap());
    backend.close().unwrap();
    assert_eq!(listing(dir.path()), before);
    assert_eq!(opened(&store.config, dir.path()).unwrap(), store.content);
}

/// Runs the test `name` of this file in a process of its own, in which it is told so.
fn run_apart(name: &str, dir: &Path, temporary: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env("RAFT_LOGSTORE_TEST_DIR", dir)
        .env("TMPDIR", temporary)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
#[ignore = "runs as a process of its own, of other tests"]
fn looked_at_apart() {
    let dir = PathBuf::from(std::env::var_os("RAFT_LOGSTORE_TEST_DIR").unwrap());
    match FjallConfig::default().open_read_only(&dir) {
        Ok(backend) => println!("looked at {:?}", backend.groups().unwrap()),
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
}

#[test]
fn the_temporary_copy_goes_away_and_an_error_of_it_names_the_variable() {
    let store = killed();
    let dir = store.unpack();
    let temporary = tempfile::tempdir().unwrap();
    let text = run_apart("looked_at_apart", dir.path(), temporary.path());
    assert!(text.contains("looked at"), "{text}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    let text = run_apart(
        "looked_at_apart",
        dir.path(),
        &temporary.path().join("none"),
    );
    assert!(text.contains("Io:") && text.contains("TMPDIR"), "{text}");

    let Some(small) = SmallDisk::new(256 << 10) else {
        return;
    };
    let text = run_apart("looked_at_apart", dir.path(), small.path());
    assert!(
        text.contains("DiskFull:") && text.contains("TMPDIR"),
        "{text}"
    );
    assert_eq!(fs::read_dir(small.path()).unwrap().count(), 0);
}

// Space.

#[test]
fn a_full_disk_fails_the_commit_and_loses_nothing_acknowledged() {
    let Some(disk) = SmallDisk::new(20 << 20) else {
        return;
    };
    let config = FjallConfig::default().with_memtable_bytes(2 << 20);
    config.create(disk.path()).unwrap();
    let backend = config.open(disk.path()).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        let index = acknowledged + 1;
        assert!(index < 2000, "the disk never filled");
        let entries = vec![Entry::new(index, vec![index as u8; 100 << 10])];
        let ops = vec![Op::Append {
            group: GROUP,
            entries,
        }];
        match backend.commit(&Batch {
            sequence: index,
            ops,
        }) {
            Ok(()) => acknowledged = index,
            Err(error) => break error,
        }
    };
    // fjall does not say why its background work stopped.
    assert!(
        matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::Poisoned),
        "{error}"
    );
    assert!(acknowledged > 20);
    assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(acknowledged));
    let later = backend.commit(&Batch {
        sequence: acknowledged + 1,
        ops: vec![vote(GROUP, "a")],
    });
    assert_eq!(later.unwrap_err().kind(), ErrorKind::Poisoned);
    drop(backend);

    disk.grow(200 << 20);
    let backend = config.open(disk.path()).unwrap();
    let last = backend.bounds(GROUP).unwrap().last().unwrap();
    // A commit that failed may be there in full.
    assert!((acknowledged..=acknowledged + 1).contains(&last));
    let entries = backend.read(GROUP, IndexRange::new(..), u64::MAX).unwrap();
    assert_eq!(entries.len() as u64, last);
    commit(&*backend, last + 1, vec![append(GROUP, last + 1, last + 1)]);
}

/// Appends `count` entries of 1,000 bytes from `first` on, 512 in a commit.
fn append_long(backend: &dyn Backend, sequence: &mut u64, first: u64, count: u64) {
    for first in (first..first + count).step_by(512) {
        let entries = (first..first + 512).map(|index| Entry::new(index, vec![7; 1000]));
        *sequence += 1;
        let ops = vec![Op::Append {
            group: GROUP,
            entries: entries.collect(),
        }];
        commit(backend, *sequence, ops);
    }
}

fn table_bytes(dir: &Path) -> u64 {
    let tables = fs::read_dir(dir.join("db/keyspaces/1/tables")).unwrap();
    tables
        .map(|table| table.unwrap().metadata().map_or(0, |table| table.len()))
        .sum()
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn purged_space_is_given_back_while_the_store_is_open() {
    let (dir, config) = created();
    let config = config.with_memtable_bytes(4 << 20);
    let backend = config.open(dir.path()).unwrap();
    let mut sequence = 0;
    append_long(&*backend, &mut sequence, 1, 80 * 512);
    // fjall writes tables in the background, and is behind by up to three memtables.
    within(MINUTE, "the tables were not written", || {
        table_bytes(dir.path()) > 30 << 20
    });
    let full = table_bytes(dir.path());
    sequence += 1;
    commit(&*backend, sequence, vec![purge(GROUP, 79 * 512)]);
    while backend.maintain().unwrap() {}
    within(MINUTE, "the deletions were not written out", || {
        backend.reusable_bytes().unwrap() >= full / 2
    });
    // What is appended then, keeping little, makes fjall compact.
    let mut last = 80 * 512;
    within(MINUTE, "nothing was compacted", || {
        append_long(&*backend, &mut sequence, last + 1, 8 * 512);
        last += 8 * 512;
        sequence += 1;
        commit(&*backend, sequence, vec![purge(GROUP, last - 512)]);
        while backend.maintain().unwrap() {}
        table_bytes(dir.path()) <= full / 2
    });
    let entries = backend.read(GROUP, IndexRange::new(..), u64::MAX).unwrap();
    assert_eq!(entries.len(), 512);
}

#[rstest]
#[case::on(true)]
#[case::off(false)]
fn mostly_purged_tables_are_compacted_at_close_unless_told_not_to(#[case] compact: bool) {
    let (dir, config) = created();
    let config = config
        .with_memtable_bytes(4 << 20)
        .with_compact_on_close(compact);
    let backend = config.open(dir.path()).unwrap();
    let mut sequence = 0;
    append_long(&*backend, &mut sequence, 1, 64 * 512);
    let ops = vec![purge(GROUP, 63 * 512)];
    commit(&*backend, sequence + 1, ops);
    while backend.maintain().unwrap() {}
    backend.close().unwrap();
    let bytes = table_bytes(dir.path());
    assert_eq!(bytes < 4 << 20, compact, "{bytes}");
    let bounds = config.open(dir.path()).unwrap().bounds(GROUP).unwrap();
    assert_eq!(
        (bounds.floor(), bounds.last()),
        (Some(63 * 512), Some(64 * 512))
    );
}

// Options.

#[rstest]
#[case::cache(FjallConfig::default().with_cache_bytes(0), "cache_bytes is 0")]
#[case::no_journal(FjallConfig::default().with_journal_bytes(1), "journal_bytes is 1")]
#[case::journal(FjallConfig::default().with_journal_bytes(u64::MAX), "journal_bytes is 1844")]
#[case::no_memtable(FjallConfig::default().with_memtable_bytes(4095), "memtable_bytes is 4095")]
#[case::memtable(FjallConfig::default().with_memtable_bytes(u64::MAX), "memtable_bytes is 1844")]
fn a_silly_size_is_refused(#[case] silly: FjallConfig, #[case] says: &str) {
    let (dir, _) = created();
    let error = open_error(&silly, dir.path());
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(says), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = silly.create(empty.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn the_options_are_read_from_text_and_a_misspelt_one_is_an_error() {
    let read = |text: &str| serde_json::from_str::<FjallConfig>(text);
    assert_eq!(read("{}").unwrap(), FjallConfig::default());
    let config = FjallConfig::default()
        .with_cache_bytes(2 << 20)
        .with_compact_on_close(false);
    assert_eq!(
        read(r#"{"cache_bytes": 2097152, "compact_on_close": false}"#).unwrap(),
        config
    );
    assert_eq!(
        read(&serde_json::to_string(&config).unwrap()).unwrap(),
        config
    );
    assert!(read(r#"{"cash_bytes": 2097152}"#).is_err());
}
