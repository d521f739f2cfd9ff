//! What the heed backend promises beyond the conformance suite: its options, its file, its map, and
//! what it says when the file is not as it left it.

// The helpers of tests state what they expect by unwrapping, too.
#![allow(clippy::unwrap_used)]
// One test makes a file with LMDB itself.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, thread};

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvOpenOptions};
use raft_logstore_core::{
    Backend, BackendConfig, Batch, Entry, Error, ErrorKind, GroupId, IndexRange, Op, Result,
    StableKey,
};
use raft_logstore_heed::HeedConfig;
use rstest::rstest;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

const GROUP: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(2);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn append_sized(group: GroupId, first: u64, last: u64, bytes: usize) -> Op {
    let entries = (first..=last).map(|index| Entry::new(index, vec![index as u8; bytes]));
    Op::Append {
        group,
        entries: entries.collect(),
    }
}

fn append(group: GroupId, first: u64, last: u64) -> Op {
    append_sized(group, first, last, 100)
}

fn purge(group: GroupId, up_to: u64) -> Op {
    Op::Purge {
        group,
        up_to,
        id: up_to.to_string().into(),
    }
}

fn vote(group: GroupId, value: &'static str) -> Op {
    Op::Put {
        group,
        key: StableKey::VOTE,
        value: Some(value.into()),
    }
}

fn commit(backend: &dyn Backend, ops: Vec<Op>) -> Result<()> {
    let sequence = backend.sequence()? + 1;
    backend.commit(&Batch { sequence, ops })
}

fn created(config: HeedConfig) -> (TempDir, HeedConfig) {
    let dir = tempfile::tempdir().unwrap();
    config.create(dir.path()).unwrap();
    (dir, config)
}

fn file(dir: &Path) -> PathBuf {
    dir.join("data.mdb")
}

/// A closed store with some history: trees of several levels, long values, free pages.
fn filled() -> (TempDir, HeedConfig, String) {
    let (dir, config) = created(HeedConfig::default());
    let backend = config.open(dir.path()).unwrap();
    commit(&*backend, vec![append(GROUP, 1, 500), vote(GROUP, "a")]).unwrap();
    let ops = vec![purge(GROUP, 390), append(OTHER, 1, 100), vote(OTHER, "b")];
    commit(&*backend, ops).unwrap();
    commit(&*backend, vec![append_sized(OTHER, 101, 103, 10_000)]).unwrap();
    commit(&*backend, vec![append(GROUP, 501, 520)]).unwrap();
    let content = content(&*backend).unwrap();
    backend.close().unwrap();
    (dir, config, content)
}

/// Everything a backend can be asked for.
fn content(backend: &dyn Backend) -> Result<String> {
    let mut content = format!("{}\n", backend.sequence()?);
    for group in backend.groups()? {
        let entries = backend.read(group, IndexRange::new(..), u64::MAX)?;
        let vote = backend.get(group, &StableKey::VOTE)?;
        content += &format!(
            "{group} {:?} {vote:?} {entries:?}\n",
            backend.bounds(group)?
        );
    }
    Ok(content)
}

fn open_error(config: &HeedConfig, dir: &Path) -> Error {
    config.open(dir).map(|_| ()).unwrap_err()
}

/// Runs the test `name` in a process of its own, where damage may do its worst, and says whether this
/// is the process that waited for it.
fn ran_in_a_child(name: &str) -> bool {
    const MARK: &str = "RAFT_LOGSTORE_HEED_CHILD";
    if env::var_os(MARK).is_some() {
        return false;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let end: Vec<_> = said.lines().rev().take(20).collect();
    assert!(output.status.success(), "{}: {end:#?}", output.status);
    assert!(
        said.contains("1 passed"),
        "{name} is not the name: {end:#?}"
    );
    true
}

/// Every file of the folder, with its content and the time of its last change.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let changed = entry.metadata().unwrap().modified().unwrap();
        (entry.path(), (fs::read(entry.path()).unwrap(), changed))
    });
    entries.collect()
}

