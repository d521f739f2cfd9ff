use std::path::Path;

use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, ReadOnly, Result};
use raft_logstore_frames::Access;
use serde::{Deserialize, Serialize};

use crate::backend::WalBackend;

/// The options of the write-ahead log, and the way to open it.
///
/// ```
/// use raft_logstore_wal::WalConfig;
///
/// let config = WalConfig::default().with_segment_bytes(64 << 20).with_prepared_segments(2);
/// assert_eq!(config.segment_bytes, 64 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WalConfig {
    /// How long a segment is, in bytes: from [`Self::MIN_SEGMENT_BYTES`] to [`Self::MAX_SEGMENT_BYTES`];
    /// 32 MiB unless set. It may change between two opens: segments that are there keep their length. What
    /// every group needs beside its entries is written again with each segment.
    pub segment_bytes: u64,

    /// How many segments wait for their use, filled with zeros, at most: from 1 to
    /// [`Self::MAX_PREPARED_SEGMENTS`]; 1 unless set. One more is prepared in the background when one is taken. More
    /// of them help where writers fill segments faster than the disk prepares them.
    pub prepared_segments: u64,

    /// Memory for the places of entries in segments that are not written any more, in bytes: from 0 to
    /// [`Self::MAX_CACHE_BYTES`]; 8 MiB unless set. A place takes 8 bytes.
    pub cache_bytes: u64,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 32 << 20,
            prepared_segments: 1,
            cache_bytes: 8 << 20,
        }
    }
}

impl WalConfig {
    /// The backend's name and URI scheme.
    pub const NAME: &'static str = "wal";

    /// The least [`segment_bytes`](Self::segment_bytes): 64 KiB.
    pub const MIN_SEGMENT_BYTES: u64 = 64 << 10;

    /// The greatest [`segment_bytes`](Self::segment_bytes): 1 GiB.
    pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

    /// The greatest [`prepared_segments`](Self::prepared_segments).
    pub const MAX_PREPARED_SEGMENTS: u64 = 64;

    /// The greatest [`cache_bytes`](Self::cache_bytes): 64 GiB.
    pub const MAX_CACHE_BYTES: u64 = 64 << 30;

    /// Sets [`segment_bytes`](Self::segment_bytes).
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Sets [`prepared_segments`](Self::prepared_segments).
    #[must_use]
    pub fn with_prepared_segments(mut self, segments: u64) -> Self {
        self.prepared_segments = segments;
        self
    }

    /// Sets [`cache_bytes`](Self::cache_bytes).
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    fn check(&self) -> Result<()> {
        let options = [
            (
                "segment_bytes",
                self.segment_bytes,
                Self::MIN_SEGMENT_BYTES..=Self::MAX_SEGMENT_BYTES,
            ),
            (
                "prepared_segments",
                self.prepared_segments,
                1..=Self::MAX_PREPARED_SEGMENTS,
            ),
            ("cache_bytes", self.cache_bytes, 0..=Self::MAX_CACHE_BYTES),
        ];
        for (name, value, range) in options {
            if !range.contains(&value) {
                return Err(Error::new(ErrorKind::Config, "open").with_advice(format!(
                    "{name} is {value}; choose {} to {}",
                    range.start(),
                    range.end()
                )));
            }
        }
        Ok(())
    }
}

impl BackendConfig for WalConfig {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn create(&self, dir: &Path) -> Result<()> {
        self.check()?;
        WalBackend::create(dir, self)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.check()?;
        Ok(Box::new(WalBackend::open(dir, self, Access::Write)?))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.check()?;
        let backend = WalBackend::open(dir, self, Access::Look)?;
        Ok(Box::new(ReadOnly::new(Box::new(backend))))
    }
}
