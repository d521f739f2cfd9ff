//! The operations of a batch as bytes.
//!
//! ```text
//! for each operation:  u8 kind, u64 group, then
//!   1 append    u64 index of the first entry, u32 count, then each entry as the file wants it
//!   2 truncate  u64 first index to go
//!   3 purge     u64 new floor, u32 length and bytes of the id
//!   4 set       u8 length and bytes of the name, u32 length and bytes of the value
//!   5 remove    u8 length and bytes of the name
//!   6 drop
//! ```
//!
//! Numbers are big-endian. An entry takes its length, as a u32, and the payload, at least.

use bytes::{Buf, BufMut, Bytes};
use raft_logstore_core::{Entry, Error, ErrorKind, GroupId, Op, Result, StableKey};

const APPEND: u8 = 1;
const TRUNCATE: u8 = 2;
const PURGE: u8 = 3;
const SET: u8 = 4;
const REMOVE: u8 = 5;
const DROP: u8 = 6;

/// Appends the operations to `out`; `put_entry` appends an entry.
///
/// # Errors
///
/// Those of `put_entry`; [`TooLarge`](ErrorKind::TooLarge) for an id or a value of 4 GiB or more.
pub fn encode(
    ops: &[Op],
    out: &mut Vec<u8>,
    mut put_entry: impl FnMut(GroupId, &Entry, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    for op in ops {
        let kind = match op {
            Op::Append { .. } => APPEND,
            Op::Truncate { .. } => TRUNCATE,
            Op::Purge { .. } => PURGE,
            Op::Put { value: Some(_), .. } => SET,
            Op::Put { value: None, .. } => REMOVE,
            Op::DropGroup { .. } => DROP,
        };
        out.put_u8(kind);
        out.put_u64(op.group().0);
        match op {
            Op::Append { group, entries } => {
                out.put_u64(entries.first().map_or(0, |entry| entry.index));
                out.put_u32(length(entries.len())?);
                for entry in entries {
                    put_entry(*group, entry, out)?;
                }
            }
            Op::Truncate { from, .. } => out.put_u64(*from),
            Op::Purge { up_to, id, .. } => {
                out.put_u64(*up_to);
                put_bytes(id, out)?;
            }
            Op::Put { key, value, .. } => {
                put_name(key, out);
                if let Some(value) = value {
                    put_bytes(value, out)?;
                }
            }
            Op::DropGroup { .. } => {}
        }
    }
    Ok(())
}

/// The operations in `value`, sharing its memory; `None` when it cannot be a batch. `get_entry` takes the payload of
/// the entry at an index from the front.
pub fn decode(
    mut value: Bytes,
    mut get_entry: impl FnMut(GroupId, u64, &mut Bytes) -> Option<Bytes>,
) -> Option<Vec<Op>> {
    let mut ops = Vec::new();
    while value.has_remaining() {
        ops.push(decode_op(&mut value, &mut get_entry)?);
    }
    Some(ops)
}

fn decode_op(
    value: &mut Bytes,
    get_entry: &mut impl FnMut(GroupId, u64, &mut Bytes) -> Option<Bytes>,
) -> Option<Op> {
    let kind = value.try_get_u8().ok()?;
    let group = GroupId(value.try_get_u64().ok()?);
    Some(match kind {
        APPEND => {
            let first = value.try_get_u64().ok()?;
            let count = value.try_get_u32().ok()?;
            // Each entry takes its length at least, so this bounds what is allocated.
            if count as usize > value.remaining() / size_of::<u32>() {
                return None;
            }
            let mut entries = Vec::with_capacity(count as usize);
            for at in 0..u64::from(count) {
                let index = first.checked_add(at)?;
                entries.push(Entry::new(index, get_entry(group, index, value)?));
            }
            Op::Append { group, entries }
        }
        TRUNCATE => Op::Truncate {
            group,
            from: value.try_get_u64().ok()?,
        },
        PURGE => Op::Purge {
            group,
            up_to: value.try_get_u64().ok()?,
            id: get_bytes(value)?,
        },
        SET => Op::Put {
            group,
            key: get_name(value)?,
            value: Some(get_bytes(value)?),
        },
        REMOVE => Op::Put {
            group,
            key: get_name(value)?,
            value: None,
        },
        DROP => Op::DropGroup { group },
        _ => return None,
    })
}

fn length(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| too_large())
}

