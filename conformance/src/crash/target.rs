use std::sync::Arc;

use raft_logstore_core::ErrorKind;

use super::scope::Scope;
use super::workload::WorkloadSpec;
use crate::Subject;

/// A store that the crash kit tests, by name.
#[derive(Clone)]
pub struct Target {
    name: String,
    subject: Arc<dyn Subject>,
    tolerated: Vec<ErrorKind>,
}

impl Target {
    /// A target that must open, with all that was acknowledged, after every crash.
    pub fn new(name: impl Into<String>, subject: impl Subject) -> Self {
        Self {
            name: name.into(),
            subject: Arc::new(subject),
            tolerated: Vec::new(),
        }
    }

    /// Says that after some crashes the engine may report an error of this kind instead: damage that it
    /// cannot survive. Such images are counted, and are no failure, once the first open has returned.
    #[must_use]
    pub fn tolerating(mut self, kind: ErrorKind) -> Self {
        self.tolerated.push(kind);
        self
    }

    /// Its name: what is given on the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn subject(&self) -> &dyn Subject {
        self.subject.as_ref()
    }

    /// The workload of a seed, with all that the store has.
    pub(super) fn workload(&self, seed: u64) -> WorkloadSpec {
        WorkloadSpec {
            seed,
            scope: Scope::of(self.subject()),
        }
    }

    /// Whether it said of errors of this kind, named as in a [`Verdict`](super::verdict::Verdict), that
    /// they may be.
    pub(super) fn tolerates(&self, kind: &str) -> bool {
        let mut kinds = self.tolerated.iter();
        kinds.any(|tolerated| format!("{tolerated:?}") == kind)
    }
}
