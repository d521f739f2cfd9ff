use openraft_0_9::{LogId, RaftTypeConfig, Vote};
use raft_logstore_adapter::Codec;

/// A [`Codec`] for everything that openraft stores in a log: entries, votes and log ids.
///
/// Implemented for every codec that can do the three; there is nothing to implement by hand.
pub trait RaftCodec<C: RaftTypeConfig>:
    Codec<C::Entry> + Codec<Vote<C::NodeId>> + Codec<LogId<C::NodeId>>
{
}

impl<C, K> RaftCodec<C> for K
where
    C: RaftTypeConfig,
    K: Codec<C::Entry> + Codec<Vote<C::NodeId>> + Codec<LogId<C::NodeId>>,
{
}