#[test]
fn opening_never_creates_and_creating_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let config = HeedConfig::default();
    // A missing file is damage, and stays missing.
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.path(), Some(&*file(dir.path())));
    assert!(config.open_read_only(dir.path()).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    // A file that is there is not made anew.
    let (dir, config, content_before) = filled();
    assert_eq!(
        config.create(dir.path()).unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(
        content(&*config.open(dir.path()).unwrap()).unwrap(),
        content_before
    );
}

#[test]
fn an_open_store_is_locked_and_a_closed_or_dropped_one_is_not() {
    let (dir, config) = created(HeedConfig::default());
    for _ in 0..20 {
        let backend = config.open(dir.path()).unwrap();
        assert_eq!(open_error(&config, dir.path()).kind(), ErrorKind::Locked);
        backend.close().unwrap();
        drop(config.open(dir.path()).unwrap());
    }
    // An open that fails leaves nothing open either.
    let whole = fs::read(file(dir.path())).unwrap();
    fs::write(file(dir.path()), &whole[..100]).unwrap();
    assert_eq!(open_error(&config, dir.path()).kind(), ErrorKind::Corrupt);
    fs::write(file(dir.path()), whole).unwrap();
    config.open(dir.path()).unwrap();
}

#[rstest]
#[case::an_empty_file(b"")]
#[case::a_short_file(b"LMDB")]
#[case::another_file(include_bytes!("engine.rs"))]
#[case::zeros(&[0; 8192])]
fn a_file_that_is_no_database_is_reported_and_left_alone(#[case] bytes: &[u8]) {
    let (dir, config) = created(HeedConfig::default());
    fs::write(file(dir.path()), bytes).unwrap();
    for error in [
        open_error(&config, dir.path()),
        config.open_read_only(dir.path()).map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.path(), Some(&*file(dir.path())));
        assert!(error.to_string().contains("restore"), "{error}");
    }
    assert_eq!(fs::read(file(dir.path())).unwrap(), bytes);
}

#[test]
fn a_truncated_file_is_reported_and_left_alone() {
    if ran_in_a_child("a_truncated_file_is_reported_and_left_alone") {
        return;
    }
    let (dir, config, good) = filled();
    let whole = fs::read(file(dir.path())).unwrap();
    let mut reported = 0;
    for len in (0..whole.len())
        .step_by(1024)
        .chain([1, 151, 4095, 4097, 8191])
    {
        fs::write(file(dir.path()), &whole[..len]).unwrap();
        match config.open(dir.path()) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{len} bytes: {error}");
                assert_eq!(fs::read(file(dir.path())).unwrap(), whole[..len]);
                reported += 1;
            }
            // What was cut off was free.
            Ok(backend) => assert_eq!(content(&*backend).unwrap(), good, "{len} bytes"),
        }
    }
    assert!(reported > whole.len() / 2048, "{reported}");
}

#[test]
fn without_the_check_at_open_a_damaged_record_is_still_reported_when_it_is_read() {
    let (dir, config, _) = filled();
    let mut bytes = fs::read(file(dir.path())).unwrap();
    // Payloads are a hundred times the same byte; this one may also lie in pages that are free by now.
    // 446 as u8 is 190.
    for at in 0..bytes.len() - 100 {
        if bytes[at..at + 100] == [190; 100] {
            bytes[at + 50] ^= 1;
        }
    }
    fs::write(file(dir.path()), bytes).unwrap();
    let config = config.with_check_integrity_on_open(false);
    let backend = config.open(dir.path()).unwrap();
    let error = backend
        .read(GROUP, IndexRange::new(..), u64::MAX)
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP))
    );
    assert_eq!(error.indexes(), Some((446..=446).into()));
}

#[test]
fn a_directory_or_a_read_only_file_in_place_of_the_file_is_reported() {
    let (dir, config) = created(HeedConfig::default());
    let mut permissions = fs::metadata(file(dir.path())).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(file(dir.path()), permissions).unwrap();
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("read-only"), "{error}");
    fs::remove_file(file(dir.path())).unwrap();
    fs::create_dir(file(dir.path())).unwrap();
    assert_eq!(open_error(&config, dir.path()).kind(), ErrorKind::Corrupt);
}

