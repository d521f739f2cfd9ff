use std::io;
use std::path::Path;

use fjall::LsmError;
use raft_logstore_core::{Error, ErrorKind, RESTORE, Result, contain};

/// Runs `work` in fjall and gives its failure the words of a store.
///
/// fjall checks the blocks that it reads, but trusts what it derived from them and may panic where a
/// file was damaged with a checksum that still fits. Such a panic must not take the process down, so
/// it is caught here and reported as what it is: corrupt files. Nothing of `work` is used afterwards:
/// a batch that was not committed is dropped, and a failed store takes no more writes.
pub(crate) fn guard<T>(
    operation: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T> {
    let panicked = |message: &str| {
        let advice = format!("fjall gave up on its files ({message}); {RESTORE}");
        Failure::Store(
            Error::new(ErrorKind::Corrupt, operation)
                .with_path(path)
                .with_advice(advice),
        )
    };
    contain(work, panicked).map_err(|failure| match failure {
        Failure::Store(error) => error,
        Failure::Fjall(error) => translate(operation, error).with_path(path),
    })
}

/// Why work inside [`guard`] stopped.
pub(crate) enum Failure {
    /// fjall failed.
    Fjall(fjall::Error),
    /// What was called from inside failed, and has said all there is to say.
    Store(Error),
}

impl<E: Into<fjall::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Fjall(error.into())
    }
}

fn translate(operation: &'static str, error: fjall::Error) -> Error {
    let new = |kind, advice: String| Error::new(kind, operation).with_advice(advice);
    let translated = match &error {
        fjall::Error::Io(_) | fjall::Error::Storage(LsmError::Io(_)) => {
            let (fjall::Error::Io(cause) | fjall::Error::Storage(LsmError::Io(cause))) = error
            else {
                unreachable!("matched above")
            };
            return translate_io(operation, cause);
        }
        fjall::Error::Locked => new(
            ErrorKind::Locked,
            "another store, here or in another process, has the database open; close it first"
                .to_owned(),
        ),
        fjall::Error::Poisoned => new(
            ErrorKind::Poisoned,
            "fjall does nothing more after an earlier failure, be it of a write or of its work in the \
             background, such as a full disk; make room or look after the disk, close the store and \
             open it again"
                .to_owned(),
        ),
        fjall::Error::InvalidVersion(_) | fjall::Error::Storage(LsmError::InvalidVersion(_)) => new(
            ErrorKind::Format,
            "the database has a format that this fjall (3.1) cannot open; open it with the version \
             that wrote it"
                .to_owned(),
        ),
        fjall::Error::Storage(_)
        | fjall::Error::JournalRecovery(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable
        | fjall::Error::KeyspaceDeleted => new(ErrorKind::Corrupt, RESTORE.to_owned()),
        _ => new(ErrorKind::Io, String::new()),
    };
    translated.with_source(error)
}

/// What an error of the operating system says about the files of a database.
pub(crate) fn translate_io(operation: &'static str, error: io::Error) -> Error {
    use std::io::ErrorKind as Io;

    let advice = match error.kind() {
        Io::InvalidData | Io::InvalidInput | Io::UnexpectedEof => {
            "a file is shorter than it was written"
        }
        Io::NotFound => "a file is missing",
        Io::IsADirectory | Io::NotADirectory => {
            "there is a folder in place of a file or the reverse"
        }
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            return Error::new(ErrorKind::Io, operation)
                .with_advice(
                    "the store needs to read and write its folder; give this user both rights",
                )
                .with_source(error);
        }
        _ => return Error::io(operation, error),
    };
    Error::new(ErrorKind::Corrupt, operation)
        .with_advice(format!("{advice}; put it back, or {RESTORE}"))
        .with_source(error)
}
