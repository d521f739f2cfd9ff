use std::path::Path;

use heed::MdbError;
use raft_logstore_core::{Error, ErrorKind, RESTORE, Result};

/// Less free space than this, in bytes, is a full disk: LMDB writes no smaller piece than a page, and
/// several of them per commit.
const FULL_BELOW: u64 = 1 << 20;

/// `EIO` of Unix.
const EIO: i32 = 5;

/// Runs `work` in LMDB and gives its failure the words of a store. `path` is that of the file.
pub(crate) fn guard<T>(
    operation: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T> {
    work().map_err(|failure| match failure {
        Failure::Store(error) => error,
        Failure::Heed(error) => translate(operation, error, path).with_path(path),
    })
}

/// Why work inside [`guard`] stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// LMDB failed.
    Heed(heed::Error),
    /// What was called from inside failed, and has said all there is to say.
    Store(Error),
}

impl Failure {
    /// Whether the map has no room for more pages.
    pub(crate) fn is_map_full(&self) -> bool {
        matches!(self, Self::Heed(heed::Error::Mdb(MdbError::MapFull)))
    }
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        Self::Heed(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// A file that is not what LMDB wrote.
pub(crate) fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, "open").with_advice(format!(
        "the file is not a whole LMDB database: {what}; {RESTORE}"
    ))
}

fn translate(operation: &'static str, error: heed::Error, path: &Path) -> Error {
    use std::io::ErrorKind as Io;

    let new = |kind, advice: &str| Error::new(kind, operation).with_advice(advice.to_owned());
    let translated = match &error {
        heed::Error::Io(cause) => match cause.kind() {
            Io::PermissionDenied | Io::ReadOnlyFilesystem => new(
                ErrorKind::Io,
                "the store needs to read and write its folder; give this user both rights",
            ),
            Io::OutOfMemory => new(
                ErrorKind::Io,
                "there was no memory, or no address space for the map; choose a smaller map_size",
            ),
            // LMDB calls a write that was cut short EIO, and that is how a disk fills up.
            _ if cause.raw_os_error() == Some(EIO) && is_full(path) => {
                new(ErrorKind::DiskFull, "free space, then open the store again")
            }
            _ => {
                let heed::Error::Io(cause) = error else {
                    unreachable!("matched above")
                };
                return Error::io(operation, cause);
            }
        },
        heed::Error::EnvAlreadyOpened => new(
            ErrorKind::Locked,
            "another store of this process has the file open; close it first",
        ),
        heed::Error::Mdb(cause) => match cause {
            MdbError::PageNotFound | MdbError::Corrupted | MdbError::Invalid => {
                new(ErrorKind::Corrupt, RESTORE)
            }
            MdbError::VersionMismatch => new(
                ErrorKind::Format,
                "the file was written by another version of LMDB",
            ),
            MdbError::Panic => new(
                ErrorKind::Io,
                "LMDB does nothing more after its meta page could not be written; close the store \
                 and open it again",
            ),
            MdbError::ReadersFull => new(
                ErrorKind::Io,
                "more reads at the same time than LMDB has slots for; read again",
            ),
            _ => new(ErrorKind::Io, ""),
        },
        heed::Error::Encoding(_) | heed::Error::Decoding(_) => new(ErrorKind::Io, ""),
    };
    translated.with_source(error)
}

fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < FULL_BELOW)
}
