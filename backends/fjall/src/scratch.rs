use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;

use raft_logstore_core::{Error, Result};
use tempfile::TempDir;

use crate::folder::{Folder, Lock, names};
use crate::journal::{Journal, Journals};

/// A temporary copy of a database in which fjall may recover, for looking at a store without
/// changing it. Journals and lists of tables are copied, the tables, which never change, are linked.
///
/// The folder is removed when this is dropped.
pub(crate) struct Scratch {
    dir: TempDir,
    /// Keeps others from opening the database for writing, which would delete tables.
    _lock: Lock,
}

impl Scratch {
    /// Copies the database of `folder` as far as its journals hold whole batches. `lock` is its shared
    /// lock.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](raft_logstore_core::ErrorKind::DiskFull) when the temporary folder has no room;
    /// [`Io`](raft_logstore_core::ErrorKind::Io).
    pub(crate) fn copy(folder: Folder<'_>, journals: &Journals, lock: Lock) -> Result<Self> {
        let copy = || {
            let dir = tempfile::Builder::new()
                .prefix("raft-logstore-fjall-")
                .tempdir()?;
            let to = Folder(dir.path()).database();
            let from = folder.database().canonicalize()?;
            fs::create_dir(&to)?;
            File::create(to.join("lock"))?;
            fs::copy(from.join("version"), to.join("version"))?;
            for journal in &journals.files {
                copy_journal(journal, &to)?;
            }
            for tree in folder.trees() {
                copy_tree(&from.join(&tree), &to.join(&tree))?;
            }
            Ok(dir)
        };
        let dir = copy().map_err(|error: io::Error| {
            let room: u64 = journals.files.iter().map(|journal| journal.end).sum();
            Error::io("open", error)
                .with_path(std::env::temp_dir())
                .with_advice(format!(
                    "looking at a store of fjall needs a temporary folder with room for a copy of its \
                     journals, {room} bytes; set TMPDIR to one"
                ))
        })?;
        Ok(Self { dir, _lock: lock })
    }

    pub(crate) fn folder(&self) -> Folder<'_> {
        Folder(self.dir.path())
    }
}

fn copy_journal(journal: &Journal, to: &Path) -> io::Result<()> {
    let name = journal.path.file_name().unwrap_or_default();
    let mut whole = File::open(&journal.path)?.take(journal.end);
    io::copy(&mut whole, &mut File::create_new(to.join(name))?)?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("tables"))?;
    for name in names(from)? {
        if from.join(&name).is_file() {
            fs::copy(from.join(&name), to.join(&name))?;
        }
    }
    if !from.join("tables").exists() {
        return Ok(());
    }
    for name in names(&from.join("tables"))? {
        let (from, to) = (
            from.join("tables").join(&name),
            to.join("tables").join(&name),
        );
        // A file system without links takes a copy.
        symlink(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
    }
    Ok(())
}
