use openraft::RaftTypeConfig;
use openraft::alias::{LogIdOf, VoteOf};

use crate::CodecError;

/// Turns a value into the bytes that are stored, and back.
///
/// What is written stays on disk: a codec must read what its earlier versions wrote.
///
/// ```
/// use raft_logstore_openraft::{Codec, MessagePack};
///
/// let mut bytes = Vec::new();
/// MessagePack.encode(&("x".to_owned(), 1), &mut bytes)?;
/// let value: (String, u64) = MessagePack.decode(&bytes)?;
/// assert_eq!(value, ("x".to_owned(), 1));
/// # Ok::<(), raft_logstore_openraft::CodecError>(())
/// ```
pub trait Codec<T>: Send + Sync + 'static {
    /// Appends the bytes of `value` to `out`, and leaves what `out` already holds alone.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when the value cannot be written; `out` may then end in a part of it.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The value whose bytes are exactly `bytes`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when `bytes` are not what [`encode`](Self::encode) wrote for a `T`.
    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError>;
}

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
