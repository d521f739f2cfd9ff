//! Whole nodes of openraft 0.9, each a cluster of its own, over stores that are closed and opened
//! again.

#![allow(clippy::unwrap_used)] // helpers of tests, too, state what they expect by unwrapping

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft_0_9::error::{InstallSnapshotError, RPCError, RaftError};
use openraft_0_9::network::RPCOption;
use openraft_0_9::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft_0_9::{BasicNode, Config, Raft, RaftNetwork, RaftNetworkFactory, ServerState};
use raft_logstore_core::{GroupId, LogStoreExt, StableKey, StableStore};
use raft_logstore_pipeline::Store;
use rstest::rstest;

use support::{
    Codec, Disk, LogId, MessagePack, RaftLog, RaftLogStorage, StateMachine, TypeConfig, log, soon,
};

/// The network of a cluster of one, which has nobody to call.
struct NoPeers;

type RpcError<E = RaftError<u64>> = RPCError<u64, BasicNode, E>;

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = Self;

    async fn new_client(&mut self, _target: u64, _node: &BasicNode) -> Self {
        Self
    }
}

impl RaftNetwork<TypeConfig> for NoPeers {
    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        unreachable!()
    }

    async fn install_snapshot(
        &mut self,
        _rpc: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RpcError<RaftError<u64, InstallSnapshotError>>> {
        unreachable!()
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, RpcError> {
        unreachable!()
    }
}

/// A running node, and its state machine, which is empty when it starts.
struct Node {
    raft: Raft<TypeConfig>,
    machine: StateMachine,
}

impl Node {
    /// Starts the node of a group and waits until it leads.
    async fn start(store: &Store, group: GroupId) -> Self {
        let config = Config {
            heartbeat_interval: 20,
            election_timeout_min: 60,
            election_timeout_max: 120,
            ..Config::default()
        };
        let config = Arc::new(config.validate().unwrap());
        let log = RaftLog::new(store.group(group));
        let machine = StateMachine::default();
        let raft = Raft::new(group.0, config, NoPeers, log, machine.clone())
            .await
            .unwrap();
        if !raft.is_initialized().await.unwrap() {
            raft.initialize(BTreeSet::from([group.0])).await.unwrap();
        }
        let wait = raft.wait(Some(Duration::from_secs(10)));
        wait.state(ServerState::Leader, "it leads").await.unwrap();
        Self { raft, machine }
    }

    /// Writes, and returns the log id once it is applied.
    async fn write(&self, data: impl Into<String>) -> LogId {
        let written = soon(self.raft.client_write(data.into())).await;
        written.unwrap().log_id
    }
}

/// What round `round` writes into a group.
fn written(group: GroupId, round: u64) -> impl Iterator<Item = String> {
    (1..=30).map(move |nth| format!("group {group}, round {round}, write {nth}"))
}

#[rstest]
#[case::memory(Disk::memory())]
#[case::redb(Disk::redb())]
#[case::heed(Disk::heed())]
#[case::fjall(Disk::fjall())]
#[case::wal(Disk::wal())]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_finds_everything_again(#[case] disk: Disk) {
    let group = GroupId(1);
    let mut expected = Vec::new();
    let mut vote = None;
    for round in 1..=3 {
        let store = disk.open().await;
        assert_eq!(log(&store).read_vote().await.unwrap(), vote);
        let node = Node::start(&store, group).await;
        for data in written(group, round) {
            node.write(data.clone()).await;
            expected.push(data);
        }
        assert_eq!(node.machine.data(), expected, "after round {round}");
        vote = Some(node.raft.metrics().borrow().vote);
        node.raft.shutdown().await.unwrap();
        store.close().await.unwrap();
    }
}

#[rstest]
#[case::memory(Disk::memory())]
#[case::redb(Disk::redb())]
#[case::heed(Disk::heed())]
#[case::fjall(Disk::fjall())]
#[case::wal(Disk::wal())]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_after_a_purge(#[case] disk: Disk) {
    let group = GroupId(1);
    let store = disk.open().await;
    let node = Node::start(&store, group).await;
    node.write("before the purge").await;
    let applied = node.write("the last before it").await;
    let wait = || node.raft.wait(Some(Duration::from_secs(10)));
    node.raft.trigger().snapshot().await.unwrap();
    wait().snapshot(applied, "it is taken").await.unwrap();
    node.raft.trigger().purge_log(applied.index).await.unwrap();
    wait().purged(Some(applied), "it is purged").await.unwrap();

    assert_eq!(store.group(group).first_index().await.unwrap(), None);
    let next = node.write("after the purge").await;
    assert_eq!(next.index, applied.index + 1);
    let first = store.group(group).first_index().await.unwrap();
    assert_eq!(first, Some(next.index));
    node.raft.shutdown().await.unwrap();
    store.close().await.unwrap();
}

#[rstest]
#[case::memory(Disk::memory())]
#[case::redb(Disk::redb())]
#[case::heed(Disk::heed())]
#[case::fjall(Disk::fjall())]
#[case::wal(Disk::wal())]
#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_although_its_committed_log_id_is_ahead_of_its_log(#[case] disk: Disk) {
    let group = GroupId(1);
    let store = disk.open().await;
    let node = Node::start(&store, group).await;
    let last = node.write("the last").await;
    node.raft.shutdown().await.unwrap();
    let ahead = LogId {
        index: last.index + 5,
        ..last
    };
    log(&store).save_committed(Some(ahead)).await.unwrap();
    store.close().await.unwrap();

    let store = disk.open().await;
    let stored = store.group(group).get(&StableKey::COMMITTED).await.unwrap();
    let stored: LogId = MessagePack.decode(&stored.unwrap()).unwrap();
    assert_eq!(stored, ahead);
    let node = Node::start(&store, group).await;
    assert_eq!(node.machine.data(), ["the last"]);
    node.raft.shutdown().await.unwrap();
    store.close().await.unwrap();
}

#[rstest]
#[case::memory(Disk::memory())]
#[case::redb(Disk::redb())]
#[case::heed(Disk::heed())]
#[case::fjall(Disk::fjall())]
#[case::wal(Disk::wal())]
#[tokio::test(flavor = "multi_thread")]
async fn three_groups_share_one_store(#[case] disk: Disk) {
    let groups = [GroupId(1), GroupId(2), GroupId(3)];
    for round in 1..=2 {
        let store = disk.open().await;
        let mut running = Vec::new();
        for group in groups {
            let store = store.clone();
            running.push(tokio::spawn(async move {
                let node = Node::start(&store, group).await;
                for data in written(group, round) {
                    node.write(data).await;
                }
                let expected: Vec<_> = (1..=round)
                    .flat_map(|round| written(group, round))
                    .collect();
                assert_eq!(node.machine.data(), expected, "group {group}");
                node.raft.shutdown().await.unwrap();
            }));
        }
        for group in running {
            group.await.unwrap();
        }
        store.close().await.unwrap();
    }
}
