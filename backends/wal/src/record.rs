//! An entry in a frame.
//!
//! ```text
//! offset  size  content (numbers big-endian)
//! 0       4     length of the payload, in bytes
//! 4       4     CRC32C of group and index (8 bytes each), then the payload
//! 8       n     payload
//! ```
//!
//! The frame's own checksum covers it, too; this one is checked when the entry is read alone.

use bytes::{Buf, BufMut, Bytes};
use raft_logstore_core::{Entry, GroupId, Result};
use raft_logstore_frames::encoding;

/// What a record takes beside the payload, in bytes.
pub(crate) const OVERHEAD: usize = 8;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it starts in its segment, in bytes.
    pub(crate) at: u32,
    /// The length of the payload, in bytes.
    pub(crate) len: u32,
}

impl Place {
    /// What the record takes, in bytes.
    pub(crate) fn bytes(self) -> u64 {
        OVERHEAD as u64 + u64::from(self.len)
    }

    /// Where the record ends in its segment, in bytes.
    pub(crate) fn end(self) -> u64 {
        u64::from(self.at) + self.bytes()
    }
}

/// Appends the record of an entry. Copies the payload once.
///
/// # Errors
///
/// `TooLarge` for a payload of 4 GiB or more.
pub(crate) fn put(group: GroupId, entry: &Entry, out: &mut Vec<u8>) -> Result<()> {
    let len = u32::try_from(entry.payload.len()).map_err(|_| encoding::too_large())?;
    out.put_u32(len);
    out.put_u32(checksum(group, entry.index, &entry.payload));
    out.put_slice(&entry.payload);
    Ok(())
}

/// Takes the payload of the record of an entry from the front of `value`; `None` when it is not what was written.
pub(crate) fn get(group: GroupId, index: u64, value: &mut Bytes) -> Option<Bytes> {
    let len = value.try_get_u32().ok()? as usize;
    let stored = value.try_get_u32().ok()?;
    if len > value.remaining() {
        return None;
    }
    let payload = value.split_to(len);
    (checksum(group, index, &payload) == stored).then_some(payload)
}

/// Takes a record from the front of `value`, whether or not its payload is what was written: the length of the payload
/// and the checksum.
pub(crate) fn skip(value: &mut Bytes) -> Option<(u32, u32)> {
    let len = value.try_get_u32().ok()?;
    let checksum = value.try_get_u32().ok()?;
    if len as usize > value.remaining() {
        return None;
    }
    value.advance(len as usize);
    Some((len, checksum))
}

/// The CRC32C of the payload alone that the record of an entry with this checksum was written with.
pub(crate) fn checksum_of_payload(group: GroupId, index: u64, len: u32, checksum: u32) -> u32 {
    // A CRC is linear: without the part of the name, that of the payload is left.
    checksum ^ crc32c::crc32c_combine(crc32c::crc32c(&name(group, index)), 0, len as usize)
}

fn checksum(group: GroupId, index: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&name(group, index)), payload)
}

fn name(group: GroupId, index: u64) -> [u8; 16] {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&group.0.to_be_bytes());
    name[8..].copy_from_slice(&index.to_be_bytes());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(7);

    #[test]
    fn every_flipped_bit_and_every_wrong_name_is_found() {
        let mut record = Vec::new();
        put(GROUP, &Entry::new(9, "some payload"), &mut record).unwrap();
        let read = |group, index, record: &[u8]| get(group, index, &mut record.to_vec().into());
        assert_eq!(
            read(GROUP, 9, &record).as_deref(),
            Some(&b"some payload"[..])
        );
        assert_eq!(read(GroupId(6), 9, &record), None);
        assert_eq!(read(GROUP, 8, &record), None);
        for bit in 0..record.len() * 8 {
            record[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(GROUP, 9, &record), None, "bit {bit}");
            record[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..record.len() {
            assert_eq!(read(GROUP, 9, &record[..len]), None, "{len} bytes");
        }
    }
}
