use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The greatest alignment that a write past the page cache may need, in bytes.
pub(crate) const MOST_ALIGNED: usize = 4096;

/// The size of a block where nobody says what it is, in bytes: that of a sector.
const SECTOR: usize = 512;

/// The way of whole blocks into a file.
///
/// Where the file system says how ([`statx`] with `STATX_DIOALIGN`), they are written past the page cache and made
/// durable by the same call (`O_DIRECT`, `RWF_DSYNC`): no page is copied, looked for, or marked. Elsewhere it is a write and
/// a sync. What is on the disk afterwards is the same.
///
/// [`statx`]: https://man7.org/linux/man-pages/man2/statx.2.html
#[derive(Debug)]
pub(crate) struct Disk {
    direct: Option<File>,
    block: usize,
}

impl Disk {
    /// The way into `file`, which was at `path` when it was opened.
    pub(crate) fn of(file: &File, path: &Path) -> Self {
        match open_direct(file, path) {
            Some((direct, block)) => Self {
                direct: Some(direct),
                block,
            },
            None => Self {
                direct: None,
                block: SECTOR,
            },
        }
    }

    /// The size of a block, in bytes: a power of two up to [`MOST_ALIGNED`].
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// Writes whole blocks at `at`, the start of one, from memory that is aligned to blocks, too. Returns when they are
    /// durable.
    ///
    /// # Errors
    ///
    /// Those of the file system. Then the file must not be written again.
    pub(crate) fn write(&mut self, file: &File, blocks: &[u8], at: u64) -> io::Result<()> {
        if let Some(direct) = &self.direct {
            match write_direct(direct, blocks, at) {
                Ok(written) if written == blocks.len() => return Ok(()),
                // What was written in part is written whole the other way.
                Ok(_) => {}
                // The kernel does not do what the file system said. Nothing was written.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.direct = None,
                Err(error) => return Err(error),
            }
        }
        file.write_all_at(blocks, at)?;
        file.sync_data()
    }
}

/// Zeros that are aligned in memory.
pub(crate) struct Zeros(Vec<u8>);

impl Zeros {
    /// Up to `most` of them.
    pub(crate) fn new(most: usize) -> Self {
        Self(vec![0; most + 2 * MOST_ALIGNED])
    }

    /// So many of them.
    pub(crate) fn get(&self, count: usize) -> &[u8] {
        let start = self.0.as_ptr().align_offset(MOST_ALIGNED);
        &self.0[start..start + count]
    }
}

/// The file opened to be written past the page cache, and the size of its blocks.
#[cfg(target_os = "linux")]
fn open_direct(file: &File, path: &Path) -> Option<(File, usize)> {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{AtFlags, OFlags, StatxFlags, statx};

    use crate::folder::is_same;

    let says = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let block = says.stx_dio_offset_align as usize;
    let memory = says.stx_dio_mem_align as usize;
    // Zeros where the file system does not know, or cannot.
    if !block.is_power_of_two() || block.max(memory) > MOST_ALIGNED {
        return None;
    }
    let direct = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::DIRECT.bits().cast_signed())
        .open(path)
        .ok()?;
    // Another file may be at that path by now.
    let is_it = is_same(&direct.metadata().ok()?, &file.metadata().ok()?);
    is_it.then(|| (direct, block.max(SECTOR)))
}

#[cfg(target_os = "linux")]
fn write_direct(direct: &File, blocks: &[u8], at: u64) -> io::Result<usize> {
    use rustix::io::{ReadWriteFlags, pwritev2, retry_on_intr};

    let blocks = [io::IoSlice::new(blocks)];
    let written = retry_on_intr(|| pwritev2(direct, &blocks, at, ReadWriteFlags::DSYNC))?;
    Ok(written)
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_file: &File, _path: &Path) -> Option<(File, usize)> {
    None
}

#[cfg(not(target_os = "linux"))]
fn write_direct(_direct: &File, _blocks: &[u8], _at: u64) -> io::Result<usize> {
    Err(io::ErrorKind::InvalidInput.into())
}
