use std::ops::Range;

/// The record that ties the batches of a store together: the first of every batch, under a key of its
/// own that no record of a store has.
///
/// fjall's checksum of a batch leaves out its head, so damage there makes fjall take the head for the
/// end of the journal, or apply the batch out of order. The link puts into the checksummed part what
/// the head must say, and numbers the batches without a gap, so that a batch that is gone is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The number of the batch; the first is 1.
    pub(crate) number: u64,
    /// fjall's sequence number of the batch is not below this one, and those of all batches before
    /// are.
    pub(crate) seqno: u64,
}

impl Link {
    /// The key of the record. It sorts after all others: between the entries of a table it would make
    /// the table span those of all others, and every merge rewrite them.
    pub(crate) const KEY: &[u8] = b"~batch";

    const LEN: usize = 16;

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let mut value = [0; Self::LEN];
        value[..8].copy_from_slice(&self.number.to_be_bytes());
        value[8..].copy_from_slice(&self.seqno.to_be_bytes());
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (number, seqno) = value.split_first_chunk()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            seqno: u64::from_be_bytes(seqno.try_into().ok()?),
        })
    }
}

/// The first bytes of a batch in a journal, as fjall 3.1 writes them: the start marker and the link.
///
/// ```text
/// offset  size  content (numbers little-endian where not said otherwise)
/// 0       1     1: start of a batch
/// 1       4     how many items
/// 5       8     fjall's sequence number
/// 13      1     2: item
/// 14      1     0: a value
/// 15      1     0: not compressed
/// 16      8     1: the keyspace
/// 24      2     6: length of the key
/// 26      4     16: length of the value
/// 30      4     16: its length as stored
/// 34      6     "~batch"
/// 40      8     number of the batch, big-endian
/// 48      8     least sequence number, big-endian
/// ```
pub(crate) struct Head {
    pub(crate) items: u32,
    pub(crate) seqno: u64,
    pub(crate) link: Link,
}

impl Head {
    pub(crate) const LEN: usize = 56;

    /// How far a sequence number may be above the least: fjall's own work takes some, too.
    const SEQNO_SLACK: u64 = 1 << 20;

    pub(crate) const START: u8 = 1;
    const LINK: Range<usize> = 40..56;
    const FIXED: Range<usize> = 13..40;

    /// Reads the head that `bytes` begin with; `None` when they do not.
    pub(crate) fn decode(bytes: &[u8; Self::LEN]) -> Option<Self> {
        const FIXED: &[u8; 27] = b"\x02\x00\x00\x01\0\0\0\0\0\0\0\x06\0\x10\0\0\0\x10\0\0\0~batch";
        if bytes[0] != Self::START || bytes[Self::FIXED] != FIXED[..] {
            return None;
        }
        let (items, rest) = bytes[1..].split_first_chunk()?;
        Some(Self {
            items: u32::from_le_bytes(*items),
            seqno: u64::from_le_bytes(*rest.first_chunk()?),
            link: Link::decode(&bytes[Self::LINK])?,
        })
    }

    /// Whether the sequence number of the batch can be what fjall gave it.
    pub(crate) fn is_sound(&self) -> bool {
        let least = self.link.seqno;
        self.items > 0 && (least..=least.saturating_add(Self::SEQNO_SLACK)).contains(&self.seqno)
    }
}
