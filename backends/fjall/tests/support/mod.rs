//! Stores to damage, and what they hold.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use raft_logstore_core::{
    Backend, BackendConfig, Batch, Entry, Error, GroupId, IndexRange, Op, Result, StableKey,
};
use raft_logstore_fjall::FjallConfig;
use tempfile::TempDir;

pub(crate) const GROUP: GroupId = GroupId(1);
pub(crate) const OTHER: GroupId = GroupId(2);

pub(crate) fn append(group: GroupId, first: u64, last: u64) -> Op {
    let entries = (first..=last).map(|index| Entry::new(index, vec![index as u8; 100]));
    Op::Append {
        group,
        entries: entries.collect(),
    }
}

pub(crate) fn truncate(group: GroupId, from: u64) -> Op {
    Op::Truncate { group, from }
}

pub(crate) fn purge(group: GroupId, up_to: u64) -> Op {
    Op::Purge {
        group,
        up_to,
        id: up_to.to_string().into(),
    }
}

pub(crate) fn vote(group: GroupId, value: &'static str) -> Op {
    Op::Put {
        group,
        key: StableKey::VOTE,
        value: Some(value.into()),
    }
}

pub(crate) fn commit(backend: &dyn Backend, sequence: u64, ops: Vec<Op>) {
    backend.commit(&Batch { sequence, ops }).unwrap();
}

/// Commits, and has the engine write it: then it is the last batch in fjall's journal, and still in that of the
/// store, as when the power goes during the write.
pub(crate) fn commit_and_settle(backend: &dyn Backend, sequence: u64, mut ops: Vec<Op>) {
    // Drops nothing, but is a reason to settle.
    ops.push(truncate(GROUP, 1 << 40));
    commit(backend, sequence, ops);
    while backend.maintain().unwrap() {}
}

pub(crate) fn created() -> (TempDir, FjallConfig) {
    let dir = tempfile::tempdir().unwrap();
    let config = FjallConfig::default();
    config.create(dir.path()).unwrap();
    (dir, config)
}

/// Everything a backend can be asked for.
pub(crate) fn content(backend: &dyn Backend) -> Result<String> {
    let mut content = format!("{}\n", backend.sequence()?);
    for group in backend.groups()? {
        let entries = backend.read(group, IndexRange::new(..), u64::MAX)?;
        let vote = backend.get(group, &StableKey::VOTE)?;
        let bounds = backend.bounds(group)?;
        content += &format!("{group} {bounds:?} {vote:?}");
        for Entry { index, payload } in entries {
            content += &format!(" {index}:{}:{:x}", payload.len(), hash(&payload));
        }
        content.push('\n');
    }
    Ok(content)
}

fn hash(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

/// What is found in the folder.
pub(crate) fn opened(config: &FjallConfig, dir: &Path) -> Result<String> {
    content(&*config.open(dir)?)
}

pub(crate) fn open_error(config: &FjallConfig, dir: &Path) -> Error {
    config.open(dir).map(|_| ()).unwrap_err()
}

/// Waits until `done` says so, which is asked every few milliseconds, and panics with `otherwise` after `limit`.
pub(crate) fn within(limit: Duration, otherwise: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < deadline, "{otherwise}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The folder of a store as it was at one moment.
pub(crate) struct Packed {
    pub(crate) config: FjallConfig,
    /// Of every file, all that is not zeros at its end.
    pub(crate) files: BTreeMap<PathBuf, PackedFile>,
    pub(crate) content: String,
    /// Where the last batch begins in the journal.
    pub(crate) last_batch: u64,
}

pub(crate) struct PackedFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u64,
}

impl Packed {
    /// Packs a folder, of a store that is open or closed.
    pub(crate) fn of(dir: &Path, config: &FjallConfig, content: &str) -> Self {
        loop {
            // A store at work in the background may replace files meanwhile.
            let before = listed(dir);
            std::thread::sleep(Duration::from_millis(20));
            if let Ok(files) = before.iter().map(|name| packed(dir, name)).collect()
                && listed(dir) == before
            {
                return Self {
                    config: config.clone(),
                    files,
                    content: content.to_owned(),
                    last_batch: 0,
                };
            }
        }
    }

    /// The last journal, and where its content ends.
    pub(crate) fn journal(&self) -> (PathBuf, u64) {
        let mut journals = self
            .files
            .iter()
            .filter(|(name, _)| name.extension().is_some_and(|extension| extension == "jnl"));
        let (name, file) = journals.next_back().unwrap();
        (name.clone(), file.bytes.len() as u64)
    }

    pub(crate) fn unpack(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in self.files.keys() {
            self.unpack_file(name, dir.path());
        }
        dir
    }

    pub(crate) fn unpack_file(&self, name: &Path, dir: &Path) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = &self.files[name];
        fs::write(&path, &file.bytes).unwrap();
        let written = fs::OpenOptions::new().write(true).open(&path).unwrap();
        written.set_len(file.len).unwrap();
    }
}

