use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, Entry, Group, GroupId, LogStore, LogStoreExt, Store};
use serde::Serialize;

use crate::backends::Candidate;
use crate::payload::Payloads;
use crate::summary::{median, rounded};

#[derive(Args)]
pub(crate) struct Options {
    /// How many groups, each with one append of one entry in flight; may be given several times.
    #[arg(long = "groups", default_values_t = [1, 16, 256, 4096])]
    groups: Vec<u64>,
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
    groups: u64,
    appends_per_second: f64,
    entries_per_sync: f64,
    /// This throughput over that of the first number of groups, round by round.
    ratio_to_first: f64,
}

/// Some groups on a store of their own. One thread appends to all of them: an append goes out when the one before in
/// its group is durable.
struct Contender {
    store: Store,
    groups: Vec<(Group, u64)>,
    durable: Receiver<usize>,
    done: Sender<usize>,
    rates: Vec<f64>,
    batches: Vec<f64>,
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(options.rounds > 0, "at least one round");
    ensure!(
        options.groups.iter().all(|groups| *groups > 0),
        "at least one group"
    );
    let mut rows = Vec::new();
    for candidate in backends {
        rows.extend(measure_one(candidate, options, base)?);
    }
    Ok(rows)
}

fn measure_one(candidate: &Candidate, options: &Options, base: &Path) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir_in(base)?;
    let mut payloads = Payloads::new(options.bytes);
    let mut all = Vec::new();
    for groups in &options.groups {
        let store = candidate.store(&dir.path().join(groups.to_string()))?;
        let (done, durable) = mpsc::channel();
        all.push(Contender {
            groups: (0..*groups)
                .map(|id| (store.group(GroupId(id)), 0))
                .collect(),
            store,
            durable,
            done,
            rates: Vec::new(),
            batches: Vec::new(),
        });
    }
    // The first round warms up and is not counted.
    for round in 0..=options.rounds {
        for one in &mut all {
            let (rate, batch) = one.run(options, &mut payloads)?;
            if round > 0 {
                one.rates.push(rate);
                one.batches.push(batch);
            }
        }
    }
    let Some(first) = all.first().map(|one| one.rates.clone()) else {
        return Ok(Vec::new());
    };
    let rows = all.iter().map(|one| Row {
        backend: candidate.name,
        groups: one.groups.len() as u64,
        appends_per_second: median(one.rates.clone()).round(),
        entries_per_sync: rounded(median(one.batches.clone())),
        ratio_to_first: rounded(median(
            one.rates
                .iter()
                .zip(&first)
                .map(|(rate, first)| rate / first)
                .collect(),
        )),
    });
    let rows = rows.collect();
    for one in all {
        for (group, last) in &one.groups {
            ensure!(
                block_on(group.last_index())?.unwrap_or(0) == *last,
                "entries are missing"
            );
        }
        block_on(one.store.close())?;
    }
    Ok(rows)
}

impl Contender {
    /// Appends per second and entries per sync over one round.
    fn run(&mut self, options: &Options, payloads: &mut Payloads) -> Result<(f64, f64)> {
        let before = self.store.stats();
        let started = Instant::now();
        let end = started + Duration::from_millis(options.round_millis);
        for group in 0..self.groups.len() {
            self.append(group, payloads.next(options.bytes))?;
        }
        let mut in_flight = self.groups.len();
        while in_flight > 0 {
            let Ok(group) = self.durable.recv_timeout(Duration::from_secs(30)) else {
                bail!("an append failed, or took longer than 30 s");
            };
            if Instant::now() < end {
                self.append(group, payloads.next(options.bytes))?;
            } else {
                in_flight -= 1;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let after = self.store.stats();
        let entries = (after.entries - before.entries) as f64;
        let commits = (after.commits - before.commits).max(1) as f64;
        Ok((entries / seconds, entries / commits))
    }

    fn append(&mut self, number: usize, payload: bytes::Bytes) -> Result<()> {
        let (group, last) = &mut self.groups[number];
        *last += 1;
        let done = self.done.clone();
        let done = Completion::new(move |result| {
            // One that failed is missed by the one who waits; who has stopped waiting needs none.
            if result.is_ok() {
                done.send(number).unwrap_or(());
            }
        });
        block_on(group.append(vec![Entry::new(*last, payload)], done))?;
        Ok(())
    }
}
