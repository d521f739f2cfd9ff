use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use super::child;
use super::cut::{Cut, cut_unavailable};
use super::disk::{Disk, Omitted};
use super::examiner::Examiner;
use super::mount::{REQUIRE_ENV, is_required, unavailable};
use super::op_log::OpLog;
use super::plan::Plan;
use super::sweep::{Run, Sweep, goes_on};
use super::target::Target;
use crate::interrupt;

/// Cuts the power of stores, in thousands of ways, and looks at what is left.
#[derive(Parser)]
#[command(name = "crash")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Prints one JSON object a target.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Crashes runs of each target; every image must open with all that was acknowledged.
    Sweep(Runs),
    /// Crashes each target again while it recovers from a crash, or soon after.
    Nested(Runs),
    /// Leaves out each single sync: crashes must show every one that matters.
    Mutate(Runs),
    /// Has every sync do nothing: each target must be caught.
    Lie(Runs),
    /// Cuts the power of a real ext4 on a loop device; needs root.
    Cut(Cuts),
    /// Repeats one crash.
    Replay(Replay),
}

/// Which runs.
#[derive(Args)]
struct Runs {
    /// The targets; all of them by default.
    targets: Vec<String>,
    /// How many runs; by default 20, and 2 where syncs are left out.
    #[arg(long)]
    seeds: Option<u64>,
    /// The seed of the first run.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Crash images of each run, or of each sync that is left out; by default 500 for a sweep, 100 for
    /// nested crashes and a disk that lies, 32 for a sync.
    #[arg(long)]
    images: Option<usize>,
    /// Runs at a time; by default twice as many as there are processors.
    #[arg(long)]
    jobs: Option<usize>,
    /// Where failures are kept.
    #[arg(long)]
    artifacts: Option<PathBuf>,
}

/// Which cuts.
#[derive(Args)]
struct Cuts {
    /// The targets; all of them by default.
    targets: Vec<String>,
    /// How many.
    #[arg(long, default_value_t = 40)]
    cuts: u64,
    /// The seed of the first run.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
}

/// One crash.
#[derive(Args)]
struct Replay {
    target: String,
    #[arg(long)]
    seed: u64,
    /// Which crash; without it the log is summed up.
    #[arg(long)]
    plan: Option<Plan>,
    /// The log that was kept; without it the run is recorded again. A store with threads writes its
    /// bytes in another order each time, so only the log repeats a crash exactly.
    #[arg(long)]
    log: Option<PathBuf>,
    /// No sync does anything.
    #[arg(long)]
    lie: bool,
    /// Leaves the image in this directory, which must not exist.
    #[arg(long)]
    image: Option<PathBuf>,
}

/// The crash kit as a program, for stores of one's own: the whole `main` of an example or test.
///
/// Ends with a failure when anything was lost, wrong or fatal, or an error was reported that the target
/// does not [tolerate](Target::tolerating). Where nothing can be mounted it says so and ends well,
/// unless `RAFT_LOGSTORE_REQUIRE_CRASH=1` is set. When it is [interrupted](interrupt) it removes what it mounted and
/// wrote, but for the failures that it keeps.
pub fn main(targets: Vec<Target>) -> ExitCode {
    main_with(targets, env::args_os())
}

