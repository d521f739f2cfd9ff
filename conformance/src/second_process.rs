//! The test program, started again to be another process: one that finds a lock taken, that is killed
//! with a store open, or that dies of a damaged one in place of the tests.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use raft_logstore_core::contain;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::answering::{Answering, NoAnswer, answer};
use crate::damage::{History, Sight};
use crate::{LawResult, OpenStore, Subject, Violation};

/// Says that this is a second process, and with which [`Subject::variant`].
const VARIANT_ENV: &str = "RAFT_LOGSTORE_CONFORMANCE_SECOND";

/// What a second process is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Open a directory, and give it back.
    Open { dir: PathBuf },
    /// Write a history into an empty directory; then close the store, or keep it open and wait for
    /// what comes.
    Write {
        dir: PathBuf,
        history: History,
        close: bool,
    },
    /// Look at everything that a store shows; go on with it when it shows what the history left.
    Look { dir: PathBuf, history: History },
}

/// What came of a [`Job`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The directory was opened.
    Opened,
    /// It was not; the name of the error's kind.
    Refused(String),
    /// The history was written, all of it acknowledged.
    Written,
    /// What was seen.
    Seen(Box<Sight>),
    /// The suite itself could not do the job.
    Failed(String),
    /// Something panicked.
    Panicked(String),
}

/// How a second process ended without an answer.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It died; how, and its last words.
    Died(String),
    /// It gave no answer in time, and was killed.
    Hung,
}

/// The variant of the subject that this process shall serve, if it was started to be a second process
/// of the suite. Asked by a `main` of one's own before anything else; [`main`](crate::main) does.
pub fn variant() -> Option<String> {
    env::var(VARIANT_ENV).ok()
}

/// Being the second process: does what the first one asks until there is nothing more to do.
pub fn serve(subject: &dyn Subject) -> ExitCode {
    // One call for all jobs: a store that is to be killed must not lose its runtime before.
    let mut served = Err(io::Error::other(
        "Subject::within did not call what it was given",
    ));
    subject.within(&mut || served = serve_jobs(subject));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the second process cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_jobs(subject: &dyn Subject) -> io::Result<()> {
    // Stores that are to be killed live as long as the process.
    let mut kept = Vec::new();
    for line in io::stdin().lines() {
        let job = serde_json::from_str(&line?)?;
        let done = contain(
            || Ok(do_job(subject, &job, &mut kept)),
            |message| Answer::Panicked(message.to_owned()),
        );
        // A panic is an answer as well.
        let (Ok(done) | Err(done)) = done;
        answer(&done)?;
    }
    Ok(())
}

fn do_job(subject: &dyn Subject, job: &Job, kept: &mut Vec<Box<dyn OpenStore>>) -> Answer {
    let done = match job {
        Job::Open { dir } => {
            return match subject.open(dir) {
                Ok(_store) => Answer::Opened,
                Err(error) => Answer::Refused(format!("{:?}", error.kind())),
            };
        }
        Job::Write {
            dir,
            history,
            close,
        } => history.write(subject, dir).and_then(|store| {
            if *close {
                store.close()?;
            } else {
                kept.push(store);
            }
            Ok(Answer::Written)
        }),
        Job::Look { dir, history } => {
            Sight::of(subject, dir, history).map(|sight| Answer::Seen(Box::new(sight)))
        }
    };
    done.unwrap_or_else(|violation| Answer::Failed(violation.to_string()))
}

/// A second process. Dropping it kills it.
pub(crate) struct SecondProcess {
    process: Answering,
    /// What it writes to its error output.
    said: NamedTempFile,
}

impl SecondProcess {
    /// Starts this program again, with the same arguments.
    pub(crate) fn start(subject: &dyn Subject) -> LawResult<Self> {
        let said = NamedTempFile::with_prefix("raft-logstore-second-")?;
        let process = Answering::start(
            Command::new(env::current_exe()?)
                .args(env::args_os().skip(1))
                .env(VARIANT_ENV, subject.variant())
                .stderr(said.reopen()?),
        )?;
        Ok(Self { process, said })
    }

    /// Has it do a job.
    ///
    /// # Errors
    ///
    /// How it ended instead. It is of no use after that.
    pub(crate) fn ask(
        &mut self,
        job: &Job,
        deadline: Duration,
    ) -> LawResult<Result<Answer, Ended>> {
        Ok(match self.process.ask(job, deadline)? {
            Ok(answer) => Ok(answer),
            Err(NoAnswer::Hung) => Err(Ended::Hung),
            Err(NoAnswer::Died(status)) => {
                let said = String::from_utf8_lossy(&fs::read(self.said.path())?).into_owned();
                let mut last: Vec<_> = said.lines().rev().take(4).collect();
                last.reverse();
                Err(Ended::Died(format!("{status}: {}", last.join(" | "))))
            }
        })
    }

    /// Kills it, as an operating system kills: nothing of it runs any more.
    pub(crate) fn kill(&mut self) -> LawResult {
        Ok(self.process.kill()?)
    }
}

/// Does one job in a second process of its own.
pub(crate) fn ask_once(subject: &dyn Subject, job: &Job, deadline: Duration) -> LawResult<Answer> {
    let ended = match SecondProcess::start(subject)?.ask(job, deadline)? {
        Ok(answer) => return Ok(answer),
        Err(ended) => ended,
    };
    Err(Violation::new(format!(
        "the other process gave no answer; is raft_logstore_conformance::main what runs there? {ended:?}"
    )))
}
