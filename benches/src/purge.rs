use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, Entry, Group, GroupId, LogStore, LogStoreExt};
use serde::Serialize;

use crate::backends::Candidate;
use crate::memory::disk_bytes;
use crate::payload::Payloads;
use crate::reopen::fill;
use crate::summary::{micros, quantile, rounded};

const MIB: f64 = (1 << 20) as f64;

#[derive(Args)]
pub(crate) struct Options {
    /// Entries in the log.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// How many of them are purged.
    #[arg(long, default_value_t = 900_000)]
    purged: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Durable appends of one entry that are timed before the purge, and again after it.
    #[arg(long, default_value_t = 4000)]
    appends: usize,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    /// Until the purge returned: its effect is visible.
    purge_returns_ms: f64,
    /// Until it was durable.
    purge_durable_ms: f64,
    quiet_p50_us: f64,
    quiet_p99_us: f64,
    /// Appends from the purge on.
    purging_p50_us: f64,
    purging_p99_us: f64,
    p99_ratio: f64,
    /// Asking for the first and the last index right after the purge.
    bounds_us: f64,
    disk_before_mib: f64,
    /// Some idle time later, while the store is open.
    disk_after_mib: f64,
    /// When it is closed.
    disk_closed_mib: f64,
    /// Of these, what is used again before the files grow.
    reusable_mib: f64,
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(
        options.purged < options.entries && options.appends > 0,
        "purge a part of the log"
    );
    backends
        .iter()
        .map(|candidate| measure_one(candidate, options, base))
        .collect()
}

fn measure_one(candidate: &Candidate, options: &Options, base: &Path) -> Result<Row> {
    let dir = tempfile::tempdir_in(base)?;
    let store = candidate.store(dir.path())?;
    let group = store.group(GroupId(1));
    fill(&group, options.entries, options.bytes)?;
    let disk_before = disk_bytes(dir.path())?;

    let mut quiet = time_appends(&group, options)?;
    let (done, durable) = Completion::pending();
    let started = Instant::now();
    block_on(group.purge(options.purged, "snapshot".into(), done))?;
    let returned = started.elapsed();
    let asked = Instant::now();
    let ends = (
        block_on(group.first_index())?,
        block_on(group.last_index())?,
    );
    let bounds = asked.elapsed();
    block_on(durable)?;
    let purged = started.elapsed();
    ensure!(
        ends.0 == Some(options.purged + 1),
        "the log starts at {:?}",
        ends.0
    );
    let mut purging = time_appends(&group, options)?;

    wait_until_idle(dir.path())?;
    let disk_after = disk_bytes(dir.path())?;
    block_on(store.close())?;
    let looked_at = candidate.inspect(dir.path())?;
    let reusable = looked_at.reusable_bytes()?;
    looked_at.close()?;
    let (quiet_p99, purging_p99) = (quantile(&mut quiet, 0.99), quantile(&mut purging, 0.99));
    Ok(Row {
        backend: candidate.name,
        purge_returns_ms: rounded(micros(returned) / 1000.0),
        purge_durable_ms: rounded(micros(purged) / 1000.0),
        quiet_p50_us: rounded(quantile(&mut quiet, 0.5)),
        quiet_p99_us: rounded(quiet_p99),
        purging_p50_us: rounded(quantile(&mut purging, 0.5)),
        purging_p99_us: rounded(purging_p99),
        p99_ratio: rounded(purging_p99 / quiet_p99),
        bounds_us: rounded(micros(bounds)),
        disk_before_mib: rounded(disk_before as f64 / MIB),
        disk_after_mib: rounded(disk_after as f64 / MIB),
        disk_closed_mib: rounded(disk_bytes(dir.path())? as f64 / MIB),
        reusable_mib: rounded(reusable as f64 / MIB),
    })
}

/// Microseconds of each of some durable appends, one after the other.
fn time_appends(group: &Group, options: &Options) -> Result<Vec<f64>> {
    let mut payloads = Payloads::new(options.bytes);
    let first = block_on(group.last_index())?.map_or(1, |last| last + 1);
    let mut times = Vec::with_capacity(options.appends);
    for next in first..first + options.appends as u64 {
        let entries = vec![Entry::new(next, payloads.next(options.bytes))];
        let started = Instant::now();
        block_on(group.append_durable(entries))?;
        times.push(micros(started.elapsed()));
    }
    Ok(times)
}

/// Waits until the size of the store has stood still for a second, half a minute at most.
fn wait_until_idle(dir: &Path) -> Result<()> {
    let mut last = 0;
    for _ in 0..30 {
        std::thread::sleep(Duration::from_secs(1));
        let now = disk_bytes(dir)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(())
}
