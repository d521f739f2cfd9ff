use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use raft_logstore_core::{Backend, BackendConfig, MemoryBackend, ReadOnly, Result};

/// The in-memory reference backend as one that is opened in folders: what was written to a folder is
/// found there again, for as long as the process runs. The folders themselves stay empty.
#[derive(Clone, Default)]
pub struct SharedMemory(Arc<Mutex<HashMap<PathBuf, MemoryBackend>>>);

impl BackendConfig for SharedMemory {
    fn name(&self) -> &'static str {
        MemoryBackend::NAME
    }

    fn create(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        // Nothing panics while the lock is held, so the map behind a poisoned lock is whole.
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(folders.entry(dir.to_owned()).or_default().clone()))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        Ok(Box::new(ReadOnly::new(self.open(dir)?)))
    }
}