#[rstest]
#[case::in_the_main_database(None)]
#[case::in_a_named_one(Some("theirs"))]
fn a_database_of_another_program_is_refused_and_kept(#[case] name: Option<&str>) {
    let dir = tempfile::tempdir().unwrap();
    let read = |write: bool| {
        let mut options = EnvOpenOptions::new();
        // SAFETY: nobody else has the file.
        let env = unsafe { options.max_dbs(1).open(dir.path()).unwrap() };
        let transaction = env.write_txn().unwrap();
        let theirs = env
            .create_databases_and_commit(transaction, |opener, transaction| {
                opener
                    .create_database::<Bytes, Bytes>(transaction, name)
                    .map(CommitOrAbort::<_, ()>::Commit)
            })
            .unwrap()
            .unwrap_commit();
        if write {
            let mut transaction = env.write_txn().unwrap();
            theirs.put(&mut transaction, b"key", b"value").unwrap();
            transaction.commit().unwrap();
        }
        let transaction = env.read_txn().unwrap();
        let value = theirs
            .get(&transaction, b"key")
            .unwrap()
            .map(<[u8]>::to_vec);
        drop(transaction);
        env.prepare_for_closing().wait();
        value
    };
    let theirs = read(true);
    let error = open_error(&HeedConfig::default(), dir.path());
    assert_eq!(error.kind(), ErrorKind::Format, "{error}");
    assert_eq!(read(false), theirs);
}

#[test]
fn a_file_of_a_newer_lmdb_is_told_apart() {
    let (dir, config, _) = filled();
    let mut bytes = fs::read(file(dir.path())).unwrap();
    bytes[20] = 2;
    fs::write(file(dir.path()), bytes).unwrap();
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Format, "{error}");
    assert!(error.to_string().contains("format 2"), "{error}");
}

#[test]
fn looking_at_a_store_changes_nothing_and_writing_to_it_is_refused() {
    let (dir, config, good) = filled();
    // Not closed: the lock file of LMDB may be there or not.
    for remove_lock in [false, true] {
        drop(config.open(dir.path()).unwrap());
        if remove_lock {
            fs::remove_file(dir.path().join("lock.mdb")).unwrap();
        }
        let before = snapshot(dir.path());
        let backend = config.open_read_only(dir.path()).unwrap();
        assert_eq!(content(&*backend).unwrap(), good);
        backend.reusable_bytes().unwrap();
        let error = commit(&*backend, vec![append(GROUP, 521, 521)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
        assert!(!backend.maintain().unwrap());
        backend.close().unwrap();
        assert_eq!(snapshot(dir.path()), before);
    }
}

#[test]
fn the_map_grows_while_others_read() {
    let (dir, config) = created(HeedConfig::default().with_map_size(HeedConfig::MIN_MAP_SIZE));
    let backend = config.open(dir.path()).unwrap();
    commit(&*backend, vec![append(GROUP, 1, 100)]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let read = backend.read(GROUP, IndexRange::new(1..=100), u64::MAX);
                    let entries = read.unwrap();
                    assert_eq!(entries.len(), 100);
                    assert!(entries.iter().all(|e| *e.payload == [e.index as u8; 100]));
                    backend.reusable_bytes().unwrap();
                }
            });
        }
        for number in 0..64 {
            let first = 101 + number * 20;
            let grown = commit(
                &*backend,
                vec![append_sized(GROUP, first, first + 19, 20_000)],
            );
            if grown.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            grown.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    backend.close().unwrap();
    assert!(fs::metadata(file(dir.path())).unwrap().len() > 20 * MIB);
    // The file is larger than the map that is asked for: that is no obstacle.
    let backend = config.open(dir.path()).unwrap();
    assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(1380));
    assert_eq!(
        backend
            .read(GROUP, IndexRange::new(..), u64::MAX)
            .unwrap()
            .len(),
        1380
    );
}

#[test]
fn a_value_may_be_far_larger_than_the_map() {
    let (dir, config) = created(HeedConfig::default().with_map_size(HeedConfig::MIN_MAP_SIZE));
    let backend = config.open(dir.path()).unwrap();
    let large = 48 << 20;
    commit(&*backend, vec![append_sized(GROUP, 1, 1, large)]).unwrap();
    backend.close().unwrap();
    let backend = config.open(dir.path()).unwrap();
    let entries = backend.read(GROUP, IndexRange::new(..), u64::MAX).unwrap();
    assert_eq!(entries[0].payload.len(), large);
}

