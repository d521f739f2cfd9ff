use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{GroupId, LogStore};
use serde::{Deserialize, Serialize};

use crate::args;
use crate::backends::Candidate;
use crate::bench::Bench;
use crate::contender::{Contender, ENGINE, STORE, Subject};
use crate::plot::{Mark, Plot, Scale};
use crate::process::{Task, Work, memory_bytes};
use crate::summary::{Spread, mib, micros};
use crate::workload::Workload;

#[derive(Args)]
pub(crate) struct Options {
    /// Entries in the store.
    #[arg(long, default_value_t = 1_000_000, value_parser = args::count::<u64>())]
    entries: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256, value_parser = args::bytes())]
    bytes: usize,
    /// Groups that share the entries.
    #[arg(long, default_value_t = 1, value_parser = args::few::<u64>())]
    groups: u64,
    /// How often each way of opening is measured; figures are medians.
    #[arg(long, default_value_t = 3, value_parser = args::count::<usize>())]
    rounds: usize,
}

/// What a process appends before it is killed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fill {
    groups: u64,
    bytes: usize,
    from: u64,
    upto: u64,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    path: &'static str,
    entries: u64,
    bytes: usize,
    groups: u64,
    after_close_ms: f64,
    after_kill_ms: f64,
    /// Asking the opened store for the first and the last index of a group; reading one entry of a rival.
    bounds_us: f64,
    /// Resident memory of a process that has opened the store after a close and nothing else, all of it included.
    resident_mib: f64,
    after_close_ms_quartiles: [f64; 2],
    after_kill_ms_quartiles: [f64; 2],
}

/// How an open went, in a process of its own.
#[derive(Serialize, Deserialize)]
pub(crate) struct Opened {
    open_us: f64,
    bounds_us: f64,
    resident_bytes: u64,
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        ensure!(
            self.groups <= self.entries,
            "a group has at least one entry"
        );
        args::check_size(self.groups, self.bytes)?;
        let candidates = bench.holding(self.groups);
        candidates
            .map(|candidate| self.measure_one(candidate, bench))
            .collect()
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let marks = rows.iter().flat_map(|row| {
            let mark = |case, value, quartiles| {
                Mark::new(row.backend, row.path, case, value, Some(quartiles))
            };
            [
                mark(
                    "after a close",
                    row.after_close_ms,
                    row.after_close_ms_quartiles,
                ),
                mark(
                    "after SIGKILL",
                    row.after_kill_ms,
                    row.after_kill_ms_quartiles,
                ),
            ]
        });
        let resident = |row: &Row| {
            Mark::new(
                row.backend,
                row.path,
                "open, at rest",
                row.resident_mib,
                None,
            )
        };
        vec![
            Plot {
                title: "time to open, ms".into(),
                cases: "",
                scale: Scale::Log,
                line: None,
                marks: marks.collect(),
            },
            Plot {
                title: "resident memory, MiB".into(),
                cases: "",
                scale: Scale::Linear,
                line: None,
                marks: rows.iter().map(resident).collect(),
            },
        ]
    }
}

impl Options {
    fn measure_one(&self, candidate: &Candidate, bench: &Bench) -> Result<Row> {
        let dir = bench.folder()?;
        let task = |work| Task::new(candidate, dir.path(), work);
        let (mut killed, mut closed) = (Vec::new(), Vec::new());
        let mut last = 0;
        for round in 0..self.rounds as u64 {
            // One entry more in each round.
            let fill = Fill {
                groups: self.groups,
                bytes: self.bytes,
                from: last + 1,
                upto: self.entries / self.groups + round,
            };
            last = fill.upto;
            task(Work::Fill(fill)).start()?.kill()?;
            for opened in [&mut killed, &mut closed] {
                opened.push(task(Work::Open(last)).run::<Opened>()?);
            }
        }
        let of = |opened: &[Opened], field: fn(&Opened) -> f64| {
            Spread::of(&opened.iter().map(field).collect::<Vec<_>>())
        };
        let open_ms = |opened: &[Opened]| of(opened, |one| one.open_us / 1000.0);
        let (after_close, after_kill) = (open_ms(&closed), open_ms(&killed));
        Ok(Row {
            backend: candidate.name,
            path: if candidate.ours.is_some() {
                STORE
            } else {
                ENGINE
            },
            entries: self.entries,
            bytes: self.bytes,
            groups: self.groups,
            after_close_ms: after_close.median,
            after_kill_ms: after_kill.median,
            bounds_us: of(&closed, |one| one.bounds_us).median,
            resident_mib: of(&closed, |one| mib(one.resident_bytes)).median,
            after_close_ms_quartiles: after_close.quartiles,
            after_kill_ms_quartiles: after_kill.quartiles,
        })
    }
}

/// Appends to each group from index `from` to index `upto`, and waits to be killed.
pub(crate) fn wait_to_be_killed(candidate: &Candidate, dir: &Path, fill: &Fill) -> Result<()> {
    let mut one = Contender::best(candidate, dir)?;
    one.next = fill.from;
    one.fill(fill.groups, fill.upto, fill.bytes)?;
    println!("ready");
    // Bounded, should the parent have gone.
    thread::sleep(Duration::from_secs(600));
    Ok(())
}

/// Opens the log, whose groups have entries up to index `last`, and closes it.
pub(crate) fn open(candidate: &Candidate, dir: &Path, last: u64) -> Result<Opened> {
    let group = GroupId(0);
    let started = Instant::now();
    let mut one = Contender::best(candidate, dir)?;
    let open_us = micros(started.elapsed());
    let started = Instant::now();
    match &mut one.subject {
        Subject::Store(store) => {
            let bounds = block_on(store.group(group).bounds())?;
            let ends = (bounds.first(), bounds.last());
            ensure!(ends == (Some(1), Some(last)), "the log has {ends:?}");
        }
        Subject::Bare(log) => ensure!(log.read(group, 1..2)?.len() == 1, "entry 1 is lost"),
    }
    let bounds_us = micros(started.elapsed());
    let resident_bytes = memory_bytes("VmRSS")?;
    one.next = last + 1;
    one.finish()?;
    Ok(Opened {
        open_us,
        bounds_us,
        resident_bytes,
    })
}
