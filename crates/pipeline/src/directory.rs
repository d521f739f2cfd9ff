//! The directory of a store: who holds it, what lies in it, and how it comes into being.
//!
//! ```text
//! LOCK        held while the store is open; names the process, or says that the store was closed
//! WATERMARK   the commit watermark
//! <backend>/  the backend's own folder, named after it
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};
use rustix::fs::{Advice, fadvise};

use crate::watermark::Watermark;

const LOCK: &str = "LOCK";
/// What the lock file says while nobody has the store open and nothing went wrong.
const CLOSED_CLEANLY: &str = "closed";
/// What a file system puts into its root folder by itself.
const LOST_AND_FOUND: &str = "lost+found";

/// A store's directory, held by this store alone until dropped.
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
    /// The store was closed without a failure, and every page in memory is what is on disk.
    closed_cleanly: bool,
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
        let path = &whole(path)?;
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
        let failed = |error| Error::io("use lock file", error).with_path(&lock_path);
        let closed_cleanly = read_note(&mut lock).map_err(failed)? == CLOSED_CLEANLY;
        lock.set_len(0).map_err(failed)?;
        // Naming the holder is a courtesy, and a full disk must not keep a store from being read.
        if let Err(error) = write_note(&mut lock, &std::process::id().to_string()) {
            tracing::warn!("the lock file cannot name this process: {error}");
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
            closed_cleanly,
        })
    }

    /// Locks a directory to look into it, beside others who only look. Changes nothing.
    ///
    /// # Errors
    ///
    /// `Locked`, `Format` when it holds something else, `Config` when there is no store, `Io`.
    pub(crate) fn look(path: &Path, backend: &str) -> Result<Self> {
        let missing = |what| {
            Error::new(ErrorKind::Config, "open")
                .with_path(path)
                .with_advice(format!(
                    "{what}, so there is no store to look at; check the path"
                ))
        };
        if !path.is_dir() {
            return Err(missing("this is not a directory".to_owned()));
        }
        let path = &whole(path)?;
        refuse_foreign_content(path, backend)?;
        let lock_path = path.join(LOCK);
        if !exists(&lock_path)? {
            return Err(if exists(&path.join(Watermark::FILE))? {
                Error::new(ErrorKind::Config, "open").with_path(&lock_path).with_advice(
                    "the file is missing, so it cannot be told whether the store is open elsewhere; \
                     make an empty file of that name if it is not",
                )
            } else {
                missing(format!("there is no file {LOCK}"))
            });
        }
        let mut lock = File::open(&lock_path)
            .map_err(|error| Error::io("open lock file", error).with_path(&lock_path))?;
        match lock.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(path, &mut lock)),
            Err(TryLockError::Error(error)) => {
                return Err(Error::io("lock directory", error).with_path(&lock_path));
            }
        }
        if !exists(&path.join(backend))? {
            return Err(match Watermark::read(&path.join(Watermark::FILE))? {
                Some(acknowledged @ 1..) => lost(path, 0, acknowledged),
                Some(0) | None => missing(format!("there is no folder {backend}")),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
            closed_cleanly: false,
        })
    }

    /// Opens the backend to look at it, and the number of acknowledged commits that the watermark
    /// tells; `None` when there is no watermark.
    pub(crate) fn open_read_only(
        &self,
        config: &dyn BackendConfig,
    ) -> Result<(Box<dyn Backend>, Option<u64>)> {
        let acknowledged = Watermark::read(&self.path.join(Watermark::FILE))?;
        Ok((
            config.open_read_only(&self.path.join(config.name()))?,
            acknowledged,
        ))
    }

    /// Gives the directory back after a close without a failure.
    pub(crate) fn closed_cleanly(mut self) {
        let noted = self
            .lock
            .set_len(0)
            .and_then(|()| write_note(&mut self.lock, CLOSED_CLEANLY));
        if let Err(error) = noted {
            // The next open then takes the careful way.
            tracing::warn!("the lock file cannot say that the store was closed: {error}");
        }
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
        let path = self.path.join(Watermark::FILE);
        let (is_new, had_watermark) = (!exists(&data)?, exists(&path)?);
        if !is_new && !had_watermark {
            tracing::warn!(path = %path.display(), "the watermark is missing; lost commits go unnoticed");
        }
        let (watermark, acknowledged) = Watermark::open(&path)?;
        if is_new {
            if acknowledged > 0 {
                let gone = lost(&data, 0, acknowledged);
                accept_or_refuse(gone, accept_lost_commits)?;
            }
            self.create(config, &data)?;
        }
        if !self.closed_cleanly {
            visit_tree(&data, &mut sync_and_forget)?;
        }
        let backend = config.open(&data)?;
        visit_tree(&data, &mut sync)?;
        sync(&self.path)?;
        let sequence = backend.sequence()?;
        if sequence < acknowledged {
            accept_or_refuse(
                lost(&self.path, sequence, acknowledged),
                accept_lost_commits,
            )?;
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
        if let Err(error) = config.create(&aside) {
            // Another backend, or other options, may be tried next. What cannot be removed now is at the next open.
            drop(fs::remove_dir_all(&aside));
            return Err(error);
        }
        visit_tree(&aside, &mut sync)?;
        fs::rename(&aside, data).map_err(failed)?;
        sync(&self.path)
    }
}

