//! What the redb backend promises beyond the conformance suite: its options, its file, and what it
//! says when the file is not as it left it.

// The helpers of tests state what they expect by unwrapping, too.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use raft_logstore_core::{
    Backend, BackendConfig, Batch, Entry, Error, ErrorKind, GroupId, IndexRange, Op, Result,
    StableKey,
};
use raft_logstore_redb::RedbConfig;
use redb::{ReadableDatabase, TableDefinition};
use rstest::rstest;
use tempfile::TempDir;

const GROUP: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(2);

fn append(group: GroupId, first: u64, last: u64) -> Op {
    let entries = (first..=last).map(|index| Entry::new(index, vec![index as u8; 100]));
    Op::Append {
        group,
        entries: entries.collect(),
    }
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

fn created() -> (TempDir, RedbConfig) {
    let dir = tempfile::tempdir().unwrap();
    let config = RedbConfig::default();
    config.create(dir.path()).unwrap();
    (dir, config)
}

fn file(dir: &Path) -> PathBuf {
    dir.join("data.redb")
}

/// A closed store with some history, and all it holds.
fn filled() -> (TempDir, RedbConfig, String) {
    let (dir, config) = created();
    let backend = config.open(dir.path()).unwrap();
    backend
        .commit(&Batch {
            sequence: 1,
            ops: vec![append(GROUP, 1, 200), vote(GROUP, "a")],
        })
        .unwrap();
    let ops = vec![purge(GROUP, 90), append(OTHER, 1, 100), vote(OTHER, "b")];
    backend.commit(&Batch { sequence: 2, ops }).unwrap();
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

fn open_error(config: &RedbConfig, dir: &Path) -> Error {
    config.open(dir).map(|_| ()).unwrap_err()
}

#[test]
fn opening_never_creates_and_creating_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let config = RedbConfig::default();
    // A missing file is damage, and stays missing.
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.path(), Some(&*file(dir.path())));
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
fn an_open_store_is_locked() {
    let (dir, config) = created();
    let backend = config.open(dir.path()).unwrap();
    assert_eq!(open_error(&config, dir.path()).kind(), ErrorKind::Locked);
    backend.close().unwrap();
    config.open(dir.path()).unwrap();
}

#[test]
fn damage_stays_damage_when_redb_does_nothing_more() {
    let (dir, config) = created();
    let config = config.with_cache_bytes(RedbConfig::MIN_CACHE_BYTES);
    let backend = config.open(dir.path()).unwrap();
    for sequence in 1..=80 {
        let (first, last) = (sequence * 1000 + 1, sequence * 1000 + 1000);
        let ops = vec![append(GROUP, first, last)];
        backend.commit(&Batch { sequence, ops }).unwrap();
    }
    backend.close().unwrap();
    let backend = config.open(dir.path()).unwrap();

    // Pages that the store refers to are no longer in the file.
    let path = file(dir.path());
    let cut = fs::OpenOptions::new().write(true).open(&path).unwrap();
    cut.set_len(fs::metadata(&path).unwrap().len() / 2).unwrap();
    for _ in 0..3 {
        let read = backend.read(GROUP, IndexRange::new(..), u64::MAX);
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[rstest]
#[case::an_empty_file(b"")]
#[case::a_short_file(b"redb")]
#[case::another_file(include_bytes!("engine.rs"))]
#[case::zeros(&[0; 8192])]
fn a_file_that_is_no_database_is_reported_and_left_alone(#[case] bytes: &[u8]) {
    let (dir, config) = created();
    fs::write(file(dir.path()), bytes).unwrap();
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(error.path(), Some(&*file(dir.path())));
    assert!(error.to_string().contains("restore"), "{error}");
    assert_eq!(fs::read(file(dir.path())).unwrap(), bytes);
}

#[test]
fn a_truncated_file_is_reported_and_left_alone() {
    let (dir, config, _) = filled();
    let whole = fs::read(file(dir.path())).unwrap();
    for part in 1..16 {
        let bytes = &whole[..whole.len() / 16 * part + 7];
        fs::write(file(dir.path()), bytes).unwrap();
        let error = open_error(&config, dir.path());
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{part}/16: {error}");
        assert_eq!(fs::read(file(dir.path())).unwrap(), bytes, "{part}/16");
    }
}

#[test]
fn a_directory_or_a_read_only_file_in_place_of_the_file_is_reported() {
    let (dir, config) = created();
    // Read-only.
    let mut permissions = fs::metadata(file(dir.path())).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(file(dir.path()), permissions).unwrap();
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("read-only"), "{error}");
    // A directory.
    fs::remove_file(file(dir.path())).unwrap();
    fs::create_dir(file(dir.path())).unwrap();
    assert_eq!(open_error(&config, dir.path()).kind(), ErrorKind::Corrupt);
}

#[test]
fn a_database_of_another_program_is_refused_and_kept() {
    const TABLE: TableDefinition<u64, u64> = TableDefinition::new("theirs");
    let dir = tempfile::tempdir().unwrap();
    let database = redb::Database::create(file(dir.path())).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TABLE).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    database.close().unwrap();

    let error = open_error(&RedbConfig::default(), dir.path());
    assert_eq!(error.kind(), ErrorKind::Format, "{error}");
    assert!(error.to_string().contains("another program"), "{error}");

    let database = redb::Database::open(file(dir.path())).unwrap();
    let table = database.begin_read().unwrap().open_table(TABLE).unwrap();
    assert_eq!(table.get(1).unwrap().unwrap().value(), 2);
}

#[test]
fn an_integrity_check_at_open_reports_damage_that_a_plain_open_does_not_look_at() {
    let (dir, config, _) = filled();
    let mut bytes = fs::read(file(dir.path())).unwrap();
    // Payloads are a hundred times the same byte, so this is the inside of one.
    let inside = bytes
        .windows(100)
        .position(|bytes| bytes == [150; 100])
        .unwrap()
        + 50;
    bytes[inside] ^= 1;
    fs::write(file(dir.path()), bytes).unwrap();
    let error = open_error(
        &config.clone().with_check_integrity_on_open(true),
        dir.path(),
    );
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    // Without the check, reading the entry reports it, naming it.
    let backend = config.open(dir.path()).unwrap();
    let error = backend
        .read(GROUP, IndexRange::new(..), u64::MAX)
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP))
    );
    assert_eq!(error.indexes(), Some((150..=150).into()));
}

