use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use raft_logstore::GroupId;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::args;
use crate::backends::Candidate;
use crate::bench::Bench;
use crate::contender::{Contender, ENGINE, RAW};
use crate::disk::drop_cache;
use crate::plot::{Mark, Plot, Scale};
use crate::raw::RawFile;
use crate::rounds::take_turns;
use crate::summary::Spread;
use crate::workload::Workload;

const GROUP: GroupId = GroupId(0);

#[derive(Args)]
pub(crate) struct Options {
    /// Entries in the log that is read cold.
    #[arg(long, default_value_t = 1_000_000, value_parser = args::count::<u64>())]
    entries: u64,
    /// Entries in the log that is read while they have just been appended.
    #[arg(long, default_value_t = 100_000, value_parser = args::count::<u64>())]
    tail_entries: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256, value_parser = args::bytes())]
    bytes: usize,
    /// Entries of one read, in order from the first to the last of the log.
    #[arg(long, default_value_t = 1024, value_parser = args::few::<u64>())]
    chunk: u64,
    /// Reads of one entry anywhere in the log.
    #[arg(long, default_value_t = 2000, value_parser = args::count::<u64>())]
    random: u64,
    /// Interleaved rounds; figures are medians over them.
    #[arg(long, default_value_t = 5, value_parser = args::count::<usize>())]
    rounds: usize,
}

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Read {
    /// Chunks of entries that were just appended.
    Tail,
    /// Chunks, in order, nothing in the page cache.
    Sequential,
    /// Single entries anywhere, nothing in the page cache.
    Random,
}

impl Read {
    fn name(self) -> &'static str {
        match self {
            Self::Tail => "tail",
            Self::Sequential => "cold, in order",
            Self::Random => "cold, anywhere",
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    path: &'static str,
    read: Read,
    /// In the log.
    entries: u64,
    bytes: usize,
    entries_per_second: f64,
    /// Over the raw file's throughput, round by round: greater is faster.
    ratio_to_raw: f64,
    entries_per_second_quartiles: [f64; 2],
    ratio_to_raw_quartiles: [f64; 2],
}

/// A log on disk that is opened for each turn.
struct Cold {
    /// `None` for the raw file.
    candidate: Option<Candidate>,
    path: &'static str,
    dir: PathBuf,
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        args::check_size(self.chunk, self.bytes)?;
        let mut rows = self.measure_tail(bench)?;
        rows.extend(self.measure_cold(bench)?);
        Ok(rows)
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let mark = |row: &Row| {
            let quartiles = Some(row.ratio_to_raw_quartiles);
            Mark::new(
                row.backend,
                row.path,
                row.read.name(),
                row.ratio_to_raw,
                quartiles,
            )
        };
        vec![Plot {
            title: "entries read per second, over those of the raw file: greater is faster".into(),
            cases: "",
            scale: Scale::Log,
            line: Some(1.0),
            marks: rows.iter().map(mark).collect(),
        }]
    }
}

impl Options {
    fn raw(&self, dir: &Path, entries: u64) -> Result<Contender> {
        let len = entries.saturating_mul(self.bytes as u64);
        let file = RawFile::create(&dir.join(RAW), len, self.bytes)?;
        Ok(Contender::raw(file))
    }

    fn measure_tail(&self, bench: &Bench) -> Result<Vec<Row>> {
        let dir = bench.folder()?;
        let mut all = vec![self.raw(dir.path(), self.tail_entries)?];
        for candidate in &bench.candidates {
            for path in candidate.paths() {
                all.push(Contender::on(path, candidate, dir.path())?);
            }
        }
        for one in &mut all {
            one.fill(1, self.tail_entries, self.bytes)?;
        }
        let rates = take_turns(self.rounds, &mut all, |one| {
            self.read(one, self.in_order(self.tail_entries))
        })?;
        let names: Vec<_> = all.iter().map(|one| (one.backend, one.path)).collect();
        for one in all {
            one.finish()?;
        }
        Ok(self.rows(&names, Read::Tail, self.tail_entries, &rates))
    }

