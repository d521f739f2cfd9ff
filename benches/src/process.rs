use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backends::Candidate;
use crate::bench::Bench;
use crate::{memory, reopen};

/// What a process of its own does with one log.
#[derive(Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) backend: String,
    /// The folder of the log.
    pub(crate) dir: PathBuf,
    pub(crate) work: Work,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Work {
    /// Fill the log and wait to be killed.
    Fill(reopen::Fill),
    /// Open the log, whose groups have entries up to this index, and close it.
    Open(u64),
    /// Append with purging behind.
    Remember(memory::Options),
}

impl Task {
    pub(crate) fn new(candidate: &Candidate, dir: impl Into<PathBuf>, work: Work) -> Self {
        Self {
            backend: candidate.name.to_owned(),
            dir: dir.into(),
            work,
        }
    }

    /// Has a child of this program do it, and returns what it came to.
    pub(crate) fn run<R: DeserializeOwned>(&self) -> Result<R> {
        let output = self.command()?.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "measuring {} failed", self.backend);
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts a child of this program that does it, and waits for its first line.
    pub(crate) fn start(&self) -> Result<Victim> {
        let mut child = self.command()?.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the child has no output")?;
        let victim = Victim(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(!line.is_empty(), "the child ended before it was ready");
        Ok(victim)
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", &serde_json::to_string(self)?]);
        Ok(command)
    }

    /// Does a task, in the child.
    pub(crate) fn execute(json: &str, bench: &Bench) -> Result<()> {
        let task: Self = serde_json::from_str(json)?;
        let mut candidates = bench.candidates.iter();
        let Some(candidate) = candidates.find(|one| one.name == task.backend) else {
            bail!("there is no backend {:?}", task.backend);
        };
        match &task.work {
            Work::Fill(fill) => reopen::wait_to_be_killed(candidate, &task.dir, fill),
            Work::Open(last) => answer(&reopen::open(candidate, &task.dir, *last)?),
            Work::Remember(options) => answer(&memory::append(candidate, &task.dir, options)?),
        }
    }
}

fn answer(result: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout();
    serde_json::to_writer(&out, result)?;
    Ok(out.flush()?)
}

/// A child of this program that is killed when dropped.
pub(crate) struct Victim(Child);

impl Victim {
    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A size of this process as the kernel counts it (`VmHWM`: the most that was resident, `VmRSS`: what is), in bytes.
pub(crate) fn memory_bytes(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .with_context(|| format!("no {field} line"))?;
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .with_context(|| format!("{field} is not a number"))?;
    Ok(kib << 10)
}
