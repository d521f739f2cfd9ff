//! Flips bits in the files of a store, one at a time, and counts what the store makes of each.
//!
//! ```text
//! cargo run --release --example flip -- redb --flips 10000
//! ```
//!
//! Everything in the store is acknowledged, so each flip must be harmless or reported (law 14); the
//! program fails when one is not. Half of the flips hit a store that was closed, half one that was
//! killed. The same seed flips the same bits of the same history.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use raft_logstore::{fjall::FjallConfig, heed::HeedConfig, redb::RedbConfig, wal::WalConfig};
use raft_logstore_conformance::damage::{self, Options, Report};
use raft_logstore_conformance::{StoreSubject, Subject, interrupt, second_process};

#[derive(Parser)]
#[command(about = "Flips bits in the files of a store and counts what the store makes of each")]
struct Args {
    /// The engine.
    backend: Backend,
    /// How many bits of each backend, one at a time.
    #[arg(long, default_value_t = 1000)]
    flips: u64,
    /// Which bits, and in which history.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the figures as one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Redb,
    Heed,
    Fjall,
    Wal,
    All,
}

impl Backend {
    fn subjects(self) -> Vec<(&'static str, Box<dyn Subject>)> {
        let redb = || {
            (
                "redb",
                boxed(StoreSubject::new(RedbConfig::default()).named("redb")),
            )
        };
        let heed = || {
            (
                "heed",
                boxed(StoreSubject::new(HeedConfig::default()).named("heed")),
            )
        };
        let fjall = || {
            (
                "fjall",
                boxed(StoreSubject::new(FjallConfig::default()).named("fjall")),
            )
        };
        let wal = || {
            (
                "wal",
                boxed(StoreSubject::new(WalConfig::default()).named("wal")),
            )
        };
        match self {
            Self::Redb => vec![redb()],
            Self::Heed => vec![heed()],
            Self::Fjall => vec![fjall()],
            Self::Wal => vec![wal()],
            Self::All => vec![redb(), heed(), fjall(), wal()],
        }
    }
}

fn boxed(subject: impl Subject) -> Box<dyn Subject> {
    Box::new(subject)
}

fn main() -> anyhow::Result<ExitCode> {
    if let Some(variant) = second_process::variant() {
        // This is the process that opens what was damaged.
        let mut subjects = Backend::All.subjects().into_iter();
        let subject = subjects.find(|(name, _)| *name == variant);
        let (_, subject) = subject.ok_or_else(|| anyhow::anyhow!("{variant:?} is no backend"))?;
        return Ok(second_process::serve(&*subject));
    }
    let args = Args::parse();
    // An interrupt ends the sweeps at the next flip: then what is temporary goes.
    interrupt::watch()?;
    let subjects = args.backend.subjects();
    let progress = progress_bar(args.flips.saturating_mul(subjects.len() as u64));
    let (args, progress) = (&args, &progress);
    let reports: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = subjects
            .iter()
            .map(|(backend, subject)| scope.spawn(|| flip(backend, &**subject, args, progress)))
            .collect();
        running.into_iter().map(ScopedJoinHandle::join).collect()
    });
    progress.finish_and_clear();
    if let Some(code) = interrupt::exit_code() {
        return Ok(code);
    }
    let mut lawful = true;
    for report in reports {
        let report = report.map_err(|_| anyhow::anyhow!("a sweep panicked"))??;
        lawful &= report.is_lawful();
        if args.json {
            writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
        } else {
            writeln!(io::stdout(), "{report}")?;
        }
    }
    Ok(if lawful {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn flip(
    backend: &str,
    subject: &dyn Subject,
    args: &Args,
    progress: &ProgressBar,
) -> anyhow::Result<Report> {
    if !io::stderr().is_terminal() {
        // There the bar is not shown.
        writeln!(io::stderr(), "{backend}: {} flips ...", args.flips)?;
    }
    let options = Options {
        backend: backend.to_owned(),
        flips: args.flips,
        seed: args.seed,
    };
    damage::sweep(subject, &options, &mut |_| progress.inc(1))
        .map_err(|violation| anyhow::anyhow!("{backend}: {violation}"))
}

/// How many flips of all backends together are done: on stderr where that is a terminal.
fn progress_bar(flips: u64) -> ProgressBar {
    let bar = ProgressBar::new(flips);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} flips, {elapsed}, {eta} left")
        .expect("the template is valid");
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
