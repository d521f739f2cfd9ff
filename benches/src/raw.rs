use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;

/// The baseline: one positional write and one `fdatasync` on a file that was written and synced
/// beforehand, so that neither changes its size or its block map. No log can be durable for less
/// with one sync per append.
pub(crate) struct RawFile {
    file: File,
    len: u64,
    at: u64,
}

impl RawFile {
    pub(crate) fn create(path: &Path, len: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .create_new(true)
            .read(true)
            .write(true)
            .open(path)?;
        let zeros = vec![0; 1 << 20];
        for at in (0..len).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Self { file, len, at: 0 })
    }

    /// Writes after the write before, or from the start when the file is full, and syncs.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.at + bytes.len() as u64 > self.len {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.file.sync_data()?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
