use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};

/// Writes per second of openraft over each store: three nodes in one process, each with a store of its own.
#[derive(Clone, Debug, Parser)]
#[command(name = "raft-logstore-bench-openraft")]
pub(crate) struct Options {
    /// Lines of openraft to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["0.10", "0.9"])]
    pub(crate) openraft: Vec<Line>,

    /// Stores to measure, by name; all if none is given.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) stores: Vec<String>,

    /// Clients, each with one write in flight; up to 100000. Each group needs one.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values = ["1", "64", "1024", "4096"],
          value_parser = value_parser!(u64).range(1..=100_000))]
    pub(crate) clients: Vec<u64>,

    /// Raft groups that share the store of a node, up to 4096; their leaders are spread over the nodes.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values = ["1"],
          value_parser = value_parser!(u64).range(1..=4096))]
    pub(crate) groups: Vec<u64>,

    /// Interleaved rounds, up to 1000; figures are medians over them. One more warms up and is not counted.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u64).range(1..=1000))]
    pub(crate) rounds: u64,

    /// How long the clients write to each store in a round, in milliseconds, up to ten minutes.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = value_parser!(u64).range(1..=600_000))]
    round_millis: u64,

    /// Text of a write, in bytes, up to 1 MiB.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = value_parser!(u64).range(0..=1 << 20))]
    pub(crate) bytes: u64,

    /// Where to put the stores, on the disk to measure; a temporary directory in it is used and removed.
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    pub(crate) dir: PathBuf,

    /// Print one array of rows as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    /// How long one store is written to in a round.
    pub(crate) fn round(&self) -> Duration {
        Duration::from_millis(self.round_millis)
    }
}

/// A line of openraft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Line {
    /// The 0.10 line: many appends in flight.
    #[value(name = "0.10")]
    V0_10,
    /// The 0.9 line: one append in flight in a group.
    #[value(name = "0.9")]
    V0_9,
}

impl Line {
    /// As it is printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V0_10 => "0.10",
            Self::V0_9 => "0.9",
        }
    }
}
