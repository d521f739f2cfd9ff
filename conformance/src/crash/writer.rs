use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_executor::block_on;
use raft_logstore_core::{
    Completion, Entry, Error, ErrorKind, LogStoreExt, Op, Result, StableKey, StableStoreExt,
};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::mark::{Mark, Marker};
use super::op_log::STORE;
use super::oracle::Oracle;
use super::panics::Panics;
use super::scope::Scope;
use super::state::State;
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::{Step, WorkloadSpec, Write};
use crate::OpenStore;
use crate::answering::answer;

/// The process that writes to a store in a recorded file system, and dies in the middle of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WriterTask {
    pub(super) workload: WorkloadSpec,
    /// Where the file system is mounted.
    pub(super) root: PathBuf,
    /// The file for its marks.
    pub(super) marks: PathBuf,
    /// The states in which the store may be, if it was written to before.
    pub(super) resume: Option<Window>,
    /// Whether the workload may kill the process, or has done so.
    pub(super) may_kill: bool,
    /// Ends after so many writes of its own.
    pub(super) most_writes: Option<u64>,
    /// Begins with the faults once the store is open.
    pub(super) arm: bool,
    pub(super) reaction: Reaction,
}

/// What a writer does at the first error. Without any of it, that is its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reaction {
    /// Looks whether the store is poisoned (law 12).
    pub(super) expects_poison: bool,
    /// Ends the faults, opens the store again and goes on.
    pub(super) revives: bool,
}

/// How long an acknowledgement may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs the workload. Does not return if all went well: the process kills itself, so that nothing is
/// tidied up.
pub(super) fn run(target: &Target, task: &WriterTask, panics: &Panics) -> io::Result<()> {
    let marker = Arc::new(Marker::open(&task.marks)?);
    let verdict = panics.contain(|| {
        let writer = Writer::start(target, task, marker);
        match writer.and_then(Writer::work) {
            Ok(never) => match never {},
            Err(Stop::Failed(error)) => error.into(),
            Err(Stop::Wrong(verdict)) => verdict,
            Err(Stop::Mark(error)) => {
                Verdict::Panicked(format!("a mark could not be set: {error}"))
            }
        }
    });
    answer(&verdict)
}

/// Why a writer stops before its end.
enum Stop {
    /// The store has reported an error.
    Failed(Error),
    /// The store did something that it must not do.
    Wrong(Verdict),
    Mark(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Mark(error)
    }
}

enum Never {}

struct Writer<'a> {
    target: &'a Target,
    task: &'a WriterTask,
    marker: Arc<Marker>,
    flight: Arc<Flight>,
    /// Taken only while the store is opened again.
    store: Option<Box<dyn OpenStore>>,
    /// So many writes the store holds or was given.
    written: u64,
    /// So many are known to be durable, beside what the completions say.
    acknowledged: u64,
    /// So many were there when it was opened.
    resumed: u64,
}

impl<'a> Writer<'a> {
    /// Opens the store, and finds out how far an earlier writer got.
    fn start(target: &'a Target, task: &'a WriterTask, marker: Arc<Marker>) -> Result<Self, Stop> {
        let store = target.subject().open(&task.root.join(STORE))?;
        let mut written = 0;
        if let Some(window) = task.resume {
            let found = State::of_store(&*store, task.workload.scope)?;
            let oracle = Oracle::new(task.workload);
            written = oracle.judge(&found, window).map_err(Stop::Wrong)?.writes;
            marker.set(Mark::Resumed(written))?;
        }
        if task.resume.is_none_or(|window| !window.opened) {
            marker.set(Mark::Opened)?;
        }
        if task.arm {
            marker.set(Mark::Arm)?;
        }
        Ok(Self {
            target,
            task,
            marker,
            flight: Arc::default(),
            store: Some(store),
            written,
            acknowledged: written,
            resumed: written,
        })
    }

    fn work(mut self) -> Result<Never, Stop> {
        let reaction = self.task.reaction;
        let error = match self.steps() {
            Ok(mark) => return self.end(mark),
            Err(Stop::Failed(error)) if reaction != Reaction::default() => error,
            Err(stop) => return Err(stop),
        };
        self.flight.wait_until_all_landed()?;
        if reaction.expects_poison {
            self.expect_poison(&error).map_err(Stop::Wrong)?;
        }
        self.marker.set(Mark::Failed)?;
        if reaction.revives {
            self.revive()?;
            self.steps()?;
        }
        self.end(Mark::Finished)
    }

