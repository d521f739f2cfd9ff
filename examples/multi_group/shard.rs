use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use openraft::{BasicNode, Config, Raft, ReadPolicy, SnapshotPolicy};
use raft_logstore::Group;
use raft_logstore::openraft_0_10::RaftLog;

use crate::machine::Machine;
use crate::network::Nowhere;

openraft::declare_raft_types!(
    /// openraft for this example: an entry carries a number, and the answer is how many there are.
    pub(crate) TypeConfig:
        D = u64,
        R = u64,
        NodeId = u64,
        Node = BasicNode,
);

/// The only member of every group.
const NODE: u64 = 1;

/// Long enough for a hundred groups to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One Raft group: openraft over a group of the store.
pub(crate) struct Shard {
    id: u64,
    raft: Raft<TypeConfig, Machine>,
    machine: Machine,
}

impl Shard {
    /// Starts from whatever the group holds.
    pub(crate) async fn start(group: Group) -> Result<Self> {
        let config = Config {
            // There is nobody to hear a heartbeat.
            enable_heartbeat: false,
            election_timeout_min: 200,
            election_timeout_max: 400,
            // The state is in memory alone, so the whole log is needed to have it again.
            snapshot_policy: SnapshotPolicy::Never,
            ..Config::default()
        };
        let (id, machine) = (group.id().0, Machine::default());
        let log = RaftLog::new(group);
        let config = Arc::new(config.validate()?);
        let raft = Raft::new(NODE, config, Nowhere, log, machine.clone()).await?;
        Ok(Self { id, raft, machine })
    }

    /// The number of the group.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Makes the group a cluster of one, and waits until it can be written to.
    pub(crate) async fn initialize(&self) -> Result<()> {
        self.raft
            .initialize(BTreeMap::from([(NODE, BasicNode::default())]))
            .await?;
        self.lead().await
    }

    async fn lead(&self) -> Result<()> {
        let leads = self
            .raft
            .wait(Some(PATIENCE))
            .current_leader(NODE, "to be the leader")
            .await;
        leads.with_context(|| format!("group {} has no leader", self.id))?;
        Ok(())
    }

    /// Writes a number. It is durable, and applied, when this returns.
    pub(crate) async fn write(&self, number: u64) -> Result<()> {
        let written = self.raft.client_write(number).await;
        written.with_context(|| format!("group {} refused a write", self.id))?;
        Ok(())
    }

    /// The numbers that are there after a start, once everything committed is applied again.
    pub(crate) async fn recover(&self) -> Result<BTreeSet<u64>> {
        self.lead().await?;
        let applied = self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
        applied.with_context(|| format!("group {} cannot be read", self.id))?;
        Ok(self.machine.numbers())
    }

    /// Stops the group; the store goes on.
    pub(crate) async fn stop(self) -> Result<()> {
        Ok(self.raft.shutdown().await?)
    }
}
