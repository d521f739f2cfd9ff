use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, GroupId, LogStore, LogStoreExt};
use serde::Serialize;

use crate::args;
use crate::backends::Candidate;
use crate::bench::Bench;
use crate::contender::{Contender, Subject};
use crate::disk::{used_bytes, wait_until_idle};
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::summary::{mib, micros, millis, quantile, rounded};
use crate::workload::Workload;

const GROUP: GroupId = GroupId(0);

#[derive(Args)]
pub(crate) struct Options {
    /// Entries in the log.
    #[arg(long, default_value_t = 1_000_000, value_parser = args::count::<u64>())]
    entries: u64,
    /// How many of them are purged.
    #[arg(long, default_value_t = 900_000, value_parser = args::count::<u64>())]
    purged: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256, value_parser = args::bytes())]
    bytes: usize,
    /// Durable appends of one entry that are timed before the purge, and again after it.
    #[arg(long, default_value_t = 4000, value_parser = args::number::<usize>(1..=1_000_000_000))]
    appends: usize,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    path: &'static str,
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
    /// Asking for the first and the last index right after the purge; `null` for a rival.
    bounds_us: Option<f64>,
    disk_before_mib: f64,
    /// Some idle time later, while the store is open.
    disk_after_mib: f64,
    /// When it is closed.
    disk_closed_mib: f64,
    /// Of these, what is used again before the files grow; `null` for a rival.
    reusable_mib: Option<f64>,
}

/// How long a purge took.
struct Took {
    returned: Duration,
    durable: Duration,
    bounds: Option<Duration>,
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        ensure!(self.purged < self.entries, "purge a part of the log");
        let candidates = bench.candidates.iter();
        candidates
            .map(|candidate| self.measure_one(candidate, bench))
            .collect()
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let marks = rows.iter().flat_map(|row| {
            let mark = |case, value| Mark::new(row.backend, row.path, case, value, None);
            [
                mark("before", row.quiet_p99_us),
                mark("beside the purge", row.purging_p99_us),
            ]
        });
        vec![Plot {
            title: "p99 of an append, µs".into(),
            cases: "",
            scale: Scale::Log,
            line: None,
            marks: marks.collect(),
        }]
    }
}

impl Options {
    fn measure_one(&self, candidate: &Candidate, bench: &Bench) -> Result<Row> {
        let dir = bench.folder()?;
        let mut one = Contender::best(candidate, dir.path())?;
        one.fill(1, self.entries, self.bytes)?;
        let disk_before = used_bytes(dir.path())?;

        let mut quiet = self.time_appends(&mut one)?;
        let took = self.purge(&mut one)?;
        let mut purging = self.time_appends(&mut one)?;

        wait_until_idle(dir.path())?;
        let disk_after = used_bytes(dir.path())?;
        let path = one.path;
        one.finish()?;
        let (quiet_p99, purging_p99) = (quantile(&mut quiet, 0.99), quantile(&mut purging, 0.99));
        Ok(Row {
            backend: candidate.name,
            path,
            purge_returns_ms: millis(took.returned),
            purge_durable_ms: millis(took.durable),
            quiet_p50_us: rounded(quantile(&mut quiet, 0.5)),
            quiet_p99_us: rounded(quiet_p99),
            purging_p50_us: rounded(quantile(&mut purging, 0.5)),
            purging_p99_us: rounded(purging_p99),
            p99_ratio: rounded(purging_p99 / quiet_p99),
            bounds_us: took.bounds.map(|took| rounded(micros(took))),
            disk_before_mib: mib(disk_before),
            disk_after_mib: mib(disk_after),
            disk_closed_mib: mib(used_bytes(dir.path())?),
            reusable_mib: reusable_bytes(candidate, dir.path())?.map(mib),
        })
    }

    fn purge(&self, one: &mut Contender) -> Result<Took> {
        let started = Instant::now();
        let store = match &mut one.subject {
            Subject::Store(store) => store,
            Subject::Bare(log) => {
                log.purge(GROUP, self.purged)?;
                let took = started.elapsed();
                return Ok(Took {
                    returned: took,
                    durable: took,
                    bounds: None,
                });
            }
        };
        let (done, durable) = Completion::pending();
        let group = store.group(GROUP);
        block_on(group.purge(self.purged, "snapshot".into(), done))?;
        let returned = started.elapsed();
        let asked = Instant::now();
        let first = block_on(group.first_index())?;
        block_on(group.last_index())?;
        let bounds = asked.elapsed();
        block_on(durable)?;
        let durable = started.elapsed();
        let expected = Some(self.purged + 1);
        ensure!(first == expected, "the log starts at {first:?}");
        Ok(Took {
            returned,
            durable,
            bounds: Some(bounds),
        })
    }

    /// Microseconds of each of some durable appends, one after the other.
    fn time_appends(&self, one: &mut Contender) -> Result<Vec<f64>> {
        let mut payloads = Payloads::new(self.bytes);
        let mut append = |_| {
            let entry = one.next_entries(&mut payloads, 1, 1, self.bytes);
            let started = Instant::now();
            one.log().append(entry)?;
            Ok(micros(started.elapsed()))
        };
        (0..self.appends).map(&mut append).collect()
    }
}

/// How many bytes of the closed store are used again before its files grow, if it is one of ours.
fn reusable_bytes(candidate: &Candidate, dir: &Path) -> Result<Option<u64>> {
    let Some(ours) = candidate.ours else {
        return Ok(None);
    };
    let looked_at = ours.inspect(dir)?;
    let bytes = looked_at.reusable_bytes()?;
    looked_at.close()?;
    Ok(Some(bytes))
}
