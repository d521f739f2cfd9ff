use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use raft_logstore_core::{Completion, Error, ErrorKind, Result};

use crate::violation::{ensure, ensure_eq};
use crate::{LawResult, Tracker, Violation};

/// A write that was submitted: what the call returned, and what its completion will say.
#[must_use = "a law says what it expects of every write"]
pub struct Submission {
    returned: Result<()>,
    fired: Receiver<Result<()>>,
    deadline: Duration,
}

impl Submission {
    pub(crate) fn new(
        deadline: Duration,
        tracker: Option<&Tracker>,
        submit: impl FnOnce(Completion) -> Result<()>,
    ) -> Self {
        let (sender, fired) = channel();
        let record = tracker.map(Tracker::ticket);
        let completion = Completion::new(move |result| {
            if let Some(record) = record {
                record(&result);
            }
            // The law may have ended: nobody listens then.
            drop(sender.send(result));
        });
        Self {
            returned: submit(completion),
            fired,
            deadline,
        }
    }

    /// The write was accepted, and becomes durable.
    ///
    /// # Errors
    ///
    /// When it was refused, failed, or its completion did not fire.
    #[track_caller]
    pub fn durable(self) -> LawResult {
        self.accepted()?.durable()
    }

    /// The write was accepted; whether it is durable is asked later.
    ///
    /// # Errors
    ///
    /// When it was refused.
    #[track_caller]
    pub fn accepted(self) -> LawResult<Accepted> {
        self.returned?;
        Ok(Accepted {
            fired: self.fired,
            deadline: self.deadline,
        })
    }

    /// What came of the write: the error it was refused with, or what its completion said.
    ///
    /// # Errors
    ///
    /// When its completion did not fire.
    #[track_caller]
    pub fn outcome(self) -> LawResult<Result<()>> {
        match self.returned {
            Ok(()) => wait(&self.fired, self.deadline),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The write was refused with this kind of error, and its completion says the same. Returns the
    /// error.
    ///
    /// # Errors
    ///
    /// When it was not, or its completion did not fire.
    #[track_caller]
    pub fn refused(self, kind: ErrorKind) -> LawResult<Error> {
        let Err(error) = self.returned else {
            return Err(Violation::new(format!(
                "a write that must be refused as {kind:?} was accepted"
            )));
        };
        ensure_eq!(
            error.kind(),
            kind,
            "a write was refused for the wrong reason ({error})"
        );
        let outcome = wait(&self.fired, self.deadline)?;
        let completed = outcome.as_ref().map_err(Error::kind);
        ensure_eq!(
            completed.err(),
            Some(kind),
            "the completion of a write that was refused ({error}) fired with {outcome:?}"
        );
        Ok(error)
    }
}

/// A write the store has accepted. A law that follows completions with a [`Tracker`] may drop it.
pub struct Accepted {
    fired: Receiver<Result<()>>,
    deadline: Duration,
}

impl Accepted {
    /// The write becomes durable.
    ///
    /// # Errors
    ///
    /// When it failed, or its completion did not fire.
    #[track_caller]
    pub fn durable(self) -> LawResult {
        match self.outcome()? {
            Ok(()) => Ok(()),
            Err(error) => Err(Violation::new(format!(
                "a write completed with an error: {error:?}"
            ))),
        }
    }

    /// What the completion says, once it has fired.
    ///
    /// # Errors
    ///
    /// When it did not fire.
    #[track_caller]
    pub fn outcome(&self) -> LawResult<Result<()>> {
        wait(&self.fired, self.deadline)
    }

    /// Whether the completion has not fired yet.
    pub fn is_pending(&self) -> bool {
        self.fired.try_recv().is_err()
    }
}

#[track_caller]
fn wait(fired: &Receiver<Result<()>>, deadline: Duration) -> LawResult<Result<()>> {
    match fired.recv_timeout(deadline) {
        Ok(outcome) => Ok(outcome),
        Err(error) => {
            ensure!(
                error != RecvTimeoutError::Timeout,
                "a completion did not fire within {deadline:?}"
            );
            Err(Violation::new(
                "a completion fired more than once or panicked",
            ))
        }
    }
}
