use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Codec, CodecError};

/// The default codec: [MessagePack](https://msgpack.org) through serde.
///
/// Field names are written, positions are not relied on. That costs a few bytes per field, and lets
/// a type use every serde attribute (`skip_serializing_if`, `flatten`, tagged enums) and gain fields
/// with `#[serde(default)]` without making stored entries unreadable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl<T: Serialize + DeserializeOwned> Codec<T> for MessagePack {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        rmp_serde::encode::write_named(out, value).map_err(CodecError::new)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        // A reader tells what it left; a slice does not.
        let mut rest = bytes;
        let value = rmp_serde::from_read(&mut rest).map_err(CodecError::new)?;
        match rest.len() {
            0 => Ok(value),
            left => Err(CodecError::new(format!("{left} bytes follow the value"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        value: u8,
    }

    #[test]
    fn a_skipped_field_does_not_shift_the_others() {
        let record = Record {
            note: None,
            value: 7,
        };
        let mut bytes = Vec::new();
        MessagePack.encode(&record, &mut bytes).unwrap();
        let read: Record = MessagePack.decode(&bytes).unwrap();
        assert_eq!(read, record);
    }

    #[test]
    fn bytes_behind_a_value_are_an_error() {
        let mut bytes = Vec::new();
        MessagePack.encode(&7u8, &mut bytes).unwrap();
        bytes.push(0);
        let read: Result<u8, CodecError> = MessagePack.decode(&bytes);
        assert!(read.unwrap_err().to_string().contains("1 bytes follow"));
    }

    #[test]
    fn bytes_of_something_else_are_an_error() {
        let read: Result<Record, CodecError> = MessagePack.decode(&[0xc1, 0xff]);
        assert!(read.is_err());
    }
}
