use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{Advice, fadvise, major, minor, syncfs};

/// Bytes allocated on disk below a directory, itself not counted.
pub(crate) fn used_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some(found) = unless_gone(entry.metadata())? else {
            continue;
        };
        bytes += if found.is_dir() {
            used_bytes(&entry.path())?
        } else {
            found.blocks() * 512
        };
    }
    Ok(bytes)
}

/// A log renames and removes files while somebody looks at its folder.
fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Waits until what is allocated below a directory has stood still for a second, half a minute at most.
pub(crate) fn wait_until_idle(dir: &Path) -> Result<()> {
    let mut last = 0;
    for _ in 0..30 {
        std::thread::sleep(Duration::from_secs(1));
        let now = used_bytes(dir)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(())
}

/// Syncs every file below `path` and has the kernel drop its pages (`POSIX_FADV_DONTNEED`), so that they are read from
/// the disk again. Pages that somebody maps stay.
pub(crate) fn drop_cache(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            drop_cache(&entry?.path())?;
        }
        return Ok(());
    }
    if let Some(file) = unless_gone(File::open(path))? {
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

/// Counts what is written, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    /// Given to write calls by this process.
    pub(crate) given: u64,
    /// Of pages that this process made dirty, as the kernel accounts for it (`write_bytes`): a page counts again each
    /// time after it was synced, and where a file is cached in large folios the whole folio counts.
    pub(crate) dirtied: u64,
    /// To the disk, by everybody; `None` where the kernel does not say.
    pub(crate) to_disk: Option<u64>,
}

impl Written {
    /// Up to here, everything in the file system of `dir` synced.
    pub(crate) fn look(dir: &Path) -> Result<Self> {
        let folder = File::open(dir)?;
        syncfs(&folder)?;
        let io = fs::read_to_string("/proc/self/io").context("reading /proc/self/io")?;
        let field = |name: &str| -> Result<u64> {
            let mut lines = io.lines().filter_map(|line| line.split_once(": "));
            let (_, value) = lines
                .find(|(found, _)| *found == name)
                .with_context(|| format!("/proc/self/io has no {name}"))?;
            Ok(value.parse()?)
        };
        let device = folder.metadata()?.dev();
        let stat = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
        let sectors = fs::read_to_string(stat).ok().and_then(|stat| {
            let sectors = stat.split_whitespace().nth(6)?;
            sectors.parse::<u64>().ok()
        });
        Ok(Self {
            given: field("wchar")?,
            dirtied: field("write_bytes")?,
            to_disk: sectors.map(|sectors| sectors * 512),
        })
    }

    /// What was written since an earlier look.
    pub(crate) fn since(self, before: Self) -> Self {
        let to_disk = self.to_disk.zip(before.to_disk);
        Self {
            given: self.given - before.given,
            dirtied: self.dirtied - before.dirtied,
            to_disk: to_disk.map(|(now, before)| now - before),
        }
    }
}
