use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_logstore_core::{
    Backend, BackendConfig, Batch, Bounds, Entry, Error, GroupId, IndexRange, Result, StableKey,
};

use crate::violation::ensure;
use crate::{LawResult, Violation};

/// A hand on the commits of a store: holds them back, fails one, watches what became durable.
///
/// Clones share one control. It wraps the store's [`Backend`], so it works for every backend.
#[derive(Clone, Default)]
pub struct CommitControl(Arc<Shared>);

/// Called with a batch that has just become durable, and the backend that holds it.
type Watcher = Box<dyn FnMut(&Batch, &dyn Backend) -> LawResult + Send>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: bool,
    waiting: bool,
    fail_next: Option<Error>,
    fail_maintain: Option<Error>,
    attempts: u64,
    watcher: Option<Watcher>,
    violation: Option<Violation>,
}

impl CommitControl {
    /// Lets every commit through until told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same backend, with its commits under this control.
    pub fn wrap(&self, backend: Box<dyn Backend>) -> ControlledBackend {
        ControlledBackend {
            inner: backend,
            control: self.clone(),
        }
    }

    /// Holds every commit back, before anything is written, until the returned value is dropped.
    pub fn hold(&self) -> Hold {
        self.state().held = true;
        Hold(self.clone())
    }

    /// Waits until a commit is being held back.
    ///
    /// # Errors
    ///
    /// When none is by the deadline.
    pub fn wait_for_a_held_commit(&self, deadline: Duration) -> LawResult {
        let state = self.state();
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, deadline, |state| !state.waiting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(state.waiting, "no commit was started within {deadline:?}");
        Ok(())
    }

    /// Makes the next commit that is let through fail with `error`, writing nothing.
    pub fn fail_next(&self, error: Error) {
        self.state().fail_next = Some(error);
    }

    /// Makes the next background work fail with `error`.
    pub fn fail_maintain(&self, error: Error) {
        self.state().fail_maintain = Some(error);
    }

    /// How many commits the store has started, successful or not.
    pub fn attempts(&self) -> u64 {
        self.state().attempts
    }

    /// Calls `watcher` after every commit that became durable, before the store learns of it.
    pub fn watch(&self, watcher: impl FnMut(&Batch, &dyn Backend) -> LawResult + Send + 'static) {
        self.state().watcher = Some(Box::new(watcher));
    }

    /// What the watcher has found so far.
    ///
    /// # Errors
    ///
    /// The first violation it returned.
    pub fn verdict(&self) -> LawResult {
        self.state().violation.take().map_or(Ok(()), Err)
    }

    fn commit(&self, batch: &Batch, backend: &dyn Backend) -> Result<()> {
        let mut state = self.state();
        state.attempts += 1;
        if state.held {
            state.waiting = true;
            self.0.changed.notify_all();
            let freed = self.0.changed.wait_while(state, |state| state.held);
            state = freed.unwrap_or_else(PoisonError::into_inner);
            state.waiting = false;
        }
        if let Some(error) = state.fail_next.take() {
            return Err(error);
        }
        drop(state);
        backend.commit(batch)?;
        let mut state = self.state();
        if let Some(mut watcher) = state.watcher.take() {
            if let Err(violation) = watcher(batch, backend) {
                state.violation.get_or_insert(violation);
            }
            state.watcher = Some(watcher);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A watcher that panics leaves the state whole: it is taken out before it is called.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds commits back until it is dropped.
#[must_use = "commits go on as soon as this is dropped"]
pub struct Hold(CommitControl);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.state().held = false;
        self.0.0.changed.notify_all();
    }
}

/// A [`Backend`] whose commits are under a [`CommitControl`].
pub struct ControlledBackend {
    inner: Box<dyn Backend>,
    control: CommitControl,
}

#[deny(clippy::missing_trait_methods)]
impl Backend for ControlledBackend {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn sequence(&self) -> Result<u64> {
        self.inner.sequence()
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        self.inner.groups()
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        self.inner.bounds(group)
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.inner.read(group, range, max_bytes)
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        self.inner.get(group, key)
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        self.inner.stable_keys(group)
    }

    fn reusable_bytes(&self) -> Result<u64> {
        self.inner.reusable_bytes()
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.control.commit(batch, self.inner.as_ref())
    }

    fn maintain(&self) -> Result<bool> {
        if let Some(error) = self.control.state().fail_maintain.take() {
            return Err(error);
        }
        self.inner.maintain()
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.inner.close()
    }
}

/// The options of a backend that is opened under a [`CommitControl`].
pub(crate) struct ControlledConfig<C> {
    inner: C,
    control: CommitControl,
}

impl<C: BackendConfig> ControlledConfig<C> {
    pub(crate) fn new(inner: C, control: CommitControl) -> Self {
        Self { inner, control }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<C: BackendConfig> BackendConfig for ControlledConfig<C> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn create(&self, dir: &Path) -> Result<()> {
        self.inner.create(dir)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        Ok(Box::new(self.control.wrap(self.inner.open(dir)?)))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        Ok(Box::new(self.control.wrap(self.inner.open_read_only(dir)?)))
    }
}
