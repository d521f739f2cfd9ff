use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, CommandFactory, Parser};
use serde::Serialize;

use crate::bench::Bench;
use crate::contender::RAW;
use crate::machine::Machine;
use crate::section::Section;
use crate::{Cli, Command, page};

#[derive(Args)]
pub(crate) struct Options {
    /// The page to write: HTML with everything inside.
    #[arg(long, default_value = "report.html")]
    out: PathBuf,
    /// Short measurements, to see that they run; their figures say little.
    #[arg(long)]
    quick: bool,
}

/// What a report is made of: the title and the command line of each part, in full and quick.
const PARTS: [(&str, &str, &str); 10] = [
    (
        "Durable append",
        "append --matrix --rounds 9 --appends 100",
        "append --shape 1x256 --shape 64x256 --rounds 2 --appends 20",
    ),
    (
        "Durable append for some time, log purged behind",
        "append --shape 64x256 --seconds 20 --keep-mib 64",
        "append --shape 64x256 --seconds 1 --keep-mib 4",
    ),
    (
        "Many threads",
        "group-commit",
        "group-commit --rounds 2 --round-millis 50",
    ),
    (
        "Many groups",
        "groups",
        "groups --groups 1 --groups 16 --rounds 2 --round-millis 50",
    ),
    (
        "Reads",
        "reads",
        "reads --entries 20000 --tail-entries 10000 --random 100 --rounds 2",
    ),
    (
        "Purge under load",
        "purge",
        "purge --entries 20000 --purged 18000 --appends 200",
    ),
    (
        "Opening",
        "reopen --entries 10000000 --bytes 128 --groups 100",
        "reopen --entries 20000 --bytes 128 --groups 10 --rounds 1",
    ),
    ("Memory", "memory", "memory --mib 64 --keep-mib 8"),
    (
        "Bytes written, log purged behind",
        "written --keep-mib 64",
        "written --mib 16 --keep-mib 4",
    ),
    ("Disk used", "space", "space --mib 64"),
];

/// All that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// What was measured, the baseline first.
    pub(crate) backends: Vec<&'static str>,
    pub(crate) parts: Vec<Part>,
}

/// One measurement.
#[derive(Serialize)]
pub(crate) struct Part {
    pub(crate) title: &'static str,
    /// What it measures.
    pub(crate) about: String,
    /// The options that take it again.
    pub(crate) command: &'static str,
    #[serde(flatten)]
    pub(crate) section: Section,
}

/// Takes every measurement and writes the page; prints everything as one JSON document as well if `json`.
pub(crate) fn make(options: &Options, bench: &Bench, json: bool) -> Result<()> {
    let machine = Machine::look(bench)?;
    let mut parts = Vec::new();
    for (title, full, quick) in PARTS {
        let command = if options.quick { quick } else { full };
        eprintln!("{command}");
        parts.push(measure(title, command, bench).with_context(|| command.to_owned())?);
    }
    let names = bench.candidates.iter().map(|candidate| candidate.name);
    let report = Report {
        machine,
        backends: std::iter::once(RAW).chain(names).collect(),
        parts,
    };
    let html = page::render(&report)?.into_string();
    fs::write(&options.out, html).with_context(|| format!("writing {}", options.out.display()))?;
    eprintln!("wrote {}", options.out.display());
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

fn measure(title: &'static str, command: &'static str, bench: &Bench) -> Result<Part> {
    let words = std::iter::once("report").chain(command.split(' '));
    let Command::Measure(measurement) = Cli::try_parse_from(words)?.command else {
        bail!("{command:?} measures nothing");
    };
    let cli = Cli::command();
    let name = command.split(' ').next().unwrap_or(command);
    let about = cli
        .find_subcommand(name)
        .and_then(|found| found.get_about());
    Ok(Part {
        title,
        about: about.map(ToString::to_string).unwrap_or_default(),
        command,
        section: measurement.measure(bench)?,
    })
}