/// [`main`] for a program that takes other arguments too: these are the kit's, behind the name of the program.
///
/// Such a program calls [`serve`](super::serve) before it looks at its own.
pub fn main_with(
    targets: Vec<Target>,
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> ExitCode {
    if let Some(code) = child::serve(&targets) {
        return code;
    }
    let cli = Cli::parse_from(args);
    if let Err(error) = interrupt::watch() {
        eprintln!("signals cannot be watched: {error}");
        return ExitCode::FAILURE;
    }
    let code = run(&cli, &targets);
    interrupt::exit_code().unwrap_or(code)
}

fn run(cli: &Cli, targets: &[Target]) -> ExitCode {
    let unavailable = match &cli.command {
        Command::Cut(_) => cut_unavailable(),
        _ => unavailable(),
    };
    if let Some(reason) = unavailable {
        eprintln!("SKIPPED: {reason}. Set {REQUIRE_ENV}=1 to make this a failure.");
        return if is_required() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let done = match &cli.command {
        Command::Sweep(runs) => each(targets, runs, (20, 500), cli.json, |sweep, target| {
            let report = sweep.run(target)?;
            Ok((report.passed(), report))
        }),
        Command::Nested(runs) => each(targets, runs, (20, 100), cli.json, |sweep, target| {
            let report = sweep.nested(target)?;
            Ok((report.passed(), report))
        }),
        Command::Mutate(runs) => each(targets, runs, (2, 32), cli.json, |sweep, target| {
            let report = sweep.mutate(target)?;
            Ok((report.passed(), report))
        }),
        Command::Lie(runs) => each(targets, runs, (20, 100), cli.json, |sweep, target| {
            let report = sweep.lie(target)?;
            Ok((!report.passed(), report))
        }),
        Command::Cut(cuts) => cuts.run(targets, cli.json),
        Command::Replay(replay) => replay.run(targets),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if interrupt::check().is_ok() {
                eprintln!("the crash kit failed: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs each target and prints its report; whether all went as it must.
fn each<R: Serialize + Display>(
    targets: &[Target],
    runs: &Runs,
    (seeds, images): (u64, usize),
    json: bool,
    run: impl Fn(&Sweep, &Target) -> io::Result<(bool, R)>,
) -> io::Result<bool> {
    let sweep = runs.sweep(seeds, images);
    print_each(chosen(targets, &runs.targets)?, json, |target| {
        run(&sweep, target)
    })
}

/// The same for targets that are chosen.
fn print_each<R: Serialize + Display>(
    targets: Vec<&Target>,
    json: bool,
    run: impl Fn(&Target) -> io::Result<(bool, R)>,
) -> io::Result<bool> {
    let mut all = true;
    for target in targets {
        let started = Instant::now();
        let (as_it_must, report) = run(target)?;
        all &= as_it_must;
        if json {
            writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
        } else {
            writeln!(
                io::stdout(),
                "{report}\n  {} s",
                started.elapsed().as_secs_f32()
            )?;
        }
    }
    Ok(all)
}

fn find<'a>(targets: &'a [Target], name: &str) -> io::Result<&'a Target> {
    targets
        .iter()
        .find(|target| target.name() == name)
        .ok_or_else(|| {
            let names: Vec<&str> = targets.iter().map(Target::name).collect();
            io::Error::other(format!("there is no target {name:?}; there are {names:?}"))
        })
}

/// The targets of these names; all of them when there is none.
fn chosen<'a>(targets: &'a [Target], names: &[String]) -> io::Result<Vec<&'a Target>> {
    if names.is_empty() {
        return Ok(targets.iter().collect());
    }
    names.iter().map(|name| find(targets, name)).collect()
}

impl Cuts {
    fn run(&self, targets: &[Target], json: bool) -> io::Result<bool> {
        let cut = Cut {
            cuts: self.cuts,
            first_seed: self.first_seed,
        };
        print_each(chosen(targets, &self.targets)?, json, |target| {
            let report = cut.run(target)?;
            Ok((report.passed() && report.images == self.cuts, report))
        })
    }
}

impl Runs {
    fn sweep(&self, seeds: u64, images: usize) -> Sweep {
        let default = Sweep::default();
        let last = self
            .first_seed
            .saturating_add(self.seeds.unwrap_or(seeds).saturating_sub(1));
        Sweep {
            seeds: self.first_seed..=last,
            images: self.images.unwrap_or(images),
            jobs: self.jobs.unwrap_or(default.jobs),
            artifacts: self.artifacts.clone().unwrap_or(default.artifacts),
            faults: default.faults,
        }
    }
}

impl Replay {
    fn run(&self, targets: &[Target]) -> io::Result<bool> {
        let target = find(targets, &self.target)?;
        let sweep = Sweep::default();
        let run = Run::new(target, self.seed, &sweep);
        let log = match &self.log {
            Some(path) => OpLog::load(path)?,
            None => {
                let recording = run.record()?;
                writeln!(io::stdout(), "the writer: {:?}", recording.verdict)?;
                recording.log
            }
        };
        let Some(plan) = &self.plan else {
            writeln!(io::stdout(), "{}", log.summary())?;
            return Ok(true);
        };
        if !(log.base..=log.mutations.len()).contains(&plan.at) {
            return Err(io::Error::other(format!(
                "the log has {} mutations; the plan is about number {}",
                log.mutations.len(),
                plan.at
            )));
        }
        let omitted = if self.lie {
            Omitted::All
        } else {
            Omitted::None
        };
        let mut disk = Disk::new(&log, omitted);
        disk.advance(plan.at);
        let (image, window) = (disk.image(plan), log.window_at(plan.at));
        if let Some(dir) = &self.image {
            std::fs::create_dir(dir)?;
            image.write_to(dir)?;
        }
        let mut examiner = Examiner::new(target, run.workload);
        let verdict = examiner.examine(&image, window, goes_on(plan))?;
        writeln!(io::stdout(), "{window:?}\n{verdict:?}")?;
        Ok(verdict.is_ok())
    }
}
