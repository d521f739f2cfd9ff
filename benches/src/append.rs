use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Backend, Batch, Entry, Group, GroupId, LogStoreExt, Op, Store};
use serde::Serialize;

use crate::backends::Candidate;
use crate::payload::Payloads;
use crate::raw::RawFile;
use crate::summary::{median, micros, quantile, rounded};

const GROUP: GroupId = GroupId(1);
const RAW_FILE_BYTES: u64 = 64 << 20;

/// What one append carries.
#[derive(Clone, Copy)]
struct Shape {
    entries: u64,
    bytes: usize,
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
        ensure!(shape.entries >= 1, "an append carries at least one entry");
        ensure!(
            shape.entries.saturating_mul(shape.bytes as u64) <= RAW_FILE_BYTES,
            "an append of {text} is larger than the raw file, {RAW_FILE_BYTES} bytes"
        );
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
    /// Interleaved rounds; figures are medians over them.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Appends of each contender in a round.
    #[arg(long, default_value_t = 200)]
    appends: usize,
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
}

/// One way to make an append durable.
enum Contender {
    Raw(RawFile, Vec<u8>),
    Engine {
        backend: Box<dyn Backend>,
        sequence: u64,
        next: u64,
    },
    Store {
        store: Store,
        group: Group,
        next: u64,
    },
}

impl Contender {
    fn append(&mut self, entries: Vec<Entry>) -> Result<()> {
        let count = entries.len() as u64;
        match self {
            Self::Raw(file, buffer) => {
                buffer.clear();
                entries
                    .iter()
                    .for_each(|entry| buffer.extend_from_slice(&entry.payload));
                file.append(buffer)
            }
            Self::Engine {
                backend,
                sequence,
                next,
            } => {
                *sequence += 1;
                *next += count;
                let ops = vec![Op::Append {
                    group: GROUP,
                    entries,
                }];
                Ok(backend.commit(&Batch {
                    sequence: *sequence,
                    ops,
                })?)
            }
            Self::Store { group, next, .. } => {
                *next += count;
                Ok(block_on(group.append_durable(entries))?)
            }
        }
    }

    fn next(&self) -> u64 {
        match self {
            Self::Raw(..) => 1,
            Self::Engine { next, .. } | Self::Store { next, .. } => *next,
        }
    }
}

/// The p50 and p99 of each round, in microseconds.
struct Measured {
    backend: &'static str,
    path: &'static str,
    contender: Contender,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(
        options.rounds > 0 && options.appends > 0,
        "at least one round of one append"
    );
    let mut rows = Vec::new();
    for &shape in &options.shapes {
        rows.extend(measure_shape(shape, options, backends, base)?);
    }
    Ok(rows)
}

fn measure_shape(
    shape: Shape,
    options: &Options,
    backends: &[Candidate],
    base: &Path,
) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir_in(base)?;
    let mut all = contenders(backends, dir.path())?;
    let mut payloads = Payloads::new(shape.bytes);
    // The first round warms up caches and files and is not counted.
    for round in 0..=options.rounds {
        for one in &mut all {
            let mut times = Vec::with_capacity(options.appends);
            for _ in 0..options.appends {
                let entries = payloads.entries(one.contender.next(), shape.entries, shape.bytes);
                let started = Instant::now();
                one.contender.append(entries)?;
                times.push(micros(started.elapsed()));
            }
            if round > 0 {
                one.p50.push(quantile(&mut times, 0.5));
                one.p99.push(quantile(&mut times, 0.99));
            }
        }
    }
    let raw = all[0].p50.clone();
    let ratio = |to: &[f64], of: &[f64]| {
        rounded(median(of.iter().zip(to).map(|(of, to)| of / to).collect()))
    };
    let rows = all.iter().map(|one| {
        let engine = all
            .iter()
            .find(|other| other.backend == one.backend && other.path == "engine");
        Row {
            backend: one.backend,
            path: one.path,
            entries: shape.entries,
            bytes: shape.bytes,
            p50_us: rounded(median(one.p50.clone())),
            p99_us: rounded(median(one.p99.clone())),
            ratio_to_raw: ratio(&raw, &one.p50),
            ratio_to_engine: engine
                .filter(|_| one.path == "store")
                .map(|engine| ratio(&engine.p50, &one.p50)),
        }
    });
    let rows = rows.collect();
    for one in all {
        match one.contender {
            Contender::Raw(..) => {}
            Contender::Engine { backend, .. } => backend.close()?,
            Contender::Store { store, .. } => block_on(store.close())?,
        }
    }
    Ok(rows)
}

/// The raw file first, then each backend bare and through a store.
fn contenders(backends: &[Candidate], dir: &Path) -> Result<Vec<Measured>> {
    let measured = |backend, path, contender| Measured {
        backend,
        path,
        contender,
        p50: Vec::new(),
        p99: Vec::new(),
    };
    let raw = RawFile::create(&dir.join("raw"), RAW_FILE_BYTES)?;
    let mut all = vec![measured("raw", "engine", Contender::Raw(raw, Vec::new()))];
    for candidate in backends {
        let backend = candidate.engine(&dir.join(candidate.name).join("engine"))?;
        let engine = Contender::Engine {
            sequence: backend.sequence()?,
            backend,
            next: 1,
        };
        all.push(measured(candidate.name, "engine", engine));
        let store = candidate.store(&dir.join(candidate.name).join("store"))?;
        let group = store.group(GROUP);
        all.push(measured(
            candidate.name,
            "store",
            Contender::Store {
                store,
                group,
                next: 1,
            },
        ));
    }
    Ok(all)
}