/// Appends until it is refused, and checks how. Returns the last index.
fn fill(config: &HeedConfig, dir: &Path, bytes: usize, entries: u64) -> u64 {
    let backend = config.open(dir).unwrap();
    let mut last = backend.bounds(GROUP).unwrap().last().unwrap_or(0);
    let error = loop {
        match commit(
            &*backend,
            vec![append_sized(GROUP, last + 1, last + entries, bytes)],
        ) {
            Ok(()) => last += entries,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    assert!(error.to_string().contains("max_map_size"), "{error}");
    // Reads go on, and nothing is written any more.
    assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(last));
    let refused = commit(&*backend, vec![purge(GROUP, last)]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Poisoned);
    backend.close().unwrap();
    last
}

#[rstest]
#[case::long_entries(70_000, 1)]
#[case::short_entries(1_000, 40)]
#[case::entries_of_a_page(4_000, 3)]
fn a_full_store_can_be_purged_and_goes_on(#[case] bytes: usize, #[case] entries: u64) {
    let config = HeedConfig::default()
        .with_map_size(HeedConfig::MIN_MAP_SIZE)
        .with_max_map_size(2 * MIB)
        .with_compact_on_close(false);
    let (dir, config) = created(config);
    let mut lasts = Vec::new();
    for round in 0..6 {
        let last = fill(&config, dir.path(), bytes, entries);
        assert!(
            lasts.last().is_none_or(|before| last > before + 5),
            "{lasts:?}, {last}"
        );
        lasts.push(last);
        let backend = config.open(dir.path()).unwrap();
        assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(last));
        // A vote too, in a store that is full.
        commit(&*backend, vec![vote(GROUP, "a")]).unwrap();
        commit(&*backend, vec![purge(GROUP, last - 2)]).unwrap();
        while backend.maintain().unwrap() {}
        assert_eq!(
            backend
                .read(GROUP, IndexRange::new(..), u64::MAX)
                .unwrap()
                .len(),
            2
        );
        backend.close().unwrap();
        // Small batches may go half of 16 MiB beyond the maximum, and the last 2 MiB are written once more
        // when they are settled, in pages that may be half full; a purge needs little.
        let len = fs::metadata(file(dir.path())).unwrap().len();
        assert!(len <= 15 * MIB, "round {round}: {len}");
    }
    // A larger map is all it takes.
    let config = config.with_max_map_size(256 * MIB);
    let backend = config.open(dir.path()).unwrap();
    let last = backend.bounds(GROUP).unwrap().last().unwrap();
    commit(
        &*backend,
        vec![append_sized(GROUP, last + 1, last + 40, 1 << 20)],
    )
    .unwrap();
}

/// What a commit was allowed to put can always be settled, or nothing could be purged ever after.
#[rstest]
#[case::long_entries(100_000, 300)]
#[case::entries_of_little_more_than_half_a_page(2_050, 12_000)]
fn a_store_that_one_batch_has_filled_can_be_purged(#[case] bytes: usize, #[case] entries: u64) {
    let (dir, config) = created(
        HeedConfig::default()
            .with_map_size(HeedConfig::MIN_MAP_SIZE)
            .with_max_map_size(32 * MIB)
            .with_compact_on_close(false),
    );
    for round in 0..4 {
        let backend = config.open(dir.path()).unwrap();
        let first = backend.bounds(GROUP).unwrap().last().unwrap_or(0) + 1;
        let last = first + entries - 1;
        commit(&*backend, vec![append_sized(GROUP, first, last, bytes)]).unwrap();
        // The next commit finds a full journal.
        let error = commit(
            &*backend,
            vec![append_sized(GROUP, last + 1, last + entries, bytes)],
        );
        assert_eq!(error.unwrap_err().kind(), ErrorKind::DiskFull);
        backend.close().unwrap();
        let backend = config.open(dir.path()).unwrap();
        assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(last));
        commit(&*backend, vec![vote(GROUP, "a")]).unwrap();
        commit(&*backend, vec![purge(GROUP, last - 1)]).unwrap();
        while backend.maintain().unwrap() {}
        backend.close().unwrap();
        let len = fs::metadata(file(dir.path())).unwrap().len();
        assert!(len <= 32 * MIB * 3, "round {round}: {len}");
    }
}

