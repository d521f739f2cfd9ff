//! One node as a child process: this same program, started with `--node`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::api_error::Refusal;

/// How long a node may take to come up, and to stop when asked to.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a node is started with, each time.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) id: u64,
    pub(crate) dir: PathBuf,
    pub(crate) backend: String,
    pub(crate) snapshot_every: u64,
}

/// A running node. Dropping it kills the process.
pub(crate) struct NodeProcess {
    spec: Spec,
    address: String,
    child: Child,
    /// Whether it was killed on purpose.
    killed: bool,
    /// Held open: the node stops when its stdin ends, so it cannot outlive this process.
    stdin: Option<ChildStdin>,
    /// Held open: a node that writes to a closed stdout would fail.
    _stdout: BufReader<ChildStdout>,
}

impl NodeProcess {
    /// Starts a node and waits until it serves. `listen` may have port 0.
    pub(crate) async fn start(spec: Spec, listen: &str) -> Result<Self> {
        let log = spec.open_log()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "--node",
                &spec.id.to_string(),
                "--listen",
                listen,
                "--stop-with-stdin",
            ])
            .args([
                "--backend",
                &spec.backend,
                "--snapshot-every",
                &spec.snapshot_every.to_string(),
            ])
            .arg("--dir")
            .arg(&spec.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a node")?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().context("a node without stdout")?);

        // `node 1 listens on 127.0.0.1:41234`, or why it does not.
        let mut line = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        read.with_context(|| format!("node {} does not come up", spec.id))??;
        let Some((_, address)) = line.trim_end().split_once(" listens on ") else {
            let status = timeout(PATIENCE, child.wait()).await??;
            bail!(
                "node {} ended at its start ({status}): {}",
                spec.id,
                spec.reason(&line)
            );
        };
        Ok(Self {
            address: address.to_owned(),
            spec,
            child,
            killed: false,
            stdin,
            _stdout: stdout,
        })
    }

    /// Where the node serves.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Ends the process with SIGKILL: it gets no chance to write or say anything.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.check()?;
        self.killed = true;
        Ok(self.child.kill().await?)
    }

    /// Fails when the process has ended and nobody killed it; says how, and its last words.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.killed {
            return Ok(());
        }
        if let Some(status) = self.child.try_wait()? {
            let (id, words) = (self.spec.id, self.spec.last_words());
            bail!("node {id} ended by itself ({status}): {words}");
        }
        Ok(())
    }

    /// Asks the process to stop (SIGTERM) and waits until it has, cleanly.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.check()?;
        let Spec { id, .. } = self.spec;
        self.ask_to_stop()
            .with_context(|| format!("cannot stop node {id}"))?;
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .with_context(|| format!("node {id} does not stop"))??;
        ensure!(
            status.success(),
            "node {id} failed ({status}): {}",
            self.spec.last_words()
        );
        Ok(())
    }

    #[cfg(unix)]
    fn ask_to_stop(&mut self) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};

        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let pid = pid.context("it has ended already")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// Where there is no SIGTERM, the end of stdin says the same.
    #[cfg(not(unix))]
    fn ask_to_stop(&mut self) -> Result<()> {
        self.stdin = None;
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Ends the node even where killing it fails.
        self.stdin = None;
    }
}

impl Spec {
    /// What the node wrote to stderr, over all its starts.
    fn log_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    fn open_log(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).open(self.log_file())
    }

    /// Why a node failed that said `line` to this process: what it says in its log may be lost where
    /// the disk is full.
    fn reason(&self, line: &str) -> String {
        serde_json::from_str(line).map_or_else(|_| self.last_words(), |Refusal { error, .. }| error)
    }

    /// The last line of the log; or why there may be none.
    fn last_words(&self) -> String {
        let log = self.log_file();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if let Some(last) = text.lines().last() {
            return format!("{last} (see {})", log.display());
        }
        match self.open_log().and_then(|mut log| log.write_all(b"\n")) {
            Ok(()) => "it said nothing".to_owned(),
            Err(error) => format!(
                "what it said is lost: {} takes nothing: {error}",
                log.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dir: PathBuf) -> Spec {
        Spec {
            id: 1,
            dir,
            backend: "redb".to_owned(),
            snapshot_every: 1,
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_is_not_taken_for_silence() {
        let dir = tempfile::tempdir().unwrap();
        let silent = spec(dir.path().join("node-1"));
        assert_eq!(silent.last_words(), "it said nothing");
        fs::write(silent.log_file(), "first\nlast\n").unwrap();
        assert!(silent.last_words().starts_with("last (see "));

        // A directory takes no text, as a full disk does.
        let lost = spec(dir.path().join("node-2"));
        fs::create_dir(lost.log_file()).unwrap();
        assert!(
            lost.last_words().contains("is lost"),
            "{}",
            lost.last_words()
        );
    }

    #[test]
    fn a_node_whose_log_is_lost_says_itself_why_it_failed() {
        let dir = tempfile::tempdir().unwrap();
        let spec = spec(dir.path().join("node-1"));
        assert_eq!(
            spec.reason(r#"{"error":"the disk is full"}"#),
            "the disk is full"
        );
        assert_eq!(spec.reason(""), "it said nothing");
    }
}
