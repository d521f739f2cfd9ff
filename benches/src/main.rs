//! The measurements that raft-logstore's documents quote.
//!
//! Every figure is taken beside a baseline in the same run: machines are shared and noisy, ratios
//! hold where single times do not. See `benches/README.md`.

mod append;
mod backends;
mod group_commit;
mod groups;
mod memory;
mod payload;
mod process;
mod purge;
mod raw;
mod reopen;
mod report;
mod rounds;
mod summary;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures raft-logstore on this machine.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    measurement: Measurement,
    /// Where the stores are made; they are removed at the end. Must be on the disk to measure.
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    /// The backends to measure, separated by commas; all of them unless given.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        overrides_with = "backends"
    )]
    backends: Vec<String>,
    /// Print one JSON array of rows instead of a table.
    #[arg(long, global = true, overrides_with = "json")]
    json: bool,
}

#[derive(Subcommand)]
enum Measurement {
    /// Latency of a durable append, on the bare engine and through a store, beside a raw file.
    Append(append::Options),
    /// What group commit gains when many threads append at once.
    GroupCommit(group_commit::Options),
    /// What many groups gain, each with one append in flight, on one thread.
    Groups(groups::Options),
    /// Memory while a long log is appended with purging behind it.
    Memory(memory::Options),
    /// What a purge of nearly all of a long log costs its caller, and the appends beside it.
    Purge(purge::Options),
    /// How long a store with a long log takes to open, after a close and after SIGKILL.
    Reopen(reopen::Options),
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let base = cli.dir.unwrap_or_else(std::env::temp_dir);
    let backends = backends::named(&cli.backends)?;
    match cli.measurement {
        Measurement::Append(options) => {
            report::print(&append::measure(&options, &backends, &base)?, cli.json)
        }
        Measurement::GroupCommit(options) => report::print(
            &group_commit::measure(&options, &backends, &base)?,
            cli.json,
        ),
        Measurement::Groups(options) => {
            report::print(&groups::measure(&options, &backends, &base)?, cli.json)
        }
        Measurement::Memory(options) => {
            report::print(&memory::measure(&options, &backends, &base)?, cli.json)
        }
        Measurement::Purge(options) => {
            report::print(&purge::measure(&options, &backends, &base)?, cli.json)
        }
        Measurement::Reopen(options) => {
            report::print(&reopen::measure(&options, &backends, &base)?, cli.json)
        }
    }
}
