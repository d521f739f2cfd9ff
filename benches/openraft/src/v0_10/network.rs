use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};

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
        Peer(nodes.and_then(|nodes| nodes.get(target as usize).cloned()))
    }
}

/// Another node of the group; `None` for one that is not known.
pub(crate) struct Peer(Option<Raft>);

impl Peer {
    fn raft(&self) -> Result<&Raft, Unreachable<TypeConfig>> {
        let unknown = || Unreachable::new(&io::Error::from(io::ErrorKind::NotConnected));
        self.0.as_ref().ok_or_else(unknown)
    }
}

fn failed<E: Error + 'static>(error: E) -> Unreachable<TypeConfig> {
    Unreachable::new(&error)
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = u64;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = self.raft()?.append_entries(request).await;
        Ok(answer.map_err(failed)?)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let answer = self.raft()?.vote(request).await;
        Ok(answer.map_err(failed)?)
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, u64>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let answer = self.raft()?.install_full_snapshot(vote, snapshot).await;
        Ok(answer.map_err(failed)?)
    }
}
