use std::fs;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use humantime::format_rfc3339_seconds;
use raft_logstore::GroupId;
use serde::Serialize;

use crate::Log;
use crate::bench::Bench;
use crate::payload::Payloads;
use crate::raw::RawFile;
use crate::summary::{median, micros, rounded};

/// How many syncs are timed.
const SYNCS: usize = 200;

/// Where and when was measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) version: &'static str,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    /// The file system, its device and its options.
    pub(crate) disk: String,
    /// The median of a write of 256 bytes and its `fdatasync` in a preallocated file, in microseconds.
    pub(crate) sync_us: f64,
}

impl Machine {
    /// Looks, and times the disk.
    ///
    /// # Errors
    ///
    /// When the kernel does not say, or the disk cannot be written.
    pub(crate) fn look(bench: &Bench) -> Result<Self> {
        let first = |path: &str, field: &str| -> Result<String> {
            let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(name, _)| name.trim() == field);
            Ok(found
                .map_or("unknown", |(_, value)| value.trim())
                .to_owned())
        };
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            date: format_rfc3339_seconds(SystemTime::now()).to_string(),
            version: env!("CARGO_PKG_VERSION"),
            cpu: first("/proc/cpuinfo", "model name")?,
            cores: available_parallelism()?.get(),
            memory: first("/proc/meminfo", "MemTotal")?,
            kernel: kernel.trim().to_owned(),
            disk: disk(&bench.base)?,
            sync_us: sync_us(bench)?,
        })
    }
}

/// The file system of a folder: the one with the longest mount point above it.
fn disk(dir: &Path) -> Result<String> {
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, point) = (fields.next()?, fields.next()?);
        let (kind, options) = (fields.next()?, fields.next()?);
        let describe = format!("{kind} on {device} ({options})");
        dir.starts_with(point).then_some((point.len(), describe))
    });
    // Of two mounts on one point the later one is seen.
    let found = above.max_by_key(|(len, _)| *len);
    Ok(found.map_or_else(|| "unknown".to_owned(), |(_, describe)| describe))
}

fn sync_us(bench: &Bench) -> Result<f64> {
    let dir = bench.folder()?;
    let mut file = RawFile::create(&dir.path().join("raw"), 1 << 20, 256)?;
    let mut payloads = Payloads::new(256);
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let append = vec![(GroupId(0), payloads.entries(1, 1, 256))];
        let started = Instant::now();
        file.append(append)?;
        times.push(micros(started.elapsed()));
    }
    Ok(rounded(median(times)))
}
