//! The folder in which a copy is made, `<target>.copying`:
//!
//! ```text
//! COPY    what is copied, as JSON, and whether the copy was compared; locked while at work
//! store/  the copy
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use raft_logstore::Inspection;
use serde::{Deserialize, Serialize};

use crate::copy::parent;

const NOTE: &str = "COPY";
const STORE: &str = "store";
/// Far more than a note takes.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// What is copied: one state of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    directory: String,
    backend: String,
    /// The last commit. A source with another one has changed.
    sequence: u64,
}

impl Origin {
    pub(crate) fn new(directory: &Path, source: &Inspection) -> Result<Self> {
        let whole = fs::canonicalize(directory).with_context(|| cannot("find", directory))?;
        Ok(Self {
            directory: whole.to_string_lossy().into_owned(),
            backend: source.name().to_owned(),
            sequence: source.sequence()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Note {
    origin: Origin,
    /// Every record was compared with the source.
    compared: bool,
}

/// The folder in which a copy is made, held by this process alone.
pub(crate) struct Workplace {
    path: PathBuf,
    /// The lock goes with the file.
    note: File,
    origin: Origin,
}

/// What begins a copy.
pub(crate) enum Begun {
    /// There is work to do.
    Workplace(Workplace),
    /// An earlier copy came to its end, but for its cleaning up, which is done now.
    Finished,
}

impl Workplace {
    /// Makes the workplace for a copy to the directory `to`, or takes up the one that an earlier copy
    /// of the same source left.
    ///
    /// # Errors
    ///
    /// When `to` is not empty or cannot be replaced, when another copy is at work, and when an earlier
    /// copy had another source.
    pub(crate) fn begin(from: &Path, to: &Path, origin: &Origin) -> Result<Begun> {
        let folder = parent(to)?;
        let whole = fs::canonicalize(folder)
            .with_context(|| format!("{}; make that folder first", cannot("use", folder)))?;
        let path = aside(to);
        let source = fs::canonicalize(from).with_context(|| cannot("find", from))?;
        let inside = |inner: &Path, outer: &Path| inner.starts_with(outer);
        ensure!(
            !inside(&whole, &source)
                && fs::canonicalize(&path).map_or(true, |path| !inside(&source, &path)),
            "the source and the target must not lie in each other"
        );
        let is_free = is_free(to, folder)?;
        let exists = fs::exists(&path).with_context(|| cannot("use", &path))?;
        ensure!(
            is_free || exists,
            "{} is not empty; copy to a directory that is empty or does not exist",
            to.display()
        );
        if !exists {
            fs::create_dir(&path).with_context(|| cannot("create", &path))?;
            sync(folder)?;
        }
        let workplace = Self {
            note: lock(&path)?,
            origin: origin.clone(),
            path,
        };
        workplace.take_up(to, is_free)
    }

    fn take_up(mut self, to: &Path, is_free: bool) -> Result<Begun> {
        self.refuse_foreign_content()?;
        let has_store = fs::exists(self.store()).with_context(|| cannot("use", &self.path))?;
        match self.read_note()? {
            Some(note) => {
                ensure!(
                    note.origin == self.origin,
                    "{} holds a part of a copy of {} at commit {}, and the source is {} at commit {}; \
                     remove it to start over",
                    self.path.display(),
                    note.origin.directory,
                    note.origin.sequence,
                    self.origin.directory,
                    self.origin.sequence
                );
                if note.compared && !has_store && !is_free {
                    self.clean_up(parent(to)?)?;
                    return Ok(Begun::Finished);
                }
            }
            None => {
                ensure!(
                    !has_store,
                    "{} holds a store and does not say of what it is a copy; remove it to start over",
                    self.path.display()
                );
                self.write_note(false)?;
            }
        }
        ensure!(
            is_free,
            "{} is not empty, and it is not the copy that {} was made for",
            to.display(),
            self.path.display()
        );
        Ok(Begun::Workplace(self))
    }

    /// Where the workplace is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the copy.
    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// Makes the copy, which is closed and was compared, the target.
    pub(crate) fn finish(mut self, to: &Path) -> Result<()> {
        self.write_note(true)?;
        let folder = parent(to)?;
        // Without this a power cut could take the name of the copy away in both places.
        sync(&self.store())?;
        fs::rename(self.store(), to)
            .with_context(|| format!("{} to {}", cannot("rename", &self.store()), to.display()))?;
        sync(folder)?;
        sync(&self.path)?;
        self.clean_up(folder)
    }

    fn clean_up(self, folder: &Path) -> Result<()> {
        fs::remove_file(self.path.join(NOTE))
            .and_then(|()| fs::remove_dir(&self.path))
            .with_context(|| cannot("remove", &self.path))?;
        sync(folder)
    }

    fn refuse_foreign_content(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).with_context(|| cannot("read", &self.path))? {
            let name = entry
                .with_context(|| cannot("read", &self.path))?
                .file_name();
            ensure!(
                name == NOTE || name == STORE,
                "{} holds {name:?}, which is no part of a copy",
                self.path.display()
            );
        }
        Ok(())
    }

    /// `None` for a note that was not written to its end.
    fn read_note(&mut self) -> Result<Option<Note>> {
        let mut text = Vec::new();
        self.note
            .rewind()
            .and_then(|()| {
                Read::by_ref(&mut self.note)
                    .take(MAX_NOTE_BYTES)
                    .read_to_end(&mut text)
            })
            .with_context(|| cannot("read", &self.path))?;
        Ok(serde_json::from_slice(&text).ok())
    }

    fn write_note(&mut self, compared: bool) -> Result<()> {
        let note = Note {
            origin: self.origin.clone(),
            compared,
        };
        let text = serde_json::to_vec(&note).context("cannot write JSON")?;
        let write = |file: &mut File| -> io::Result<()> {
            file.rewind()?;
            file.write_all(&text)?;
            file.set_len(text.len() as u64)?;
            file.sync_all()
        };
        write(&mut self.note).with_context(|| cannot("write", &self.path.join(NOTE)))?;
        sync(&self.path)
    }
}

/// Opens the note, new or old, and locks it.
fn lock(path: &Path) -> Result<File> {
    let name = path.join(NOTE);
    let note = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .with_context(|| cannot("open", &name))?;
    match note.try_lock() {
        Ok(()) => Ok(note),
        Err(TryLockError::WouldBlock) => bail!(
            "another process is making a copy in {}; wait for it, or stop it",
            path.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| cannot("lock", &name)),
    }
}

/// The workplace for a copy to the directory `to`, which has a name.
fn aside(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".copying");
    to.with_file_name(name)
}

/// Whether `to` is not there, or is an empty directory that a rename can replace.
fn is_free(to: &Path, folder: &Path) -> Result<bool> {
    let found = match fs::symlink_metadata(to) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error).with_context(|| cannot("use", to)),
    };
    ensure!(
        found.is_dir(),
        "{} is a file or a link; give a directory that is empty or does not exist",
        to.display()
    );
    let around = fs::metadata(folder).with_context(|| cannot("use", folder))?;
    ensure!(
        found.dev() == around.dev(),
        "{} is the root of a file system, and a finished copy is renamed to it; give a directory in it",
        to.display()
    );
    let mut content = fs::read_dir(to).with_context(|| cannot("read", to))?;
    Ok(content.next().is_none())
}

fn sync(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .with_context(|| cannot("sync", directory))
}

fn cannot(verb: &str, path: &Path) -> String {
    format!("cannot {verb} {}", path.display())
}
