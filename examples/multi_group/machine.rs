use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, Snapshot, SnapshotMeta, StoredMembership};

use crate::shard::TypeConfig;

/// The state of a group: the numbers that were written to it. In memory alone: after a start, openraft
/// applies the log again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    applied: Option<LogIdOf<TypeConfig>>,
    membership: StoredMembershipOf<TypeConfig>,
    numbers: BTreeSet<u64>,
}

impl Machine {
    /// What was written so far.
    pub(crate) fn numbers(&self) -> BTreeSet<u64> {
        self.state().numbers.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("nothing panics while it holds the state")
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = BTreeSet<u64>;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<TypeConfig>>, StoredMembershipOf<TypeConfig>)> {
        let state = self.state();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut state = self.state();
            state.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(number) => drop(state.numbers.insert(number)),
                EntryPayload::Membership(membership) => {
                    state.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(state.numbers.len() as u64);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        numbers: BTreeSet<u64>,
    ) -> io::Result<()> {
        *self.state() = State {
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            numbers,
        };
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<TypeConfig, BTreeSet<u64>>>> {
        // None is kept: the whole log is.
        Ok(None)
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = BTreeSet<u64>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, BTreeSet<u64>>> {
        let state = self.state().clone();
        let meta = SnapshotMeta {
            last_log_id: state.applied,
            last_membership: state.membership,
        };
        Ok(Snapshot {
            meta,
            snapshot: state.numbers,
        })
    }
}
