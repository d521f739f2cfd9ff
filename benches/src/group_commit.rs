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
use crate::rounds::{Rates, Round, Rounds};

#[derive(Args)]
pub(crate) struct Options {
    /// Threads, each with one append of one entry in flight.
    #[arg(long, default_value_t = 64)]
    threads: u64,
    #[command(flatten)]
    rounds: Rounds,
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
    rates: Rates,
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
        options.threads > 0 && options.rounds.count > 0,
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
            rates: Rates::default(),
        });
    }
    // The first round warms up and is not counted.
    for round in 0..=options.rounds.count {
        for one in &mut all {
            let came_to = one.run(options)?;
            if round > 0 {
                one.rates.note(came_to);
            }
        }
    }
    let one_thread = all[0].rates.clone();
    let rows = all.iter().map(|one| Row {
        backend: candidate.name,
        threads: one.threads,
        groups: one.groups,
        appends_per_second: one.rates.appends_per_second(),
        entries_per_sync: one.rates.entries_per_sync(),
        ratio_to_one_thread: one.rates.ratio_to(&one_thread),
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
    /// Appends for one round.
    fn run(&self, options: &Options) -> Result<Round> {
        let before = self.store.stats();
        let stop = AtomicBool::new(false);
        let started = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..self.threads)
                .map(|worker| {
                    let (log, stop) = (&self.logs[(worker % self.groups) as usize], &stop);
                    scope.spawn(move || -> Result<()> {
                        let mut payloads = Payloads::new(options.rounds.bytes);
                        while !stop.load(Ordering::Relaxed) {
                            log.append(payloads.next(options.rounds.bytes))?;
                        }
                        Ok(())
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(options.rounds.round_millis));
            stop.store(true, Ordering::Relaxed);
            for worker in workers {
                worker.join().map_err(|_| anyhow!("a worker panicked"))??;
            }
            Ok(())
        })?;
        Round::between(before, self.store.stats(), started.elapsed())
    }
}
