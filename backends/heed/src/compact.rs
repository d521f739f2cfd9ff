use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use raft_logstore_core::{Error, Result};

use crate::check::Check;
use crate::engine::HeedEngine;
use crate::error::{corrupt, guard};
use crate::meta::Meta;

/// The smallest file that is worth compacting, in bytes.
const FROM_BYTES: u64 = 16 << 20;

/// The file without its free pages, beside it, until it takes its place.
pub(crate) fn compacted_path(path: &Path) -> PathBuf {
    path.with_extension("compacted")
}

/// Removes what is left of a compaction that was cut short.
pub(crate) fn remove_leftover(path: &Path) -> Result<()> {
    let leftover = compacted_path(path);
    match fs::remove_file(&leftover) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("open", error).with_path(leftover))
        }
        _ => Ok(()),
    }
}

impl HeedEngine {
    /// Writes the file anew without its free pages, beside it, if most of it is free. Durable when it
    /// returns, but not yet in place.
    pub(crate) fn write_compacted(&self) -> Result<Option<PathBuf>> {
        let map = self.environment.map()?;
        let free = self.environment.free_bytes()?;
        if map.used_bytes < FROM_BYTES || free < map.used_bytes / 2 {
            return Ok(None);
        }
        let new = compacted_path(&self.path);
        let file = guard("compact", &new, || self.environment.copy(&new))?;
        // It is to replace everything there is: look at it first.
        let entries = self.environment.entries()?;
        let checked = self.check_copy(&file, entries);
        if let Err(error) = checked {
            remove_leftover(&self.path)?;
            return Err(error.with_path(new));
        }
        Ok(Some(new))
    }

    fn check_copy(&self, copy: &File, entries: u64) -> Result<()> {
        // Whoever may not read the file may not read its copy.
        fs::metadata(&self.path)
            .and_then(|file| copy.set_permissions(file.permissions()))
            .and_then(|()| copy.sync_all())
            .map_err(|error| Error::io("compact", error))?;
        let meta = Meta::newest(copy)?;
        if meta.main.counts.entries != entries {
            return Err(corrupt("a copy of it does not have all entries"));
        }
        Check::run(copy, meta)
    }
}

/// Puts the compacted file in place of the closed one.
pub(crate) fn put_in_place(new: &Path, path: &Path) -> Result<()> {
    let failed = |error| Error::io("compact", error).with_path(new);
    let before = fs::metadata(path).map_err(failed)?.len();
    let after = fs::metadata(new).map_err(failed)?.len();
    fs::rename(new, path).map_err(failed)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| Error::io("sync directory", error).with_path(dir))?;
    tracing::info!(path = %path.display(), before, after, "compacted the LMDB file");
    Ok(())
}
