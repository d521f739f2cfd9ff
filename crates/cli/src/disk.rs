use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use raft_logstore::{Error, Result};

/// The bytes that the files and folders below `dir` take on disk: allocated blocks, so holes of sparse
/// files do not count. Follows no links.
pub(crate) fn allocated_bytes(dir: &Path) -> Result<u64> {
    /// The unit of `st_blocks`, whatever the file system's own is.
    const BLOCK: u64 = 512;
    let mut bytes = 0u64;
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let failed = |error| Error::io("measure", error).with_path(&path);
        let found = fs::symlink_metadata(&path).map_err(failed)?;
        bytes = bytes.saturating_add(found.blocks().saturating_mul(BLOCK));
        if found.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                todo.push(entry.map_err(failed)?.path());
            }
        }
    }
    Ok(bytes)
}
