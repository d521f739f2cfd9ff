use openraft::RaftTypeConfig;
use openraft::alias::{LogIdOf, VoteOf};
use raft_logstore_adapter::Codec;

/// A [`Codec`] for everything that openraft stores in a log: entries, votes and log ids.
///
/// Implemented for every codec that can do the three; there is nothing to implement by hand.
pub trait RaftCodec<C: RaftTypeConfig>:
    Codec<C::Entry> + Codec<VoteOf<C>> + Codec<LogIdOf<C>>
{
}

impl<C, K> RaftCodec<C> for K
where
    C: RaftTypeConfig,
    K: Codec<C::Entry> + Codec<VoteOf<C>> + Codec<LogIdOf<C>>,
{
}
