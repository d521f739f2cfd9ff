use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use futures_executor::block_on;
use raft_logstore::{Completion, Entry, Group, GroupId, LogStore, LogStoreExt, Store};
use serde::Serialize;

use crate::args;
use crate::bench::Bench;
use crate::contender::{COMPLETIONS, Contender, ENGINE, RAW, STORE};
use crate::payload::Payloads;
use crate::plot::{Mark, Plot, Scale};
use crate::raw::RawFile;
use crate::rounds::{Rate, Rounds, appends_per_second, entries_per_sync, take_turns};
use crate::summary::Spread;
use crate::workload::Workload;

/// At least so long is the raw file, in bytes.
const RAW_FILE_BYTES: u64 = 64 << 20;

#[derive(Args)]
pub(crate) struct Options {
    /// How many groups, each with one append of one entry in flight; may be given several times.
    #[arg(
        long = "groups",
        default_values_t = [1, 16, 256, 4096],
        value_parser = args::few::<u64>()
    )]
    groups: Vec<u64>,
    #[command(flatten)]
    rounds: Rounds,
}

#[derive(Serialize)]
pub(crate) struct Row {
    backend: &'static str,
    /// `engine` and `store`: each commit carries one entry of each group. `completions`: a group's next append goes out
    /// as soon as the one before is durable.
    path: &'static str,
    groups: u64,
    appends_per_second: f64,
    entries_per_sync: f64,
    /// This throughput over that of the first number of groups, round by round.
    ratio_to_first: f64,
    /// This throughput over that of the raw file, which writes as many entries at once, round by round.
    ratio_to_raw: f64,
    appends_per_second_quartiles: [f64; 2],
    ratio_to_raw_quartiles: [f64; 2],
}

/// Some groups of a log of their own.
struct Groups {
    backend: &'static str,
    path: &'static str,
    count: u64,
    kind: Kind,
}

enum Kind {
    Together(Contender),
    InFlight(InFlight),
}

impl Workload for Options {
    type Row = Row;

    fn measure(&self, bench: &Bench) -> Result<Vec<Row>> {
        let bytes = self.rounds.bytes;
        for groups in &self.groups {
            args::check_size(*groups, bytes)?;
        }
        let dir = bench.folder()?;
        let mut all = Vec::new();
        for groups in &self.groups {
            all.extend(self.contenders(bench, &dir.path().join(groups.to_string()), *groups)?);
        }
        let mut payloads = Payloads::new(bytes);
        let turns = take_turns(self.rounds.count, &mut all, |one| {
            one.run(&self.rounds, &mut payloads)
        })?;
        let rates: Vec<_> = turns
            .iter()
            .map(|turns| appends_per_second(turns))
            .collect();
        let find = |backend, path, count| {
            let number = all.iter().position(|other| {
                (other.backend, other.path, other.count) == (backend, path, count)
            });
            number.map_or(&[][..], |number| &rates[number])
        };
        let row = |(number, one): (usize, &Groups)| {
            let rate = Spread::of(&rates[number]);
            let to_raw = Spread::of_ratio(&rates[number], find(RAW, ENGINE, one.count));
            let first = find(one.backend, one.path, self.groups[0]);
            Row {
                backend: one.backend,
                path: one.path,
                groups: one.count,
                appends_per_second: rate.median.round(),
                entries_per_sync: entries_per_sync(&turns[number]),
                ratio_to_first: Spread::of_ratio(&rates[number], first).median,
                ratio_to_raw: to_raw.median,
                appends_per_second_quartiles: rate.quartiles.map(f64::round),
                ratio_to_raw_quartiles: to_raw.quartiles,
            }
        };
        let rows = all.iter().enumerate().map(row).collect();
        for one in all {
            match one.kind {
                Kind::Together(contender) => contender.finish()?,
                Kind::InFlight(groups) => groups.finish()?,
            }
        }
        Ok(rows)
    }