    /// Does the steps that are not done; returns how the writer shall end.
    fn steps(&mut self) -> Result<Mark, Stop> {
        let workload = self.task.workload.generate();
        let first = self.written;
        let last = self
            .task
            .most_writes
            .map_or(u64::MAX, |most| first.saturating_add(most));
        let mut passed = 0;
        for step in &workload.steps {
            if let Step::Write(_) = step {
                passed += 1;
            }
            if passed < first || (passed == first && matches!(step, Step::Write(_))) {
                // It is there already.
                continue;
            }
            if passed > last {
                break;
            }
            match step {
                Step::Write(write) => {
                    self.flight.wait_until_at_most(workload.depth - 1)?;
                    self.write(write)?;
                }
                Step::Rest(pause) => {
                    self.flight.wait_until_at_most(0)?;
                    std::thread::sleep(*pause);
                }
                Step::Reopen => self.reopen()?,
                Step::Kill if self.task.may_kill => {
                    self.flight.check()?;
                    return Ok(Mark::Killed);
                }
                Step::Kill => {}
            }
        }
        if self.task.workload.seed.is_multiple_of(2) {
            self.close()?;
        }
        self.flight.check()?;
        Ok(Mark::Finished)
    }

    /// Ends the faults, and opens the store again: it holds what was acknowledged, and goes on.
    fn revive(&mut self) -> Result<(), Stop> {
        let window = self.window();
        if let Some(store) = self.store.take() {
            // Whether closing a store that has failed is an error is left to the store.
            drop(store.close());
        }
        self.marker.set(Mark::Disarm)?;
        let store = self.target.subject().open(&self.task.root.join(STORE))?;
        let found = State::of_store(&*store, self.task.workload.scope)?;
        let oracle = Oracle::new(self.task.workload);
        self.written = oracle.judge(&found, window).map_err(Stop::Wrong)?.writes;
        self.acknowledged = self.written;
        self.marker.set(Mark::Resumed(self.written))?;
        self.store = Some(store);
        self.flight = Arc::default();
        Ok(())
    }

    /// The states in which the store may be.
    fn window(&self) -> Window {
        Window {
            opened: true,
            acknowledged: self.acknowledged.max(self.flight.state().acknowledged),
            submitted: self.written,
        }
    }

    /// Law 12: every write is refused, in an error that names the cause, and what is read is durable or
    /// an error.
    fn expect_poison(&self, cause: &Error) -> Result<(), Verdict> {
        // One that failed while it was closed, or opened again, refuses everything by not being there.
        let Some(store) = &self.store else {
            return Ok(());
        };
        let cause = root_cause(cause);
        let log = store.group(Scope::GROUP)?;
        let last = block_on(log.bounds()).map_or(0, |bounds| bounds.last().unwrap_or(0));
        for _ in 0..2 {
            let entry = Entry::new(last + 1, GOES_ON);
            let refusals = [
                ("append", block_on(log.append_durable(vec![entry]))),
                ("set", block_on(log.set(&StableKey::VOTE, GOES_ON))),
                ("truncate", block_on(log.truncate_durable(last + 1))),
                (
                    "put lazily",
                    block_on(log.put_lazy(&StableKey::COMMITTED, None)),
                ),
            ];
            for (write, refusal) in refusals {
                match refusal {
                    Err(error) if error.to_string().contains(&cause) => {}
                    other => {
                        return Err(Verdict::Corrupt(format!(
                            "after a write failed ({cause}), {write} returned {other:?}"
                        )));
                    }
                }
            }
        }
        match State::of_store(&**store, self.task.workload.scope) {
            Ok(found) => {
                let oracle = Oracle::new(self.task.workload);
                oracle.judge(&found, self.window()).map(drop)
            }
            // Some engines read nothing after an error.
            Err(_typed) => Ok(()),
        }
    }

    fn store(&self) -> &dyn OpenStore {
        self.store
            .as_deref()
            .expect("the store is open between steps")
    }

