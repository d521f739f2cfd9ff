use std::fmt;

/// Names one Raft group. A store holds many.
///
/// Every value from 0 to `u64::MAX` is allowed; groups are isolated from each other (law
/// `groups_are_isolated`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for GroupId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}