fn lost(path: &Path, found: u64, acknowledged: u64) -> Error {
    Error::new(ErrorKind::LostCommits, "open")
        .with_path(path)
        .with_advice(format!(
            "{} of {acknowledged} acknowledged commits are gone; rebuild this node from its peers, \
         or set StoreConfig::accept_lost_commits to go on without them",
            acknowledged - found
        ))
}

/// Gives the lock up. A process that is being started at this moment shares the file until it runs its program, and
/// would keep the lock as long if only the file were closed.
impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!("the lock file could not be unlocked: {error}");
        }
    }
}

fn accept_or_refuse(lost: Error, accept: bool) -> Result<()> {
    if !accept {
        return Err(lost);
    }
    tracing::error!("accept_lost_commits is set, acknowledged data is given up: {lost}");
    Ok(())
}

/// What the lock file says: a process number, [`CLOSED_CLEANLY`], or nothing.
fn read_note(lock: &mut File) -> io::Result<String> {
    let mut note = Vec::new();
    lock.take(20).read_to_end(&mut note)?;
    Ok(String::from_utf8_lossy(&note).into_owned())
}

fn write_note(lock: &mut File, note: &str) -> io::Result<()> {
    lock.rewind()?;
    lock.write_all(note.as_bytes())
}

fn locked(path: &Path, lock: &mut File) -> Error {
    // The holder may be about to write its number; then nobody is named.
    let holder = read_note(lock)
        .ok()
        .and_then(|note| note.parse::<u32>().ok());
    let advice = match holder {
        Some(process) => format!("process {process} has the store open; close it there first"),
        None => "another process has the store open; close it there first".to_owned(),
    };
    Error::new(ErrorKind::Locked, "open")
        .with_path(path)
        .with_advice(advice)
}

fn make(path: &Path) -> Result<()> {
    if path.is_dir() {
        return sync_name(path);
    }
    if fs::symlink_metadata(path).is_ok() {
        return Err(Error::new(ErrorKind::Config, "open")
            .with_path(path)
            .with_advice("this is a file, or a link that leads nowhere; give a directory"));
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
            Some(parent) if parent.as_os_str().is_empty() => sync(Path::new("."))?,
            Some(parent) => sync(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// The path without links, and from the root on: it leads to the same directory when the process changes its own, or a
/// link is changed, while the store is open.
fn whole(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| Error::io("open", error).with_path(path))
}

/// A path that cannot be looked at is not a path that is missing.
fn exists(path: &Path) -> Result<bool> {
    fs::exists(path).map_err(|error| Error::io("open", error).with_path(path))
}

/// What the name of a backend's folder ends with while it is made.
const ASIDE: &str = ".new";

fn aside_name(backend: &str) -> String {
    format!("{backend}{ASIDE}")
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
        let is_folder = is_store && path.join(&name).is_dir();
        let advice = if is_folder && let Some(other) = name.strip_suffix(ASIDE) {
            format!(
                "the directory holds {name:?}, what a first open with the backend {other:?} left unfinished; \
                 remove that, or open the directory with that backend"
            )
        } else if is_folder {
            format!(
                "the directory holds a store of the backend {name:?}, if there is one of that name, not \
                 {backend:?}; open it with that backend, or give another directory"
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

/// Makes the name of a directory durable: whoever made it may have been killed before it was.
fn sync_name(path: &Path) -> Result<()> {
    match whole(path)?.parent().map(File::open) {
        Some(Ok(parent)) => parent
            .sync_all()
            .map_err(|error| Error::io("sync directory", error).with_path(path)),
        // Where this process may not look it has made nothing.
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Some(Err(error)) => Err(Error::io("sync directory", error).with_path(path)),
        None => Ok(()),
    }
}

/// Calls `visit` with everything below `dir`, then with `dir` itself.
fn visit_tree(dir: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    let failed = |error| Error::io("open", error).with_path(dir);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let visited = if path.is_dir() {
            visit_tree(&path, visit)
        } else {
            visit(&path)
        };
        match visited {
            // The background work of an open engine has removed it meanwhile.
            Err(_) if matches!(path.try_exists(), Ok(false)) => {}
            visited => visited?,
        }
    }
    visit(dir)
}

/// Syncs a file, or a directory: the names in it.
fn sync(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|opened| opened.sync_all());
    synced.map_err(|error| Error::io("sync", error).with_path(path))
}

/// Syncs what is in memory, then has the next read come from the disk.
///
/// A killed process leaves writes that were never synced; a failed sync leaves pages that never got
/// to the disk and that the kernel calls clean, so that a later sync does not write them. Neither
/// may be believed before it is durable.
fn sync_and_forget(path: &Path) -> Result<()> {
    sync(path)?;
    if path.is_dir() {
        return Ok(());
    }
    let forgotten = File::open(path).and_then(|file| Ok(fadvise(file, 0, None, Advice::DontNeed)?));
    forgotten.map_err(|error| Error::io("open", error).with_path(path))
}
