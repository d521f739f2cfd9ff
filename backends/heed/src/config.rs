use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};
use raft_logstore_kv::KvBackend;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::compact::remove_leftover;
use crate::engine::{HeedEngine, Limits};
use crate::environment::{Access, Environment, whole_pages};
use crate::error::{corrupt, guard};
use crate::looks;
use crate::meta::Meta;

/// The options of the heed backend, and the way to open it.
///
/// ```
/// use raft_logstore_heed::HeedConfig;
///
/// let config = HeedConfig::default().with_map_size(16 << 30).with_max_map_size(64 << 30);
/// assert_eq!(config.map_size, 16 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HeedConfig {
    /// How much of the file is mapped into memory at first, in bytes: from [`Self::MIN_MAP_SIZE`] to
    /// [`max_map_size`](Self::max_map_size), rounded up to whole pages; 1 GiB unless set. It is address
    /// space, neither memory nor disk. A map that becomes too small is doubled, for which it waits until
    /// the reads that use it have ended.
    pub map_size: u64,

    /// How much of the file appends may fill, in bytes: up to [`Self::MAX_MAP_SIZE`]; 1 TiB unless set.
    /// Beyond it one fails with [`DiskFull`](ErrorKind::DiskFull); a commit of up to 64 KiB may use a
    /// sixteenth more, at least 8 MiB. What appends nothing, such as a vote or a purge, and what was
    /// committed and is put to its place is never refused: map and file may become larger by about as
    /// much as that writes and an eighth, at least 16 MiB. A file that is larger already is opened all
    /// the same.
    pub max_map_size: u64,

    /// Checks the structure of the file whenever it is opened; on unless set. Reads every page but those
    /// of long values. LMDB itself checks nothing: without this, a file that was damaged can end the
    /// process. Turn it off for stores of many GiB whose disk is checked otherwise.
    pub check_integrity_on_open: bool,

    /// Writes the file anew without its free space when the store is closed, if it has at least 16 MiB
    /// and half of it is free. On unless set. Takes time and, until the old file is gone, disk space in
    /// proportion to what the store still holds. While the store is open, purged space is used again.
    pub compact_on_close: bool,
}

impl Default for HeedConfig {
    fn default() -> Self {
        Self {
            map_size: 1 << 30,
            max_map_size: 1 << 40,
            check_integrity_on_open: true,
            compact_on_close: true,
        }
    }
}

/// The file in the folder of a store; LMDB keeps a lock file of its own beside it.
const FILE: &str = "data.mdb";

impl HeedConfig {
    /// The least [`map_size`](Self::map_size): 64 KiB.
    pub const MIN_MAP_SIZE: u64 = 64 << 10;

    /// The greatest [`max_map_size`](Self::max_map_size): 64 TiB.
    pub const MAX_MAP_SIZE: u64 = 64 << 40;

    /// Sets [`map_size`](Self::map_size).
    #[must_use]
    pub fn with_map_size(mut self, bytes: u64) -> Self {
        self.map_size = bytes;
        self
    }

    /// Sets [`max_map_size`](Self::max_map_size).
    #[must_use]
    pub fn with_max_map_size(mut self, bytes: u64) -> Self {
        self.max_map_size = bytes;
        self
    }

    /// Sets [`check_integrity_on_open`](Self::check_integrity_on_open).
    #[must_use]
    pub fn with_check_integrity_on_open(mut self, enabled: bool) -> Self {
        self.check_integrity_on_open = enabled;
        self
    }

    /// Sets [`compact_on_close`](Self::compact_on_close).
    #[must_use]
    pub fn with_compact_on_close(mut self, enabled: bool) -> Self {
        self.compact_on_close = enabled;
        self
    }

    fn check(&self) -> Result<()> {
        let invalid = |advice| Err(Error::new(ErrorKind::Config, "open").with_advice(advice));
        if !(Self::MIN_MAP_SIZE..=Self::MAX_MAP_SIZE).contains(&self.max_map_size) {
            return invalid(format!(
                "max_map_size is {}; choose {} to {}",
                self.max_map_size,
                Self::MIN_MAP_SIZE,
                Self::MAX_MAP_SIZE
            ));
        }
        if !(Self::MIN_MAP_SIZE..=self.max_map_size).contains(&self.map_size) {
            return invalid(format!(
                "map_size is {}; choose {} up to max_map_size, which is {}",
                self.map_size,
                Self::MIN_MAP_SIZE,
                self.max_map_size
            ));
        }
        Ok(())
    }

    /// Opens what is in the folder, after a look at it.
    fn engine(&self, dir: &Path, access: Access) -> Result<HeedEngine> {
        let path = dir.join(FILE);
        let used = self
            .check_file(&path, access)
            .map_err(|error| error.with_path(&path))?;
        let (map_size, compact_on_close) = match access {
            Access::Write => {
                remove_leftover(&path)?;
                (self.map_size.max(used), self.compact_on_close)
            }
            Access::Look => (used, false),
        };
        let environment = guard("open", &path, || {
            let map_bytes = whole_pages(map_size)?;
            match access {
                Access::Write => Ok(Arc::new(Environment::open(dir, map_bytes, access)?)),
                Access::Look => looks::open(dir, map_bytes),
            }
        })?;
        let limits = Limits::new(self.max_map_size);
        Ok(HeedEngine::new(
            environment,
            &path,
            limits,
            compact_on_close,
        ))
    }

    /// Says what is wrong with the file before LMDB maps it: then it would be too late. Returns how much
    /// of it is in use.
    fn check_file(&self, path: &Path, access: Access) -> Result<u64> {
        let failed = |error| Error::io("open", error);
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt("it is missing").with_source(error));
            }
            Err(error) => return Err(failed(error)),
        };
        if !metadata.is_file() {
            return Err(corrupt("something else is in its place"));
        }
        if access == Access::Write && metadata.permissions().readonly() {
            return Err(failed(io::ErrorKind::PermissionDenied.into())
                .with_advice("the file is read-only; a store needs to write to it"));
        }
        let file = File::open(path).map_err(failed)?;
        let meta = Meta::newest(&file)?;
        if self.check_integrity_on_open {
            Check::run(&file, meta)?;
        }
        Ok(meta.used_bytes())
    }
}

impl BackendConfig for HeedConfig {
    fn name(&self) -> &'static str {
        HeedEngine::NAME
    }

    fn create(&self, dir: &Path) -> Result<()> {
        self.check()?;
        let path = dir.join(FILE);
        if path.exists() {
            return Err(Error::new(ErrorKind::Config, "create")
                .with_path(path)
                .with_advice("the file exists already; open it, or choose an empty folder"));
        }
        let environment = guard("create", &path, || {
            Environment::open(dir, whole_pages(self.map_size)?, Access::Write)
        })?;
        let limits = Limits::new(self.max_map_size);
        KvBackend::create(HeedEngine::new(environment, &path, limits, false), dir)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.check()?;
        let backend = KvBackend::open(self.engine(dir, Access::Write)?, dir);
        Ok(Box::new(
            backend.map_err(|error| error.or_path(dir.join(FILE)))?,
        ))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.check()?;
        let backend = KvBackend::open_read_only(self.engine(dir, Access::Look)?, dir);
        Ok(Box::new(
            backend.map_err(|error| error.or_path(dir.join(FILE)))?,
        ))
    }
}
