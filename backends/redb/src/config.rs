use std::fs::{self, File};
use std::io;
use std::path::Path;

use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};
use raft_logstore_kv::{KvBackend, KvEngine};
use redb::{Builder, Database, RepairSession};
use serde::{Deserialize, Serialize};

use crate::engine::RedbEngine;
use crate::error::Guard;
use crate::untouched::Untouched;

/// The options of the redb backend, and the way to open it.
///
/// ```
/// use raft_logstore_redb::RedbConfig;
///
/// let config = RedbConfig::default().with_cache_bytes(256 << 20).with_two_phase_commit(true);
/// assert_eq!(config.cache_bytes, 256 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedbConfig {
    /// Memory for pages, read and to be written, in bytes: from [`Self::MIN_CACHE_BYTES`] to
    /// [`Self::MAX_CACHE_BYTES`]; 64 MiB unless set. It serves reads of entries that the store no
    /// longer has in memory.
    pub cache_bytes: u64,

    /// Syncs twice per commit instead of once; off unless set. With one sync, redb takes damage to
    /// the pages of the very last commit for a torn write after a crash, and goes back to the commit
    /// before. After the crash of a process the store notices that (its commit watermark is ahead)
    /// but can only refuse to open; after a power cut the watermark may be behind and not show it.
    /// With two syncs redb itself reports the damage.
    pub two_phase_commit: bool,

    /// Verifies the checksum of every page whenever the store is opened, not only after a crash;
    /// off unless set. Reads the whole file. Without it, a damaged record is found when it is read.
    pub check_integrity_on_open: bool,

    /// Gives free space inside the file back to the file system when the store is closed, if a file
    /// of at least 16 MiB is mostly free: less than a third of it is records and less than half of it
    /// is pages in use. On unless set. Takes time in proportion to what the store still holds. While
    /// the store is open, purged space is used again.
    pub compact_on_close: bool,
}

impl Default for RedbConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            two_phase_commit: false,
            check_integrity_on_open: false,
            compact_on_close: true,
        }
    }
}

/// The one file in the folder of a store.
const FILE: &str = "data.redb";

impl RedbConfig {
    /// The least [`cache_bytes`](Self::cache_bytes): 1 MiB.
    pub const MIN_CACHE_BYTES: u64 = 1 << 20;

    /// The greatest [`cache_bytes`](Self::cache_bytes): 64 GiB, and no more than the address space.
    pub const MAX_CACHE_BYTES: u64 = 64 << 30;

    /// Sets [`cache_bytes`](Self::cache_bytes).
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets [`two_phase_commit`](Self::two_phase_commit).
    #[must_use]
    pub fn with_two_phase_commit(mut self, enabled: bool) -> Self {
        self.two_phase_commit = enabled;
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

    fn builder(&self, path: &Path) -> Result<Builder> {
        let bytes = usize::try_from(self.cache_bytes)
            .ok()
            .filter(|_| (Self::MIN_CACHE_BYTES..=Self::MAX_CACHE_BYTES).contains(&self.cache_bytes))
            .ok_or_else(|| {
                Error::new(ErrorKind::Config, "open").with_advice(format!(
                    "cache_bytes is {}; choose {} to {}",
                    self.cache_bytes,
                    Self::MIN_CACHE_BYTES,
                    Self::MAX_CACHE_BYTES
                ))
            })?;
        let path = path.to_owned();
        let mut builder = Builder::new();
        builder
            .set_cache_size(bytes)
            .set_check_integrity_on_open(self.check_integrity_on_open)
            .set_repair_callback(move |session: &mut RepairSession| {
                // redb calls this several times; a store that recovers is worth one line.
                let progress = session.progress();
                if progress == 0.0 {
                    tracing::warn!(
                        path = %path.display(),
                        "checking the redb file, which was not closed cleanly"
                    );
                } else {
                    tracing::debug!(path = %path.display(), progress, "checking the redb file");
                }
            });
        Ok(builder)
    }
}

impl BackendConfig for RedbConfig {
    fn name(&self) -> &'static str {
        RedbEngine::NAME
    }

    fn create(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        let builder = self.builder(&path)?;
        if path.exists() {
            return Err(Error::new(ErrorKind::Config, "create")
                .with_path(path)
                .with_advice("the file exists already; open it, or choose an empty folder"));
        }
        let database = Guard::new(&path).run("create", || Ok(builder.create(&path)?))?;
        KvBackend::create(RedbEngine::new(database, &path, self), dir)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        let path = dir.join(FILE);
        let builder = self.builder(&path)?;
        check_file(&path)?;
        refuse_read_only(&path)?;
        let database = Guard::new(&path).run("open", || Ok(builder.open(&path)?))?;
        let engine = self.engine(database, &path)?;
        let backend = KvBackend::open(engine, dir).map_err(|error| error.or_path(path))?;
        Ok(Box::new(backend))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        let path = dir.join(FILE);
        let builder = self.builder(&path)?;
        check_file(&path)?;
        let file = File::open(&path).and_then(Untouched::new);
        let file = file.map_err(|error| Error::io("open", error).with_path(&path))?;
        let database = Guard::new(&path).run("open", || Ok(builder.create_with_backend(file)?))?;
        let config = self.clone().with_compact_on_close(false);
        let engine = config.engine(database, &path)?;
        let backend =
            KvBackend::open_read_only(engine, dir).map_err(|error| error.or_path(path))?;
        Ok(Box::new(backend))
    }
}

impl RedbConfig {
    fn engine(&self, database: Database, path: &Path) -> Result<RedbEngine> {
        let engine = RedbEngine::new(database, path, self);
        // A redb database without our table belongs to another program: say so before reading it.
        drop(engine.view()?);
        Ok(engine)
    }
}

/// Says what is wrong with the file where redb would be less clear, or would write to it.
fn check_file(path: &Path) -> Result<()> {
    let corrupt = |advice| {
        Error::new(ErrorKind::Corrupt, "open")
            .with_path(path)
            .with_advice(advice)
    };
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(corrupt(
                "the data file is missing; put it back, or restore the store from another replica or \
                 a backup",
            )
            .with_source(error));
        }
        Err(error) => return Err(Error::io("open", error).with_path(path)),
    };
    if !file.is_file() {
        return Err(corrupt(
            "what is in place of the data file is not a file; put the file back, or restore the store \
             from another replica or a backup",
        ));
    }
    if file.len() == 0 {
        return Err(corrupt(
            "the data file is empty; put the file back, or restore the store from another replica or a \
             backup",
        ));
    }
    Ok(())
}

/// A file that may not be written is an error before redb tries.
fn refuse_read_only(path: &Path) -> Result<()> {
    let file = fs::metadata(path).map_err(|error| Error::io("open", error).with_path(path))?;
    if file.permissions().readonly() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        return Err(Error::io("open", denied)
            .with_path(path)
            .with_advice("the file is read-only; a store needs to write to it"));
    }
    Ok(())
}
