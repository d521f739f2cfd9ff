//! The laws, over log stores that others publish for openraft.
//!
//! `cargo run` checks all of them and prints a table; `cargo run -- NAME` checks those whose name contains
//! it, and says what each law found. `cargo run -- crash sweep NAME` cuts the power of one (Linux);
//! `cargo run -- crash help` says what else the crash kit does.

mod hiqlite;
mod memstore;
mod peer;
mod raft_log;
mod report;

use std::env;
use std::process::ExitCode;

use peer::Peer;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = power::serve() {
        return code;
    }
    let wanted = env::args().nth(1).unwrap_or_default();
    #[cfg(target_os = "linux")]
    if wanted == "crash" {
        return power::main();
    }
    let reports: Vec<_> = all()
        .into_iter()
        .filter(|peer| peer.name.contains(&wanted))
        .map(report::Report::of)
        .collect();
    report::print(&reports);
    ExitCode::SUCCESS
}

fn all() -> Vec<Peer> {
    vec![memstore::peer(), raft_log::peer(), hiqlite::peer()]
}

/// Cutting the power of those that keep something on disk.
#[cfg(target_os = "linux")]
mod power {
    use std::env;
    use std::process::ExitCode;

    use raft_logstore_conformance::crash::{self, Target};
    use raft_logstore_conformance::{Feature, Subject};

    use crate::Peer;

    /// Does the work of a process that the crash kit started, if this is one.
    pub(crate) fn serve() -> Option<ExitCode> {
        crash::serve(&targets(|_| {}))
    }

    pub(crate) fn main() -> ExitCode {
        let targets = targets(|left_out| eprintln!("{left_out}: nothing on disk to be lost"));
        crash::main_with(targets, env::args_os().skip(1))
    }

    /// The stores that outlive their process, by package name; tells of those that do not.
    fn targets(mut left_out: impl FnMut(&str)) -> Vec<Target> {
        let target = |Peer { name, subject, .. }| {
            let package = name.split(' ').next().unwrap_or(name);
            if subject.lacks(Feature::Reopen).is_some() {
                left_out(package);
                return None;
            }
            Some(Target::new(package, subject))
        };
        crate::all().into_iter().filter_map(target).collect()
    }
}
