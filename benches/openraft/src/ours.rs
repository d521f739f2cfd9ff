use std::marker::PhantomData;
use std::path::Path;

use anyhow::Result;
use raft_logstore::{
    BackendConfig, Group, GroupId, Store, StoreConfig, openraft_0_9, openraft_0_10,
};

use crate::{Counted, NodeStore, v0_9, v0_10};

/// A store of this project with the backend that `B` configures; everything as it is by default.
pub(crate) struct Ours<B> {
    store: Store,
    backend: PhantomData<fn(B)>,
}

impl<B> Ours<B> {
    fn group(&self, id: u64) -> Group {
        self.store.group(GroupId(id))
    }
}

impl<B: BackendConfig + Default> NodeStore for Ours<B> {
    async fn open(dir: &Path) -> Result<Self> {
        let store = Store::open(dir, B::default(), StoreConfig::default()).await?;
        Ok(Self {
            store,
            backend: PhantomData,
        })
    }

    fn counted(&self) -> Option<Counted> {
        let stats = self.store.stats();
        Some(Counted {
            entries: stats.entries,
            syncs: stats.commits,
        })
    }

    async fn close(self) -> Result<()> {
        Ok(self.store.close().await?)
    }
}

impl<B: BackendConfig + Default> v0_10::RaftLogs for Ours<B> {
    type Log = openraft_0_10::RaftLog<v0_10::TypeConfig, Group>;

    fn log(&self, group: u64) -> Self::Log {
        openraft_0_10::RaftLog::new(self.group(group))
    }
}

impl<B: BackendConfig + Default> v0_9::RaftLogs for Ours<B> {
    type Log = openraft_0_9::RaftLog<v0_9::TypeConfig, Group>;

    fn log(&self, group: u64) -> Self::Log {
        openraft_0_9::RaftLog::new(self.group(group))
    }
}
