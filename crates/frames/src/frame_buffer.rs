use crate::Frame;
use crate::disk::MOST_ALIGNED;

/// A [`Frame`] while it is made, until a [`FrameWriter`](crate::FrameWriter) writes it. Its memory is used again.
///
/// Before the frame there is room for what the file has of the block in which it begins, and its memory is aligned as
/// its place in the file is. So it is written past the page cache as it lies, without another copy.
///
/// ```
/// use raft_logstore_frames::FrameBuffer;
///
/// let mut frame = FrameBuffer::default();
/// frame.begin(4096);
/// frame.body().extend_from_slice(b"operations");
/// assert_eq!(frame.len(), 48, "a head of 32 bytes, and a multiple of 8");
/// assert!(frame.finish(1, 7, 0).is_some());
/// ```
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Where the frame begins in them.
    start: usize,
}

/// The memory that is kept for the next frame, in bytes, if the last one took no more.
const KEEP_BYTES: usize = 4 << 20;

impl FrameBuffer {
    /// Begins a frame that will most likely be written at `at`.
    pub fn begin(&mut self, at: u64) {
        // After a large one the next is likely to be large, too.
        let keep = KEEP_BYTES.max(self.bytes.len());
        self.bytes.truncate(2 * MOST_ALIGNED);
        self.bytes.shrink_to(keep);
        self.bytes.reserve(2 * MOST_ALIGNED);
        self.start = self.aligned_as(at);
        self.bytes.resize(self.start + Frame::HEAD, 0);
    }

    /// Where the body is appended to. What is there before must stay.
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Where the frame begins in what [`body`](Self::body) returns.
    pub fn start(&self) -> usize {
        self.start
    }

    /// What the frame takes in a file, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a frame has a head at least")]
    pub fn len(&self) -> u64 {
        (self.bytes.len() - self.start).next_multiple_of(Frame::ALIGNMENT) as u64
    }

    /// Fills in the head: the frame is that of commit `sequence`, in the file with this salt. `None` for a body of 4 GiB
    /// or more.
    pub fn finish(&mut self, salt: u64, sequence: u64, flags: u16) -> Option<()> {
        let (head, body) = self.bytes[self.start..].split_at_mut(Frame::HEAD);
        head.copy_from_slice(&Frame::head(salt, sequence, flags, body)?);
        Some(())
    }

    /// What is written so that the frame lies at `at`: whole blocks of `block` bytes, aligned in memory. Before the
    /// frame is `lead`, what the file has of the block there; behind it are zeros, a head of them at least.
    pub(crate) fn blocks(&mut self, lead: &[u8], at: u64, block: usize) -> &[u8] {
        let end = at + self.len() + Frame::HEAD as u64;
        // At most a block more than what is in memory, so it fits.
        let len = (end.next_multiple_of(block as u64) - at) as usize;
        self.bytes.reserve(len + 2 * MOST_ALIGNED);
        let (from, start) = (self.start, self.aligned_as(at));
        let frame = from..self.bytes.len();
        if from != start {
            let end = start + frame.len();
            self.bytes.resize(end.max(frame.end), 0);
            self.bytes.copy_within(frame, start);
            self.bytes.truncate(end);
            self.start = start;
        }
        self.bytes.resize(start + len, 0);
        self.bytes[start - lead.len()..start].copy_from_slice(lead);
        &self.bytes[start - lead.len()..]
    }

    /// The first place in memory that is aligned as `at` is, with room for all before it that `at` is aligned by.
    fn aligned_as(&self, at: u64) -> usize {
        // Less than the alignment, so it fits.
        self.bytes.as_ptr().align_offset(MOST_ALIGNED) + (at % MOST_ALIGNED as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_aligned(blocks: &[u8]) -> bool {
        blocks.as_ptr().addr().is_multiple_of(512) && blocks.len().is_multiple_of(512)
    }

    #[test]
    fn whatever_its_place_a_frame_is_written_as_whole_blocks_and_aligned() {
        let mut frame = FrameBuffer::default();
        for (begun_at, at, body) in [
            (4096, 4096, 10),
            (4136, 4136, 5_000),
            // It went elsewhere than was thought, and memory was moved while it grew.
            (4096, 9_000, 100_000),
            (9_000, 4096, 300_000),
            (4096, 4_088, 0),
        ] {
            frame.begin(begun_at);
            let payload: Vec<u8> = (0..body).map(|byte| byte as u8).collect();
            frame.body().extend_from_slice(&payload);
            frame.finish(7, 9, 3).unwrap();
            let len = frame.len() as usize;
            let lead = vec![0xaa; at as usize % 512];
            let blocks = frame.blocks(&lead, at, 512);
            assert!(is_aligned(blocks));
            let (before, rest) = blocks.split_at(lead.len());
            let (written, zeros) = rest.split_at(len);
            assert_eq!(before, lead);
            let head = Frame::decode(7, written.first_chunk().unwrap()).unwrap();
            assert_eq!((head.sequence, head.flags, head.len()), (9, 3, len as u64));
            assert!(head.holds(&payload));
            assert_eq!(&written[Frame::HEAD..][..payload.len()], payload);
            assert!(zeros.len() >= Frame::HEAD && zeros.iter().all(|byte| *byte == 0));
        }
    }
}
