//! The processes that the kit starts: copies of the program it runs in.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::checker::{self, CheckerTask};
use super::cut::{self, CutterTask};
use super::panics::Panics;
use super::target::Target;
use super::writer::{self, WriterTask};

/// Tells a copy of the program what to do instead.
const TASK_ENV: &str = "RAFT_LOGSTORE_CRASH_TASK";

/// What a child process is for.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    /// The name of the target.
    pub(super) target: String,
    pub(super) role: Role,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Role {
    Writer(WriterTask),
    Checker(CheckerTask),
    Cutter(CutterTask),
}

impl Task {
    /// The command that runs this program again, for the task.
    pub(super) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command
            .env(TASK_ENV, serde_json::to_string(self)?)
            // What interrupts this program from a terminal is not for the child, whose death would be a verdict.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Ok(command)
    }
}

/// Does the work of a child process, if this is one; `None` if it is not.
///
/// [`main`](super::main) calls it. A program with a `main` of its own calls it first, before it does
/// anything else, with the same targets as the run.
pub fn serve(targets: &[Target]) -> Option<ExitCode> {
    let task = env::var(TASK_ENV).ok()?;
    let served = serde_json::from_str(&task)
        .map_err(io::Error::from)
        .and_then(|task| work(targets, task));
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the crash kit's child failed: {error}");
            ExitCode::FAILURE
        }
    })
}

fn work(targets: &[Target], Task { target, role }: Task) -> io::Result<()> {
    let target = targets
        .iter()
        .find(|known| known.name() == target)
        .ok_or_else(|| io::Error::other(format!("there is no target {target:?}")))?;
    // However the program ends, nothing that it started goes on.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let panics = Panics::note();
    let mut done = Ok(());
    target.subject().within(&mut || {
        done = match &role {
            Role::Writer(task) => writer::run(target, task, &panics),
            Role::Checker(task) => checker::run(target, task, &panics),
            Role::Cutter(task) => cut::run(target, task),
        };
    });
    done
}
