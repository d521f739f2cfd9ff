//! The client side of what nodes say to each other: openraft's network traits over HTTP.

use std::future::Future;
use std::time::Duration;

use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::rpc::SnapshotMessage;
use crate::types::{Snapshot, TypeConfig, Vote};
use crate::wire;

/// How long a node may take to answer an append. An append ends with a sync on the receiver's disk,
/// which may be slow without being dead; heartbeats have shorter limits of their own.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a [`Connection`] to each of the other nodes.
pub(crate) struct Network {
    id: u64,
    http: reqwest::Client,
}

impl Network {
    /// The network as node `id` sees it.
    pub(crate) fn new(id: u64, http: reqwest::Client) -> Self {
        Self { id, http }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Connection {
        Connection {
            id: self.id,
            target,
            address: node.addr.clone(),
            http: self.http.clone(),
        }
    }
}

/// The way from this node to another. It connects when it has something to say.
pub(crate) struct Connection {
    id: u64,
    target: u64,
    address: String,
    http: reqwest::Client,
}

impl Connection {
    async fn send<T: DeserializeOwned>(
        &self,
        action: RPCTypes,
        path: &str,
        message: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, RPCError<TypeConfig>> {
        let url = format!("http://{}/raft/{}/{path}", self.address, self.target);
        let body = wire::encode(message).map_err(|error| NetworkError::new(&error))?;
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                Timeout {
                    action,
                    id: self.id,
                    target: self.target,
                    timeout,
                }
                .into()
            } else if error.is_connect() {
                // openraft waits a little before it tries again.
                Unreachable::new(&error).into()
            } else {
                RPCError::from(NetworkError::new(&error))
            }
        };
        let sent = self.http.post(url).body(body).timeout(timeout).send().await;
        let answer = sent.map_err(failed)?;
        if !answer.status().is_success() {
            // The node is there but stopping, or it is another node.
            let reason = format!("node {} answered {}", self.target, answer.status());
            return Err(Unreachable::from_string(reason).into());
        }
        let body = answer.bytes().await.map_err(failed)?;
        wire::decode(&body).map_err(|error| NetworkError::new(&error).into())
    }
}

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = bytes::Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.send(RPCTypes::AppendEntries, "append", &request, APPEND_TIMEOUT)
            .await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.send(RPCTypes::Vote, "vote", &request, option.soft_ttl())
            .await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.send(RPCTypes::Vote, "pre-vote", &request, option.soft_ttl())
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let Snapshot {
            meta,
            snapshot: data,
        } = snapshot;
        let message = SnapshotMessage { vote, meta, data };
        let sending = self.send(
            RPCTypes::InstallSnapshot,
            "snapshot",
            &message,
            option.soft_ttl(),
        );
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = sending => Ok(answer?),
        }
    }
}
