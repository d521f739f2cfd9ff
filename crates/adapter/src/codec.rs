use crate::{CodecError, LogTypes};

/// Turns a value into the bytes that are stored, and back.
///
/// What is written stays on disk: a codec must read what its earlier versions wrote.
///
/// ```
/// use raft_logstore_adapter::{Codec, CodecError, MessagePack};
///
/// let mut bytes = Vec::new();
/// MessagePack.encode(&("x".to_owned(), 1), &mut bytes)?;
/// let value: (String, u64) = MessagePack.decode(&bytes)?;
/// assert_eq!(value, ("x".to_owned(), 1));
/// # Ok::<(), CodecError>(())
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

/// A [`Codec`] for everything that a log of these types stores: entries, votes and log ids.
///
/// Implemented for every codec that can do the three; there is nothing to implement by hand.
pub trait LogCodec<T: LogTypes>: Codec<T::Entry> + Codec<T::Vote> + Codec<T::LogId> {}

impl<T, K> LogCodec<T> for K
where
    T: LogTypes,
    K: Codec<T::Entry> + Codec<T::Vote> + Codec<T::LogId>,
{
}
