use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args;
use crate::bench::Bench;
use crate::contender::{Contender, ENGINE, RAW};
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::raw::RawFile;
use crate::rounds::take_turns;
use crate::summary::{Spread, micros, quantile, rounded};
use crate::workload::Workload;

const RAW_FILE_BYTES: u64 = 64 << 20;
/// How long a turn is when the measurement lasts for some time.
const TURN: Duration = Duration::from_millis(500);

/// What one append carries.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) entries: u64,
    pub(crate) bytes: usize,
}

impl Shape {
    /// Payload of one append, in bytes.
    pub(crate) fn size(self) -> u64 {
        self.entries.saturating_mul(self.bytes as u64)
    }

    fn matrix() -> Vec<Self> {
        let shapes = [128, 256, 1024, 4096, 65536]
            .map(|bytes| [1, 16, 64, 256].map(|entries| Self { entries, bytes }));
        shapes.into_iter().flatten().collect()
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (entries, bytes) = text
            .split_once('x')
            .context("a shape is ENTRIESxBYTES, as 16x4096")?;
        let shape = Self {
            entries: entries.parse()?,
            bytes: bytes.parse()?,
        };
        ensure!(
            shape.entries >= 1 && shape.bytes >= 1,
            "an append carries at least one entry of one byte"
        );
        args::check_size(shape.entries, shape.bytes)?;
        Ok(shape)
    }
}

#[derive(Args)]
pub(crate) struct Options {
    /// Entries and payload bytes of one append; may be given several times.
    #[arg(
        long = "shape",
        value_name = "ENTRIESxBYTES",
        default_values = ["1x256", "64x256", "16x4096"]
    )]
    shapes: Vec<Shape>,
    /// Measure 1, 16, 64 and 256 entries of 128 B, 256 B, 1 KiB, 4 KiB and 64 KiB instead.
    #[arg(long, conflicts_with = "shapes")]
    matrix: bool,
    /// Interleaved rounds; figures are medians over them.
    #[arg(long, default_value_t = 15, value_parser = args::count::<usize>())]
    rounds: usize,
    /// Appends of each contender in a round.
    #[arg(long, default_value_t = 200, value_parser = args::number::<usize>(1..=1_000_000))]
    appends: usize,
    /// Fewer appends in a round if they carry more than this, in MiB of payload; two at least.
    #[arg(long, default_value_t = 32, value_parser = args::number::<u64>(1..=1 << 20))]
    round_mib: u64,
    /// Instead of rounds: append for so long with each contender, in turns of half a second. Figures are those of all
    /// appends, their quartiles those of the turns.
    #[arg(long, value_parser = args::number::<u64>(1..=86_400))]
    seconds: Option<u64>,
    /// How much of the log's end to keep while purging, not timed, in MiB; nothing is purged unless given.
    #[arg(long, requires = "seconds", value_parser = args::number::<u64>(1..=1 << 30))]
    keep_mib: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    path: &'static str,
    entries: u64,
    bytes: usize,
    p50_us: f64,
    p99_us: f64,
    ratio_to_raw: f64,
    /// This path's p50 over the bare engine's, round by round: what the pipeline costs.
    ratio_to_engine: Option<f64>,
    /// This p99 over that of the raw file.
    p99_ratio_to_raw: f64,
    p50_us_quartiles: [f64; 2],
    p99_us_quartiles: [f64; 2],
    ratio_to_raw_quartiles: [f64; 2],
    /// The slowest of all.
    max_us: f64,
    /// How many appends were timed.
    appends: usize,
    /// Whether they lasted for some time (`--seconds`).
    sustained: bool,
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        let matrix = self.matrix.then(Shape::matrix);
        let mut rows = Vec::new();
        for shape in matrix.as_ref().unwrap_or(&self.shapes) {
            rows.extend(self.measure_shape(*shape, bench)?);
        }
        Ok(rows)
    }

    /// One picture for each size of an entry, with raw as the line at 1.
    fn plots(rows: &[Row]) -> Vec<Plot> {
        let mut sizes: Vec<usize> = rows.iter().map(|row| row.bytes).collect();
        sizes.dedup();
        let plot = |bytes: usize| {
            let rows = rows.iter().filter(|row| row.bytes == bytes);
            let mark = |row: &Row| {
                let (value, quartiles) = if row.sustained {
                    (row.p99_ratio_to_raw, None)
                } else {
                    (row.ratio_to_raw, Some(row.ratio_to_raw_quartiles))
                };
                Mark::new(row.backend, row.path, row.entries, value, quartiles)
            };
            let figure = match rows.clone().any(|row| row.sustained) {
                true => "p99",
                false => "p50",
            };
            Plot {
                title: format!(
                    "{figure} of an append of entries of {bytes} B, over that of the raw file"
                ),
                cases: "entries in the append",
                scale: Scale::Log,
                line: Some(1.0),
                marks: rows.map(mark).collect(),
            }
        };
        sizes.into_iter().map(plot).collect()
    }
}

