use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use raft_logstore_core::{Error, ErrorKind, Result};

/// The folder of a backend that is open, held so that it can be told from another one at the same path.
///
/// What goes to a file by its path, be it made, renamed or removed, would go to the folder of another store if this one was
/// moved and that one made in its place. So whoever does that asks [`check`](Self::check) first.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// As long as it is open, no other folder gets its number.
    held: File,
}

impl Folder {
    /// Holds the folder at `path`.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io).
    pub fn hold(path: &Path) -> Result<Self> {
        let held = File::open(path).map_err(|error| Error::io("open", error).with_path(path))?;
        Ok(Self {
            path: path.to_owned(),
            held,
        })
    }

    /// Where it was when the store was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that its path still leads to it.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when it was moved or removed, or cannot be looked at.
    pub fn check(&self) -> Result<()> {
        let failed = |error| Error::io("look for the folder", error).with_path(&self.path);
        match fs::metadata(&self.path) {
            Ok(found) if is_same(&found, &self.held.metadata().map_err(failed)?) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            Ok(_) | Err(_) => Err(Error::new(ErrorKind::Io, "look for the folder")
                .with_path(&self.path)
                .with_advice(
                    "it was moved or removed while the store was open; open the store where it is now",
                )),
        }
    }

    /// Makes the names in it durable.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn sync(&self) -> io::Result<()> {
        self.held.sync_all()
    }
}

/// Whether two files are one.
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
