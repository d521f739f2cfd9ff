use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use raft_logstore_core::{Error, ErrorKind, RESTORE, Result, contain};

/// Runs work in redb on one file, and gives its failures the words of a store.
///
/// redb trusts the pages of a file that was closed cleanly and panics on some that were damaged
/// since; the checksum of a record cannot prevent that. Such a panic must not take the process down,
/// so it is caught here and reported as what it is: a corrupt file. Nothing of `work` is used
/// afterwards: a write transaction that unwinds is rolled back by redb, and a failed store takes no
/// more writes.
#[derive(Debug)]
pub(crate) struct Guard {
    path: PathBuf,
    /// That redb has met damage: what it refuses to do from then on, it refuses for that.
    found_damage: AtomicBool,
}

impl Guard {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            found_damage: AtomicBool::new(false),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn run<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T> {
        let panicked = |message: &str| {
            let advice = format!("redb gave up on the file ({message}); {RESTORE}");
            Failure::Store(Error::new(ErrorKind::Corrupt, operation).with_advice(advice))
        };
        contain(work, panicked).map_err(|failure| {
            let error = match failure {
                Failure::Store(error) => error,
                Failure::Redb(redb::Error::PreviousIo)
                    if self.found_damage.load(Ordering::Relaxed) =>
                {
                    let advice = format!("redb does nothing more after it met damage; {RESTORE}");
                    Error::new(ErrorKind::Corrupt, operation)
                        .with_advice(advice)
                        .with_source(redb::Error::PreviousIo)
                }
                Failure::Redb(error) => translate(operation, error),
            };
            if error.kind() == ErrorKind::Corrupt {
                self.found_damage.store(true, Ordering::Relaxed);
            }
            error.or_path(&self.path)
        })
    }
}

/// Why work inside a [`Guard`] stopped.
pub(crate) enum Failure {
    /// redb failed.
    Redb(redb::Error),
    /// What was called from inside failed, and has said all there is to say.
    Store(Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

fn translate(operation: &'static str, error: redb::Error) -> Error {
    use std::io::ErrorKind as Io;

    let new = |kind, advice: String| Error::new(kind, operation).with_advice(advice);
    let translated = match &error {
        redb::Error::Io(cause) => match cause.kind() {
            Io::InvalidData | Io::UnexpectedEof => new(
                ErrorKind::Corrupt,
                format!("the file is not a whole redb database; {RESTORE}"),
            ),
            Io::NotFound => new(
                ErrorKind::Corrupt,
                format!("the data file is missing; {RESTORE}"),
            ),
            Io::IsADirectory => new(
                ErrorKind::Corrupt,
                format!("a directory is in place of the data file; {RESTORE}"),
            ),
            Io::PermissionDenied | Io::ReadOnlyFilesystem => new(
                ErrorKind::Io,
                "the store needs to read and write the file; give this user both rights".to_owned(),
            ),
            _ => {
                let redb::Error::Io(cause) = error else {
                    unreachable!("matched above")
                };
                return Error::io(operation, cause);
            }
        },
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => new(
            ErrorKind::Locked,
            "another store, here or in another process, has the file open; close it first"
                .to_owned(),
        ),
        redb::Error::UpgradeRequired(version) => new(
            ErrorKind::Format,
            format!(
                "the file has redb format {version}, which this redb cannot open; upgrade the file"
            ),
        ),
        redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => new(
            ErrorKind::Format,
            "the file is a redb database of another program, not a store of the `redb` backend of \
             raft-logstore; check the path"
                .to_owned(),
        ),
        redb::Error::Corrupted(_) | redb::Error::LockPoisoned(_) => {
            new(ErrorKind::Corrupt, RESTORE.to_owned())
        }
        redb::Error::ValueTooLarge(_) => new(
            ErrorKind::TooLarge,
            "redb stores at most 3 GiB under one key".to_owned(),
        ),
        redb::Error::PreviousIo => new(
            ErrorKind::Io,
            "redb does nothing more after an earlier input/output error, be it of a read or of a \
             write; close the store and open it again"
                .to_owned(),
        ),
        redb::Error::DatabaseClosed => new(ErrorKind::Closed, String::new()),
        _ => new(ErrorKind::Io, String::new()),
    };
    translated.with_source(error)
}
