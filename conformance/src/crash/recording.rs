use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::child::{Role, Task};
use super::disk::{Disk, Omitted};
use super::faults::FaultPlan;
use super::mark::Mark;
use super::mount::Mounted;
use super::mutation::Mutation;
use super::op_log::OpLog;
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::WorkloadSpec;
use super::writer::{Reaction, WriterTask};
use crate::answering::parse_answer;
use crate::interrupt;

/// One run of a writer, recorded.
pub(super) struct Recording {
    pub(super) log: OpLog,
    /// What stopped the writer before its end; `Ok` when nothing did.
    pub(super) verdict: Verdict,
}

/// What is recorded.
pub(super) struct Take<'a> {
    pub(super) target: &'a Target,
    pub(super) workload: WorkloadSpec,
    /// What is on the disk before.
    pub(super) disk: OpLog,
    /// The states the store may be in, if there is one on the disk.
    pub(super) resume: Option<Window>,
    pub(super) most_writes: Option<u64>,
    pub(super) faults: FaultPlan,
    /// What the writer does once a fault is reported.
    pub(super) reaction: Reaction,
}

/// How long a writer may take.
const DEADLINE: Duration = Duration::from_secs(120);

impl<'a> Take<'a> {
    /// The whole workload, on a disk without a fault that has nothing but the directory of the store.
    pub(super) fn on_an_empty_disk(target: &'a Target, workload: WorkloadSpec) -> Self {
        Self {
            target,
            workload,
            disk: OpLog::of_empty_disk(),
            resume: None,
            most_writes: None,
            faults: FaultPlan::default(),
            reaction: Reaction::default(),
        }
    }

    /// Runs the writer in a process of its own, in a file system that records it; again and again as
    /// long as it kills itself in order to be started again.
    ///
    /// # Errors
    ///
    /// When nothing can be mounted or started here, or the log is not what happened.
    pub(super) fn record(self) -> io::Result<Recording> {
        interrupt::check()?;
        let mounted = Mounted::new(self.disk, self.faults.clone())?;
        let mut task = WriterTask {
            workload: self.workload,
            root: mounted.root().to_owned(),
            marks: mounted.root().join(Mark::FILE),
            resume: self.resume,
            may_kill: self.resume.is_none() && self.reaction == Reaction::default(),
            most_writes: self.most_writes,
            arm: self.faults != FaultPlan::default(),
            reaction: self.reaction,
        };
        let verdict = loop {
            let before = mounted.log().mutations.len();
            let ended = run(self.target, &task)?;
            let log = mounted.log();
            // Other threads may acknowledge writes until the process is gone.
            let mut marks = log.mutations[before..].iter().filter_map(Mutation::mark);
            match marks.find(|mark| matches!(mark, Mark::Finished | Mark::Killed)) {
                Some(Mark::Finished) => break Verdict::Ok,
                Some(Mark::Killed) => {
                    task.resume = Some(log.window_at(log.mutations.len()));
                    task.may_kill = false;
                }
                _ => break ended,
            }
        };
        let (log, image) = mounted.unmount()?;
        let mut disk = Disk::new(&log, Omitted::None);
        disk.advance(log.mutations.len());
        let replayed = disk.everything();
        let differences = replayed.differences(&image);
        if !differences.is_empty() {
            return Err(io::Error::other(format!(
                "the log does not lead to what the file system holds: {differences:?} differ"
            )));
        }
        Ok(Recording { log, verdict })
    }
}

/// Runs one writer; returns what it says when it ends otherwise than by killing itself.
fn run(target: &Target, task: &WriterTask) -> io::Result<Verdict> {
    let task = Task {
        target: target.name().to_owned(),
        role: Role::Writer(task.clone()),
    };
    let mut writer = task.command()?.spawn()?;
    let Some(status) = wait(&mut writer, DEADLINE)? else {
        return Ok(Verdict::Panicked(format!(
            "the writer hung for {DEADLINE:?}"
        )));
    };
    let mut output = String::new();
    if let Some(mut stdout) = writer.stdout.take() {
        stdout.read_to_string(&mut output)?;
    }
    let verdict = output.lines().find_map(parse_answer);
    Ok(verdict.unwrap_or_else(|| Verdict::Panicked(format!("the writer ended with {status}"))))
}

/// Waits for a process to end, and ends it after the deadline; `None` then.
fn wait(child: &mut Child, deadline: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
