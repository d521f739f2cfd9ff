//! The HTTP API for people and programs.
//!
//! ```text
//! curl -X POST localhost:7001/init                              # once, on one node
//! curl -X PUT  localhost:7001/kv/name -d 'some value'
//! curl         localhost:7001/kv/name
//! curl -X POST localhost:7001/nodes -d '{"id": 2, "address": "127.0.0.1:7002"}'
//! curl         localhost:7001/status
//! curl -X POST 'localhost:7001/lines?client=1&seq=1' -d 'a line'
//! curl         'localhost:7001/lines?from=0&limit=10'
//! ```
//!
//! Only the leader writes. The others answer with a redirect to it (`curl -L` follows), or with 503
//! while there is none. Everything refused is refused in JSON: `{"error": "..."}`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use openraft::errors::{InitializeError, LinearizableReadError, RaftError};
use openraft::{BasicNode, ChangeMembers, ReadPolicy};
use serde::{Deserialize, Serialize};

use crate::api_error::ApiError;
use crate::body::Body;
use crate::node::Node;
use crate::node_address::NodeAddress;
use crate::rpc;
use crate::status::Status;
use crate::types::{Command, Line, Reply};

/// The largest body of a request, in bytes: a value or a line.
pub(crate) const BODY_LIMIT: usize = 64 << 10;

/// The longest key, in bytes.
const MAX_KEY_LEN: usize = 256;

/// The most lines one `GET /lines` answers.
const MAX_PAGE: usize = 2_000;

/// How long a write may wait for a quorum.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a new node may take to catch up before `POST /nodes` gives up on it.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything a node serves.
pub(crate) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/init", post(init))
        .route("/nodes", post(add_node))
        .route("/kv/{key}", get(get_key).put(put_key))
        .route("/lines", get(lines).post(append_line))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .merge(rpc::routes())
        .fallback(async |uri: Uri| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                format!("there is nothing at {}", uri.path()),
            )
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not take that method",
            )
        })
        .with_state(node)
}

/// Where a write went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    /// The index of its entry in the log.
    pub(crate) index: u64,
}

/// Where a line went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Appended {
    pub(crate) position: u64,
}

/// Some of the lines of a node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    /// How many lines the node holds in all.
    pub(crate) total: usize,
    pub(crate) lines: Vec<Line>,
}

type App = State<Arc<Node>>;

async fn status(State(node): App) -> Json<Status> {
    Json(Status::of(&node))
}

/// Starts a new cluster, with the members in the body (`{"1": "127.0.0.1:7001", ...}`) or those the
/// node was started with.
async fn init(
    State(node): App,
    Body(body): Body,
) -> Result<Json<BTreeMap<u64, NodeAddress>>, ApiError> {
    let members = if body.is_empty() {
        node.peers.clone()
    } else {
        from_json(&body)?
    };
    let nodes: BTreeMap<u64, BasicNode> = members
        .iter()
        .map(|(&id, address)| (id, BasicNode::new(address)))
        .collect();
    node.raft
        .initialize(nodes)
        .await
        .map_err(|error| match error {
            RaftError::Fatal(cause) => ApiError::stopped(cause),
            RaftError::APIError(InitializeError::NotAllowed(_)) => ApiError::new(
                StatusCode::CONFLICT,
                "this node belongs to a cluster already",
            ),
            RaftError::APIError(InitializeError::NotInMembers(_)) => {
                ApiError::bad_request(format!("node {} must be one of the members", node.id))
            }
        })?;
    Ok(Json(members))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNode {
    id: u64,
    address: NodeAddress,
}

/// Adds a node: as a learner first, until it has caught up, then as a voter.
async fn add_node(
    State(node): App,
    OriginalUri(uri): OriginalUri,
    Body(body): Body,
) -> Result<Json<Written>, ApiError> {
    let NewNode { id, address } = from_json(&body)?;
    node.raft
        .as_leader()
        .map_err(|to| ApiError::not_leader(&to, &uri))?;
    expect_node(&node, id, &address).await?;

    let join = async {
        let learner = BasicNode::new(address);
        node.raft.add_learner(id, learner, true).await?;
        let voters = ChangeMembers::AddVoterIds([id].into());
        node.raft.change_membership(voters, true).await
    };
    let joined = tokio::time::timeout(JOIN_TIMEOUT, join)
        .await
        .map_err(|_| {
            let reason =
                format!("node {id} has not caught up in {JOIN_TIMEOUT:?}; ask again later");
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, reason)
        })?;
    let written = joined.map_err(|error| ApiError::write(error, &uri))?;
    Ok(Json(Written {
        index: written.log_id.index,
    }))
}

