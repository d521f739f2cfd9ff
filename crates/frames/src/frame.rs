use bytes::BufMut;

/// The head of a commit in a [`FrameFile`](crate::FrameFile).
///
/// ```text
/// offset  size  content (numbers big-endian)
/// 0       8     salt: the random number of this use of the file
/// 8       8     number of the commit
/// 16      4     length of the body, in bytes
/// 20      1     format version (1)
/// 21      1     codec of the body (0: none)
/// 22      2     flags: what they mean is up to the file
/// 24      4     id of the key that encrypts the body (0: none)
/// 28      4     CRC32C of the 28 bytes before, then the body
/// 32      n     the body
/// ```
///
/// Every frame starts at a multiple of 8 bytes, and behind the last one is a head of zeros. Nobody who chooses
/// payloads knows the salt, so no payload can pass for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The number of the commit.
    pub sequence: u64,
    /// The length of the body, in bytes.
    pub body: u32,
    /// What the file that has it says of it.
    pub flags: u16,
    /// Version, codec and key.
    kind: (u8, u8, u32),
    /// The checksum of head and body, as it is stored.
    pub checksum: u32,
    /// The checksum of the head alone.
    pub head_checksum: u32,
}

impl Frame {
    /// The length of a head, in bytes.
    pub const HEAD: usize = 32;

    /// Every frame starts at a multiple of it, in bytes.
    pub const ALIGNMENT: usize = 8;

    /// What of a head the checksum covers, in bytes.
    const CHECKED: usize = 28;

    /// The version, codec and key that are written, and can be read.
    const KIND: (u8, u8, u32) = (1, 0, 0);

    /// The head before `body` in the frame of commit `sequence`, in a file with this salt. `None` for a body of 4 GiB or
    /// more.
    pub(crate) fn head(
        salt: u64,
        sequence: u64,
        flags: u16,
        body: &[u8],
    ) -> Option<[u8; Self::HEAD]> {
        let len = u32::try_from(body.len()).ok()?;
        let (version, codec, key) = Self::KIND;
        let mut head = [0; Self::HEAD];
        let (checked, mut checksum) = head.split_at_mut(Self::CHECKED);
        let mut fields = &mut *checked;
        fields.put_u64(salt);
        fields.put_u64(sequence);
        fields.put_u32(len);
        fields.put_u8(version);
        fields.put_u8(codec);
        fields.put_u16(flags);
        fields.put_u32(key);
        checksum.put_u32(crc32c::crc32c_append(crc32c::crc32c(checked), body));
        Some(head)
    }

    /// The head in `bytes`, if they are one of the file with this salt.
    pub fn decode(salt: u64, bytes: &[u8; Self::HEAD]) -> Option<Self> {
        let rest = bytes.strip_prefix(&salt.to_be_bytes())?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (body, rest) = rest.split_first_chunk()?;
        let (&[version, codec], rest) = rest.split_first_chunk()?;
        let (flags, rest) = rest.split_first_chunk()?;
        let (key, checksum) = rest.split_first_chunk()?;
        Some(Self {
            sequence: u64::from_be_bytes(*sequence),
            body: u32::from_be_bytes(*body),
            flags: u16::from_be_bytes(*flags),
            kind: (version, codec, u32::from_be_bytes(*key)),
            checksum: u32::from_be_bytes(checksum.try_into().ok()?),
            head_checksum: crc32c::crc32c(&bytes[..Self::CHECKED]),
        })
    }

    /// Whether `body` is what was written behind this head.
    pub fn holds(&self, body: &[u8]) -> bool {
        crc32c::crc32c_append(self.head_checksum, body) == self.checksum
    }

    /// What this program cannot read in a frame that is whole; `None` when it can read it.
    pub fn unknown(&self) -> Option<String> {
        let (version, codec, key) = self.kind;
        (self.kind != Self::KIND).then(|| format!("version {version}, codec {codec} and key {key}"))
    }

    /// What the frame takes in the file, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a frame has a head at least")]
    pub fn len(&self) -> u64 {
        (Self::HEAD as u64 + u64::from(self.body)).next_multiple_of(Self::ALIGNMENT as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_frame_is_found() {
        let body = b"some operations";
        let head = Frame::head(7, 9, 3, body).unwrap();
        let mut buffer = [&head[..], body].concat();
        let whole = |buffer: &[u8]| {
            let frame = Frame::decode(7, buffer.first_chunk()?)?;
            let body = buffer[Frame::HEAD..].get(..frame.body as usize)?;
            frame
                .holds(body)
                .then_some((frame.sequence, frame.flags, frame.len()))
        };
        assert_eq!(whole(&buffer), Some((9, 3, 48)));
        for bit in 0..(Frame::HEAD + 15) * 8 {
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(whole(&buffer), None, "bit {bit}");
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
