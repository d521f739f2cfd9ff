use std::marker::PhantomData;

use openraft::RaftTypeConfig;
use openraft::alias::{LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use raft_logstore_adapter::LogTypes;

/// The types of a type configuration, as the log knows them.
pub(crate) struct Types<C>(PhantomData<C>);

impl<C: RaftTypeConfig> LogTypes for Types<C> {
    type Entry = C::Entry;
    type LogId = LogIdOf<C>;
    type Vote = VoteOf<C>;

    fn entry_index(entry: &C::Entry) -> u64 {
        entry.index()
    }

    fn entry_id(entry: &C::Entry) -> LogIdOf<C> {
        entry.log_id()
    }

    fn index(id: &LogIdOf<C>) -> u64 {
        id.index
    }

    fn is_of_one_leader(one: &LogIdOf<C>, other: &LogIdOf<C>) -> bool {
        one.leader_id == other.leader_id
    }
}
