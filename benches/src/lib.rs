//! The measurements that raft-logstore's documents quote.
//!
//! Every figure is taken beside a baseline in the same run: machines are shared and noisy, ratios
//! hold where single times do not. See `benches/README.md`.

mod append;
mod args;
mod backends;
mod bench;
mod contender;
mod disk;
mod engine;
mod group_commit;
mod groups;
mod log;
mod machine;
mod memory;
mod page;
mod payload;
mod plot;
mod process;
mod purge;
mod raw;
mod reads;
mod reopen;
mod report;
mod rival;
mod rounds;
mod section;
mod space;
mod stored;
mod summary;
mod table;
mod workload;
mod written;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use bench::Bench;
pub use log::Log;
use process::Task;
pub use rival::Rival;
use section::Section;

/// Measures raft-logstore on this machine.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
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
    /// Print JSON instead of a table: one array of rows; of a report, one document.
    #[arg(long, global = true, overrides_with = "json")]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Measure(Measurement),
    /// All of them, as one page to look at.
    Report(report::Options),
    /// For this program itself.
    #[command(hide = true)]
    Child { task: String },
}

#[derive(Subcommand)]
enum Measurement {
    /// Latency of a durable append, on the bare engine and through a store, beside a raw file.
    Append(append::Options),
    /// What group commit gains when many threads append at once.
    GroupCommit(group_commit::Options),
    /// What many groups gain: one commit for all of them, and each with one append in flight, on one thread.
    Groups(groups::Options),
    /// Memory while a long log is appended with purging behind it.
    Memory(memory::Options),
    /// What a purge of nearly all of a long log costs its caller, and the appends beside it.
    Purge(purge::Options),
    /// Reading what was just appended, and what is on disk only, in order and anywhere.
    Reads(reads::Options),
    /// How long a store with a long log takes to open, after a close and after SIGKILL, and its memory then.
    Reopen(reopen::Options),
    /// How much disk many groups take when one of them is never purged.
    Space(space::Options),
    /// Bytes written for each byte of payload.
    Written(written::Options),
}

impl Measurement {
    fn measure(&self, bench: &Bench) -> Result<Section> {
        match self {
            Self::Append(options) => Section::of(options, bench),
            Self::GroupCommit(options) => Section::of(options, bench),
            Self::Groups(options) => Section::of(options, bench),
            Self::Memory(options) => Section::of(options, bench),
            Self::Purge(options) => Section::of(options, bench),
            Self::Reads(options) => Section::of(options, bench),
            Self::Reopen(options) => Section::of(options, bench),
            Self::Space(options) => Section::of(options, bench),
            Self::Written(options) => Section::of(options, bench),
        }
    }
}

/// The whole command line, with these further logs measured beside ours.
///
/// # Errors
///
/// A wrong name, or whatever keeps a measurement from being taken. A wrong option ends the process.
pub fn run(rivals: &[Rival]) -> Result<()> {
    let cli = Cli::parse();
    let base = cli.dir.unwrap_or_else(std::env::temp_dir);
    let bench = Bench::new(base, &cli.backends, rivals)?;
    match cli.command {
        Command::Measure(measurement) => table::print(&measurement.measure(&bench)?.rows, cli.json),
        Command::Report(options) => report::make(&options, &bench, cli.json),
        Command::Child { task } => Task::execute(&task, &bench),
    }
}
