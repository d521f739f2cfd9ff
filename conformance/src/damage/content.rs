use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use raft_logstore_core::{Bounds, Entry, Error, ErrorKind, GroupId, Result, StableKey};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::damage::History;
use crate::{LawResult, Session};

/// Everything that a store shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The groups that it lists; `None` when it cannot list groups.
    pub listed: Option<Shown<Vec<u64>>>,
    /// What each group holds.
    pub groups: BTreeMap<u64, GroupContent>,
}

/// Everything that a group shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupContent {
    /// The floor and the last index; of a log with entries the first one as well.
    pub bounds: Shown<(Option<u64>, Option<u64>, Option<u64>)>,
    /// All entries.
    pub entries: Shown<Vec<ShownEntry>>,
    /// The stable keys that the suite knows of.
    pub keys: BTreeMap<String, Shown<Option<String>>>,
}

/// The index of an entry, the length of its payload in bytes, and a hash of it.
pub type ShownEntry = (u64, usize, u64);

/// What an operation returned.
pub type Shown<T> = std::result::Result<T, Refusal>;

/// An error, as it is told between processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The name of the [`ErrorKind`].
    pub kind: String,
    /// Whether the kind says that what is stored is not what was written.
    pub is_damage: bool,
    /// The group it names.
    pub group: Option<u64>,
    /// The error in words.
    pub message: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            kind: format!("{:?}", error.kind()),
            is_damage: is_damage(&error),
            group: error.group().map(|group| group.0),
            message: error.to_string(),
        }
    }
}

/// A store that found damage when nobody asked is poisoned by it.
fn is_damage(error: &Error) -> bool {
    let cause = || {
        error
            .cause()
            .and_then(|cause| cause.downcast_ref::<Error>())
    };
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::LostCommits | ErrorKind::Format => true,
        ErrorKind::Poisoned => cause().is_some_and(is_damage),
        _ => false,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl Content {
    /// What an open store shows.
    ///
    /// # Errors
    ///
    /// Those of making a handle; what the store says of its data is part of the content.
    pub(crate) fn of_session(session: &Session, history: &History) -> LawResult<Self> {
        let listed = history.has_groups().then(|| {
            session
                .groups()
                .map(|groups| numbers(&groups))
                .map_err(Refusal::from)
        });
        let found = listed.iter().flatten().flatten().copied();
        let ids: BTreeSet<u64> = found.chain(history.groups()).collect();
        let mut groups = BTreeMap::new();
        for id in ids {
            let log = session.group(GroupId(id))?;
            let content = GroupContent::collect(log.bounds(), log.read(..), |key| log.get(key));
            groups.insert(id, content);
        }
        Ok(Self { listed, groups })
    }
}

impl GroupContent {
    pub(crate) fn collect(
        bounds: Result<Bounds>,
        entries: Result<Vec<Entry>>,
        get: impl Fn(&StableKey) -> Result<Option<Bytes>>,
    ) -> Self {
        let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
        let key = |key: StableKey| {
            let value = get(&key)
                .map(|value| value.map(text))
                .map_err(Refusal::from);
            (key.to_string(), value)
        };
        Self {
            bounds: bounds
                .map(|bounds| (bounds.floor(), bounds.first(), bounds.last()))
                .map_err(Refusal::from),
            entries: entries
                .map(|entries| entries.iter().map(shown).collect())
                .map_err(Refusal::from),
            keys: History::KEYS.map(key).into(),
        }
    }
}

pub(crate) fn shown(entry: &Entry) -> ShownEntry {
    (entry.index, entry.payload.len(), xxh3_64(&entry.payload))
}

pub(crate) fn numbers(groups: &[GroupId]) -> Vec<u64> {
    groups.iter().map(|group| group.0).collect()
}
