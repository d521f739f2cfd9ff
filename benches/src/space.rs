use anyhow::Result;
use clap::Args;
use raft_logstore::GroupId;
use serde::Serialize;

use crate::args;
use crate::backends::Candidate;
use crate::bench::Bench;
use crate::contender::Contender;
use crate::disk::{used_bytes, wait_until_idle};
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::summary::{mib, rounded};
use crate::workload::Workload;

/// How many entries of each group a commit carries.
const AT_ONCE: u64 = 4;
/// A purge of each group follows after so many commits.
const PURGE_EVERY: u64 = 16;

#[derive(Args)]
pub(crate) struct Options {
    /// Groups; nothing is purged of the last one.
    #[arg(long, default_value_t = 100, value_parser = args::number::<u64>(2..=1 << 20))]
    groups: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 1024, value_parser = args::number::<usize>(1..=1 << 20))]
    bytes: usize,
    /// How much payload to append to all groups together, in turn, in MiB.
    #[arg(long, default_value_t = 1024, value_parser = args::number::<u64>(1..=1 << 30))]
    mib: u64,
    /// How many entries of the other groups are kept, about.
    #[arg(long, default_value_t = 64, value_parser = args::count::<u64>())]
    keep: u64,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    path: &'static str,
    groups: u64,
    bytes: usize,
    appended_mib: f64,
    /// Payload that is still part of a log at the end.
    live_mib: f64,
    /// Blocks on disk some idle time later, while the store is open.
    disk_mib: f64,
    disk_to_live: f64,
    /// The most that was there after any purge.
    peak_disk_mib: f64,
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        args::check_size(self.groups * AT_ONCE, self.bytes)?;
        let candidates = bench.holding(self.groups);
        candidates
            .map(|candidate| self.measure_one(candidate, bench))
            .collect()
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let marks = rows.iter().flat_map(|row| {
            let mark =
                |case, mib: f64| Mark::new(row.backend, row.path, case, mib / row.live_mib, None);
            [
                mark("peak", row.peak_disk_mib),
                mark("at rest", row.disk_mib),
            ]
        });
        vec![Plot {
            title: "disk used over live payload".into(),
            cases: "",
            scale: Scale::Log,
            line: Some(1.0),
            marks: marks.collect(),
        }]
    }
}

impl Options {
    fn measure_one(&self, candidate: &Candidate, bench: &Bench) -> Result<Row> {
        let dir = bench.folder()?;
        let mut one = Contender::best(candidate, dir.path())?;
        let mut payloads = Payloads::new(self.bytes);
        let turn = self.groups * AT_ONCE * self.bytes as u64;
        let turns = (self.mib << 20).div_ceil(turn);
        let (mut purged, mut peak) = (0, 0);
        for number in 1..=turns {
            let appends = one.next_entries(&mut payloads, self.groups, AT_ONCE, self.bytes);
            one.log().append(appends)?;
            let upto = (one.next - 1).saturating_sub(self.keep);
            if number % PURGE_EVERY == 0 && upto > purged {
                for group in 0..self.groups - 1 {
                    one.log().purge(GroupId(group), upto)?;
                }
                purged = upto;
                peak = used_bytes(dir.path())?.max(peak);
            }
        }
        wait_until_idle(dir.path())?;
        let disk = used_bytes(dir.path())?;
        let last = one.next - 1;
        let live = ((self.groups - 1) * (last - purged) + last) * self.bytes as u64;
        let path = one.path;
        one.finish()?;
        Ok(Row {
            backend: candidate.name,
            path,
            groups: self.groups,
            bytes: self.bytes,
            appended_mib: mib(turns * turn),
            live_mib: mib(live),
            disk_mib: mib(disk),
            disk_to_live: rounded(disk as f64 / live as f64),
            peak_disk_mib: mib(peak.max(disk)),
        })
    }
}
