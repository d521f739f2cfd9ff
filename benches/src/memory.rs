use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, GroupId, LogStore};
use serde::{Deserialize, Serialize};

use crate::backends::Candidate;
use crate::payload::Payloads;
use crate::process;
use crate::summary::rounded;

const MIB: f64 = (1 << 20) as f64;
const ENTRIES_PER_APPEND: u64 = 64;

#[derive(Args)]
pub(crate) struct Options {
    /// How much payload to append, in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 4096)]
    bytes: usize,
    /// How much of the log's end to keep while purging, in MiB.
    #[arg(long, default_value_t = 64)]
    keep_mib: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    backend: String,
    appended_mib: u64,
    kept_mib: u64,
    /// The highest resident memory of this process up to here, all of it included.
    peak_rss_mib: f64,
    /// Blocks the store occupies on disk at the end.
    disk_mib: f64,
    entries_per_sync: f64,
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(options.bytes > 0 && options.mib > 0, "nothing to append");
    if backends.len() > 1 {
        // The highest resident memory is that of a process, so each backend gets one of its own.
        return process::one_each(backends);
    }
    let mut rows = Vec::new();
    for candidate in backends {
        let dir = tempfile::tempdir_in(base)?;
        let store = candidate.store(dir.path())?;
        let group = store.group(GroupId(1));
        let mut payloads = Payloads::new(options.bytes);
        let entries_in = |mib: u64| (mib << 20).div_ceil(options.bytes as u64);
        let (total, keep) = (entries_in(options.mib), entries_in(options.keep_mib));
        let mut next = 1;
        while next <= total {
            // Not waiting for the disk: the store's own bounds have to hold.
            let entries = payloads.entries(next, ENTRIES_PER_APPEND, options.bytes);
            block_on(group.append(owned(entries), Completion::ignore()))?;
            next += ENTRIES_PER_APPEND;
            if next > keep && next % 1024 < ENTRIES_PER_APPEND {
                block_on(group.purge(next - keep, Default::default(), Completion::ignore()))?;
            }
        }
        let last = next - 1;
        block_on(store.groups())?;
        let read = block_on(group.read((last..=last).into(), u64::MAX))?;
        ensure!(read.len() == 1, "the last entry is missing");
        let stats = store.stats();
        block_on(store.close())?;
        rows.push(Row {
            backend: candidate.name.to_owned(),
            appended_mib: options.mib,
            kept_mib: options.keep_mib,
            peak_rss_mib: rounded(peak_rss_bytes()? as f64 / MIB),
            disk_mib: rounded(disk_bytes(dir.path())? as f64 / MIB),
            entries_per_sync: rounded(stats.entries_per_commit()),
        });
    }
    Ok(rows)
}

/// Gives every payload memory of its own, as a caller's would have.
fn owned(entries: Vec<raft_logstore::Entry>) -> Vec<raft_logstore::Entry> {
    let copy = |entry: raft_logstore::Entry| {
        raft_logstore::Entry::new(entry.index, entry.payload.to_vec())
    };
    entries.into_iter().map(copy).collect()
}

fn peak_rss_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM line")?;
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .context("VmHWM is not a number")?;
    Ok(kib << 10)
}

/// Bytes allocated on disk below a directory.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            found.blocks() * 512
        };
    }
    Ok(bytes)
}
