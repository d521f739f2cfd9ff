use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use futures_executor::block_on;
use raft_logstore_core::{Backend, Entry, LogStoreExt, Op, Result, StableKey, StableStoreExt};
use serde::{Deserialize, Serialize};

use super::oracle::{Oracle, Progress};
use super::panics::Panics;
use super::scope::Scope;
use super::state::State;
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::WorkloadSpec;
use super::writer::GOES_ON;
use crate::OpenStore;
use crate::answering::answer;

/// The process that opens what crashes left, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CheckerTask {
    pub(super) workload: WorkloadSpec,
}

/// What to check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// The directory of the store.
    pub(super) store: PathBuf,
    pub(super) window: Window,
    /// Also writes to it, closes it, and opens it again.
    pub(super) goes_on: bool,
}

/// Answers each line of the standard input with a [`Verdict`].
pub(super) fn run(target: &Target, task: &CheckerTask, panics: &Panics) -> io::Result<()> {
    let checker = Checker {
        target,
        scope: task.workload.scope,
        oracle: Oracle::new(task.workload),
    };
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        answer(&panics.contain(|| checker.verdict(&question)))?;
    }
    Ok(())
}

struct Checker<'a> {
    target: &'a Target,
    scope: Scope,
    oracle: Oracle,
}

impl Checker<'_> {
    fn verdict(&self, question: &Question) -> Verdict {
        match self.check(question) {
            Ok(()) => Verdict::Ok,
            Err(verdict) => verdict,
        }
    }

    fn check(&self, question: &Question) -> Result<(), Verdict> {
        let store = self.open(&question.store)?;
        let found = self.read(&*store)?;
        let after = self.oracle.judge(&found, question.window)?;
        if question.goes_on {
            return self.go_on(store, &question.store, after);
        }
        Ok(store.close()?)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        self.target.subject().open(dir)
    }

    fn read(&self, store: &dyn OpenStore) -> Result<State, Verdict> {
        let state = State::of_store(store, self.scope)?;
        if self.scope.groups {
            let (listed, expected) = (store.groups()?, state.groups());
            if listed != expected {
                return Err(Verdict::Corrupt(format!(
                    "the groups {listed:?} are listed, and {expected:?} hold something"
                )));
            }
        }
        Ok(state)
    }

    /// The store takes writes after a crash, and keeps them.
    fn go_on(&self, store: Box<dyn OpenStore>, dir: &Path, after: Progress) -> Result<(), Verdict> {
        let mut reference = self.oracle.reference_after(after);
        let group = Scope::GROUP;
        let next = reference
            .memory
            .bounds(group)?
            .last()
            .map_or(1, |last| last + 1);
        let entries = vec![Entry::new(next, GOES_ON)];
        let log = store.group(group)?;
        block_on(log.append_durable(entries.clone()))?;
        block_on(log.set(&StableKey::VOTE, GOES_ON))?;
        drop(log);
        store.close()?;
        reference.apply(&Op::Append { group, entries })?;
        reference.apply(&Op::Put {
            group,
            key: StableKey::VOTE,
            value: Some(GOES_ON),
        })?;
        let store = self.open(dir)?;
        let (found, expected) = (
            self.read(&*store)?,
            State::of_reference(&reference.memory, self.scope)?,
        );
        if found != expected {
            let difference = found.difference(&expected);
            return Err(if expected.is_part_of(&found) {
                Verdict::Corrupt(format!("after going on: {difference}"))
            } else {
                Verdict::Lost(format!("after going on: {difference}"))
            });
        }
        Ok(store.close()?)
    }
}
