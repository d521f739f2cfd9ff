use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::environment::{Access, Environment};
use crate::error::Failure;

/// A file, whatever its path: device and number.
type FileId = (u64, u64);

/// The environments of this process that are looked at. Held while one is opened or closed.
static LOOKED_AT: Mutex<BTreeMap<FileId, Weak<Environment>>> = Mutex::new(BTreeMap::new());

fn looked_at() -> MutexGuard<'static, BTreeMap<FileId, Weak<Environment>>> {
    // Nothing panics half way through a change.
    LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An environment that is shared by all who look at the same file: a process can have no more than one
/// of it.
pub(crate) struct SharedEnvironment {
    /// `None` once closed.
    environment: Option<Arc<Environment>>,
}

impl SharedEnvironment {
    /// Opens `file`, which lies in `dir`, to look at it, or takes the environment of those who do
    /// already. The caller holds a lock that keeps writers out.
    pub(crate) fn look(dir: &Path, file: &Path, map_bytes: usize) -> Result<Self, Failure> {
        let found = fs::metadata(file).map_err(heed::Error::Io)?;
        let id = (found.dev(), found.ino());
        let mut looked_at = looked_at();
        looked_at.retain(|_, environment| environment.strong_count() > 0);
        let environment = match looked_at.get(&id).and_then(Weak::upgrade) {
            Some(environment) => environment,
            None => Arc::new(Environment::open(dir, map_bytes, Access::Look)?),
        };
        looked_at.insert(id, Arc::downgrade(&environment));
        Ok(Self {
            environment: Some(environment),
        })
    }

    /// Closes the environment if nobody else has it; then the file can be opened again.
    pub(crate) fn close(mut self) {
        let _held = looked_at();
        if let Some(environment) = self.environment.take().and_then(Arc::into_inner) {
            environment.close();
        }
    }
}

/// An environment that nobody else has.
impl From<Environment> for SharedEnvironment {
    fn from(environment: Environment) -> Self {
        Self {
            environment: Some(Arc::new(environment)),
        }
    }
}

impl Deref for SharedEnvironment {
    type Target = Environment;

    fn deref(&self) -> &Environment {
        let environment = self.environment.as_deref();
        environment.expect("nobody has it any more once it is closed")
    }
}

impl Drop for SharedEnvironment {
    fn drop(&mut self) {
        // Whoever looks next finds it open or closed, not on the way.
        let _held = looked_at();
        drop(self.environment.take());
    }
}
