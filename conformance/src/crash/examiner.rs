use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use tempfile::TempDir;

use super::checker::{CheckerTask, Question};
use super::child::{Role, Task};
use super::image::Image;
use super::op_log::STORE;
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::WorkloadSpec;
use crate::answering::{Answering, NoAnswer};
use crate::interrupt;

/// Puts images into directories and has a checker process look at each. A checker that dies or hangs is
/// replaced by another.
pub(super) struct Examiner<'a> {
    target: &'a Target,
    workload: WorkloadSpec,
    /// Where images are put: in memory, where there is a file system for that.
    room: Option<TempDir>,
    checker: Option<Answering>,
    images: u64,
}

/// How long a checker may take over one image.
const DEADLINE: Duration = Duration::from_secs(60);

impl<'a> Examiner<'a> {
    pub(super) fn new(target: &'a Target, workload: WorkloadSpec) -> Self {
        Self {
            target,
            workload,
            room: None,
            checker: None,
            images: 0,
        }
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
        let room = match &self.room {
            Some(room) => room,
            None => {
                let room = TempDir::with_prefix_in("raft-logstore-crash-", room())?;
                self.room.insert(room)
            }
        };
        let dir = room.path().join(self.images.to_string());
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
        interrupt::check()?;
        let checker = match &mut self.checker {
            Some(checker) => checker,
            None => {
                let task = Task {
                    target: self.target.name().to_owned(),
                    role: Role::Checker(CheckerTask {
                        workload: self.workload,
                    }),
                };
                self.checker.insert(Answering::start(&mut task.command()?)?)
            }
        };
        let verdict = match checker.ask(question, DEADLINE)? {
            Ok(verdict) => verdict,
            Err(NoAnswer::Died(status)) => {
                Verdict::Panicked(format!("the process that opened it ended with {status}"))
            }
            Err(NoAnswer::Hung) => Verdict::Panicked(format!("it hung for {DEADLINE:?}")),
        };
        if let Verdict::Panicked(_) = verdict {
            // It is gone, or what a panic leaves behind is not to be trusted.
            self.checker = None;
        }
        Ok(verdict)
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
