use std::str::FromStr;

use std::path::Path;
#[cfg(any(feature = "fjall", feature = "heed", feature = "redb", feature = "wal"))]
use std::path::PathBuf;

use raft_logstore_core::{BackendConfig, Error, MemoryBackend, Result};
use raft_logstore_pipeline::{Inspection, Store, StoreConfig};

use crate::uri::{Uri, invalid, shown};

/// Where a store is and which engine keeps it: a URI, checked.
///
/// | URI | store |
/// |---|---|
/// | `memory:` | a new one in memory, gone when it is closed |
/// | `redb:PATH` | in the folder `PATH`, absolute or relative, kept by redb; feature `redb` |
/// | `heed:PATH` | in the folder `PATH`, kept by LMDB; feature `heed` |
/// | `fjall:PATH` | in the folder `PATH`, kept by fjall; feature `fjall` |
/// | `wal:PATH` | in the folder `PATH`, kept in a segmented log; feature `wal` |
///
/// Options follow the path: `redb:/data?cache_bytes=256MiB&two_phase_commit=true`. A size is plain or
/// in `KiB`, `MiB` or `GiB`, a switch `true` or `false`. A path is taken as it is, without
/// percent-decoding; one that holds a `?` needs [`Store::open`].
///
/// ```
/// use raft_logstore::{ErrorKind, Target};
///
/// assert_eq!("memory:".parse::<Target>()?, Target::Memory);
/// let error = "floppy:/a".parse::<Target>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// # Ok::<(), raft_logstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A new store in memory.
    Memory,
    /// A folder kept by redb. The options are the fields of
    /// [`RedbConfig`](crate::redb::RedbConfig): `cache_bytes`, `two_phase_commit`,
    /// `check_integrity_on_open`, `compact_on_close`.
    #[cfg(feature = "redb")]
    Redb {
        /// The folder; made by the first open.
        path: PathBuf,
        /// The engine's options.
        config: crate::redb::RedbConfig,
    },
    /// A folder kept by LMDB. The options are the fields of
    /// [`HeedConfig`](crate::heed::HeedConfig): `map_size`, `max_map_size`,
    /// `check_integrity_on_open`, `compact_on_close`.
    #[cfg(feature = "heed")]
    Heed {
        /// The folder; made by the first open.
        path: PathBuf,
        /// The engine's options.
        config: crate::heed::HeedConfig,
    },
    /// A folder kept by fjall. The options are the fields of
    /// [`FjallConfig`](crate::fjall::FjallConfig): `cache_bytes`, `journal_bytes`, `memtable_bytes`,
    /// `compact_on_close`.
    #[cfg(feature = "fjall")]
    Fjall {
        /// The folder; made by the first open.
        path: PathBuf,
        /// The engine's options.
        config: crate::fjall::FjallConfig,
    },
    /// A folder kept in a segmented log. The options are the fields of
    /// [`WalConfig`](crate::wal::WalConfig): `segment_bytes`, `prepared_segments`, `cache_bytes`.
    #[cfg(feature = "wal")]
    Wal {
        /// The folder; made by the first open.
        path: PathBuf,
        /// The options of the log.
        config: crate::wal::WalConfig,
    },
}

/// Every scheme, the cargo feature it needs, and whether that is on.
const SCHEMES: [(&str, Option<&str>, bool); 5] = [
    ("memory", None, true),
    ("redb", Some("redb"), cfg!(feature = "redb")),
    ("heed", Some("heed"), cfg!(feature = "heed")),
    ("fjall", Some("fjall"), cfg!(feature = "fjall")),
    ("wal", Some("wal"), cfg!(feature = "wal")),
];

impl Target {
    /// Opens the store.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open(self, config: StoreConfig) -> Result<Store> {
        match self {
            Self::Memory => Store::with_backend(MemoryBackend::new(), config).await,
            #[cfg(feature = "redb")]
            Self::Redb { path, config: redb } => Store::open(path, redb, config).await,
            #[cfg(feature = "heed")]
            Self::Heed { path, config: heed } => Store::open(path, heed, config).await,
            #[cfg(feature = "fjall")]
            Self::Fjall {
                path,
                config: fjall,
            } => Store::open(path, fjall, config).await,
            #[cfg(feature = "wal")]
            Self::Wal { path, config: wal } => Store::open(path, wal, config).await,
        }
    }

    /// Opens the store to look at it; changes nothing. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// As [`Inspection::open`]; [`Config`](crate::ErrorKind::Config) for [`Memory`](Self::Memory),
    /// where there is nothing to look at.
    pub fn inspect(&self) -> Result<Inspection> {
        match self.folder() {
            Some((path, config)) => Inspection::open(path, config),
            None => Err(invalid(
                "a store in memory ends with its process".to_owned(),
            )),
        }
    }

    /// The folder of the store and the backend that keeps it; `None` for a store in memory.
    pub fn folder(&self) -> Option<(&Path, &dyn BackendConfig)> {
        match self {
            Self::Memory => None,
            #[cfg(feature = "redb")]
            Self::Redb { path, config } => Some((path, config)),
            #[cfg(feature = "heed")]
            Self::Heed { path, config } => Some((path, config)),
            #[cfg(feature = "fjall")]
            Self::Fjall { path, config } => Some((path, config)),
            #[cfg(feature = "wal")]
            Self::Wal { path, config } => Some((path, config)),
        }
    }
}

impl FromStr for Target {
    type Err = Error;

    /// Reads a URI.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for anything else: it says what is wrong, which schemes
    /// this build has, and which feature adds the one that was asked for.
    fn from_str(uri: &str) -> Result<Self> {
        let uri = Uri::parse(uri)?;
        match uri.scheme {
            "memory" => uri.bare().map(|()| Self::Memory),
            #[cfg(feature = "redb")]
            "redb" => Ok(Self::Redb {
                path: uri.folder()?.into(),
                config: uri.config()?,
            }),
            #[cfg(feature = "heed")]
            "heed" => Ok(Self::Heed {
                path: uri.folder()?.into(),
                config: uri.config()?,
            }),
            #[cfg(feature = "fjall")]
            "fjall" => Ok(Self::Fjall {
                path: uri.folder()?.into(),
                config: uri.config()?,
            }),
            #[cfg(feature = "wal")]
            "wal" => Ok(Self::Wal {
                path: uri.folder()?.into(),
                config: uri.config()?,
            }),
            other => Err(unavailable(other)),
        }
    }
}

fn unavailable(scheme: &str) -> Error {
    let compiled: Vec<_> = SCHEMES
        .iter()
        .filter(|(.., on)| *on)
        .map(|(scheme, ..)| format!("{scheme}:"))
        .collect();
    let compiled = compiled.join(", ");
    match SCHEMES.iter().find(|(known, ..)| *known == scheme) {
        Some((_, Some(feature), _)) => invalid(format!(
            "{scheme}: is not compiled in; enable the cargo feature `{feature}` of raft-logstore. \
             This build has {compiled}"
        )),
        _ => invalid(format!(
            "{} is no scheme of a store; this build has {compiled}",
            shown(scheme)
        )),
    }
}
