use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use futures_executor::block_on;
use raft_logstore::{
    Entry, GroupId, LogStoreExt, MAX_INDEX, StableKey, StableStoreExt, Store, StoreConfig, Target,
};
use redb::ReadableTable;
use serde_json::Value;

/// The backends of this build, by the schemes of their URIs. Most tests use the first.
pub(crate) const SCHEMES: &[&str] = &[
    "redb",
    #[cfg(feature = "heed")]
    "heed",
    #[cfg(feature = "fjall")]
    "fjall",
    #[cfg(feature = "wal")]
    "wal",
];

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What it printed, which must be one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What it printed, which must be one JSON value per line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    /// Expects an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Expects a message for people.
    #[track_caller]
    pub(crate) fn says(self, what: &str) -> Self {
        assert!(self.stderr.contains(what), "{what:?} is not in {self:?}");
        self
    }
}

/// Held while a child is born and while a store is closed: a child has the files of its parent, and
/// with them the locks, until it becomes another program.
static BIRTH: Mutex<()> = Mutex::new(());

/// Starts the program.
pub(crate) fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Child {
    let _held = BIRTH.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_raft-logstore"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs the program to its end. It must never panic.
pub(crate) fn run(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
    let output = start(args).wait_with_output().unwrap();
    let ran = Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(
        !ran.stderr.contains("panicked") && !ran.stderr.contains("this is a bug"),
        "{ran:?}"
    );
    ran
}

pub(crate) fn uri(dir: &Path) -> String {
    uri_of(SCHEMES[0], dir)
}

pub(crate) fn uri_of(scheme: &str, dir: &Path) -> String {
    format!("{scheme}:{}", dir.display())
}

pub(crate) fn copy(from: &Path, to: &Path) -> Ran {
    copy_between(&uri(from), &uri(to))
}

pub(crate) fn copy_between(from: &str, to: &str) -> Ran {
    run(["copy", "--from", from, "--to", to])
}

/// Everything a store holds, as the program prints it.
pub(crate) fn content(uri: &str) -> [String; 2] {
    ["groups", "dump"].map(|command| run([command, uri, "--json"]).exits(0).stdout)
}

/// Where a copy to `to` is made.
pub(crate) fn aside(to: &Path) -> PathBuf {
    PathBuf::from(format!("{}.copying", to.display()))
}

pub(crate) fn open(dir: &Path) -> Store {
    open_uri(&uri(dir))
}

pub(crate) fn open_uri(uri: &str) -> Store {
    let config = StoreConfig {
        max_entry_bytes: 128 << 20,
        ..StoreConfig::default()
    };
    block_on(uri.parse::<Target>().unwrap().open(config)).unwrap()
}

/// Appends `count` entries of `bytes` bytes from `first` on, all of them different.
pub(crate) fn append(store: &Store, group: u64, first: u64, count: u64, bytes: usize) {
    let entries = (first..first + count)
        .map(|index| {
            let mut payload = format!("{group}/{index}/").into_bytes();
            payload.resize(bytes, b'.');
            Entry::new(index, payload)
        })
        .collect();
    block_on(store.group(GroupId(group)).append_durable(entries)).unwrap();
}

pub(crate) fn purge(store: &Store, group: u64, up_to: u64) {
    let purge = store.group(GroupId(group));
    block_on(purge.purge_durable(up_to, format!("purged {up_to}").into())).unwrap();
}

pub(crate) fn set(store: &Store, group: u64, key: &StableKey, value: &'static str) {
    block_on(store.group(GroupId(group)).set(key, value.into())).unwrap();
}

pub(crate) fn close(store: Store) {
    let _held = BIRTH.lock().unwrap_or_else(PoisonError::into_inner);
    block_on(store.close()).unwrap();
}

/// The group of [`sample`] whose records are of every kind.
pub(crate) const KINDS: u64 = 0;

/// Makes a store that has logs and groups of every shape.
pub(crate) fn sample(dir: &Path) {
    sample_at(&uri(dir));
}

/// Makes the store of [`sample`] with any backend.
pub(crate) fn sample_at(uri: &str) {
    let store = open_uri(uri);
    let payloads: [&[u8]; 5] = [
        b"some text",
        b"\x81\xa3key\x93\x01\xc0\xc4\x01\xff",
        b"\0\xfe",
        b"",
        b"z",
    ];
    purge(&store, KINDS, 4);
    let entries = (5..)
        .zip(payloads)
        .map(|(index, payload)| Entry::new(index, payload))
        .collect();
    block_on(store.group(GroupId(KINDS)).append_durable(entries)).unwrap();
    set(&store, KINDS, &StableKey::VOTE, "term 1");
    set(&store, KINDS, &StableKey::from_static("empty"), "");
    // Nothing but a stable key.
    set(&store, 1, &StableKey::VOTE, "term 2");
    // An empty log with a floor, and one with the highest floor there is.
    append(&store, 2, 1, 3, 16);
    purge(&store, 2, 100);
    purge(&store, 3, MAX_INDEX);
    // The first entry far above the floor.
    purge(&store, 4, 3);
    append(&store, 4, 10, 5, 16);
    // A first index, but no floor; the highest index; the highest group.
    append(&store, u64::MAX, MAX_INDEX - 1, 2, 16);
    append(&store, 5, 0, 2000, 100);
    close(store);
}

/// Every file and folder below `dir`: what it holds, when and how it was last changed.
pub(crate) fn fingerprint(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64, u32)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let data = fs::symlink_metadata(&path).unwrap();
        let content = if data.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            Vec::new()
        } else if data.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        found.insert(
            path,
            (content, data.mtime(), data.mtime_nsec(), data.mode()),
        );
    }
    found
}

/// Copies a folder, file by file; of an open store that is what a killed process leaves.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Changes the records of a closed store behind its back.
pub(crate) fn damage(dir: &Path, change: impl FnOnce(&mut Records<'_>)) {
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("records");
    let database = redb::Database::open(dir.join("redb/data.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut Records(transaction.open_table(table).unwrap()));
    transaction.commit().unwrap();
}

/// The records of a store, as documented in `raft-logstore-kv`.
pub(crate) struct Records<'a>(redb::Table<'a, &'static [u8], &'static [u8]>);

impl Records<'_> {
    pub(crate) fn flip(&mut self, key: &[u8]) {
        let mut record = self.0.get(key).unwrap().unwrap().value().to_vec();
        *record.last_mut().unwrap() ^= 1;
        self.0.insert(key, &record[..]).unwrap();
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.0.remove(key).unwrap().unwrap();
    }
}

pub(crate) fn entry_key(group: u64, index: u64) -> Vec<u8> {
    [b"logs-", &group.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

/// The key of a stable key, or of the header, which is called `!group`.
pub(crate) fn meta_key(group: u64, name: &str) -> Vec<u8> {
    [b"meta-", &group.to_be_bytes()[..], name.as_bytes()].concat()
}
