use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use futures_util::future::try_join_all;

use crate::contender::{Contender, Load, Round};
use crate::{Counted, NodeStore};

/// How long a cluster may take to start, and at the end its followers to have applied all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The nodes of a cluster.
pub(crate) const NODES: u64 = 3;

/// How often a leader says that it is there. Rare, and elections with it: thousands of clients on a few cores must not
/// look like a dead leader, and a cluster that waits for its turn has little to do.
pub(crate) const HEARTBEAT_MILLIS: u64 = 1000;

/// The most entries that one replication request carries; openraft's default of 300 is less than what waits while a
/// follower syncs. Its own benchmark sets the same.
pub(crate) const MAX_PAYLOAD_ENTRIES: u64 = 1024;

/// One node's part in a group, in either line of openraft.
pub(crate) trait Member: Clone + Send + Sync + 'static {
    /// Writes through the leader, and returns the index of the entry once it is applied there.
    fn write(&self, data: String) -> impl Future<Output = Result<u64>> + Send;

    /// Waits until the entry at an index is applied here.
    fn wait_applied(&self, index: u64) -> impl Future<Output = Result<()>> + Send;

    fn stop(&self) -> impl Future<Output = Result<()>> + Send;
}

/// A member, and how many writes its state machine has applied.
pub(crate) struct Replica<M> {
    pub(crate) member: M,
    pub(crate) applied: Arc<AtomicU64>,
}

/// A Raft group on all nodes.
pub(crate) struct RaftGroup<M> {
    pub(crate) leader: M,
    pub(crate) replicas: Vec<Replica<M>>,
    /// How many writes were acknowledged to clients.
    pub(crate) acknowledged: u64,
}

/// A running cluster: its groups, and the store of each node.
pub(crate) struct Cluster<M, S> {
    pub(crate) groups: Vec<RaftGroup<M>>,
    pub(crate) stores: Vec<S>,
}

/// Opens the store of each node, in a directory of its own inside `dir`.
pub(crate) async fn open_stores<S: NodeStore>(dir: &Path) -> Result<Vec<S>> {
    let mut stores = Vec::new();
    for node in 0..NODES {
        let dir = dir.join(format!("node-{node}"));
        std::fs::create_dir_all(&dir).with_context(|| format!("no directory {}", dir.display()))?;
        stores.push(S::open(&dir).await?);
    }
    Ok(stores)
}

impl<M: Member, S: NodeStore> Cluster<M, S> {
    /// What the stores of all nodes have made durable.
    fn counted(&self) -> Option<Counted> {
        let counts = self.stores.iter().map(S::counted);
        counts.reduce(|sum, one| {
            let (sum, one) = (sum?, one?);
            Some(Counted {
                entries: sum.entries + one.entries,
                syncs: sum.syncs + one.syncs,
            })
        })?
    }
}

#[async_trait]
impl<M: Member, S: NodeStore> Contender for Cluster<M, S> {
    async fn round(&mut self, load: &Load) -> Result<Round> {
        let before = self.counted();
        let stop = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let clients: Vec<_> = (0..load.clients)
            .map(|client| {
                let group = (client % self.groups.len() as u64) as usize;
                let leader = self.groups[group].leader.clone();
                let mut payloads = load.payloads.from(client);
                let stop = Arc::clone(&stop);
                let writing = tokio::spawn(async move {
                    let mut acknowledged = 0;
                    while !stop.load(Ordering::Relaxed) {
                        leader.write(payloads.next()).await?;
                        acknowledged += 1;
                    }
                    anyhow::Ok(acknowledged)
                });
                (group, writing)
            })
            .collect();
        tokio::time::sleep(load.time).await;
        stop.store(true, Ordering::Relaxed);
        let mut writes: u64 = 0;
        for (group, writing) in clients {
            let acknowledged: u64 = writing.await.context("a client died")??;
            self.groups[group].acknowledged += acknowledged;
            writes += acknowledged;
        }
        let took = started.elapsed();
        let entries_per_sync = before.zip(self.counted()).and_then(|(before, after)| {
            let syncs = after.syncs - before.syncs;
            (syncs > 0).then(|| (after.entries - before.entries) as f64 / syncs as f64)
        });
        Ok(Round {
            writes_per_second: writes as f64 / took.as_secs_f64(),
            entries_per_sync,
        })
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        try_join_all(self.groups.into_iter().map(RaftGroup::finish)).await?;
        for store in self.stores {
            store.close().await?;
        }
        Ok(())
    }
}

impl<M: Member> RaftGroup<M> {
    /// Writes once more, waits until every node has applied that, and compares.
    async fn finish(self) -> Result<()> {
        let last = self.leader.write("the last".to_owned()).await?;
        let acknowledged = self.acknowledged + 1;
        for replica in &self.replicas {
            replica.member.wait_applied(last).await?;
            let applied = replica.applied.load(Ordering::Acquire);
            ensure!(
                applied == acknowledged,
                "{acknowledged} writes were acknowledged, but a state machine applied {applied}"
            );
        }
        for replica in self.replicas {
            replica.member.stop().await?;
        }
        Ok(())
    }
}