#[test]
fn a_map_that_cannot_grow_is_an_error_and_reads_go_on() {
    if ran_in_a_child("a_map_that_cannot_grow_is_an_error_and_reads_go_on") {
        return;
    }
    let (dir, config) = created(HeedConfig::default().with_map_size(64 * MIB));
    let backend = config.open(dir.path()).unwrap();
    // So much that the thread which settles is there, with the memory of its own.
    let mut last = 0;
    while last < 8 {
        commit(
            &*backend,
            vec![append_sized(GROUP, last + 1, last + 1, 1 << 20)],
        )
        .unwrap();
        last += 1;
    }
    // Address space for what is there, and 160 MiB: too little for a map of 256 MiB instead of 128 MiB.
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    let space = pages * rustix::param::page_size() as u64 + 160 * MIB;
    let maximum = getrlimit(Resource::As).maximum;
    let limit = Rlimit {
        current: Some(space),
        maximum,
    };
    setrlimit(Resource::As, limit).unwrap();
    let error = loop {
        match commit(
            &*backend,
            vec![append_sized(GROUP, last + 1, last + 1, 1 << 20)],
        ) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("map_size"), "{error}");
    assert!(last > 100, "{last}");
    for index in 1..=last {
        let entries = backend
            .read(GROUP, IndexRange::new(index..=index), u64::MAX)
            .unwrap();
        assert_eq!(entries.len(), 1);
    }
    backend.close().unwrap();
}

#[test]
fn a_full_disk_fails_the_commit_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=11m", "tmpfs"])
        .arg(dir.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: only root can mount a small disk to fill");
        return;
    }
    let _unmount = Unmount(dir.path().to_owned());
    let config = HeedConfig::default();
    config.create(dir.path()).unwrap();
    for (bytes, grown) in [(3000, "size=16m"), (100_000, "size=28m")] {
        let backend = config.open(dir.path()).unwrap();
        let mut last = backend.bounds(GROUP).unwrap().last().unwrap_or(0);
        let error = loop {
            match commit(
                &*backend,
                vec![append_sized(GROUP, last + 1, last + 1, bytes)],
            ) {
                Ok(()) => last += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
        assert!(error.to_string().contains("free space"), "{error}");
        // Reading goes on with what was committed; nothing more is written.
        assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(last));
        assert_eq!(
            commit(&*backend, vec![purge(GROUP, 1)]).unwrap_err().kind(),
            ErrorKind::Poisoned
        );
        backend.close().unwrap();
        let backend = config.open(dir.path()).unwrap();
        assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(last));
        drop(backend);
        // With space it goes on.
        let grown = Command::new("mount")
            .args(["-o", &format!("remount,{grown}")])
            .arg(dir.path())
            .status();
        assert!(grown.unwrap().success());
        let backend = config.open(dir.path()).unwrap();
        commit(
            &*backend,
            vec![append_sized(GROUP, last + 1, last + 1, bytes)],
        )
        .unwrap();
        assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(last + 1));
    }
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        println!("umount {}: {unmounted:?}", self.0.display());
    }
}

#[rstest]
#[case::on(true)]
#[case::off(false)]
fn a_mostly_free_file_is_compacted_at_close_unless_told_not_to(#[case] compact: bool) {
    let (dir, config) = created(HeedConfig::default().with_compact_on_close(compact));
    let backend = config.open(dir.path()).unwrap();
    for number in 0..32 {
        let first = number * 1024 + 1;
        commit(
            &*backend,
            vec![append_sized(GROUP, first, first + 1023, 1000)],
        )
        .unwrap();
    }
    commit(&*backend, vec![purge(GROUP, 32_700), vote(GROUP, "a")]).unwrap();
    while backend.maintain().unwrap() {}
    let before = fs::metadata(file(dir.path())).unwrap();
    assert!(before.len() > 16 * MIB, "{}", before.len());
    assert!(backend.reusable_bytes().unwrap() > before.len() / 2);
    let good = content(&*backend).unwrap();
    backend.close().unwrap();
    let after = fs::metadata(file(dir.path())).unwrap();
    assert_eq!(after.len() < 4 * MIB, compact, "{} bytes", after.len());
    assert_eq!(after.permissions(), before.permissions());
    // And it is a store as before.
    let backend = config.open(dir.path()).unwrap();
    assert_eq!(content(&*backend).unwrap(), good);
    commit(&*backend, vec![append(GROUP, 32_769, 33_000)]).unwrap();
}

