use std::io::{self, Cursor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft_0_9::storage::RaftStateMachine;
use openraft_0_9::{
    BasicNode, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageIOError, StoredMembership,
};

use super::{Entry, LogId, Stored, TypeConfig};

type Membership = StoredMembership<u64, BasicNode>;
type Meta = SnapshotMeta<u64, BasicNode>;

/// The last snapshot, if one was taken.
type Kept = Option<(Meta, u64)>;

/// A state machine that counts the writes it has applied. A snapshot is that number.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    writes: Arc<AtomicU64>,
    applied: Option<LogId>,
    membership: Membership,
    snapshot: Arc<Mutex<Kept>>,
}

impl Machine {
    /// An empty one, which counts in `writes`.
    pub(crate) fn new(writes: Arc<AtomicU64>) -> Self {
        Self {
            writes,
            applied: None,
            membership: Membership::default(),
            snapshot: Arc::default(),
        }
    }

    fn snapshot(&self) -> MutexGuard<'_, Kept> {
        // It is replaced as a whole.
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Stored<(Option<LogId>, Membership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<()>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(_) => drop(self.writes.fetch_add(1, Ordering::AcqRel)),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(self.applied, membership);
                }
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            writes: self.writes.load(Ordering::Acquire),
            machine: self.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &Meta, data: Box<Cursor<Vec<u8>>>) -> Stored<()> {
        let bytes = data.into_inner().try_into();
        let writes = u64::from_be_bytes(bytes.map_err(|_| {
            let error = io::Error::from(io::ErrorKind::InvalidData);
            StorageIOError::read_snapshot(Some(meta.signature()), &error)
        })?);
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.writes.store(writes, Ordering::Release);
        *self.snapshot() = Some((meta.clone(), writes));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<TypeConfig>>> {
        let kept = self.snapshot().clone();
        Ok(kept.map(|(meta, writes)| snapshot(meta, writes)))
    }
}

/// A state machine as it was when a snapshot of it was asked for.
pub(crate) struct Builder {
    writes: u64,
    machine: Machine,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<TypeConfig>> {
        let meta = SnapshotMeta {
            last_log_id: self.machine.applied,
            last_membership: self.machine.membership.clone(),
            snapshot_id: self.writes.to_string(),
        };
        *self.machine.snapshot() = Some((meta.clone(), self.writes));
        Ok(snapshot(meta, self.writes))
    }
}

fn snapshot(meta: Meta, writes: u64) -> Snapshot<TypeConfig> {
    let data = writes.to_be_bytes().to_vec();
    Snapshot {
        meta,
        snapshot: Box::new(Cursor::new(data)),
    }
}
