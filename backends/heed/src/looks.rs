//! The files that are looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::environment::{Access, Environment};
use crate::error::Failure;

type Looks = BTreeMap<PathBuf, Weak<Environment>>;

/// Several may look at a store at the same time, but heed opens a file only once in a process: they share
/// the environment. The file does not change meanwhile.
static LOOKS: Mutex<Looks> = Mutex::new(BTreeMap::new());

fn looks() -> MutexGuard<'static, Looks> {
    // Nothing panics half way through a change.
    LOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the file in the folder `dir` to look at it, or shares it with those who do.
pub(crate) fn open(dir: &Path, map_bytes: usize) -> Result<Arc<Environment>, Failure> {
    let dir = dir.canonicalize().map_err(heed::Error::Io)?;
    let mut looks = looks();
    looks.retain(|_, look| look.strong_count() > 0);
    if let Some(environment) = looks.get(&dir).and_then(Weak::upgrade) {
        return Ok(environment);
    }
    let environment = Arc::new(Environment::open(&dir, map_bytes, Access::Look)?);
    looks.insert(dir, Arc::downgrade(&environment));
    Ok(environment)
}

/// Closes an environment, unless others look at its file. A new look waits until it is closed.
pub(crate) fn close(environment: Arc<Environment>) {
    let _looks = looks();
    if let Some(environment) = Arc::into_inner(environment) {
        environment.close();
    }
}
