use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::target::Target;
use super::verdict::Verdict;

/// What came of the crash images of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The name of the target.
    pub backend: String,
    /// How many images were opened.
    pub images: u64,
    /// Images that show a legal state, and go on where that was tried.
    pub ok: u64,
    /// Images that are answered by an error.
    pub typed_errors: u64,
    /// Images that show less than was acknowledged, without an error.
    pub lost: u64,
    /// Images that show what never was there.
    pub corrupt: u64,
    /// Images whose process died, panicked or hung.
    pub panics: u64,
    /// Of the images that are not `ok`, those of a crash before the first open had returned.
    pub before_open: u64,
    /// The typed errors by kind.
    pub error_kinds: BTreeMap<String, u64>,
    /// The first failures, each with the command that repeats it.
    pub failures: Vec<Failure>,
    /// How many there are.
    pub failed: u64,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// The arguments of the program that repeat it.
    pub replay: String,
    /// The directory in which the log and the image lie.
    pub artifact: Option<String>,
}

/// So many failures are described.
const DESCRIBED: usize = 10;

impl Report {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            backend: target.name().to_owned(),
            ..Self::default()
        }
    }

    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        self.failed == 0
    }

    /// Counts an image; returns whether its verdict is a failure.
    pub(super) fn count(&mut self, target: &Target, verdict: &Verdict, opened: bool) -> bool {
        self.images += 1;
        let mut tolerated = false;
        match verdict {
            Verdict::Ok => {
                self.ok += 1;
                tolerated = true;
            }
            Verdict::TypedError { kind, .. } => {
                self.typed_errors += 1;
                *self.error_kinds.entry(kind.clone()).or_default() += 1;
                tolerated = opened && target.tolerates(kind);
            }
            Verdict::Lost(_) => self.lost += 1,
            Verdict::Corrupt(_) => self.corrupt += 1,
            Verdict::Panicked(_) => self.panics += 1,
        }
        if !opened && !verdict.is_ok() {
            self.before_open += 1;
        }
        !tolerated
    }

    /// Notes a failure; `describe` is called for the first ones.
    pub(super) fn fail(&mut self, describe: impl FnOnce() -> Failure) {
        self.failed += 1;
        if self.failures.len() < DESCRIBED {
            self.failures.push(describe());
        }
    }

    /// Adds what another part of the same run found.
    pub(super) fn add(&mut self, other: Self) {
        self.images += other.images;
        self.ok += other.ok;
        self.typed_errors += other.typed_errors;
        self.lost += other.lost;
        self.corrupt += other.corrupt;
        self.panics += other.panics;
        self.before_open += other.before_open;
        for (kind, count) in other.error_kinds {
            *self.error_kinds.entry(kind).or_default() += count;
        }
        self.failed += other.failed;
        let room = DESCRIBED - self.failures.len();
        self.failures.extend(other.failures.into_iter().take(room));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} images, {} ok, {} typed errors {:?}, {} lost, {} corrupt, {} panics, {} of them \
             before the first open",
            self.backend,
            self.images,
            self.ok,
            self.typed_errors,
            self.error_kinds,
            self.lost,
            self.corrupt,
            self.panics,
            self.before_open
        )?;
        for failure in &self.failures {
            write!(f, "\n  {failure}")?;
        }
        let more = self.failed - self.failures.len() as u64;
        if more > 0 && !self.failures.is_empty() {
            write!(f, "\n  and {more} more")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    repeat it: {}", self.what, self.replay)?;
        match &self.artifact {
            Some(artifact) => write!(f, "\n    kept in: {artifact}"),
            None => Ok(()),
        }
    }
}
