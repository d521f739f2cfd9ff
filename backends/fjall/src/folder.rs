use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use raft_logstore_core::{Error, ErrorKind, RESTORE, Result};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::translate_io;

/// Where things are in the folder of a backend.
///
/// ```text
/// db/                      the fjall database
///   version                the format of the database
///   lock                   locked while the database is open
///   <n>.jnl                journals
///   keyspaces/0, 1/        fjall's own records, and the records of the store
///     current, v<n>        which tables there are
///     tables/<n>           the tables
/// torn-<n>.jnl-at-<m>.<k>  what a power cut left of a batch that was cut off
/// ```
#[derive(Clone, Copy)]
pub(crate) struct Folder<'a>(pub(crate) &'a Path);

/// The lock of a database, given up by unlocking it: a process that is being started shares the file.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the database could not be unlocked");
        }
    }
}

/// How long to wait for a lock that somebody may just have given up.
const PATIENCE: Duration = Duration::from_millis(100);

/// The trees of a database: that of fjall's own records, and [`RECORDS`](Folder::RECORDS).
const TREES: [&str; 2] = ["0", "1"];

impl Folder<'_> {
    /// The name of the one keyspace.
    pub(crate) const RECORDS: &'static str = "records";

    /// The number that fjall gives it.
    pub(crate) const RECORDS_ID: u64 = 1;

    pub(crate) fn database(self) -> PathBuf {
        self.0.join("db")
    }

    /// The lock of the database, if `take` gets it within [`PATIENCE`]: fjall gives it up by closing the file, which a
    /// process that is being started at that moment shares until it runs its program.
    ///
    /// # Errors
    ///
    /// [`Locked`](ErrorKind::Locked) while a store has the database open; [`Corrupt`](ErrorKind::Corrupt)
    /// when the file is missing; [`Io`](ErrorKind::Io).
    pub(crate) fn lock(self, take: fn(&File) -> Result<(), TryLockError>) -> Result<Lock> {
        let path = self.database().join("lock");
        let failed = |error| translate_io("open", error).with_path(&path);
        let file = File::open(&path).map_err(failed)?;
        let started = Instant::now();
        let taken = loop {
            match take(&file) {
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(1));
                }
                taken => break taken,
            }
        };
        match taken {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Locked, "open")
                .with_path(&path)
                .with_advice(
                    "another store, here or in another process, has the database open; close it first",
                )),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn keyspaces(self) -> PathBuf {
        self.database().join("keyspaces")
    }

    /// The folders of the trees, relative to the database.
    pub(crate) fn trees(self) -> impl Iterator<Item = PathBuf> {
        TREES
            .into_iter()
            .map(|tree| Path::new("keyspaces").join(tree))
    }

    /// Checks that the files that say what a database holds are whole, before fjall reads them.
    ///
    /// fjall makes a new database where the version is missing, deletes a keyspace whose list of
    /// tables is missing, and deletes tables that are not in the list, which it does not check
    /// against the checksum beside it. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt), naming the file; [`Format`](ErrorKind::Format) for another
    /// program's database or one of another format.
    pub(crate) fn check(self) -> Result<()> {
        check_version(&self.database().join("version"))?;
        for name in names(&self.keyspaces())? {
            let path = self.keyspaces().join(&name);
            if path.is_dir() && !TREES.contains(&name.as_str()) {
                return Err(Error::new(ErrorKind::Format, "open")
                    .with_path(path)
                    .with_advice(
                        "the database has a keyspace that is not of the `fjall` backend of \
                         raft-logstore, so another program made it; check the path",
                    ));
            }
        }
        TREES
            .iter()
            .try_for_each(|tree| check_tree(&self.keyspaces().join(tree)))
    }
}

fn check_version(path: &Path) -> Result<()> {
    match read(path)?.first_chunk() {
        Some(b"FJL\x03") => Ok(()),
        Some([b'F', b'J', b'L', version]) => Err(Error::new(ErrorKind::Format, "open")
            .with_path(path)
            .with_advice(format!(
                "the database has fjall format {version} and this program reads 3; open it with the \
                 program that wrote it, or a newer one"
            ))),
        _ => Err(corrupt(path, "the version of the database is damaged")),
    }
}

/// Checks the list of tables of a tree, and that nothing lies among them that is none.
fn check_tree(tree: &Path) -> Result<()> {
    let path = tree.join("current");
    let current = read(&path)?;
    let damaged = || corrupt(&path, "the name of the list of tables is damaged");
    let (version, rest) = current.split_first_chunk().ok_or_else(damaged)?;
    let (checksum, kind) = rest.split_first_chunk().ok_or_else(damaged)?;
    if kind != [0] {
        return Err(damaged());
    }
    let path = tree.join(format!("v{}", u64::from_le_bytes(*version)));
    if xxh3_128(&read(&path)?) != u128::from_le_bytes(*checksum) {
        return Err(corrupt(&path, "the list of tables fails its checksum"));
    }
    let tables = tree.join("tables");
    if !tables.exists() {
        // As good as empty; fjall knows which tables there have to be.
        return Ok(());
    }
    for name in names(&tables)? {
        if name.parse::<u64>().is_err() || tables.join(&name).is_dir() {
            let path = tables.join(name);
            return Err(Error::new(ErrorKind::Corrupt, "open")
                .with_path(path)
                .with_advice("this is not a table that fjall wrote; move it away"));
        }
    }
    Ok(())
}

/// The longest of the small files, in bytes. A list of tables takes 41 for each.
const MAX_LEN: u64 = 64 << 20;

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| translate_io("open", error).with_path(path);
    if fs::metadata(path).map_err(failed)?.len() > MAX_LEN {
        return Err(corrupt(path, "the file is longer than it can be"));
    }
    fs::read(path).map_err(failed)
}

/// The names in a folder. Those that are no text stand for themselves well enough to be refused.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder).and_then(|files| {
        files
            .map(|file| Ok(file?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()
    });
    names.map_err(|error| translate_io("open", error).with_path(folder))
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "open")
        .with_path(path)
        .with_advice(format!("{what}; put the file back, or {RESTORE}"))
}
