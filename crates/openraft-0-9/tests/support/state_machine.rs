use std::io::Cursor;
use std::sync::{Arc, Mutex};

use openraft_0_9::storage::RaftStateMachine;
use openraft_0_9::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StoredMembership,
};

use super::{Entry, LogId, StorageError, TypeConfig};

type Membership = StoredMembership<u64, openraft_0_9::BasicNode>;
type Meta = SnapshotMeta<u64, openraft_0_9::BasicNode>;

/// A state machine that remembers what was applied, as long as the process lives. Its snapshots
/// hold no more than how far it has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateMachine(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    applied: Option<LogId>,
    membership: Membership,
    snapshot: Option<Meta>,
    data: Vec<String>,
}

impl StateMachine {
    /// The data of every entry applied so far, in order.
    pub(crate) fn data(&self) -> Vec<String> {
        self.0.lock().unwrap().data.clone()
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let state = self.0.lock().unwrap();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = self.0.lock().unwrap();
        let mut answers = Vec::new();
        for entry in entries {
            state.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(data) => state.data.push(data),
                EntryPayload::Membership(membership) => {
                    state.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let mut state = self.0.lock().unwrap();
        state.applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let meta = self.0.lock().unwrap().snapshot.clone();
        Ok(meta.map(snapshot))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let mut state = self.0.lock().unwrap();
        let meta = SnapshotMeta {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
            snapshot_id: "the only one".to_owned(),
        };
        state.snapshot = Some(meta.clone());
        Ok(snapshot(meta))
    }
}

fn snapshot(meta: Meta) -> Snapshot<TypeConfig> {
    Snapshot {
        meta,
        snapshot: Box::default(),
    }
}