/// What a batch that cannot be written is refused with.
pub fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, "commit")
        .with_advice("a commit holds less than 4 GiB; write less at once")
}

/// Appends the length of `bytes`, and `bytes`.
///
/// # Errors
///
/// [`TooLarge`](ErrorKind::TooLarge) from 4 GiB on.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.put_u32(length(bytes.len())?);
    out.put_slice(bytes);
    Ok(())
}

/// Appends the length of a name as a byte, and the name.
pub fn put_name(name: &StableKey, out: &mut Vec<u8>) {
    // At most `StableKey::MAX_LEN`, which is 64.
    out.put_u8(name.as_str().len() as u8);
    out.put_slice(name.as_str().as_bytes());
}

fn take(value: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= value.remaining()).then(|| value.split_to(len))
}

/// Takes from the front what [`put_bytes`] appended; `None` when it is not there.
pub fn get_bytes(value: &mut Bytes) -> Option<Bytes> {
    let len = value.try_get_u32().ok()?;
    take(value, len as usize)
}

/// Takes from the front what [`put_name`] appended; `None` when it is not there.
pub fn get_name(value: &mut Bytes) -> Option<StableKey> {
    let len = value.try_get_u8().ok()?;
    let name = take(value, len.into())?;
    StableKey::new(String::from_utf8(name.into()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use raft_logstore_core::Batch;

    use super::*;

    fn put_plain(_group: GroupId, entry: &Entry, out: &mut Vec<u8>) -> Result<()> {
        put_bytes(&entry.payload, out)
    }

    fn get_plain(_group: GroupId, _index: u64, value: &mut Bytes) -> Option<Bytes> {
        get_bytes(value)
    }

    fn batch() -> Batch {
        let group = GroupId(0x0102_0304_0506_0708);
        Batch {
            sequence: 1,
            ops: vec![
                Op::Append {
                    group,
                    entries: vec![Entry::new(9, "ab"), Entry::new(10, "")],
                },
                Op::Truncate { group, from: 10 },
                Op::Purge {
                    group,
                    up_to: 9,
                    id: "id".into(),
                },
                Op::Put {
                    group,
                    key: StableKey::VOTE,
                    value: Some("v".into()),
                },
                Op::Put {
                    group,
                    key: StableKey::VOTE,
                    value: None,
                },
                Op::DropGroup { group },
            ],
        }
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let mut value = Vec::new();
        encode(&batch().ops, &mut value, put_plain).unwrap();
        let group = b"\x01\x02\x03\x04\x05\x06\x07\x08";
        let ops: [&[u8]; 6] = [
            b"\0\0\0\0\0\0\0\x09\0\0\0\x02\0\0\0\x02ab\0\0\0\0",
            b"\0\0\0\0\0\0\0\x0a",
            b"\0\0\0\0\0\0\0\x09\0\0\0\x02id",
            b"\x04vote\0\0\0\x01v",
            b"\x04vote",
            b"",
        ];
        let expected: Vec<u8> = (1..)
            .zip(ops)
            .flat_map(|(kind, op)| [&[kind], &group[..], op].concat())
            .collect();
        assert_eq!(value, expected);
    }

    #[test]
    fn what_was_encoded_is_decoded_and_what_is_cut_short_never_as_the_whole() {
        let batch = batch();
        let mut value = Vec::new();
        encode(&batch.ops, &mut value, put_plain).unwrap();
        let value = Bytes::from(value);
        assert_eq!(decode(value.clone(), get_plain), Some(batch.ops.clone()));
        for len in 0..value.len() {
            let cut = decode(value.slice(..len), get_plain);
            assert!(
                cut.is_none_or(|ops| batch.ops.starts_with(&ops) && ops.len() < batch.ops.len())
            );
        }
    }

    #[test]
    fn a_count_that_cannot_be_true_allocates_nothing() {
        let mut value = vec![APPEND];
        value.put_u64(1);
        value.put_u64(1);
        value.put_u32(u32::MAX);
        assert_eq!(decode(value.into(), get_plain), None);
    }
}
