//! MessagePack, for what nodes send each other and for snapshots.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The encoded value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes, rmp_serde::encode::Error> {
    rmp_serde::to_vec(value).map(Bytes::from)
}

/// The value that was encoded.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}
