use std::marker::PhantomData;

use openraft_0_9::{LogId, RaftLogId, RaftTypeConfig, Vote};
use raft_logstore_adapter::LogTypes;

/// The types of a type configuration, as the log knows them.
pub(crate) struct Types<C>(PhantomData<C>);

impl<C: RaftTypeConfig> LogTypes for Types<C> {
    type Entry = C::Entry;
    type LogId = LogId<C::NodeId>;
    type Vote = Vote<C::NodeId>;

    fn entry_index(entry: &C::Entry) -> u64 {
        entry.get_log_id().index
    }

    fn entry_id(entry: &C::Entry) -> LogId<C::NodeId> {
        entry.get_log_id().clone()
    }

    fn index(id: &LogId<C::NodeId>) -> u64 {
        id.index
    }

    fn is_of_one_leader(one: &LogId<C::NodeId>, other: &LogId<C::NodeId>) -> bool {
        one.leader_id == other.leader_id
    }
}
