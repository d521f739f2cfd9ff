use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use raft_logstore::StoreStats;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::args;
use crate::summary::Spread;

/// How throughput is measured: contenders take turns, each for a while.
#[derive(Args)]
pub(crate) struct Rounds {
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256, value_parser = args::bytes())]
    pub(crate) bytes: usize,
    /// Interleaved rounds; figures are medians over them.
    #[arg(long = "rounds", default_value_t = 7, value_parser = args::count::<usize>())]
    pub(crate) count: usize,
    /// How long each contender appends in a round.
    #[arg(long, default_value_t = 500, value_parser = args::number::<u64>(1..=3_600_000))]
    pub(crate) round_millis: u64,
}

impl Rounds {
    /// How long a turn is.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_millis(self.round_millis)
    }
}

/// Lets the contenders take turns, and returns what each came to in each round. The order is drawn anew for each round:
/// what one leaves to the disk meets another one each time. The first round warms up caches and files, and is not
/// counted.
pub(crate) fn take_turns<C, T>(
    rounds: usize,
    contenders: &mut [C],
    mut turn: impl FnMut(&mut C) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut all: Vec<Vec<T>> = contenders.iter().map(|_| Vec::new()).collect();
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut random = SmallRng::seed_from_u64(7);
    for round in 0..=rounds {
        order.shuffle(&mut random);
        for &number in &order {
            let came_to = turn(&mut contenders[number])?;
            if round > 0 {
                all[number].push(came_to);
            }
        }
    }
    Ok(all)
}

/// What a turn came to, of appends of one entry.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    appends_per_second: f64,
    entries_per_sync: f64,
}

impl Rate {
    /// # Errors
    ///
    /// When the turn saw no commit.
    pub(crate) fn new(entries: u64, commits: u64, took: Duration) -> Result<Self> {
        ensure!(commits > 0, "a turn of {took:?} saw no commit");
        Ok(Self {
            appends_per_second: entries as f64 / took.as_secs_f64(),
            entries_per_sync: entries as f64 / commits as f64,
        })
    }

    /// Between two looks at the counters of a store.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn between(before: StoreStats, after: StoreStats, took: Duration) -> Result<Self> {
        Self::new(
            after.entries - before.entries,
            after.commits - before.commits,
            took,
        )
    }
}

/// Appends per second of each turn.
pub(crate) fn appends_per_second(turns: &[Rate]) -> Vec<f64> {
    turns.iter().map(|turn| turn.appends_per_second).collect()
}

/// Entries of one sync, over the turns.
pub(crate) fn entries_per_sync(turns: &[Rate]) -> f64 {
    let turns: Vec<f64> = turns.iter().map(|turn| turn.entries_per_sync).collect();
    Spread::of(&turns).median
}
