use std::process::ExitCode;

use raft_logstore::{Error, ErrorKind};

/// How a command ended: its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 0: done, and nothing is wrong with the store.
    Done,
    /// 1: stored data is damaged or lost.
    Damaged,
    /// 2: the command could not do its work.
    Failed,
    /// 128 and the number of a signal, as a shell tells it: interrupted, and tidied up.
    Interrupted(u8),
}

impl Outcome {
    /// `Damaged` if anything was found.
    pub(crate) fn damaged_if(damaged: bool) -> Self {
        if damaged { Self::Damaged } else { Self::Done }
    }

    /// What an error that ended a command says about the store.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::Corrupt | ErrorKind::LostCommits) => Self::Damaged,
            _ => Self::Failed,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Damaged => 1,
            Outcome::Failed => 2,
            Outcome::Interrupted(signal) => 128 + signal,
        })
    }
}
