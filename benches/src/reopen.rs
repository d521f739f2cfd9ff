use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, Entry, Group, GroupId, LogStore, LogStoreExt};
use serde::Serialize;

use crate::backends::Candidate;
use crate::payload::Payloads;
use crate::process::Victim;
use crate::summary::{median, micros, rounded};

/// How many entries are appended at once to make a long log.
const FILL: u64 = 1000;

#[derive(Args)]
pub(crate) struct Options {
    /// Entries in the store.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Groups that share the entries.
    #[arg(long, default_value_t = 1)]
    groups: u64,
    /// How often each way of opening is measured; figures are medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// For this program itself: fill the store in this directory and wait to be killed.
    #[arg(long, hide = true)]
    fill: Option<PathBuf>,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    entries: u64,
    bytes: usize,
    groups: u64,
    after_close_ms: f64,
    after_kill_ms: f64,
    /// Asking the opened store for the first and the last index of a group.
    bounds_us: f64,
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(
        options.groups > 0 && options.rounds > 0,
        "at least one group and one round"
    );
    if let (Some(dir), [candidate]) = (&options.fill, backends) {
        return wait_to_be_killed(candidate, dir, options);
    }
    backends
        .iter()
        .map(|candidate| measure_one(candidate, options, base))
        .collect()
}

fn measure_one(candidate: &Candidate, options: &Options, base: &Path) -> Result<Row> {
    let dir = tempfile::tempdir_in(base)?;
    let (mut killed, mut closed, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let numbers =
            [options.entries, options.bytes as u64, options.groups].map(|n| n.to_string());
        let words = [
            "reopen",
            "--backends",
            candidate.name,
            "--entries",
            &numbers[0],
            "--bytes",
        ]
        .into_iter()
        .chain([&*numbers[1], "--groups", &numbers[2], "--fill"]);
        let args: Vec<&OsStr> = words
            .map(OsStr::new)
            .chain([dir.path().as_os_str()])
            .collect();
        Victim::start(&args)?.kill()?;
        for times in [&mut killed, &mut closed] {
            let started = Instant::now();
            let store = candidate.store(dir.path())?;
            let group = store.group(GroupId(0));
            times.push(micros(started.elapsed()) / 1000.0);
            let started = Instant::now();
            let ends = (
                block_on(group.first_index())?,
                block_on(group.last_index())?,
            );
            bounds.push(micros(started.elapsed()));
            ensure!(
                ends.0 == Some(1) && ends.1 >= Some(1),
                "the log is gone: {ends:?}"
            );
            block_on(store.close())?;
        }
    }
    Ok(Row {
        backend: candidate.name,
        entries: options.entries,
        bytes: options.bytes,
        groups: options.groups,
        after_close_ms: rounded(median(closed)),
        after_kill_ms: rounded(median(killed)),
        bounds_us: rounded(median(bounds)),
    })
}

fn wait_to_be_killed(candidate: &Candidate, dir: &Path, options: &Options) -> Result<Vec<Row>> {
    let store = candidate.store(dir)?;
    for id in 0..options.groups {
        fill(
            &store.group(GroupId(id)),
            options.entries / options.groups,
            options.bytes,
        )?;
    }
    println!("ready");
    // Bounded, should the parent have gone.
    thread::sleep(Duration::from_secs(600));
    Ok(Vec::new())
}

/// Appends random entries until the log has `count` of them; one more when it has.
pub(crate) fn fill(group: &Group, count: u64, bytes: usize) -> Result<()> {
    let mut payloads = Payloads::new(bytes);
    let mut next = block_on(group.last_index())?.map_or(1, |last| last + 1);
    while next <= count {
        let entries = payloads.entries(next, FILL.min(count - next + 1), bytes);
        next += entries.len() as u64;
        block_on(group.append(entries, Completion::ignore()))?;
    }
    // Its sync covers all before.
    Ok(block_on(group.append_durable(vec![Entry::new(
        next,
        payloads.next(bytes),
    )]))?)
}