    fn write(&mut self, write: &Write) -> Result<(), Stop> {
        self.written += 1;
        self.marker.set(Mark::Submitted(self.written))?;
        let log = self.store().group(write.op.group())?;
        let done = || self.completion(!write.lazy);
        match write.op.clone() {
            Op::Append { mut entries, .. } => {
                if self.task.resume.is_some() && self.written == self.resumed + 1 {
                    // A part of it may be there.
                    let last = block_on(log.bounds())?.last();
                    entries.retain(|entry| last.is_none_or(|last| entry.index > last));
                }
                block_on(log.append(entries, done()))?;
            }
            Op::Truncate { from, .. } => block_on(log.truncate(from, done()))?,
            Op::Purge { up_to, id, .. } => block_on(log.purge(up_to, id, done()))?,
            Op::Put { key, value, .. } if write.lazy => block_on(log.put_lazy(&key, value))?,
            Op::Put { key, value, .. } => block_on(log.put(&key, value, done()))?,
            Op::DropGroup { group } => {
                drop(log);
                self.store().drop_group(group)?;
                self.acknowledged = self.written;
                self.marker.set(Mark::Acknowledged(self.written))?;
            }
        }
        Ok(())
    }

    /// Sets the mark that the write which is submitted next is acknowledged, if it is then durable.
    fn completion(&self, durable: bool) -> Completion {
        let (flight, marker) = (Arc::clone(&self.flight), Arc::clone(&self.marker));
        let number = self.written;
        flight.takes_off();
        Completion::new(move |result| {
            let marked = result.and_then(|()| match durable {
                true => {
                    let marked = marker.set(Mark::Acknowledged(number));
                    marked.map_err(|error| Error::io("set mark", error))
                }
                false => Ok(()),
            });
            flight.lands(number, marked);
        })
    }

    fn close(&mut self) -> Result<(), Stop> {
        if let Some(store) = self.store.take() {
            store.close()?;
        }
        self.flight.wait_until_at_most(0)?;
        if self.task.workload.scope.durable_cuts {
            // Also what was written lazily.
            self.acknowledged = self.written;
            self.marker.set(Mark::Acknowledged(self.written))?;
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Stop> {
        self.close()?;
        let dir = self.task.root.join(STORE);
        self.store = Some(self.target.subject().open(&dir)?);
        Ok(())
    }

    /// The process ends here, as in a crash.
    fn end(&self, mark: Mark) -> Result<Never, Stop> {
        self.marker.set(mark)?;
        kill_process(getpid(), Signal::KILL).map_err(io::Error::from)?;
        loop {
            std::thread::park();
        }
    }
}

/// The writes in flight.
#[derive(Default)]
struct Flight {
    state: Mutex<FlightState>,
    landed: Condvar,
}

#[derive(Default)]
struct FlightState {
    in_flight: u64,
    acknowledged: u64,
    failed: Option<Error>,
}

impl Flight {
    fn state(&self) -> MutexGuard<'_, FlightState> {
        // Numbers are whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn takes_off(&self) {
        self.state().in_flight += 1;
    }

    fn lands(&self, number: u64, result: Result<()>) {
        let mut state = self.state();
        state.in_flight -= 1;
        match result {
            Ok(()) => state.acknowledged = state.acknowledged.max(number),
            Err(error) => drop(state.failed.get_or_insert(error)),
        }
        self.landed.notify_all();
    }

    /// An error of a write that was accepted.
    fn check(&self) -> Result<()> {
        match &self.state().failed {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Waits until each write is answered, in whatever way.
    fn wait_until_all_landed(&self) -> Result<()> {
        let (state, _) = self
            .landed
            .wait_timeout_while(self.state(), DEADLINE, |state| state.in_flight > 0)
            .unwrap_or_else(PoisonError::into_inner);
        match state.in_flight {
            0 => Ok(()),
            left => Err(Error::new(ErrorKind::Io, "wait for the disk")
                .with_advice(format!("{left} writes were never answered"))),
        }
    }

    fn wait_until_at_most(&self, most: u64) -> Result<()> {
        let started = Instant::now();
        let mut state = self.state();
        while state.in_flight > most && state.failed.is_none() {
            let left = DEADLINE.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Error::new(ErrorKind::Io, "wait for the disk")
                    .with_advice(format!("{} writes were never answered", state.in_flight)));
            }
            let waited = self.landed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.check()
    }
}

/// The value that a check writes to see that a store goes on.
pub(super) const GOES_ON: Bytes = Bytes::from_static(b"the store goes on");

/// What an error says that has no error of a store behind it.
fn root_cause(error: &Error) -> String {
    match error.cause() {
        Some(cause) => cause
            .downcast_ref()
            .map_or_else(|| cause.to_string(), root_cause),
        None => error.to_string(),
    }
}
