use std::ops::RangeInclusive;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use raft_logstore_core::{Entry, Error, ErrorKind};
use tempfile::TempDir;

use crate::commit_control::Hold;
use crate::payload::payload;
use crate::violation::ensure;
use crate::{
    CommitControl, Feature, LawResult, OpenStore, Session, Setting, Subject, View, subject,
};

/// The place one case runs in: the subject, an empty directory, and the setting.
pub struct TestBed<'a> {
    subject: &'a dyn Subject,
    dir: TempDir,
    setting: Setting,
    deadline: Duration,
    control: CommitControl,
}

impl<'a> TestBed<'a> {
    /// A bed with an empty directory. `deadline` is how long a law waits for what must happen.
    ///
    /// # Errors
    ///
    /// When there is no room for a temporary directory.
    pub fn new(subject: &'a dyn Subject, setting: Setting, deadline: Duration) -> LawResult<Self> {
        let dir = TempDir::with_prefix("raft-logstore-law-")?;
        Ok(Self {
            subject,
            dir,
            setting,
            deadline,
            control: CommitControl::new(),
        })
    }

    /// Opens the store the way the setting says.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn open(&self) -> LawResult<Session> {
        match self.setting.view {
            View::Live | View::Reopened | View::Closed | View::Killed => {
                Ok(self.session(self.subject.open(self.dir())?))
            }
            View::Cold => Ok(self.session(self.subject.open_cold(self.dir())?)),
            View::Held => self.open_controlled(),
        }
    }

    /// What the store's files may take beside what the log holds, in bytes.
    pub fn kept_bytes(&self) -> u64 {
        self.subject.kept_bytes()
    }

    /// Opens the store with its commits under [`control`](Self::control).
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn open_controlled(&self) -> LawResult<Session> {
        let controlled = self.subject.controlled().ok_or_else(|| {
            Error::new(ErrorKind::Config, "open").with_advice("the commits cannot be controlled")
        })?;
        Ok(self.session(controlled.open_controlled(self.dir(), &self.control)?))
    }

    /// Opens the store as soon as its directory is free: after it was dropped, not closed.
    ///
    /// # Errors
    ///
    /// Those of the store, and that it stayed locked.
    pub fn open_when_free(&self) -> LawResult<Session> {
        let started = Instant::now();
        loop {
            match self.subject.open(self.dir()) {
                Ok(store) => return Ok(self.session(store)),
                Err(error) if error.kind() == ErrorKind::Locked => {
                    ensure!(
                        started.elapsed() < self.deadline,
                        "the directory of a dropped store stayed locked: {error}"
                    );
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Brings the store into the state the setting wants it looked at in.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn settle(&self, session: Session) -> LawResult<Session> {
        if self.setting.view == View::Reopened {
            self.reopen(session)
        } else {
            Ok(session)
        }
    }

    /// Closes the store and opens it again.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn reopen(&self, session: Session) -> LawResult<Session> {
        session.close()?;
        self.open()
    }

    /// Keeps the writes that follow in flight until the returned value is dropped, where the setting
    /// asks for that.
    pub fn hold(&self) -> Option<Hold> {
        (self.setting.view == View::Held).then(|| self.control.hold())
    }

    /// The control of the store opened by [`open_controlled`](Self::open_controlled).
    pub fn control(&self) -> &CommitControl {
        &self.control
    }

    /// The kind of store under test.
    pub fn subject(&self) -> &'a dyn Subject {
        self.subject
    }

    /// Whether the store has a feature. For laws that can do more with it; what they cannot do
    /// without is declared with the law.
    pub fn has(&self, feature: Feature) -> bool {
        subject::lacks(self.subject, feature).is_none()
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The setting.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// How long a law waits for what must happen.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Entries of the setting's payload size. The same index and `generation` give the same bytes.
    pub fn entries(&self, indexes: RangeInclusive<u64>, generation: u64) -> Vec<Entry> {
        let bytes = self.setting.payload_bytes;
        indexes
            .map(|index| Entry::new(index, payload(index, generation, bytes)))
            .collect()
    }

    /// Calls `work` where the store can run, and returns what it returns.
    ///
    /// # Panics
    ///
    /// When [`Subject::within`] does not call `work`.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let (mut work, mut result) = (Some(work), None);
        self.subject
            .within(&mut || result = work.take().map(|work| work()));
        result.expect("Subject::within calls what it is given")
    }

    pub(crate) fn session(&self, store: Box<dyn OpenStore>) -> Session {
        Session::new(store, self.deadline)
    }
}
