//! The directory of a store: who holds it, what lies in it, and how it comes into being.
//!
//! ```text
//! LOCK        held while the store is open; names the process
//! WATERMARK   the commit watermark
//! <backend>/  the backend's own folder, named after it
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};

use crate::watermark::Watermark;

const LOCK: &str = "LOCK";
/// What a file system puts into its root folder by itself.
const LOST_AND_FOUND: &str = "lost+found";

/// A store's directory, held by this store alone until dropped.
pub(crate) struct Directory {
    path: PathBuf,
    /// The lock goes with the file.
    _lock: File,
}

/// A backend that was opened in its directory, and the watermark beside it.
pub(crate) struct Opened {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) watermark: Watermark,
    /// The last commit of the backend.
    pub(crate) sequence: u64,
}

impl Directory {
    /// Makes the directory if it is not there, checks that nothing foreign lies in it, and locks
    /// it.
    ///
    /// # Errors
    ///
    /// `Locked`, `Format` when it holds something else, `Config` when it is a file, `Io`.
    pub(crate) fn claim(path: &Path, backend: &str) -> Result<Self> {
        make(path)?;
        refuse_foreign_content(path, backend)?;
        let lock_path = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| Error::io("open lock file", error).with_path(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(path, &mut lock)),
            Err(TryLockError::Error(error)) => {
                return Err(Error::io("lock directory", error).with_path(&lock_path));
            }
        }
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(|error| Error::io("write lock file", error).with_path(&lock_path))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Opens the backend, creating it on the first open, and checks it against the watermark.
    ///
    /// # Errors
    ///
    /// `LostCommits` when commits that were acknowledged are gone and `accept_lost_commits` is not
    /// set; whatever the backend reports.
    pub(crate) fn open(
        &self,
        config: &dyn BackendConfig,
        accept_lost_commits: bool,
    ) -> Result<Opened> {
        let data = self.path.join(config.name());
        let (watermark, acknowledged) = Watermark::open(&self.path.join(Watermark::FILE))?;
        if !exists(&data)? {
            if acknowledged > 0 {
                let gone = self.lost(0, acknowledged).with_path(&data);
                accept_or_refuse(gone, accept_lost_commits)?;
            }
            self.create(config, &data)?;
        }
        let backend = config.open(&data)?;
        // What a killed process left in the page cache is about to be believed: make it durable.
        sync_tree(&data)?;
        sync_dir(&self.path)?;
        let sequence = backend.sequence()?;
        if sequence < acknowledged {
            accept_or_refuse(self.lost(sequence, acknowledged), accept_lost_commits)?;
            watermark.reset(sequence)?;
        } else {
            watermark.record(sequence)?;
            watermark.sync()?;
        }
        Ok(Opened {
            backend,
            watermark,
            sequence,
        })
    }

    /// Builds the backend aside and renames it into place, so that a power cut leaves nothing or
    /// all.
    fn create(&self, config: &dyn BackendConfig, data: &Path) -> Result<()> {
        let aside = self.path.join(aside_name(config.name()));
        let failed = |error| Error::io("create store", error).with_path(&aside);
        if exists(&aside)? {
            fs::remove_dir_all(&aside).map_err(failed)?;
        }
        fs::create_dir(&aside).map_err(failed)?;
        config.create(&aside)?;
        sync_tree(&aside)?;
        fs::rename(&aside, data).map_err(failed)?;
        sync_dir(&self.path)
    }

    fn lost(&self, found: u64, acknowledged: u64) -> Error {
        Error::new(ErrorKind::LostCommits, "open").with_path(&self.path).with_advice(format!(
            "{} of {acknowledged} acknowledged commits are gone; rebuild this node from its peers, \
             or set StoreConfig::accept_lost_commits to go on without them",
            acknowledged - found
        ))
    }
}

fn accept_or_refuse(lost: Error, accept: bool) -> Result<()> {
    if !accept {
        return Err(lost);
    }
    tracing::error!("accept_lost_commits is set, acknowledged data is given up: {lost}");
    Ok(())
}

fn locked(path: &Path, lock: &mut File) -> Error {
    let mut holder = String::new();
    // The note about the holder is a courtesy; an unreadable one changes nothing.
    let advice = match lock.take(20).read_to_string(&mut holder) {
        Ok(len) if len > 0 => {
            format!("process {holder} has the store open; close it there first")
        }
        _ => "another process has the store open; close it there first".to_owned(),
    };
    Error::new(ErrorKind::Locked, "open")
        .with_path(path)
        .with_advice(advice)
}

fn make(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if exists(path)? {
        return Err(Error::new(ErrorKind::Config, "open")
            .with_path(path)
            .with_advice("this is a file; give a directory"));
    }
    let missing: Vec<_> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.exists())
        .collect();
    fs::create_dir_all(path)
        .map_err(|error| Error::io("create directory", error).with_path(path))?;
    // Each new name must reach the disk, not only the last.
    for made in missing {
        match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new("."))?,
            Some(parent) => sync_dir(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// A path that cannot be looked at is not a path that is missing.
fn exists(path: &Path) -> Result<bool> {
    fs::exists(path).map_err(|error| Error::io("open", error).with_path(path))
}

fn aside_name(backend: &str) -> String {
    format!("{backend}.new")
}

fn refuse_foreign_content(path: &Path, backend: &str) -> Result<()> {
    let failed = |error| Error::io("open", error).with_path(path);
    let names: Vec<_> = fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| Ok(entry.map_err(failed)?.file_name()))
        .collect::<Result<_>>()?;
    let is_store = names.iter().any(|name| name == Watermark::FILE);
    let ours = [LOCK, Watermark::FILE, LOST_AND_FOUND, backend];
    let aside = aside_name(backend);
    for name in names {
        if ours.iter().any(|known| name == *known) || name == *aside {
            continue;
        }
        let name = name.to_string_lossy().into_owned();
        let advice = if is_store && path.join(&name).is_dir() {
            format!(
                "the directory holds a store of the backend {name:?}, not {backend:?}; open it with \
                 that backend, or give another directory"
            )
        } else {
            format!(
                "the directory holds {name:?}, which is not part of a store; give an empty \
                 directory"
            )
        };
        return Err(Error::new(ErrorKind::Format, "open")
            .with_path(path)
            .with_advice(advice));
    }
    Ok(())
}

/// Syncs every file and folder below `dir`, and `dir` itself.
fn sync_tree(dir: &Path) -> Result<()> {
    let failed = |error| Error::io("sync", error).with_path(dir);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|error| Error::io("sync", error).with_path(&path))?;
        }
    }
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> Result<()> {
    let synced: io::Result<()> = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| Error::io("sync directory", error).with_path(dir))
}
