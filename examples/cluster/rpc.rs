//! The server side of what nodes say to each other: `POST /raft/{id}/...`, MessagePack bodies.
//!
//! The path names the node that is meant, so that a message never reaches another node that was
//! given the same address. A body that does not decode is answered with 400.

use std::fmt::Display;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::api_error::ApiError;
use crate::body::Body;
use crate::node::Node;
use crate::types::{Snapshot, SnapshotMeta, TypeConfig, Vote};
use crate::{state_machine, wire};

/// The most entries one append carries.
pub(crate) const MAX_ENTRIES_PER_APPEND: u64 = 300;

/// An append of the largest entries, with room for what surrounds each of them.
const APPEND_LIMIT: usize = MAX_ENTRIES_PER_APPEND as usize * (api::BODY_LIMIT + 4096);

/// A whole snapshot, sent in one piece: it has to fit into the memory of the receiver anyway, which
/// keeps its state there.
const SNAPSHOT_LIMIT: usize = 1 << 30;

/// A snapshot on its way.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotMessage {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) data: Bytes,
}

/// The routes under `/raft/{id}`.
pub(crate) fn routes() -> Router<Arc<Node>> {
    let limited = |limit| DefaultBodyLimit::max(limit);
    Router::new()
        .route(
            "/raft/{id}/append",
            post(append).layer(limited(APPEND_LIMIT)),
        )
        .route("/raft/{id}/vote", post(vote))
        .route("/raft/{id}/pre-vote", post(pre_vote))
        .route(
            "/raft/{id}/snapshot",
            post(snapshot).layer(limited(SNAPSHOT_LIMIT)),
        )
}

type App = State<Arc<Node>>;
type Target = Result<Path<u64>, PathRejection>;

async fn append(State(node): App, to: Target, body: Body) -> Result<Bytes, ApiError> {
    let request: AppendEntriesRequest<TypeConfig> = receive(&node, to, body)?;
    answer(node.raft.append_entries(request).await)
}

async fn vote(State(node): App, to: Target, body: Body) -> Result<Bytes, ApiError> {
    let request: VoteRequest<TypeConfig> = receive(&node, to, body)?;
    answer(node.raft.vote(request).await)
}

async fn pre_vote(State(node): App, to: Target, body: Body) -> Result<Bytes, ApiError> {
    let request: VoteRequest<TypeConfig> = receive(&node, to, body)?;
    answer(node.raft.pre_vote(request).await)
}

async fn snapshot(State(node): App, to: Target, body: Body) -> Result<Bytes, ApiError> {
    let SnapshotMessage { vote, meta, data } = receive(&node, to, body)?;
    // openraft takes a snapshot that cannot be installed for a failed disk, and stops.
    let checked = state_machine::decode(meta.clone(), data.clone()).await;
    checked.map_err(|error| ApiError::bad_request(format!("not a snapshot: {error}")))?;
    let snapshot = Snapshot {
        meta,
        snapshot: data,
    };
    answer(node.raft.install_full_snapshot(vote, snapshot).await)
}

fn receive<T: DeserializeOwned>(node: &Node, to: Target, Body(body): Body) -> Result<T, ApiError> {
    let Path(to) = to?;
    if to != node.id {
        let reason = format!("this is node {}, not node {to}", node.id);
        return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, reason));
    }
    wire::decode(&body)
        .map_err(|error| ApiError::bad_request(format!("not a Raft message: {error}")))
}

fn answer<T: Serialize>(reply: Result<T, impl Display>) -> Result<Bytes, ApiError> {
    let reply = reply.map_err(ApiError::stopped)?;
    wire::encode(&reply)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
