use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Codec, CodecError, nesting};

/// The default codec: [MessagePack](https://msgpack.org) through serde.
///
/// Field names are written, positions are not relied on. That costs a few bytes per field, and lets
/// a type use every serde attribute (`skip_serializing_if`, `flatten`, tagged enums) and gain fields
/// with `#[serde(default)]` without making stored entries unreadable.
///
/// Values may lie in each other 128 levels deep: a struct, a map, a sequence and a tuple take one, and so does a variant
/// with data, beside what it holds. A value that goes deeper is not written, so what is written can be read, and no bytes
/// take the thread that reads them deeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl<T: Serialize + DeserializeOwned> Codec<T> for MessagePack {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        rmp_serde::encode::write_named(out, value).map_err(CodecError::new)?;
        // rmp-serde limits the depth of what it reads, but not of what it writes.
        nesting::check(&out[start..])
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        // rmp-serde does not count the levels of some types.
        nesting::check(bytes)?;
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
    use rstest::rstest;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        value: u8,
    }

    /// A value that holds another one in every way that takes a level.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Tree {
        Leaf,
        Newtype(Box<Tree>),
        Tuple(u8, Box<Tree>),
        Fields { child: Option<Box<Tree>> },
        Elements(Vec<Tree>),
    }

    impl Tree {
        fn newtype(self) -> Self {
            Self::Newtype(Box::new(self))
        }

        fn tuple(self) -> Self {
            Self::Tuple(1, Box::new(self))
        }

        fn fields(self) -> Self {
            Self::Fields {
                child: Some(Box::new(self)),
            }
        }

        fn elements(self) -> Self {
            Self::Elements(vec![Self::Leaf, self])
        }

        fn nested(depth: usize, around: fn(Self) -> Self) -> Self {
            (0..depth).fold(Self::Leaf, |tree, _| around(tree))
        }
    }

    #[rstest]
    #[case::newtype(Tree::newtype, 128)]
    #[case::tuple(Tree::tuple, 64)]
    #[case::fields(Tree::fields, 64)]
    #[case::elements(Tree::elements, 64)]
    fn what_is_written_can_be_read_and_what_is_too_deep_is_neither(
        #[case] around: fn(Tree) -> Tree,
        #[case] deepest: usize,
    ) {
        let tree = Tree::nested(deepest, around);
        let mut bytes = Vec::new();
        MessagePack.encode(&tree, &mut bytes).unwrap();
        let read: Tree = MessagePack.decode(&bytes).unwrap();
        assert_eq!(read, tree);

        let tree = Tree::nested(deepest + 1, around);
        let error = MessagePack.encode(&tree, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("128"), "{error}");
        let deep = rmp_serde::to_vec_named(&tree).unwrap();
        let read: Result<Tree, CodecError> = MessagePack.decode(&deep);
        assert!(read.unwrap_err().to_string().contains("128"));
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
