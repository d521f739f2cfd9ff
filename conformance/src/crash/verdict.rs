use raft_logstore_core::Error;
use serde::{Deserialize, Serialize};

/// What a store made of a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    /// It shows a legal state, and where it was tried, it goes on.
    Ok,
    /// It reports an error instead of its data.
    TypedError {
        /// The name of the error's kind.
        kind: String,
        message: String,
    },
    /// What was acknowledged is not there, and nothing says so.
    Lost(String),
    /// It shows what was never there.
    Corrupt(String),
    /// The process that opened it died, panicked or hung.
    Panicked(String),
}

impl Verdict {
    pub(super) fn is_ok(&self) -> bool {
        *self == Self::Ok
    }
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        Self::TypedError {
            kind: format!("{:?}", error.kind()),
            message: error.to_string(),
        }
    }
}
