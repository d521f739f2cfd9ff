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
use crate::rounds::{Rates, Round, Rounds};

#[derive(Args)]
pub(crate) struct Options {
    /// How many groups, each with one append of one entry in flight; may be given several times.
    #[arg(long = "groups", default_values_t = [1, 16, 256, 4096])]
    groups: Vec<u64>,
    #[command(flatten)]
    rounds: Rounds,
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
    rates: Rates,
}

pub(crate) fn measure(options: &Options, backends: &[Candidate], base: &Path) -> Result<Vec<Row>> {
    ensure!(options.rounds.count > 0, "at least one round");
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
    let mut payloads = Payloads::new(options.rounds.bytes);
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
            rates: Rates::default(),
        });
    }
    // The first round warms up and is not counted.
    for round in 0..=options.rounds.count {
        for one in &mut all {
            let came_to = one.run(options, &mut payloads)?;
            if round > 0 {
                one.rates.note(came_to);
            }
        }
    }
    let Some(first) = all.first().map(|one| one.rates.clone()) else {
        return Ok(Vec::new());
    };
    let rows = all.iter().map(|one| Row {
        backend: candidate.name,
        groups: one.groups.len() as u64,
        appends_per_second: one.rates.appends_per_second(),
        entries_per_sync: one.rates.entries_per_sync(),
        ratio_to_first: one.rates.ratio_to(&first),
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
    /// Appends for one round.
    fn run(&mut self, options: &Options, payloads: &mut Payloads) -> Result<Round> {
        let before = self.store.stats();
        let started = Instant::now();
        let end = started + Duration::from_millis(options.rounds.round_millis);
        for group in 0..self.groups.len() {
            self.append(group, payloads.next(options.rounds.bytes))?;
        }
        let mut in_flight = self.groups.len();
        while in_flight > 0 {
            let Ok(group) = self.durable.recv_timeout(Duration::from_secs(30)) else {
                bail!("an append failed, or took longer than 30 s");
            };
            if Instant::now() < end {
                self.append(group, payloads.next(options.rounds.bytes))?;
            } else {
                in_flight -= 1;
            }
        }
        Round::between(before, self.store.stats(), started.elapsed())
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