/// The names of all files below `dir`.
fn listed(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

fn packed(dir: &Path, name: &Path) -> std::io::Result<(PathBuf, PackedFile)> {
    let mut bytes = fs::read(dir.join(name))?;
    let len = bytes.len() as u64;
    if name.extension().is_some_and(|extension| extension == "jnl") {
        let end = bytes.iter().rposition(|&byte| byte != 0);
        bytes.truncate(end.map_or(0, |end| end + 1));
    }
    Ok((name.to_owned(), PackedFile { bytes, len }))
}

/// A store with some history, in tables and in the journal, as the kill of its process leaves it, and
/// as closing it does.
fn history() -> (Packed, Packed) {
    let (dir, config) = created();
    let config = config.with_memtable_bytes(1 << 20);
    let backend = config.open(dir.path()).unwrap();
    commit_and_settle(&*backend, 1, vec![append(GROUP, 1, 200), vote(GROUP, "a")]);
    let entries = (1..=150).map(|index| Entry::new(index, vec![index as u8; 8 << 10]));
    let ops = vec![Op::Append {
        group: OTHER,
        entries: entries.collect(),
    }];
    commit_and_settle(&*backend, 2, ops);
    // Has the memtable, which is full, written to a table.
    commit_and_settle(&*backend, 3, vec![purge(GROUP, 90), vote(OTHER, "b")]);
    let tables = dir.path().join("db/keyspaces/1/tables");
    within(Duration::from_secs(20), "no table was written", || {
        fs::read_dir(&tables).unwrap().count() > 0
    });
    // The table is there before it is in the list of tables, and may then be moved.
    std::thread::sleep(Duration::from_millis(300));
    commit_and_settle(&*backend, 4, vec![append(GROUP, 201, 210)]);
    let (_, last_batch) = Packed::of(dir.path(), &config, "").journal();
    commit_and_settle(
        &*backend,
        5,
        vec![append(GROUP, 211, 212), vote(GROUP, "c")],
    );
    let content = content(&*backend).unwrap();
    let mut killed = Packed::of(dir.path(), &config, &content);
    killed.last_batch = last_batch;
    backend.close().unwrap();
    let mut closed = Packed::of(dir.path(), &config, &content);
    closed.last_batch = last_batch;
    (killed, closed)
}

pub(crate) fn killed() -> Packed {
    history().0
}

pub(crate) fn filled() -> Packed {
    history().1
}

/// A store whose last batch was torn. What it holds is in the journal of the store, too.
pub(crate) fn torn() -> Packed {
    let mut store = killed();
    let (name, end) = store.journal();
    let journal = store.files.get_mut(&name).unwrap();
    journal
        .bytes
        .truncate((store.last_batch + end) as usize / 2);
    store
}

/// Every file and folder below `dir`: its content, and when it was changed.
pub(crate) fn listing(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Option<Vec<u8>>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let changed = fs::metadata(&folder).unwrap().modified().unwrap();
        for path in fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
            } else {
                let changed = fs::metadata(&path).unwrap().modified().unwrap();
                found.insert(path.clone(), (changed, Some(fs::read(path).unwrap())));
            }
        }
        found.insert(folder, (changed, None));
    }
    found
}

/// A file system in memory of a given size; needs root.
pub(crate) struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// `None`, said loudly, where it cannot be mounted.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { dir }),
            other => {
                eprintln!("SKIPPED: a small disk needs root to be mounted: {other:?}");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn grow(&self, bytes: u64) {
        let mounted = Command::new("mount")
            .args(["-o", &format!("remount,size={bytes}")])
            .arg(self.path())
            .status();
        assert!(mounted.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.dir.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.dir.path().display());
        }
    }
}
