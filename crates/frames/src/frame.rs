use bytes::BufMut;

/// The head of a commit in the journal.
///
/// ```text
/// offset  size  content (numbers big-endian)
/// 0       8     salt: the random number of this journal
/// 8       8     number of the commit
/// 16      4     length of the body, in bytes
/// 20      4     CRC32C of the 20 bytes before, then the body
/// 24      n     the body: the operations of the commit
/// ```
///
/// Every frame starts at a multiple of 8 bytes, and behind the last one is a head of zeros. Nobody who chooses
/// payloads knows the salt, so no payload can pass for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    /// The length of the body, in bytes.
    pub(crate) body: u32,
    checksum: u32,
    /// The checksum of the head alone.
    head_checksum: u32,
}

impl Frame {
    /// The length of a head, in bytes.
    pub(crate) const HEAD: usize = 24;

    /// Every frame starts at a multiple of it, in bytes.
    pub(crate) const ALIGNMENT: usize = 8;

    /// What of a head the checksum covers, in bytes.
    const CHECKED: usize = 20;

    /// Empties `buffer` and makes room for a head in it.
    pub(crate) fn begin(buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.resize(Self::HEAD, 0);
    }

    /// Fills in the head before the body in `buffer`, and adds the head of zeros behind it. `None` for a
    /// body of 4 GiB or more.
    pub(crate) fn finish(salt: u64, sequence: u64, buffer: &mut Vec<u8>) -> Option<()> {
        let (head, body) = buffer.split_at_mut(Self::HEAD);
        let len = u32::try_from(body.len()).ok()?;
        let mut fields = &mut head[..Self::CHECKED];
        fields.put_u64(salt);
        fields.put_u64(sequence);
        fields.put_u32(len);
        let (checked, mut checksum) = head.split_at_mut(Self::CHECKED);
        checksum.put_u32(crc32c::crc32c_append(crc32c::crc32c(checked), body));
        let end = buffer.len().next_multiple_of(Self::ALIGNMENT);
        buffer.resize(end + Self::HEAD, 0);
        Some(())
    }

    /// The head in `bytes`, if they are one of the journal with this salt.
    pub(crate) fn decode(salt: u64, bytes: &[u8; Self::HEAD]) -> Option<Self> {
        let rest = bytes.strip_prefix(&salt.to_be_bytes())?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (body, checksum) = rest.split_first_chunk()?;
        Some(Self {
            sequence: u64::from_be_bytes(*sequence),
            body: u32::from_be_bytes(*body),
            checksum: u32::from_be_bytes(checksum.try_into().ok()?),
            head_checksum: crc32c::crc32c(&bytes[..Self::CHECKED]),
        })
    }

    /// Whether `body` is what was written behind this head.
    pub(crate) fn holds(&self, body: &[u8]) -> bool {
        crc32c::crc32c_append(self.head_checksum, body) == self.checksum
    }

    /// What the frame takes in the file, in bytes.
    pub(crate) fn len(&self) -> u64 {
        (Self::HEAD as u64 + u64::from(self.body)).next_multiple_of(Self::ALIGNMENT as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_frame_is_found() {
        let mut buffer = Vec::new();
        Frame::begin(&mut buffer);
        buffer.extend_from_slice(b"some operations");
        Frame::finish(7, 9, &mut buffer).unwrap();
        assert_eq!(
            buffer.len(),
            40 + Frame::HEAD,
            "padded, and a head of zeros behind"
        );
        let whole = |buffer: &[u8]| {
            let frame = Frame::decode(7, buffer.first_chunk()?)?;
            let body = buffer[Frame::HEAD..].get(..frame.body as usize)?;
            frame.holds(body).then_some((frame.sequence, frame.len()))
        };
        assert_eq!(whole(&buffer), Some((9, 40)));
        for bit in 0..(Frame::HEAD + 15) * 8 {
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(whole(&buffer), None, "bit {bit}");
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
