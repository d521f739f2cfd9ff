use std::sync::Arc;

use raft_logstore_core::{Entry, Error, ErrorKind, GroupId, LogStore, Result, StableStore};

/// The log and the stable keys of one group; implemented by everything that is both.
pub trait Log: LogStore + StableStore {}

impl<L: LogStore + StableStore + ?Sized> Log for L {}

/// A store that is open. Dropping it without [`close`](Self::close) is allowed at any time.
pub trait OpenStore: Send + Sync {
    /// A new handle for a group. The suite uses group 1 unless a law is about several.
    ///
    /// # Errors
    ///
    /// When the store cannot serve this group.
    fn group(&self, id: GroupId) -> Result<Arc<dyn Log>>;

    /// The groups that have an entry, a purge floor or a stable key, in ascending order.
    ///
    /// # Errors
    ///
    /// Those of the store; by default that it does not list groups.
    fn groups(&self) -> Result<Vec<GroupId>> {
        Err(unsupported("groups"))
    }

    /// Removes every trace of a group; durable on return.
    ///
    /// # Errors
    ///
    /// Those of the store; by default that it does not drop groups.
    fn drop_group(&self, _id: GroupId) -> Result<()> {
        Err(unsupported("drop group"))
    }

    /// Reads `first..=last` of [`SingleGroup::GROUP`] in every form in which the store's own interface
    /// takes such a range; each with its description.
    ///
    /// # Errors
    ///
    /// Those of the store, and by default that it takes ranges in one form.
    fn read_in_every_form(&self, _first: u64, _last: u64) -> Result<Vec<(String, Vec<Entry>)>> {
        Err(Error::new(ErrorKind::Config, "read in every form")
            .with_advice("the Subject of this store must not say that it has `range_forms`"))
    }

    /// Writes what is pending and closes the store, so that its directory can be opened again. By
    /// default that is dropping it; the suite has dropped its handles by then.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn unsupported(operation: &'static str) -> Error {
    Error::new(ErrorKind::Config, operation)
        .with_advice("this store does not: its Subject must say so in `lacks(Feature::Groups)`")
}

/// An [`OpenStore`] for an implementor of [`LogStore`] and [`StableStore`] that holds one group.
pub struct SingleGroup<L>(Arc<L>);

impl<L: LogStore + StableStore + 'static> SingleGroup<L> {
    /// The one group the suite uses then.
    pub const GROUP: GroupId = GroupId(1);

    /// A store of one group.
    pub fn new(log: L) -> Self {
        Self(Arc::new(log))
    }
}

impl<L: LogStore + StableStore + 'static> OpenStore for SingleGroup<L> {
    fn group(&self, id: GroupId) -> Result<Arc<dyn Log>> {
        if id == Self::GROUP {
            Ok(Arc::clone(&self.0) as _)
        } else {
            Err(unsupported("group"))
        }
    }
}
