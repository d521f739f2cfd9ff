use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use raft_logstore::StoreStats;

use crate::summary::{median, rounded};

/// How throughput is measured: contenders take turns, each for a while.
#[derive(Args)]
pub(crate) struct Rounds {
    /// Payload bytes of an entry.
    #[arg(long, default_value_t = 256)]
    pub(crate) bytes: usize,
    /// Interleaved rounds; figures are medians over them.
    #[arg(long = "rounds", default_value_t = 7)]
    pub(crate) count: usize,
    /// How long each contender appends in a round.
    #[arg(long, default_value_t = 500)]
    pub(crate) round_millis: u64,
}

/// What a round came to.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    appends_per_second: f64,
    entries_per_sync: f64,
}

impl Round {
    /// Of appends of one entry, between two looks at the counters of a store.
    pub(crate) fn between(before: StoreStats, after: StoreStats, took: Duration) -> Result<Self> {
        let entries = (after.entries - before.entries) as f64;
        let commits = after.commits - before.commits;
        ensure!(commits > 0, "a round of {took:?} saw no commit");
        Ok(Self {
            appends_per_second: entries / took.as_secs_f64(),
            entries_per_sync: entries / commits as f64,
        })
    }
}

/// What the rounds of a contender came to.
#[derive(Clone, Default)]
pub(crate) struct Rates(Vec<Round>);

impl Rates {
    pub(crate) fn note(&mut self, round: Round) {
        self.0.push(round);
    }

    pub(crate) fn appends_per_second(&self) -> f64 {
        let rounds = self.0.iter();
        median(rounds.map(|round| round.appends_per_second).collect()).round()
    }

    pub(crate) fn entries_per_sync(&self) -> f64 {
        let rounds = self.0.iter();
        rounded(median(rounds.map(|round| round.entries_per_sync).collect()))
    }

    /// This throughput over another, round by round.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        let ratios = pairs.map(|(one, other)| one.appends_per_second / other.appends_per_second);
        rounded(median(ratios.collect()))
    }
}
