use raft_logstore_core::{GroupId, StableKey};
use serde::{Deserialize, Serialize};

use crate::{Feature, Subject, subject};

/// What of a store a workload uses: whatever the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    /// Many groups, and dropping one.
    pub(super) groups: bool,
    /// Stable keys of any name and value, and removing one. Without it votes are numbers, and what is purged
    /// and committed is named by its index.
    pub(super) stable_keys: bool,
    /// The stable key `committed`.
    pub(super) committed: bool,
    /// An empty log may begin anywhere above its floor.
    pub(super) any_first_index: bool,
    /// Truncates and purges are durable when they complete, and everything is when the store is closed.
    pub(super) durable_cuts: bool,
    /// A write is there or it is not.
    pub(super) whole_writes: bool,
}

/// The groups that a workload uses; the first one alone in a store of one group.
const GROUPS: [GroupId; 3] = [GroupId(1), GroupId(2), GroupId(u64::MAX)];

/// A stable key that has no meaning to anyone.
pub(super) const EXTRA: StableKey = StableKey::from_static("crash-kit");

impl Scope {
    /// The first group, which every store has.
    pub(super) const GROUP: GroupId = GROUPS[0];

    /// All that a store may have.
    #[cfg(test)]
    pub(super) const WHOLE: Self = Self {
        groups: true,
        stable_keys: true,
        committed: true,
        any_first_index: true,
        durable_cuts: true,
        whole_writes: true,
    };

    pub(super) fn of(subject: &dyn Subject) -> Self {
        let has = |feature| subject::lacks(subject, feature).is_none();
        Self {
            groups: has(Feature::Groups),
            stable_keys: has(Feature::StableKeys),
            committed: has(Feature::Committed),
            any_first_index: has(Feature::AnyFirstIndex),
            durable_cuts: has(Feature::DurableCuts),
            whole_writes: has(Feature::WholeWrites),
        }
    }

    /// The groups that a workload uses.
    pub(super) fn groups(self) -> &'static [GroupId] {
        if self.groups { &GROUPS } else { &GROUPS[..1] }
    }

    /// The stable keys that a workload writes, and that of a purge.
    pub(super) fn keys(self) -> impl Iterator<Item = StableKey> {
        let keys = [
            (true, StableKey::VOTE),
            (true, StableKey::PURGED),
            (self.committed, StableKey::COMMITTED),
            (self.stable_keys, EXTRA),
        ];
        keys.into_iter()
            .filter_map(|(used, key)| used.then_some(key))
    }
}
