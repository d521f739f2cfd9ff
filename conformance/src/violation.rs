use std::fmt;
use std::io;
use std::panic::Location;

use raft_logstore_core::Error;

/// What a law found wrong, and where in the law.
pub struct Violation {
    message: String,
    at: &'static Location<'static>,
}

/// What a law returns.
pub type LawResult<T = ()> = Result<T, Violation>;

impl Violation {
    /// A violation described by `message`.
    #[track_caller]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: Location::caller(),
        }
    }

    /// Says in which situation the law was broken.
    #[must_use]
    pub fn context(self, situation: impl fmt::Display) -> Self {
        Self {
            message: format!("{situation}: {}", self.message),
            ..self
        }
    }
}

impl From<Error> for Violation {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format!("an operation that must succeed failed: {error:?}"))
    }
}

impl From<io::Error> for Violation {
    #[track_caller]
    fn from(error: io::Error) -> Self {
        Self::new(format!("the test bed failed: {error}"))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  at {}", self.message, self.at)
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns a [`Violation`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Violation::new(format!($($message)+)));
        }
    };
}

/// Returns a [`Violation`] that shows both values unless they are equal.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    return Err($crate::Violation::new(format!(
                        "{}: found {found:?}, expected {expected:?}",
                        format_args!($($message)+)
                    )));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};