    fn measure_cold(&self, bench: &Bench) -> Result<Vec<Row>> {
        let dir = bench.folder()?;
        let mut raw = self.raw(dir.path(), self.entries)?;
        raw.fill(1, self.entries, self.bytes)?;
        raw.finish()?;
        let mut all = vec![Cold {
            candidate: None,
            path: ENGINE,
            dir: dir.path().join(RAW),
        }];
        for candidate in &bench.candidates {
            for path in candidate.paths() {
                let mut filled = Contender::on(path, candidate, dir.path())?;
                filled.fill(1, self.entries, self.bytes)?;
                filled.finish()?;
                all.push(Cold {
                    candidate: Some(*candidate),
                    path,
                    dir: dir.path().join(candidate.name).join(path),
                });
            }
        }
        let names = all.iter().map(|one| (one.backend(), one.path));
        let names: Vec<_> = names.collect();
        let mut rows = Vec::new();
        for read in [Read::Sequential, Read::Random] {
            let rates = take_turns(self.rounds, &mut all, |one| {
                let mut opened = one.open(self.bytes)?;
                let rate = match read {
                    Read::Random => self.read(&mut opened, self.anywhere()),
                    _ => self.read(&mut opened, self.in_order(self.entries)),
                }?;
                opened.finish()?;
                Ok(rate)
            })?;
            rows.extend(self.rows(&names, read, self.entries, &rates));
        }
        Ok(rows)
    }

    /// Ranges of indexes that cover the log.
    fn in_order(&self, entries: u64) -> impl Iterator<Item = (u64, u64)> {
        let chunk = self.chunk;
        let firsts = (1..=entries).step_by(usize::try_from(chunk).unwrap_or(usize::MAX));
        firsts.map(move |first| (first, (first + chunk).min(entries + 1)))
    }

    /// Ranges of one index each, the same ones in each turn.
    fn anywhere(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut random = SmallRng::seed_from_u64(7);
        let entries = self.entries;
        (0..self.random).map(move |_| {
            let index = random.random_range(1..=entries);
            (index, index + 1)
        })
    }

    /// Reads ranges of indexes, and returns how many entries came per second.
    fn read(&self, one: &mut Contender, ranges: impl Iterator<Item = (u64, u64)>) -> Result<f64> {
        let mut entries = 0;
        let started = Instant::now();
        for (first, end) in ranges {
            let found = one.log().read(GROUP, first..end)?;
            let whole = found.len() as u64 == end - first
                && found.iter().all(|entry| entry.payload.len() == self.bytes);
            ensure!(whole, "{} misses entries of {first}..{end}", one.backend);
            entries += end - first;
        }
        Ok(entries as f64 / started.elapsed().as_secs_f64())
    }

    /// Of contenders of these names and paths, the raw file first.
    fn rows(
        &self,
        names: &[(&'static str, &'static str)],
        read: Read,
        entries: u64,
        rates: &[Vec<f64>],
    ) -> Vec<Row> {
        let row = |(&(backend, path), of): (&(&'static str, &'static str), &Vec<f64>)| {
            let (rate, ratio) = (Spread::of(of), Spread::of_ratio(of, &rates[0]));
            Row {
                backend,
                path,
                read,
                entries,
                bytes: self.bytes,
                entries_per_second: rate.median.round(),
                ratio_to_raw: ratio.median,
                entries_per_second_quartiles: rate.quartiles.map(f64::round),
                ratio_to_raw_quartiles: ratio.quartiles,
            }
        };
        names.iter().zip(rates).map(row).collect()
    }
}

impl Cold {
    fn backend(&self) -> &'static str {
        self.candidate.map_or(RAW, |candidate| candidate.name)
    }

    /// Opens it with nothing of its files in the page cache, but for what stays mapped.
    fn open(&self, bytes: usize) -> Result<Contender> {
        drop_cache(&self.dir)?;
        let opened = match &self.candidate {
            None => Contender::raw(RawFile::open(&self.dir, bytes)?),
            Some(candidate) => Contender::at(self.path, candidate, &self.dir)?,
        };
        drop_cache(&self.dir)?;
        Ok(opened)
    }
}
