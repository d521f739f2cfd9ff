//! `raft-logstore bench`: what a disk does with durable appends.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_executor::block_on;
use raft_logstore::{Entry, GroupId, LogStoreExt, Store, StoreConfig};
use raft_logstore_interrupt::Interrupt;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::outcome::Outcome;
use crate::output;

/// The most payload of one append, and of all.
const MAX_APPEND_BYTES: u64 = 64 << 20;
const MAX_BYTES: u64 = 16 << 30;

#[derive(Serialize)]
struct Report {
    entries: u64,
    bytes: u64,
    batch: u64,
    clients: u64,
    seconds: f64,
    entries_per_second: f64,
    mib_per_second: f64,
    /// From the call of an append until it is durable.
    p50_micros: f64,
    p99_micros: f64,
    commits: u64,
    entries_per_commit: f64,
}

pub(crate) fn run(args: &BenchArgs) -> Result<Outcome> {
    check(args)?;
    let dir = args.store.target().folder().map(|(dir, _)| dir);
    let made = match dir {
        Some(dir) => refuse_existing(dir)?,
        None => false,
    };
    let interrupt = Interrupt::watch().context("cannot watch signals")?;
    let store = block_on(args.store.target().clone().open(StoreConfig::default()))?;
    let measured = measure(&store, args, &interrupt);
    let closed = block_on(store.close());
    if let Some(dir) = dir.filter(|_| !args.keep) {
        remove(dir, made).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let report = measured?;
    closed?;
    if let Some(signal) = interrupt.signal() {
        return Ok(Outcome::Interrupted(signal));
    }
    if args.json {
        output::json(&report)?;
    } else {
        output::result(|out| print(&report, args, out))?;
    }
    Ok(Outcome::Done)
}

fn check(args: &BenchArgs) -> Result<()> {
    let append = args.bytes.saturating_mul(args.batch);
    ensure!(
        append <= MAX_APPEND_BYTES,
        "{} entries of {} bytes are {append} bytes in one append; at most {MAX_APPEND_BYTES} will do",
        args.batch,
        args.bytes
    );
    let all = args.bytes.saturating_mul(args.entries);
    ensure!(
        all <= MAX_BYTES,
        "{} entries of {} bytes are {all} bytes; at most {MAX_BYTES} will do",
        args.entries,
        args.bytes
    );
    ensure!(
        args.entries >= args.clients,
        "{} clients have nothing to do with {} entries",
        args.clients,
        args.entries
    );
    Ok(())
}

/// Refuses a directory that holds anything. Says whether there is none yet.
fn refuse_existing(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut content) => {
            ensure!(
                content.next().is_none(),
                "{} is not empty; name a directory that is empty or does not exist",
                dir.display()
            );
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", dir.display())),
    }
}

/// Removes the store, and its directory if that was made for it.
fn remove(dir: &Path, made: bool) -> io::Result<()> {
    if made {
        return fs::remove_dir_all(dir);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn measure(store: &Store, args: &BenchArgs, interrupt: &Interrupt) -> Result<Report> {
    let start = Instant::now();
    let latencies: Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..args.clients)
            .map(|client| scope.spawn(move || append(store, args, client, interrupt)))
            .collect();
        let ended = clients.into_iter().map(|client| match client.join() {
            Ok(latencies) => latencies,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let mut latencies = latencies?.concat();
    latencies.sort_unstable();
    let stats = store.stats();
    let per_second = |count: f64| count / seconds;
    Ok(Report {
        entries: args.entries,
        bytes: args.bytes,
        batch: args.batch,
        clients: args.clients,
        seconds,
        entries_per_second: per_second(args.entries as f64),
        mib_per_second: per_second((args.entries * args.bytes) as f64 / f64::from(1 << 20)),
        p50_micros: quantile(&latencies, 0.5),
        p99_micros: quantile(&latencies, 0.99),
        commits: stats.commits,
        entries_per_commit: stats.entries_per_commit(),
    })
}

/// Appends the share of one client, up to an interrupt, and returns how long each append took.
fn append(
    store: &Store,
    args: &BenchArgs,
    client: u64,
    interrupt: &Interrupt,
) -> Result<Vec<Duration>> {
    let group = store.group(GroupId(client));
    let more = u64::from(client < args.entries % args.clients);
    let entries = args.entries / args.clients + more;
    // Not zeros: a disk may have an easy life with them.
    let payload: Vec<u8> = (0..args.bytes)
        .map(|at| (at * 131 + client * 7) as u8)
        .collect();
    let mut latencies = Vec::new();
    let mut next = 1;
    while next <= entries && interrupt.signal().is_none() {
        let last = entries.min(next + args.batch - 1);
        let batch = (next..=last)
            .map(|index| Entry::new(index, payload.clone()))
            .collect();
        let start = Instant::now();
        block_on(group.append_durable(batch))?;
        latencies.push(start.elapsed());
        next = last + 1;
    }
    Ok(latencies)
}

/// Of sorted values, in microseconds.
fn quantile(sorted: &[Duration], q: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
    sorted
        .get(at)
        .map_or(f64::NAN, |value| value.as_secs_f64() * 1e6)
}

fn print(report: &Report, args: &BenchArgs, out: &mut impl Write) -> io::Result<()> {
    let Report {
        entries,
        bytes,
        batch,
        clients,
        ..
    } = report;
    writeln!(
        out,
        "{}: {entries} entries of {bytes} B, {batch} per append, {clients} clients",
        args.store
    )?;
    writeln!(out, "p50         {:>10.0} us", report.p50_micros)?;
    writeln!(out, "p99         {:>10.0} us", report.p99_micros)?;
    writeln!(
        out,
        "throughput  {:>10.0} entries/s, {:.1} MiB/s",
        report.entries_per_second, report.mib_per_second
    )?;
    writeln!(
        out,
        "commits     {:>10} of {:.1} entries",
        report.commits, report.entries_per_commit
    )
}
