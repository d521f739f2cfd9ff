use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{BlockingGroup, Completion, Entry, GroupId, LogStore, LogStoreExt, Store};
use serde::Serialize;

use crate::args;
use crate::bench::Bench;
use crate::contender::{COMPLETIONS, STORE};
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::rounds::{Rate, Rounds, appends_per_second, entries_per_sync, take_turns};
use crate::summary::Spread;
use crate::workload::Workload;

#[derive(Args)]
pub(crate) struct Options {
    /// Threads, each with one append of one entry in flight.
    #[arg(long, default_value_t = 64, value_parser = args::number::<u64>(1..=4096))]
    threads: u64,
    #[command(flatten)]
    rounds: Rounds,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    /// `store`: the threads block, and one of them commits; `completions`: they wait for the store's own thread.
    path: &'static str,
    threads: u64,
    groups: u64,
    appends_per_second: f64,
    entries_per_sync: f64,
    /// This throughput over that of one thread that takes the same path, round by round.
    ratio_to_one_thread: f64,
    appends_per_second_quartiles: [f64; 2],
    ratio_to_one_thread_quartiles: [f64; 2],
}

/// Some threads on some groups of a store of their own.
struct Contender {
    backend: &'static str,
    path: &'static str,
    threads: u64,
    groups: u64,
    store: Store,
    logs: Vec<SharedLog>,
}

/// A group that several threads append to: indexes are handed out in the order of submission.
struct SharedLog {
    group: BlockingGroup,
    next: Mutex<u64>,
}

impl SharedLog {
    /// Appends one entry and waits until it is durable; the thread may commit itself.
    fn append(&self, payload: Bytes) -> Result<()> {
        let submitted = self.submit(payload, |entries| self.group.append(entries))?;
        Ok(submitted.wait()?)
    }

    /// The same, for the store's own thread to commit.
    fn append_and_be_told(&self, payload: Bytes) -> Result<()> {
        let (done, durable) = Completion::pending();
        self.submit(payload, |entries| {
            block_on(self.group.group().append(entries, done))
        })?;
        Ok(block_on(durable)?)
    }

    /// Submits one entry as the next.
    fn submit<S>(
        &self,
        payload: Bytes,
        append: impl FnOnce(Vec<Entry>) -> raft_logstore::Result<S>,
    ) -> Result<S> {
        let mut next = self
            .next
            .lock()
            .map_err(|_| anyhow!("another thread failed"))?;
        let submitted = append(vec![Entry::new(*next, payload)])?;
        *next += 1;
        Ok(submitted)
    }
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        let dir = bench.folder()?;
        let mut all = Vec::new();
        let crowds = [(1, 1), (self.threads, 1), (self.threads, self.threads)];
        for ours in bench.ours() {
            for path in [STORE, COMPLETIONS] {
                for (threads, groups) in crowds {
                    let name = format!("{}-{path}-{threads}-{groups}", ours.name);
                    let store = ours.store(&dir.path().join(name))?;
                    all.push(Contender::new(ours.name, path, threads, groups, store));
                }
            }
        }
        let payloads = Payloads::new(self.rounds.bytes);
        let turns = take_turns(self.rounds.count, &mut all, |one| {
            one.run(&self.rounds, &payloads)
        })?;
        let rates: Vec<_> = turns
            .iter()
            .map(|turns| appends_per_second(turns))
            .collect();
        let row = |(number, one): (usize, &Contender)| {
            // The first of each path has one thread.
            let rate = Spread::of(&rates[number]);
            let alone = number / crowds.len() * crowds.len();
            let ratio = Spread::of_ratio(&rates[number], &rates[alone]);
            Row {
                backend: one.backend,
                path: one.path,
                threads: one.threads,
                groups: one.groups,
                appends_per_second: rate.median.round(),
                entries_per_sync: entries_per_sync(&turns[number]),
                ratio_to_one_thread: ratio.median,
                appends_per_second_quartiles: rate.quartiles.map(f64::round),
                ratio_to_one_thread_quartiles: ratio.quartiles,
            }
        };
        let rows = all.iter().enumerate().map(row).collect();
        for one in all {
            one.finish()?;
        }
        Ok(rows)
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let mark = |row: &Row| {
            let case = format!("{} on {}", row.threads, row.groups);
            let quartiles = Some(row.appends_per_second_quartiles);
            Mark::new(
                row.backend,
                row.path,
                case,
                row.appends_per_second,
                quartiles,
            )
        };
        vec![Plot {
            title: "durable appends per second".into(),
            cases: "threads on groups",
            scale: Scale::Log,
            line: None,
            marks: rows.iter().map(mark).collect(),
        }]
    }
}

impl Contender {
    fn new(
        backend: &'static str,
        path: &'static str,
        threads: u64,
        groups: u64,
        store: Store,
    ) -> Self {
        let log = |id| SharedLog {
            group: store.group(GroupId(id)).blocking(),
            next: Mutex::new(1),
        };
        Self {
            backend,
            path,
            threads,
            groups,
            logs: (0..groups).map(log).collect(),
            store,
        }
    }

    /// Appends for one turn.
    fn run(&self, rounds: &Rounds, payloads: &Payloads) -> Result<Rate> {
        let before = self.store.stats();
        let stop = AtomicBool::new(false);
        let started = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let workers: Vec<_> = (0..self.threads)
                .map(|worker| {
                    let (log, stop) = (&self.logs[(worker % self.groups) as usize], &stop);
                    scope.spawn(move || -> Result<()> {
                        let mut payloads = payloads.for_thread(worker);
                        while !stop.load(Ordering::Relaxed) {
                            let payload = payloads.next(rounds.bytes);
                            if self.path == COMPLETIONS {
                                log.append_and_be_told(payload)?;
                            } else {
                                log.append(payload)?;
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            thread::sleep(rounds.turn());
            stop.store(true, Ordering::Relaxed);
            for worker in workers {
                worker.join().map_err(|_| anyhow!("a worker panicked"))??;
            }
            Ok(())
        })?;
        Rate::between(before, self.store.stats(), started.elapsed())
    }

    fn finish(self) -> Result<()> {
        for log in &self.logs {
            let last = block_on(log.group.group().last_index())?.unwrap_or(0);
            let next = log.next.lock().map_err(|_| anyhow!("a thread failed"))?;
            ensure!(last + 1 == *next, "entries are missing");
        }
        Ok(block_on(self.store.close())?)
    }
}