    fn plots(rows: &[Row]) -> Vec<Plot> {
        let mark = |row: &Row| {
            let quartiles = Some(row.ratio_to_raw_quartiles);
            Mark::new(
                row.backend,
                row.path,
                row.groups,
                row.ratio_to_raw,
                quartiles,
            )
        };
        vec![Plot {
            title: "durable appends per second, over those of the raw file".into(),
            cases: "groups",
            scale: Scale::Log,
            line: Some(1.0),
            marks: rows.iter().map(mark).collect(),
        }]
    }
}

impl Options {
    fn contenders(&self, bench: &Bench, dir: &Path, groups: u64) -> Result<Vec<Groups>> {
        std::fs::create_dir_all(dir)?;
        let together = |contender: Contender| Groups {
            backend: contender.backend,
            path: contender.path,
            count: groups,
            kind: Kind::Together(contender),
        };
        let raw = RawFile::create(&dir.join(RAW), RAW_FILE_BYTES, self.rounds.bytes)?;
        let mut all = vec![together(Contender::raw(raw))];
        for candidate in bench.holding(groups) {
            all.push(together(Contender::on(ENGINE, candidate, dir)?));
            if let Some(ours) = candidate.ours {
                all.push(together(Contender::on(STORE, candidate, dir)?));
                let store = ours.store(&dir.join(ours.name).join(COMPLETIONS))?;
                all.push(Groups {
                    backend: ours.name,
                    path: COMPLETIONS,
                    count: groups,
                    kind: Kind::InFlight(InFlight::new(store, groups)),
                });
            }
        }
        Ok(all)
    }
}

impl Groups {
    /// Appends for one turn.
    fn run(&mut self, rounds: &Rounds, payloads: &mut Payloads) -> Result<Rate> {
        let contender = match &mut self.kind {
            Kind::Together(contender) => contender,
            Kind::InFlight(groups) => return groups.run(rounds, payloads),
        };
        let (mut commits, mut took) = (0, Duration::ZERO);
        while took < rounds.turn() {
            // Not the time to make entries, which counts where nothing else takes long.
            let appends = contender.next_entries(payloads, self.count, 1, rounds.bytes);
            let started = Instant::now();
            contender.log().append(appends)?;
            took += started.elapsed();
            commits += 1;
        }
        Rate::new(commits * self.count, commits, took)
    }
}

/// Groups of a store. One thread appends to all of them: an append goes out when the one before in its group is
/// durable.
struct InFlight {
    store: Store,
    groups: Vec<(Group, u64)>,
    durable: Receiver<usize>,
    done: Sender<usize>,
}

impl InFlight {
    fn new(store: Store, groups: u64) -> Self {
        let (done, durable) = mpsc::channel();
        Self {
            groups: (0..groups)
                .map(|id| (store.group(GroupId(id)), 0))
                .collect(),
            store,
            durable,
            done,
        }
    }

    fn run(&mut self, rounds: &Rounds, payloads: &mut Payloads) -> Result<Rate> {
        let before = self.store.stats();
        let started = Instant::now();
        for group in 0..self.groups.len() {
            self.append(group, payloads.next(rounds.bytes))?;
        }
        let mut in_flight = self.groups.len();
        while in_flight > 0 {
            let Ok(group) = self.durable.recv_timeout(Duration::from_secs(30)) else {
                bail!("an append failed, or took longer than 30 s");
            };
            if started.elapsed() < rounds.turn() {
                self.append(group, payloads.next(rounds.bytes))?;
            } else {
                in_flight -= 1;
            }
        }
        Rate::between(before, self.store.stats(), started.elapsed())
    }

    fn append(&mut self, number: usize, payload: Bytes) -> Result<()> {
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

    fn finish(self) -> Result<()> {
        for (group, last) in &self.groups {
            let found = block_on(group.last_index())?.unwrap_or(0);
            ensure!(found == *last, "entries are missing");
        }
        Ok(block_on(self.store.close())?)
    }
}
