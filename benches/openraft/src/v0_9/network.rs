use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use openraft_0_9::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft_0_9::network::RPCOption;
use openraft_0_9::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft_0_9::{BasicNode, RaftNetwork, RaftNetworkFactory};

use super::{Raft, TypeConfig};

/// The nodes of a group, by number: the network is a call to one of them.
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<OnceLock<Vec<Raft>>>);

impl Peers {
    /// Says who there is. Whoever was told first stays.
    pub(crate) fn know(&self, nodes: Vec<Raft>) {
        self.0.get_or_init(|| nodes);
    }
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Peer {
        let nodes = self.0.get();
        let raft = nodes.and_then(|nodes| nodes.get(target as usize).cloned());
        Peer { target, raft }
    }
}

/// Another node of the group; without a Raft one that is not known.
pub(crate) struct Peer {
    target: u64,
    raft: Option<Raft>,
}

type RpcError<E> = RPCError<u64, BasicNode, E>;

impl Peer {
    fn raft(&self) -> Result<&Raft, Unreachable> {
        let unknown = || Unreachable::new(&io::Error::from(io::ErrorKind::NotConnected));
        self.raft.as_ref().ok_or_else(unknown)
    }

    fn refused<E: Error>(&self, error: E) -> RpcError<E> {
        RemoteError::new(self.target, error).into()
    }
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError<RaftError<u64>>> {
        let answer = self.raft()?.append_entries(request).await;
        answer.map_err(|error| self.refused(error))
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RpcError<RaftError<u64, InstallSnapshotError>>> {
        let answer = self.raft()?.install_snapshot(request).await;
        answer.map_err(|error| self.refused(error))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, RpcError<RaftError<u64>>> {
        let answer = self.raft()?.vote(request).await;
        answer.map_err(|error| self.refused(error))
    }
}
