//! The application's half of Raft storage: a state in memory, a snapshot on disk.
//!
//! The log is durable in the store, so the state need not be: after a restart it is the last
//! snapshot plus the entries after it, which openraft applies again. What makes that sound is that
//! the log is purged only up to a snapshot that is safely on disk; see `snapshot_file.rs`.

use std::io;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};

use crate::snapshot_file::SnapshotFile;
use crate::state::State;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use crate::wire;

/// The state machine; clones share the state, so the HTTP API can read what openraft applies.
#[derive(Clone)]
pub(crate) struct StateMachine {
    state: Arc<RwLock<State>>,
    file: Arc<SnapshotFile>,
}

impl StateMachine {
    /// Starts from the last snapshot, or from nothing.
    pub(crate) fn open(file: SnapshotFile, snapshot: Option<State>) -> Self {
        let state = snapshot.unwrap_or_default();
        Self {
            state: Arc::new(RwLock::new(state)),
            file: Arc::new(file),
        }
    }

    /// The state as of the last applied entry. Never held across an await or file I/O.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state
            .read()
            .expect("nothing panics while it holds the state")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state
            .write()
            .expect("nothing panics while it holds the state")
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    /// The encoded state.
    type SnapshotData = Bytes;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let state = self.read();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let reply = self.write().apply(entry);
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            state: self.read().clone(),
            file: Arc::clone(&self.file),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let state = decode(meta.clone(), data.clone()).await?;
        let (file, meta) = (Arc::clone(&self.file), meta.clone());
        blocking(move || file.save(meta, &data)).await?;
        *self.write() = state;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let file = Arc::clone(&self.file);
        blocking(move || file.load()).await
    }
}

/// Writes a snapshot of the state as it was when the builder was made, while the state moves on.
pub(crate) struct SnapshotBuilder {
    state: State,
    file: Arc<SnapshotFile>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let state = std::mem::take(&mut self.state);
        let file = Arc::clone(&self.file);
        blocking(move || {
            let meta = state.meta();
            let data = wire::encode(&state).map_err(io::Error::other)?;
            file.save(meta.clone(), &data)?;
            Ok(Snapshot {
                meta,
                snapshot: data,
            })
        })
        .await
    }
}

/// The state in a snapshot, which must be the one that its description promises.
pub(crate) async fn decode(meta: SnapshotMeta, data: Bytes) -> io::Result<State> {
    blocking(move || {
        let state: State = wire::decode(&data).map_err(io::Error::other)?;
        if state.meta() != meta {
            return Err(io::Error::other("it does not match its description"));
        }
        Ok(state)
    })
    .await
}

/// Runs file I/O and long encodings where they may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
