use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, Entry, Group, GroupId, LogStore, LogStoreExt, Store};
use serde::Serialize;

use crate::backends::Candidate;
use crate::payload::Payloads;
use crate::summary::{median, rounded};

#[derive(Args)]
pub(crate) struct Options {
    /// Threads, each with one append of one entry in flight.
    #[arg(long, default_value_t = 64)]
    threads: u64,
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Interleaved rounds; figures are medians over them.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long each contender appends in a round.
    #[arg(long, default_value_t = 500)]
    round_millis: u64,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    threads: u64,
    groups: u64,
    appends_per_second: f64,
    entries_per_sync: f64,
    /// This throughput over that of one thread, round by round.
    ratio_to_one_thread: f64,
}

/// Some threads on some groups of a store of their own.
struct Contender {
    threads: u64,
    groups: u64,
    store: Store,
    logs: Vec<SharedLog>,
    /// Appends per second and entries per sync, one value a round.
    rates: Vec<f64>,
    batches: Vec<f64>,
}

/// A group that several threads append to: indexes are handed out in the order of submission.
struct SharedLog {
    group: Group,
    next: Mutex<u64>,
}

impl SharedLog {
    /// Appends one entry and waits until it is durable.
    fn append(&self, payload: Bytes) -> Result<()> {
        let (done, durable) = Completion::pending();
        {
            let mut next = self
                .next
                .lock()
                .map_err(|_| anyhow!("another thread failed"))?;
            block_on(self.group.append(vec![Entry::new(*next, payload)], done))?;
            *next += 1;
        }
        Ok(block_on(durable)?)
    }
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(
        options.threads > 0 && options.rounds > 0,
        "at least one thread and one round"
    );
    let mut rows = Vec::new();
    for candidate in backends {
        rows.extend(measure_one(candidate, options, base)?);
    }
    Ok(rows)
}

fn measure_one(candidate: &Candidate, options: &Options, base: &Path) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir_in(base)?;
    let mut all = Vec::new();
    for (threads, groups) in [
        (1, 1),
        (options.threads, 1),
        (options.threads, options.threads),
    ] {
        let store = candidate.store(&dir.path().join(format!("{threads}-{groups}")))?;
        let logs = (0..groups).map(|id| SharedLog {
            group: store.group(GroupId(id)),
            next: Mutex::new(1),
        });
        let logs = logs.collect();
        all.push(Contender {
            threads,
            groups,
            store,
            logs,
            rates: Vec::new(),
            batches: Vec::new(),
        });
    }
    // The first round warms up and is not counted.
    for round in 0..=options.rounds {
        for one in &mut all {
            let (rate, batch) = one.run(options)?;
            if round > 0 {
                one.rates.push(rate);
                one.batches.push(batch);
            }
        }
    }
    let one_thread = all[0].rates.clone();
    let rows = all.iter().map(|one| Row {
        backend: candidate.name,
        threads: one.threads,
        groups: one.groups,
        appends_per_second: median(one.rates.clone()).round(),
        entries_per_sync: rounded(median(one.batches.clone())),
        ratio_to_one_thread: rounded(median(
            one.rates
                .iter()
                .zip(&one_thread)
                .map(|(rate, base)| rate / base)
                .collect(),
        )),
    });
    let rows = rows.collect();
    for one in all {
        for log in &one.logs {
            let last = block_on(log.group.last_index())?.unwrap_or(0);
            ensure!(
                last + 1 == *log.next.lock().map_err(|_| anyhow!("a thread failed"))?,
                "entries are missing"
            );
        }
        block_on(one.store.close())?;
    }
    Ok(rows)
}

impl Contender {
    /// Appends per second and entries per sync over one round.
    fn run(&self, options: &Options) -> Result<(f64, f64)> {
        let before = self.store.stats();
        let stop = AtomicBool::new(false);
        let started = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..self.threads)
                .map(|worker| {
                    let (log, stop) = (&self.logs[(worker % self.groups) as usize], &stop);
                    scope.spawn(move || -> Result<()> {
                        let mut payloads = Payloads::new(options.bytes);
                        while !stop.load(Ordering::Relaxed) {
                            log.append(payloads.next(options.bytes))?;
                        }
                        Ok(())
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(options.round_millis));
            stop.store(true, Ordering::Relaxed);
            for worker in workers {
                worker.join().map_err(|_| anyhow!("a worker panicked"))??;
            }
            Ok(())
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let after = self.store.stats();
        let (entries, commits) = (
            after.entries - before.entries,
            after.commits - before.commits,
        );
        ensure!(
            commits > 0,
            "a round of {} ms saw no commit",
            options.round_millis
        );
        Ok((entries as f64 / seconds, entries as f64 / commits as f64))
    }
}
