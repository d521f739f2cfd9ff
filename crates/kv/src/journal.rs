use std::ops::Range;
use std::path::Path;

use raft_logstore_core::{Batch, Error, Result};
use raft_logstore_frames::{Access, Frame, FrameFile, Header, encoding};

/// The commits that are not settled yet, in a [`FrameFile`] beside the engine: one frame each.
///
/// The file is used again from the start after each settle. So a commit is one write into a place that the
/// file has already, and one sync that has no metadata to write. Frames of settled commits that were not
/// overwritten yet are told by their numbers. An entry is its length and its payload.
#[derive(Debug)]
pub(crate) struct Journal {
    file: FrameFile,
    /// The last commit in the file, or the last settled one.
    last: u64,
    /// Where the next frame goes.
    end: u64,
    /// Where what is left of a write that was not completed lies.
    torn: Option<Range<u64>>,
    /// The frame of the next commit.
    buffer: Vec<u8>,
}

const MAGIC: &[u8; 8] = b"RLSJRNL\0";

/// How long the file is, in bytes. It grows for a commit that alone takes more, until the next settle.
const CAPACITY: u64 = 4 << 20;

/// The bytes of memory that are kept for the next commit.
const KEEP_BYTES: usize = 4 << 20;

impl Journal {
    /// The name of the file in the folder of a backend.
    pub(crate) const FILE: &str = "journal";

    /// Makes an empty journal in `dir`, durable but for its name, and returns its salt.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`; also when there is one already.
    pub(crate) fn create(dir: &Path) -> Result<u64> {
        let path = dir.join(Self::FILE);
        let header = Header::new(MAGIC, 0, CAPACITY);
        FrameFile::create(&path, &header)
            .map_err(|error| Error::io("create journal", error).with_path(path))?;
        Ok(header.salt)
    }

    /// Opens the journal in `dir`, which must be the one with this salt, to go on after commit
    /// `settled`. Shows the commits after it to `visit`, in order. Writes nothing.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the file or a commit is missing or damaged, belongs to another store, or `visit` does not
    /// accept a commit; `Format` for a newer format; `Io`.
    pub(crate) fn open(
        dir: &Path,
        salt: u64,
        access: Access,
        settled: u64,
        visit: impl FnMut(Batch) -> Result<()>,
    ) -> Result<Self> {
        let file = FrameFile::open(&dir.join(Self::FILE), MAGIC, access)?;
        if file.header().salt != salt {
            return Err(file.corrupt("the journal is that of another store"));
        }
        let mut journal = Self {
            file,
            last: settled,
            end: FrameFile::START,
            torn: None,
            buffer: Vec::new(),
        };
        journal.replay(visit)?;
        Ok(journal)
    }

    fn replay(&mut self, mut visit: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        while let Some((frame, body)) = self.file.frame_at(self.end)? {
            if frame.sequence <= self.last {
                // Settled, and not overwritten since.
                break;
            }
            let expected = self.last + 1;
            let broken = |what| self.file.corrupt(&format!("commit {expected} {what}"));
            if frame.sequence != expected {
                return Err(broken("is missing from the journal"));
            }
            let ops = encoding::decode(body, |_, _, value| encoding::get_bytes(value))
                .ok_or_else(|| broken("cannot be what was written"))?;
            let batch = Batch {
                sequence: expected,
                ops,
            };
            visit(batch).map_err(|error| {
                broken("does not follow from the one before").with_source(error)
            })?;
            self.last = expected;
            self.end += frame.len();
        }
        if let Some((_, later)) = self.file.later_frame(self.end, self.last)? {
            let lost = self.last + 1;
            return Err(self.file.corrupt(&format!(
                "commit {lost} is damaged or missing, and commit {} is there",
                later.sequence
            )));
        }
        self.torn = self.file.remains(self.end)?;
        if self.torn.is_some() {
            tracing::warn!(
                path = %self.file.path().display(),
                commit = self.last + 1,
                "a commit that was never acknowledged is torn, and cut off"
            );
        }
        Ok(())
    }

    /// Makes `batch` the commit that [`write`](Self::write) writes. Copies each payload once.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a batch of 4 GiB or more; `Gap` when its number is not the next.
    pub(crate) fn prepare(&mut self, batch: &Batch) -> Result<()> {
        batch.check_follows(self.last)?;
        Frame::begin(&mut self.buffer);
        self.buffer.shrink_to(KEEP_BYTES);
        encoding::encode(&batch.ops, &mut self.buffer, |_, entry, out| {
            encoding::put_bytes(&entry.payload, out)
        })?;
        let salt = self.file.header().salt;
        Frame::finish(salt, batch.sequence, 0, &mut self.buffer).ok_or_else(encoding::too_large)
    }

    /// Whether what was prepared fits behind the commits that are there.
    pub(crate) fn has_room(&self) -> bool {
        self.end == FrameFile::START || self.end + self.buffer.len() as u64 <= CAPACITY
    }

    /// Writes what was prepared, and returns when it is durable.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`. Then the journal must not be written again.
    pub(crate) fn write(&mut self) -> Result<()> {
        self.set_torn_aside()?;
        self.file.write(&self.buffer, self.end)?;
        self.last += 1;
        self.end += (self.buffer.len() - Frame::HEAD) as u64;
        Ok(())
    }

    /// Empties the journal: everything in it is durable elsewhere.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.set_torn_aside()?;
        self.file.shorten()?;
        self.end = FrameFile::START;
        Ok(())
    }

    fn set_torn_aside(&mut self) -> Result<()> {
        match self.torn.take() {
            Some(torn) => self.file.keep_aside(torn, self.last + 1),
            None => Ok(()),
        }
    }
}
