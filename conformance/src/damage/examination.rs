use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::damage::verdict::Judge;
use crate::damage::{Harm, History, Image, Verdict};
use crate::second_process::{Answer, Ended, Job, SecondProcess};
use crate::{LawResult, Subject, Violation};

/// How the store that is to be damaged ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was closed.
    Closed,
    /// Its process was killed, with everything acknowledged and nothing in flight.
    Killed,
}

/// A store on disk, harmed again and again, each time from the same state.
pub struct Examination<'a> {
    subject: &'a dyn Subject,
    history: History,
    image: Image,
    judge: Judge,
    deadline: Duration,
    dir: TempDir,
    /// Looks at one copy after the other, until it dies of one.
    second: Option<SecondProcess>,
}

impl<'a> Examination<'a> {
    /// Has a second process write a history, ends it, and checks that all of it is there
    /// as long as no harm was done. `deadline` is how long a look may take.
    ///
    /// # Errors
    ///
    /// When that is not so.
    pub fn of(
        subject: &'a dyn Subject,
        history: History,
        ending: Ending,
        deadline: Duration,
    ) -> LawResult<Self> {
        let mut examination = Self {
            subject,
            image: write(subject, &history, ending, deadline)?,
            judge: Judge::of(&history)?,
            history,
            deadline,
            dir: TempDir::with_prefix("raft-logstore-damage-")?,
            second: None,
        };
        match examination.look()? {
            Verdict::Unharmed => Ok(examination),
            other => Err(Violation::new(format!(
                "a store that was not damaged ({ending:?}): {other:?}"
            ))),
        }
    }

    /// The store as it is before each harm.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Does one harm to a copy of the store, and judges what the store makes of it.
    ///
    /// # Errors
    ///
    /// When the suite itself cannot.
    pub fn harmed(&mut self, harm: &Harm) -> LawResult<Verdict> {
        self.image.restore(self.dir.path())?;
        harm.apply(self.dir.path())?;
        self.judge()
    }

    /// After a harm that made the store refuse to open: undoes that harm alone, and judges what the
    /// store makes of all that the refusal left.
    ///
    /// # Errors
    ///
    /// When the suite itself cannot.
    pub fn undone(&mut self, harm: &Harm) -> LawResult<Verdict> {
        self.image.restore_part(harm.part(), self.dir.path())?;
        self.judge()
    }

    fn look(&mut self) -> LawResult<Verdict> {
        self.image.restore(self.dir.path())?;
        self.judge()
    }

    fn judge(&mut self) -> LawResult<Verdict> {
        let job = Job::Look {
            dir: self.dir.path().to_owned(),
            history: self.history.clone(),
        };
        let mut second = match self.second.take() {
            Some(second) => second,
            None => SecondProcess::start(self.subject)?,
        };
        Ok(match second.ask(&job, self.deadline)? {
            Ok(answer) => {
                self.second = Some(second);
                self.verdict(answer)?
            }
            Err(Ended::Died(how)) => Verdict::Broken(format!("the process died: {how}")),
            Err(Ended::Hung) => Verdict::Broken("the store hung".to_owned()),
        })
    }

    fn verdict(&self, answer: Answer) -> LawResult<Verdict> {
        match answer {
            Answer::Seen(sight) => Ok(self.judge.judge(&sight)),
            Answer::Panicked(message) => Ok(Verdict::Broken(format!("panicked: {message}"))),
            other => Err(Violation::new(format!("the second process: {other:?}"))),
        }
    }
}

/// Has a second process write a history, and returns what it leaves.
fn write(
    subject: &dyn Subject,
    history: &History,
    ending: Ending,
    deadline: Duration,
) -> LawResult<Image> {
    let dir = TempDir::with_prefix("raft-logstore-damage-")?;
    write_history(dir.path(), subject, history, ending, deadline)?;
    Ok(Image::of(dir.path())?)
}

/// Has a second process write a history into `dir`, and ends it.
pub(crate) fn write_history(
    dir: &Path,
    subject: &dyn Subject,
    history: &History,
    ending: Ending,
    deadline: Duration,
) -> LawResult {
    let mut second = SecondProcess::start(subject)?;
    let job = Job::Write {
        dir: dir.to_owned(),
        history: history.clone(),
        close: ending == Ending::Closed,
    };
    match second.ask(&job, deadline)? {
        Ok(Answer::Written) => second.kill(),
        other => Err(Violation::new(format!(
            "a history was not written by the second process; is raft_logstore_conformance::main what \
             runs there? {other:?}"
        ))),
    }
}
