//! How a node says no: a status, a reason in JSON, and the leader's address where that helps.

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use openraft::errors::{ChangeMembershipError, ClientWriteError, ForwardToLeader, RaftError};
use serde::{Deserialize, Serialize};

use crate::types::TypeConfig;

/// A refusal. Sent as `{"error": "...", "leader": {"id": 1, "address": "..."}}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    location: Option<String>,
    body: Refusal,
}

/// The body of an [`ApiError`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leader: Option<Leader>,
}

/// Who can do what this node cannot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leader {
    pub(crate) id: u64,
    pub(crate) address: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        let body = Refusal {
            error: reason.into(),
            leader: None,
        };
        Self {
            status,
            location: None,
            body,
        }
    }

    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// The node's Raft has stopped, because the node is shutting down or its storage failed.
    pub(crate) fn stopped(cause: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("this node has stopped: {cause}"),
        )
    }

    /// Sends the client to the leader (307: the same request, there), or tells it to try again when
    /// there is none to be seen.
    pub(crate) fn not_leader(to: &ForwardToLeader<TypeConfig>, uri: &Uri) -> Self {
        match (to.leader_id, &to.leader_node) {
            (Some(id), Some(node)) => {
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                let leader = Leader {
                    id,
                    address: node.addr.clone(),
                };
                Self {
                    status: StatusCode::TEMPORARY_REDIRECT,
                    location: Some(format!("http://{}{path}", leader.address)),
                    body: Refusal {
                        error: format!("node {id} is the leader"),
                        leader: Some(leader),
                    },
                }
            }
            _ => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "there is no leader now; try again",
            ),
        }
    }

    /// A write that did not go through, or whose fate is open: asking again is harmless.
    pub(crate) fn write(
        error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>,
        uri: &Uri,
    ) -> Self {
        match error {
            RaftError::Fatal(cause) => Self::stopped(cause),
            RaftError::APIError(error) => match error {
                ClientWriteError::ForwardToLeader(to) | ClientWriteError::LogEntryDiscarded(to) => {
                    Self::not_leader(&to, uri)
                }
                ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
                    Self::new(
                        StatusCode::CONFLICT,
                        "another membership change is under way",
                    )
                }
                other => Self::new(StatusCode::CONFLICT, other.to_string()),
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        // An address that cannot be a header is still in the body.
        if let Some(Ok(location)) = self.location.map(TryInto::try_into) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}
