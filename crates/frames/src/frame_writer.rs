use raft_logstore_core::Result;

use crate::disk::Disk;
use crate::{FrameBuffer, FrameFile};

/// Writes frames into one [`FrameFile`], one behind the other, each durable when the call returns.
///
/// Whole blocks are written. The first may hold the end of the frame before: that is written again as it is, so it does not
/// matter what of the block a power cut lets through.
#[derive(Debug)]
pub struct FrameWriter {
    end: u64,
    /// What the file has of the block that `end` is in, before it.
    lead: Vec<u8>,
    /// Found out by the first write.
    disk: Option<Disk>,
}

impl FrameWriter {
    /// Writes the next frame at `end`, behind the last one. Opens nothing yet.
    pub fn new(end: u64) -> Self {
        Self {
            end,
            lead: Vec::new(),
            disk: None,
        }
    }

    /// Where the next frame goes, in bytes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Goes on at the start of the file. What is there needs not be kept.
    pub fn restart(&mut self) {
        self.end = FrameFile::START;
        self.lead.clear();
    }

    /// Writes a frame that is [finished](FrameBuffer::finish), and zeros behind it, and returns when it is durable.
    ///
    /// `file` is the same with each call.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](raft_logstore_core::ErrorKind::DiskFull), [`Io`](raft_logstore_core::ErrorKind::Io). Then the file must
    /// not be written again.
    pub fn write(&mut self, file: &FrameFile, frame: &mut FrameBuffer) -> Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            none => {
                let disk = Disk::of(file.file(), file.path());
                let lead = self.end % disk.block() as u64;
                // Less than a block, so it fits.
                self.lead.resize(lead as usize, 0);
                file.read_at(&mut self.lead, self.end - lead)?;
                none.insert(disk)
            }
        };
        let len = frame.len();
        let blocks = frame.blocks(&self.lead, self.end, disk.block());
        file.write_blocks(disk, blocks, self.end - self.lead.len() as u64)?;
        // A frame in memory, so it fits.
        let end = self.lead.len() + len as usize;
        let lead = end - end % disk.block()..end;
        self.lead.clear();
        self.lead.extend_from_slice(&blocks[lead]);
        self.end += len;
        Ok(())
    }
}
