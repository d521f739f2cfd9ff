use std::ops::Deref;
use std::path::Path;

use raft_logstore_core::{Backend, BackendConfig, ReadOnly, Result};

use crate::directory::Directory;

/// A store that is only looked at: the way of a tool into the directory of a store.
///
/// Not a byte of the directory is changed, so a full or read-only disk will do, and what a store
/// that lost commits still has can be seen. The directory is locked meanwhile: nobody can open it as a
/// [`Store`](crate::Store), while others may look as well. Everything here blocks on the disk.
///
/// ```
/// # use raft_logstore_core::{BackendConfig, ErrorKind, Result};
/// use raft_logstore_pipeline::Inspection;
///
/// fn print_groups(dir: &std::path::Path, config: &dyn BackendConfig) -> Result<()> {
///     let store = Inspection::open(dir, config)?;
///     for group in store.groups()? {
///         println!("{group}: {:?}", store.bounds(group)?);
///     }
///     store.close()
/// }
/// ```
pub struct Inspection {
    backend: Box<dyn Backend>,
    acknowledged: Option<u64>,
    /// Released last.
    _directory: Directory,
}

impl Inspection {
    /// Opens the store in `dir` to look at it.
    ///
    /// # Errors
    ///
    /// [`Locked`](raft_logstore_core::ErrorKind::Locked), naming the process that has the store open;
    /// [`Config`](raft_logstore_core::ErrorKind::Config) when there is no store;
    /// [`Format`](raft_logstore_core::ErrorKind::Format) when there is another one; what the backend
    /// reports. Lost commits are not an error here: see [`acknowledged`](Self::acknowledged).
    pub fn open(dir: &Path, config: &dyn BackendConfig) -> Result<Self> {
        let directory = Directory::look(dir, config.name())?;
        let (backend, acknowledged) = directory.open_read_only(config)?;
        Ok(Self {
            backend: Box::new(ReadOnly::new(backend)),
            acknowledged,
            _directory: directory,
        })
    }

    /// How many commits the watermark says were acknowledged; `None` when it is missing. More than
    /// [`Backend::sequence`] means that acknowledged commits are gone.
    pub fn acknowledged(&self) -> Option<u64> {
        self.acknowledged
    }

    /// Closes the backend and gives the directory back.
    ///
    /// # Errors
    ///
    /// As [`Backend::close`].
    pub fn close(self) -> Result<()> {
        self.backend.close()
    }
}

impl Deref for Inspection {
    type Target = dyn Backend;

    fn deref(&self) -> &Self::Target {
        &*self.backend
    }
}