/// A typing error in an address would cost the cluster a voter; so look before adding it.
async fn expect_node(node: &Node, id: u64, address: &NodeAddress) -> Result<(), ApiError> {
    let answer = async {
        let request = node.http.get(format!("http://{address}/status"));
        let answer = request.timeout(Duration::from_secs(2)).send().await?;
        answer.error_for_status()?.json::<Status>().await
    };
    match answer.await {
        Ok(status) if status.node == id => Ok(()),
        Ok(status) => Err(ApiError::bad_request(format!(
            "{address} is node {}, not {id}",
            status.node
        ))),
        Err(error) => Err(ApiError::bad_request(format!(
            "no node answers at {address}: {error}"
        ))),
    }
}

/// Reads a key: what every write acknowledged before made of it, wherever it was acknowledged.
async fn get_key(
    State(node): App,
    OriginalUri(uri): OriginalUri,
    key: Result<Path<String>, PathRejection>,
) -> Result<String, ApiError> {
    let key = valid_key(key)?;
    // A leader may have been replaced without knowing it yet; a quorum knows.
    node.raft
        .ensure_linearizable(ReadPolicy::ReadIndex)
        .await
        .map_err(|error| match error {
            RaftError::Fatal(cause) => ApiError::stopped(cause),
            RaftError::APIError(LinearizableReadError::ForwardToLeader(to)) => {
                ApiError::not_leader(&to, &uri)
            }
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(cause)) => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, cause.to_string())
            }
        })?;
    let value = node
        .machine
        .read()
        .keys
        .get(&key)
        .map(|value| value.to_string());
    value.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, format!("no value for {key:?}")))
}

async fn put_key(
    State(node): App,
    OriginalUri(uri): OriginalUri,
    key: Result<Path<String>, PathRejection>,
    Body(body): Body,
) -> Result<Json<Written>, ApiError> {
    let key = valid_key(key)?;
    let value = text(&body)?.into();
    let (index, _) = write(&node, Command::Put { key, value }, &uri).await?;
    Ok(Json(Written { index }))
}

#[derive(Deserialize)]
struct Writer {
    client: u64,
    seq: u64,
}

/// Adds the body as a line. A client numbers its lines 1, 2, 3, ... and may send one again with the
/// same number as often as it likes: it is added once. Another text under the same number is refused.
async fn append_line(
    State(node): App,
    OriginalUri(uri): OriginalUri,
    writer: Result<Query<Writer>, QueryRejection>,
    Body(body): Body,
) -> Result<Json<Appended>, ApiError> {
    let Query(Writer { client, seq }) = writer?;
    let text = text(&body)?.into();
    let (_, reply) = write(&node, Command::Append(Line { client, seq, text }), &uri).await?;
    match reply {
        Reply::Appended { position } => Ok(Json(Appended { position })),
        Reply::Outdated { newest } => Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("client {client} wrote line {newest} already; line {seq} comes too late"),
        )),
        Reply::Different => Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("client {client} wrote another text as line {seq} already"),
        )),
        Reply::Done => Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the state machine gave no position",
        )),
    }
}

#[derive(Deserialize)]
struct Window {
    #[serde(default)]
    from: usize,
    limit: Option<usize>,
}

/// The lines this node holds itself, at whatever point it is: how the run checks every node.
async fn lines(
    State(node): App,
    window: Result<Query<Window>, QueryRejection>,
) -> Result<Json<Page>, ApiError> {
    let Query(Window { from, limit }) = window?;
    let limit = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let state = node.machine.read();
    let lines = state.lines.iter().skip(from).take(limit).cloned().collect();
    Ok(Json(Page {
        total: state.lines.len(),
        lines,
    }))
}

async fn write(node: &Node, command: Command, uri: &Uri) -> Result<(u64, Reply), ApiError> {
    let written = tokio::time::timeout(WRITE_TIMEOUT, node.raft.client_write(command));
    let written = written.await.map_err(|_| {
        let reason = "no quorum answered in time; the write may still happen, asking again is safe";
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, reason)
    })?;
    let written = written.map_err(|error| ApiError::write(error, uri))?;
    Ok((written.log_id.index, written.data))
}

fn valid_key(key: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(key) = key?;
    if key.is_empty() || key.len() > MAX_KEY_LEN || key.contains(char::is_control) {
        return Err(ApiError::bad_request(format!(
            "a key is 1 to {MAX_KEY_LEN} bytes long and has no control characters"
        )));
    }
    Ok(key)
}

fn text(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| ApiError::bad_request(format!("not UTF-8: {error}")))
}

fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("not the JSON expected here: {error}")))
}
