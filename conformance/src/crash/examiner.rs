use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use tempfile::TempDir;

use super::checker::{CheckerTask, Question};
use super::child::{Role, Task, parse_answer};
use super::image::Image;
use super::op_log::STORE;
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::WorkloadSpec;

/// Puts images into directories and has a checker process look at each. A checker that dies or hangs is
/// replaced by another.
pub(super) struct Examiner<'a> {
    target: &'a Target,
    workload: WorkloadSpec,
    /// In memory, where there is a file system for that.
    room: TempDir,
    checker: Option<Checker>,
    images: u64,
}

/// How long a checker may take over one image.
const DEADLINE: Duration = Duration::from_secs(60);

impl<'a> Examiner<'a> {
    pub(super) fn new(target: &'a Target, workload: WorkloadSpec) -> io::Result<Self> {
        Ok(Self {
            target,
            workload,
            room: TempDir::with_prefix_in("raft-logstore-crash-", room())?,
            checker: None,
            images: 0,
        })
    }

    /// What the store makes of an image.
    pub(super) fn examine(
        &mut self,
        image: &Image,
        window: Window,
        goes_on: bool,
    ) -> io::Result<Verdict> {
        // Each in a directory of its own: nothing that a store remembers of a path may mislead it.
        self.images += 1;
        let dir = self.room.path().join(self.images.to_string());
        fs::create_dir(&dir)?;
        image.write_to(&dir)?;
        let verdict = self.examine_dir(&dir.join(STORE), window, goes_on)?;
        if fs::remove_dir_all(&dir).is_err() {
            // A store that was dropped, not closed, may still be at work in there.
            self.checker = None;
            fs::remove_dir_all(&dir)?;
        }
        Ok(verdict)
    }

    /// What the store makes of a directory, which it may change.
    pub(super) fn examine_dir(
        &mut self,
        store: &Path,
        window: Window,
        goes_on: bool,
    ) -> io::Result<Verdict> {
        self.ask(&Question {
            store: store.to_owned(),
            window,
            goes_on,
        })
    }

    fn ask(&mut self, question: &Question) -> io::Result<Verdict> {
        let checker = match &mut self.checker {
            Some(checker) => checker,
            None => {
                let task = Task {
                    target: self.target.name().to_owned(),
                    role: Role::Checker(CheckerTask {
                        workload: self.workload,
                    }),
                };
                self.checker.insert(Checker::start(&task)?)
            }
        };
        match checker.ask(question)? {
            Some(Verdict::Panicked(message)) => {
                // What a panic leaves behind is not to be trusted.
                self.checker = None;
                Ok(Verdict::Panicked(message))
            }
            Some(verdict) => Ok(verdict),
            None => {
                let ended = checker.end()?;
                self.checker = None;
                Ok(Verdict::Panicked(ended))
            }
        }
    }
}

/// Where images lie.
fn room() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        env::temp_dir()
    }
}

/// A checker process.
struct Checker {
    process: Child,
    questions: ChildStdin,
    /// From a thread that reads the output, so that one can stop waiting.
    answers: Receiver<Verdict>,
}

impl Checker {
    fn start(task: &Task) -> io::Result<Self> {
        let mut process = task.command()?.stdin(Stdio::piped()).spawn()?;
        let (Some(questions), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("the checker has no pipes"));
        };
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some(verdict) = parse_answer(&line) else {
                    continue;
                };
                if sender.send(verdict).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            process,
            questions,
            answers,
        })
    }

    /// The checker's verdict; `None` when it died or hangs.
    fn ask(&mut self, question: &Question) -> io::Result<Option<Verdict>> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        if self.questions.write_all(&line).is_err() {
            return Ok(None);
        }
        match self.answers.recv_timeout(DEADLINE) {
            Ok(verdict) => Ok(Some(verdict)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    /// How it ended; it is ended if it has not.
    fn end(&mut self) -> io::Result<String> {
        let moment = Duration::from_millis(500);
        Ok(match super::recording::wait(&mut self.process, moment)? {
            Some(status) => format!("the process that opened it ended with {status}"),
            None => format!("it hung for {DEADLINE:?}"),
        })
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        // It may have ended by itself; a process that is not there needs no ending.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