#[test]
fn what_a_compaction_left_half_done_is_removed() {
    let (dir, config, good) = filled();
    let leftover = dir.path().join("data.compacted");
    fs::write(&leftover, b"half a file").unwrap();
    let backend = config.open_read_only(dir.path()).unwrap();
    assert!(leftover.exists());
    backend.close().unwrap();
    let backend = config.open(dir.path()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(content(&*backend).unwrap(), good);
}

#[rstest]
#[case::short_entries(100, 1000)]
#[case::long_entries(50_000, 20)]
fn purged_space_is_used_again_while_the_store_is_open(#[case] bytes: usize, #[case] entries: u64) {
    let (dir, config) = created(HeedConfig::default());
    let backend = config.open(dir.path()).unwrap();
    let mut sizes = Vec::new();
    for number in 0..60 {
        let first = number * entries + 1;
        let mut ops = vec![append_sized(GROUP, first, first + entries - 1, bytes)];
        ops.extend((number > 2).then(|| purge(GROUP, first - entries)));
        commit(&*backend, ops).unwrap();
        while backend.maintain().unwrap() {}
        sizes.push(fs::metadata(file(dir.path())).unwrap().len());
    }
    assert!(sizes[59] <= sizes[20] * 2, "{} -> {}", sizes[20], sizes[59]);
}

#[rstest]
#[case::no_map(HeedConfig::default().with_map_size(0), "map_size is 0")]
#[case::a_tiny_map(HeedConfig::default().with_map_size(64 * KIB - 1), "map_size is 65535")]
#[case::above_the_maximum(HeedConfig::default().with_map_size(2 << 40), "max_map_size")]
#[case::an_absurd_maximum(HeedConfig::default().with_max_map_size(u64::MAX), "max_map_size is")]
#[case::no_maximum(HeedConfig::default().with_max_map_size(0), "max_map_size is 0")]
fn a_silly_map_size_is_refused(#[case] silly: HeedConfig, #[case] says: &str) {
    let (dir, _) = created(HeedConfig::default());
    let error = open_error(&silly, dir.path());
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(says), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        silly.create(empty.path()).unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn a_map_size_is_rounded_up_to_whole_pages() {
    let (dir, config) = created(HeedConfig::default().with_map_size(MIB + 1));
    let backend = config.open(dir.path()).unwrap();
    commit(&*backend, vec![append(GROUP, 1, 3)]).unwrap();
}

#[test]
fn the_options_are_read_from_text_and_a_misspelt_one_is_an_error() {
    let read = |text: &str| serde_json::from_str::<HeedConfig>(text);
    assert_eq!(read("{}").unwrap(), HeedConfig::default());
    let config = HeedConfig::default()
        .with_map_size(2 << 20)
        .with_max_map_size(4 << 20)
        .with_check_integrity_on_open(false)
        .with_compact_on_close(false);
    assert_eq!(
        read(&serde_json::to_string(&config).unwrap()).unwrap(),
        config
    );
    assert!(read(r#"{"mapsize": 2097152}"#).is_err());
}

#[test]
fn a_log_that_is_purged_as_it_is_written_does_not_grow_whatever_the_batches() {
    let (dir, config) = created(HeedConfig::default());
    let backend = config.open(dir.path()).unwrap();
    let (mut last, mut random) = (0, 12_345_u64);
    for cycle in 1..=40 {
        while last < cycle * 2048 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let to = (last + 1 + (random >> 33) % 2048).min(cycle * 2048);
            let batch = append_sized(GROUP, last + 1, to, 4096);
            commit(&*backend, vec![batch]).unwrap();
            last = to;
        }
        commit(&*backend, vec![purge(GROUP, last - 10)]).unwrap();
        while backend.maintain().unwrap() {}
    }
    // 2,048 entries of two pages, and as much again on their way.
    let len = fs::metadata(file(dir.path())).unwrap().len();
    assert!(len < 30 * MIB, "{len}");
}
