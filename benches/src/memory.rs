use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, GroupId, LogStore};
use serde::{Deserialize, Serialize};

use crate::args;
use crate::backends::Candidate;
use crate::bench::Bench;
use crate::contender::{Contender, Subject};
use crate::disk::used_bytes;
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::process::{Task, Work, memory_bytes};
use crate::summary::{mib, rounded};
use crate::workload::Workload;

const GROUP: GroupId = GroupId(0);
const ENTRIES_PER_APPEND: u64 = 64;
/// A purge follows after so many entries.
const ENTRIES_PER_PURGE: u64 = 1024;

#[derive(Clone, Args, Serialize, Deserialize)]
pub(crate) struct Options {
    /// How much payload to append, in MiB.
    #[arg(long, default_value_t = 1024, value_parser = args::number::<u64>(1..=1 << 30))]
    mib: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 4096, value_parser = args::number::<usize>(1..=1 << 20))]
    bytes: usize,
    /// How much of the log's end to keep while purging, in MiB.
    #[arg(long, default_value_t = 64, value_parser = args::number::<u64>(0..=1 << 30))]
    keep_mib: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    backend: String,
    path: String,
    appended_mib: u64,
    kept_mib: u64,
    /// The highest resident memory of this process up to here, all of it included.
    peak_rss_mib: f64,
    /// Blocks the store occupies on disk at the end.
    disk_mib: f64,
    entries_per_sync: f64,
}

impl Workload for Options {
    type Row = Row;

    /// The highest resident memory is that of a process, so each log gets one of its own.
    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        let row = |candidate| {
            let dir = bench.folder()?;
            Task::new(candidate, dir.path(), Work::Remember(self.clone())).run()
        };
        bench.candidates.iter().map(row).collect()
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let mark = |row: &Row| Mark::new(&row.backend, &row.path, "peak", row.peak_rss_mib, None);
        vec![Plot {
            title: "resident memory, MiB".into(),
            cases: "",
            scale: Scale::Linear,
            line: None,
            marks: rows.iter().map(mark).collect(),
        }]
    }
}

/// Appends with purging behind, in a process of its own. A store is not waited for: its own bounds have to hold.
pub(crate) fn append(candidate: &Candidate, dir: &Path, options: &Options) -> Result<Row> {
    let mut one = Contender::best(candidate, dir)?;
    let mut payloads = Payloads::new(options.bytes);
    let entries_in = |mib: u64| (mib << 20).div_ceil(options.bytes as u64);
    let (total, keep) = (entries_in(options.mib), entries_in(options.keep_mib));
    let mut commits = 0;
    while one.next <= total {
        let entries = payloads.entries(one.next, ENTRIES_PER_APPEND, options.bytes);
        one.next += ENTRIES_PER_APPEND;
        commits += 1;
        let next = one.next;
        let purges = next > keep && next % ENTRIES_PER_PURGE < ENTRIES_PER_APPEND;
        match &mut one.subject {
            Subject::Store(store) => {
                let group = store.group(GROUP);
                block_on(group.append(entries, Completion::ignore()))?;
                if purges {
                    block_on(group.purge(next - keep, Bytes::new(), Completion::ignore()))?;
                }
            }
            Subject::Bare(log) => {
                log.append(vec![(GROUP, entries)])?;
                if purges {
                    log.purge(GROUP, next - keep)?;
                }
            }
        }
    }
    if let Subject::Store(store) = &one.subject {
        // Waits for everything before.
        block_on(store.store.groups())?;
        commits = store.store.stats().commits;
    }
    let (path, appended) = (one.path, one.next - 1);
    one.finish()?;
    Ok(Row {
        backend: candidate.name.to_owned(),
        path: path.to_owned(),
        appended_mib: options.mib,
        kept_mib: options.keep_mib,
        peak_rss_mib: mib(memory_bytes("VmHWM")?),
        disk_mib: mib(used_bytes(dir)?),
        entries_per_sync: rounded(appended as f64 / commits as f64),
    })
}
