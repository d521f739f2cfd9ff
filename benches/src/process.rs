use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

use crate::backends::Candidate;

/// Runs this program with the same command line once for each backend, and returns all rows.
pub(crate) fn one_each<R: DeserializeOwned>(backends: &[Candidate]) -> Result<Vec<R>> {
    let mut rows: Vec<R> = Vec::new();
    for candidate in backends {
        let output = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .args(["--json", "--backends", candidate.name])
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(
            output.status.success(),
            "measuring {} failed",
            candidate.name
        );
        let mut measured: Vec<R> = serde_json::from_slice(&output.stdout)?;
        rows.append(&mut measured);
    }
    Ok(rows)
}

/// A child of this program that says when it is ready, and is killed when dropped.
pub(crate) struct Victim(Child);

impl Victim {
    /// Starts this program with `args` and waits for its first line.
    pub(crate) fn start(args: &[&std::ffi::OsStr]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("the child has no output")?;
        let victim = Self(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(!line.is_empty(), "the child ended before it was ready");
        Ok(victim)
    }

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
