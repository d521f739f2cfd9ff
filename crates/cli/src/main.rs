//! The program `raft-logstore`: looks at a store of Raft logs, checks it, copies it to another
//! backend, and measures what a disk does with one.
//!
//! Exit codes: 0 done, and for `check` clean; 1 damage was found; 2 could not do it; 128 and the number of
//! the signal when a bench was interrupted.

mod args;
mod bench;
mod check;
mod chunks;
mod copy;
mod disk;
mod dump;
mod fault;
mod groups;
mod message_pack;
mod outcome;
mod output;
mod panics;
mod payload;
mod stat;
mod store_uri;
mod table;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Cli, Command};
use crate::outcome::Outcome;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What an engine has to say of a damaged file is in the error that the store makes of it.
    let ours = Targets::new().with_target("raft_logstore", LevelFilter::ERROR);
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(LevelFilter::ERROR)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .finish()
        .with(ours)
        .init();
    match panics::contain(|| run(cli)) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output::note(format_args!("error: {error:#}"));
            Outcome::of(&error).into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Groups(args) => groups::run(&args),
        Command::Stat(args) => stat::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Copy(args) => copy::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
