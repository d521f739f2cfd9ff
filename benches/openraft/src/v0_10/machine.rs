use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, Snapshot, SnapshotMeta, StoredMembership};

use super::TypeConfig;

/// The last snapshot, if one was taken.
type Kept = Option<(SnapshotMetaOf<TypeConfig>, u64)>;

/// A state machine that counts the writes it has applied. A snapshot is that number.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    writes: Arc<AtomicU64>,
    applied: Option<LogIdOf<TypeConfig>>,
    membership: StoredMembershipOf<TypeConfig>,
    snapshot: Arc<Mutex<Kept>>,
}

impl Machine {
    /// An empty one, which counts in `writes`.
    pub(crate) fn new(writes: Arc<AtomicU64>) -> Self {
        Self {
            writes,
            applied: None,
            membership: StoredMembership::default(),
            snapshot: Arc::default(),
        }
    }

    fn snapshot(&self) -> MutexGuard<'_, Kept> {
        // It is replaced as a whole.
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = u64;
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(_) => drop(self.writes.fetch_add(1, Ordering::AcqRel)),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(self.applied, membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            writes: self.writes.load(Ordering::Acquire),
            machine: self.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        writes: u64,
    ) -> io::Result<()> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.writes.store(writes, Ordering::Release);
        *self.snapshot() = Some((meta.clone(), writes));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, u64>>> {
        let snapshot = self.snapshot().clone();
        Ok(snapshot.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// A state machine as it was when a snapshot of it was asked for.
pub(crate) struct Builder {
    writes: u64,
    machine: Machine,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = u64;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, u64>> {
        let meta = SnapshotMeta {
            last_log_id: self.machine.applied,
            last_membership: self.machine.membership.clone(),
        };
        *self.machine.snapshot() = Some((meta.clone(), self.writes));
        Ok(Snapshot {
            meta,
            snapshot: self.writes,
        })
    }
}
