//! The record envelope: what a key-value engine stores instead of a bare value.
//!
//! Engines do not protect values: LMDB has no checksums, redb checks none on read. Every stored
//! value is therefore wrapped as
//!
//! ```text
//! offset  size  content
//! 0       4     CRC32C (Castagnoli) of key, then value; little-endian
//! 4       n     value
//! ```
//!
//! Because the key is covered, a record that an engine returns under a wrong key is found as well
//! (law 14).

/// Bytes that the envelope adds to a value.
pub const OVERHEAD: usize = 4;

/// Appends the record for `value` stored under `key` to `out`. Copies the value once.
pub fn seal(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&checksum(key, value).to_le_bytes());
    out.extend_from_slice(value);
}

/// The value inside `record`, or `None` when the record is not what was sealed under `key`.
///
/// ```
/// use raft_logstore_core::envelope;
///
/// let mut record = Vec::new();
/// envelope::seal(b"key", b"value", &mut record);
/// assert_eq!(envelope::open(b"key", &record), Some(&b"value"[..]));
/// assert_eq!(envelope::open(b"kez", &record), None);
/// ```
pub fn open<'a>(key: &[u8], record: &'a [u8]) -> Option<&'a [u8]> {
    let (stored, value) = record.split_first_chunk::<OVERHEAD>()?;
    (u32::from_le_bytes(*stored) == checksum(key, value)).then_some(value)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_record_is_found() {
        let mut record = Vec::new();
        seal(b"logs-0001", b"some payload", &mut record);
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(b"logs-0001", &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_shortened_record_is_found() {
        let mut record = Vec::new();
        seal(b"k", b"v", &mut record);
        for len in 0..record.len() {
            assert_eq!(open(b"k", &record[..len]), None, "{len} bytes");
        }
    }
}
