use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Result, bail};
use bytes::Bytes;
use raft_logstore::{Entry, GroupId};

use crate::Log;

/// The baseline: one positional write and one `fdatasync` on a file that was written and synced
/// beforehand, so that neither changes its size or its block map. No log can be durable for less
/// with one sync per append.
///
/// It holds payloads of one size and nothing else, so it reads what one group appended until the file was full.
pub(crate) struct RawFile {
    file: File,
    len: u64,
    at: u64,
    entry_bytes: usize,
    buffer: Vec<u8>,
}

impl RawFile {
    /// A file of at least `len` bytes for payloads of `entry_bytes`.
    pub(crate) fn create(path: &Path, len: u64, entry_bytes: usize) -> Result<Self> {
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
        Ok(Self {
            file,
            len,
            at: 0,
            entry_bytes,
            buffer: Vec::new(),
        })
    }

    /// A file that is there.
    pub(crate) fn open(path: &Path, entry_bytes: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            len: file.metadata()?.len(),
            file,
            at: 0,
            entry_bytes,
            buffer: Vec::new(),
        })
    }
}

impl Log for RawFile {
    /// Writes after the write before, or from the start when the file is full, and syncs.
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        self.buffer.clear();
        for entry in appends.iter().flat_map(|(_, entries)| entries) {
            self.buffer.extend_from_slice(&entry.payload);
        }
        let len = self.buffer.len() as u64;
        if self.at + len > self.len {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at)?;
        self.file.sync_data()?;
        self.at += len;
        Ok(())
    }

    fn read(&self, _group: GroupId, range: Range<u64>) -> Result<Vec<Entry>> {
        let (size, count) = (self.entry_bytes, (range.end - range.start) as usize);
        let mut found = vec![0; size * count];
        let at = (range.start - 1) * size as u64;
        self.file.read_exact_at(&mut found, at)?;
        let found = Bytes::from(found);
        let entry = |(index, n)| Entry::new(index, found.slice(n * size..(n + 1) * size));
        Ok(range.zip(0..count).map(entry).collect())
    }

    fn purge(&mut self, _group: GroupId, _upto: u64) -> Result<()> {
        bail!("a raw file has nothing to purge")
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
