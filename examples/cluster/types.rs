//! The types openraft is instantiated with: what an entry carries and what a write answers.

use std::fmt;
use std::sync::Arc;

use openraft::{BasicNode, Raft, alias};
use serde::{Deserialize, Serialize};

use crate::state_machine::StateMachine;

openraft::declare_raft_types!(
    /// openraft for this application.
    pub(crate) TypeConfig:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = BasicNode,
);

pub(crate) type NodeRaft = Raft<TypeConfig, StateMachine>;
pub(crate) type LogId = alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = alias::VoteOf<TypeConfig>;
pub(crate) type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = alias::SmSnapshotOf<TypeConfig, StateMachine>;

/// What a client asks for; the payload of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Sets a key. Doing it twice is the same as doing it once.
    Put { key: String, value: Arc<str> },
    /// Adds a line at the end of the list, once per client and sequence number.
    Append(Line),
}

/// A line and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) client: u64,
    /// 1, 2, 3, ... for each client.
    pub(crate) seq: u64,
    pub(crate) text: Arc<str>,
}

/// What the state machine answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Applied; there is nothing to say.
    Done,
    /// The line is at this position of the list, now or since an earlier attempt.
    Appended { position: u64 },
    /// The client has written another text under this number.
    Different,
    /// The client has written a later line since: it knows this answer already.
    Outdated { newest: u64 },
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, .. } => write!(f, "put {key}"),
            Self::Append(line) => write!(f, "append {} of client {}", line.seq, line.client),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
