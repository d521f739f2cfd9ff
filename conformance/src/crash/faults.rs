use serde::{Deserialize, Serialize};

/// What goes wrong in the recorded file system, from the moment on in which it is armed.
///
/// Calls are counted from then on, so that opening a store costs nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// Calls that fail.
    pub rules: Vec<FaultRule>,
    /// How many bytes the files of the disk may take; `None` is no limit. Holes take nothing.
    pub quota_bytes: Option<u64>,
    /// Every sync answers that all went well, and does nothing.
    pub lie: bool,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// The kind of call.
    pub call: Call,
    /// The first that fails, counted from 1.
    pub nth: u64,
    /// All later ones fail, too. A failing read should be so: the kernel tries again.
    pub sticky: bool,
    /// What it answers.
    pub kind: FaultKind,
}

/// A kind of call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// A sync of a file or directory.
    Sync,
    /// A write of a file.
    Write,
    /// A read of a file, which is not always one of the program: the kernel reads ahead and again.
    Read,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// With `EIO`. A sync that fails makes nothing durable, and no later one makes up for it.
    Io,
    /// With `ENOSPC`.
    NoSpace,
    /// Only so many bytes of a write are written. A sync or read is not changed.
    Short(u32),
}

/// A plan that is carried out.
#[derive(Debug, Default)]
pub(super) struct Faults {
    plan: FaultPlan,
    armed: bool,
    counts: [u64; 3],
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    pub(super) fn arm(&mut self) {
        self.armed = true;
    }

    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// How many calls of this kind were counted.
    pub(super) fn count(&self, call: Call) -> u64 {
        self.counts[call as usize]
    }

    /// Counts a call, and says how it fails.
    pub(super) fn strike(&mut self, call: Call) -> Option<FaultKind> {
        if !self.armed {
            return None;
        }
        let count = &mut self.counts[call as usize];
        *count += 1;
        let count = *count;
        let rules = self.plan.rules.iter();
        let mut rules = rules.filter(|rule| rule.call == call);
        rules
            .find(|rule| rule.nth == count || (rule.sticky && rule.nth < count))
            .map(|rule| rule.kind)
    }

    pub(super) fn lies(&self) -> bool {
        self.armed && self.plan.lie
    }

    /// How many bytes of files the disk has room for.
    pub(super) fn quota_bytes(&self) -> Option<u64> {
        self.plan.quota_bytes.filter(|_| self.armed)
    }
}

impl From<FaultRule> for FaultPlan {
    fn from(rule: FaultRule) -> Self {
        Self {
            rules: vec![rule],
            ..Self::default()
        }
    }
}