impl Options {
    fn measure_shape(&self, shape: Shape, bench: &Bench) -> Result<Vec<Row>> {
        let dir = bench.folder()?;
        let mut all = vec![Contender::raw(RawFile::create(
            &dir.path().join(RAW),
            RAW_FILE_BYTES,
            shape.bytes,
        )?)];
        for candidate in &bench.candidates {
            all.extend(Contender::appending(candidate, dir.path())?);
        }
        let times = self.time(shape, &mut all)?;
        let rows = rows(shape, self.seconds.is_some(), &all, &times);
        for one in all {
            one.finish()?;
        }
        Ok(rows)
    }

    /// Microseconds of each append, by contender and turn.
    fn time(&self, shape: Shape, all: &mut [Contender]) -> Result<Vec<Vec<Vec<f64>>>> {
        let mut payloads = Payloads::new(shape.bytes);
        let mut append = |one: &mut Contender| {
            let entries = one.next_entries(&mut payloads, 1, shape.entries, shape.bytes);
            let started = Instant::now();
            one.log().append(entries)?;
            Ok(micros(started.elapsed()))
        };
        if let Some(seconds) = self.seconds {
            let turns = Duration::from_secs(seconds).div_duration_f64(TURN) as usize;
            return take_turns(turns, all, |one| {
                let end = Instant::now() + TURN;
                let mut times = vec![append(one)?];
                while Instant::now() < end {
                    times.push(append(one)?);
                    if let Some(keep) = self.keep_mib {
                        one.purge_behind(keep, shape.bytes)?;
                    }
                }
                Ok(times)
            });
        }
        let fitting = ((self.round_mib << 20) / shape.size()).max(2) as usize;
        let appends = self.appends.min(fitting);
        take_turns(self.rounds, all, |one| {
            (0..appends).map(|_| append(one)).collect()
        })
    }
}

fn rows(shape: Shape, sustained: bool, all: &[Contender], times: &[Vec<Vec<f64>>]) -> Vec<Row> {
    let of_turns = |turns: &[Vec<f64>], q| -> Vec<f64> {
        let turns = turns.iter();
        turns.map(|times| quantile(&mut times.clone(), q)).collect()
    };
    let of_all = |turns: &[Vec<f64>], q| rounded(quantile(&mut turns.concat(), q));
    let figure = |turns: &[Vec<f64>], q| match sustained {
        true => of_all(turns, q),
        false => Spread::of(&of_turns(turns, q)).median,
    };
    let row = |(one, turns): (&Contender, &Vec<Vec<f64>>)| {
        let p50 = of_turns(turns, 0.5);
        let (raw, p99) = (&times[0], figure(turns, 0.99));
        let ratio_to_raw = Spread::of_ratio(&p50, &of_turns(raw, 0.5));
        let engine = all.iter().zip(times).find(|(other, _)| {
            one.path != ENGINE && other.path == ENGINE && other.backend == one.backend
        });
        let ratio_to_engine =
            engine.map(|(_, engine)| Spread::of_ratio(&p50, &of_turns(engine, 0.5)).median);
        Row {
            backend: one.backend,
            path: one.path,
            entries: shape.entries,
            bytes: shape.bytes,
            p50_us: figure(turns, 0.5),
            p99_us: p99,
            ratio_to_raw: ratio_to_raw.median,
            ratio_to_engine,
            p99_ratio_to_raw: rounded(p99 / figure(raw, 0.99)),
            p50_us_quartiles: Spread::of(&p50).quartiles,
            p99_us_quartiles: Spread::of(&of_turns(turns, 0.99)).quartiles,
            ratio_to_raw_quartiles: ratio_to_raw.quartiles,
            max_us: of_all(turns, 1.0),
            appends: turns.iter().map(Vec::len).sum(),
            sustained,
        }
    };
    all.iter().zip(times).map(row).collect()
}