#[test]
fn two_syncs_per_commit_write_the_same_store() {
    let (dir, config) = created();
    let config = config.with_two_phase_commit(true);
    let backend = config.open(dir.path()).unwrap();
    backend
        .commit(&Batch {
            sequence: 1,
            ops: vec![append(GROUP, 1, 3)],
        })
        .unwrap();
    backend.close().unwrap();
    let backend = RedbConfig::default().open(dir.path()).unwrap();
    assert_eq!(backend.bounds(GROUP).unwrap().last(), Some(3));
}

/// Fills a store with 32 MiB, purges nearly all of it, and closes it.
fn closed_mostly_free(compact: bool) -> (TempDir, RedbConfig) {
    let (dir, config) = created();
    let config = config.with_compact_on_close(compact);
    let backend = config.open(dir.path()).unwrap();
    for sequence in 1..=64 {
        let first = (sequence - 1) * 512 + 1;
        let entries = (first..first + 512).map(|index| Entry::new(index, vec![7; 1000]));
        let ops = vec![Op::Append {
            group: GROUP,
            entries: entries.collect(),
        }];
        backend.commit(&Batch { sequence, ops }).unwrap();
    }
    backend
        .commit(&Batch {
            sequence: 65,
            ops: vec![purge(GROUP, 32_700)],
        })
        .unwrap();
    while backend.maintain().unwrap() {}
    let bytes = fs::metadata(file(dir.path())).unwrap().len();
    assert!(bytes > 16 << 20, "{bytes}");
    backend.close().unwrap();
    (dir, config)
}

#[rstest]
#[case::on(true)]
#[case::off(false)]
fn a_mostly_free_file_is_compacted_at_close_unless_told_not_to(#[case] compact: bool) {
    let (dir, config) = closed_mostly_free(compact);
    let after = fs::metadata(file(dir.path())).unwrap().len();
    assert_eq!(after < 4 << 20, compact, "{after} bytes");
    // And it is a store as before.
    assert_eq!(
        config
            .open(dir.path())
            .unwrap()
            .bounds(GROUP)
            .unwrap()
            .floor(),
        Some(32_700)
    );
}

#[test]
fn purged_space_is_used_again_while_the_store_is_open() {
    let (dir, config) = created();
    let backend = config.open(dir.path()).unwrap();
    let mut sizes = Vec::new();
    for sequence in 1..=60 {
        let first = (sequence - 1) * 1000 + 1;
        let mut ops = vec![append(GROUP, first, first + 999)];
        ops.extend((first > 2000).then(|| purge(GROUP, first - 1000)));
        backend.commit(&Batch { sequence, ops }).unwrap();
        while backend.maintain().unwrap() {}
        sizes.push(fs::metadata(file(dir.path())).unwrap().len());
    }
    assert!(sizes[59] <= sizes[20] * 2, "{} -> {}", sizes[20], sizes[59]);
}

#[rstest]
#[case::nothing(0)]
#[case::too_little(RedbConfig::MIN_CACHE_BYTES - 1)]
#[case::too_much(RedbConfig::MAX_CACHE_BYTES + 1)]
#[case::absurd(u64::MAX)]
fn a_silly_cache_size_is_refused(#[case] bytes: u64) {
    let (dir, config) = created();
    let config = config.with_cache_bytes(bytes);
    let error = open_error(&config, dir.path());
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&bytes.to_string()), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        config.create(empty.path()).unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn the_options_are_read_from_text_and_a_misspelt_one_is_an_error() {
    let read = |text: &str| serde_json::from_str::<RedbConfig>(text);
    assert_eq!(read("{}").unwrap(), RedbConfig::default());
    let config = RedbConfig::default()
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
