//! openraft 0.9.

mod machine;
mod member;
mod memory;
mod network;

use std::collections::BTreeMap;
use std::io::Cursor; // the snapshot data of declare_raft_types
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use openraft_0_9::storage::RaftLogStorage;
use openraft_0_9::{BasicNode, Config, StorageError};

use crate::NodeStore;
use crate::cluster::{self, Cluster, NODES, PATIENCE, RaftGroup, Replica};
use crate::contender::Contender;
use machine::Machine;
use network::Peers;

pub(crate) use memory::Memory;

openraft_0_9::declare_raft_types!(
    /// The types of the measured nodes: a write is a text, and its answer is empty.
    pub(crate) TypeConfig: D = String, R = ()
);

type Raft = openraft_0_9::Raft<TypeConfig>;
type Entry = openraft_0_9::Entry<TypeConfig>;
type LogId = openraft_0_9::LogId<u64>;
type Stored<T> = Result<T, StorageError<u64>>;

/// What one node keeps its logs in, under openraft 0.9.
pub(crate) trait RaftLogs: NodeStore {
    /// The log storage that openraft is given.
    type Log: RaftLogStorage<TypeConfig>;

    /// The empty log of a group; called once for each.
    fn log(&self, group: u64) -> Self::Log;
}

/// Starts a cluster whose nodes keep their logs in such stores.
pub(crate) fn start<S: RaftLogs>(
    dir: PathBuf,
    groups: u64,
) -> BoxFuture<'static, Result<Box<dyn Contender>>> {
    let starting = async move {
        let stores = cluster::open_stores::<S>(&dir).await?;
        let config = Arc::new(config().validate()?);
        let groups = (0..groups).map(|group| start_group(group, &stores, &config));
        let groups = try_join_all(groups).await?;
        Ok(Box::new(Cluster { groups, stores }) as Box<dyn Contender>)
    };
    starting.boxed()
}

/// As under openraft 0.10, whose defaults are the same.
fn config() -> Config {
    Config {
        heartbeat_interval: cluster::HEARTBEAT_MILLIS,
        election_timeout_min: 10 * cluster::HEARTBEAT_MILLIS,
        election_timeout_max: 20 * cluster::HEARTBEAT_MILLIS,
        max_payload_entries: cluster::MAX_PAYLOAD_ENTRIES,
        ..Config::default()
    }
}

async fn start_group<S: RaftLogs>(
    group: u64,
    stores: &[S],
    config: &Arc<Config>,
) -> Result<RaftGroup<Raft>> {
    let peers = Peers::default();
    let mut replicas = Vec::new();
    for (node, store) in (0..).zip(stores) {
        let applied = Arc::new(AtomicU64::new(0));
        let machine = Machine::new(Arc::clone(&applied));
        let (config, peers, log) = (Arc::clone(config), peers.clone(), store.log(group));
        let member = Raft::new(node, config, peers, log, machine).await?;
        replicas.push(Replica { member, applied });
    }
    peers.know(replicas.iter().map(|one| one.member.clone()).collect());
    let first = group % NODES;
    let leader = replicas[first as usize].member.clone();
    let members = (0..NODES).map(|node| (node, BasicNode::default()));
    leader
        .initialize(members.collect::<BTreeMap<_, _>>())
        .await?;
    let wait = leader.wait(Some(PATIENCE));
    let leads = wait.current_leader(first, "it leads").await;
    leads.with_context(|| format!("group {group} has no leader"))?;
    Ok(RaftGroup {
        leader,
        replicas,
        acknowledged: 0,
    })
}
