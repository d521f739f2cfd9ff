use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raft_logstore_core::{Entry, GroupId, Result};

use crate::{LawResult, Log, OpenStore, Probe};

/// An open store in a [`TestBed`](crate::TestBed). It owns every handle it gives out, so that none
/// outlives it.
pub struct Session {
    // Handles first: they are dropped before the store.
    handles: Mutex<Vec<Arc<dyn Log>>>,
    store: Box<dyn OpenStore>,
    deadline: Duration,
}

impl Session {
    pub(crate) fn new(store: Box<dyn OpenStore>, deadline: Duration) -> Self {
        Self {
            handles: Mutex::default(),
            store,
            deadline,
        }
    }

    /// A new handle for a group.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn group(&self, id: GroupId) -> LawResult<Probe> {
        let log = self.store.group(id)?;
        let probe = Probe::new(&log, self.deadline);
        // A vector is whole after every push, so a poisoned lock does no harm.
        self.handles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(log);
        Ok(probe)
    }

    /// The groups that hold anything.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn groups(&self) -> Result<Vec<GroupId>> {
        self.store.groups()
    }

    /// Removes every trace of a group.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn drop_group(&self, id: GroupId) -> Result<()> {
        self.store.drop_group(id)
    }

    /// Reads a range in every form in which the store takes one.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn read_in_every_form(&self, first: u64, last: u64) -> Result<Vec<(String, Vec<Entry>)>> {
        self.store.read_in_every_form(first, last)
    }

    /// Drops the handles and closes the store.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn close(self) -> Result<()> {
        let Self { handles, store, .. } = self;
        drop(handles);
        store.close()
    }

    /// The store alone, without the handles.
    pub(crate) fn into_store(self) -> Box<dyn OpenStore> {
        self.store
    }

    /// Closes the store while its handles live, and returns them.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn close_under_its_handles(self) -> Result<Vec<Arc<dyn Log>>> {
        let Self { handles, store, .. } = self;
        store.close()?;
        Ok(handles.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
