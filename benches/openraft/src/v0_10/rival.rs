use super::{RaftLogs, start};
use crate::candidate::Start;

/// A store that is measured beside ours, under openraft 0.10.
#[derive(Clone, Copy)]
pub struct RaftRival {
    pub(crate) name: &'static str,
    pub(crate) many_groups: bool,
    pub(crate) start: Start,
}

impl RaftRival {
    /// The store `S` under this name; `many_groups` says whether one of them holds many groups.
    pub const fn new<S: RaftLogs>(name: &'static str, many_groups: bool) -> Self {
        Self {
            name,
            many_groups,
            start: start::<S>,
        }
    }
}
