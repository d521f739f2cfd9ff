use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use raft_logstore_core::{Batch, Error, Result};
use raft_logstore_frames::{Access, Frame, FrameBuffer, FrameFile, FrameWriter, Header, encoding};

/// The commits that are not settled yet, in two [`FrameFile`]s beside the engine: one frame each.
///
/// Commits go into one file while those in the other are settled; then that one is used again from its start. So
/// a commit is one write into a place that the file has already, and one sync that has no metadata to write.
/// Frames of settled commits that were not overwritten yet are told by their numbers. An entry is its
/// length and its payload.
#[derive(Debug)]
pub(crate) struct Journal {
    files: [Half; 2],
    /// The file that is written.
    current: usize,
    /// The last commit in the files, or the last settled one.
    last: u64,
    /// The frame of the next commit.
    frame: FrameBuffer,
}

/// One of the two files.
#[derive(Debug)]
struct Half {
    file: FrameFile,
    writer: FrameWriter,
    /// The last commit in the file, if there is any.
    last: u64,
    /// Where what is left of a write that was not completed lies.
    torn: Option<Range<u64>>,
}

const MAGIC: &[u8; 8] = b"RLSJRNL\0";

/// How long a file is, in bytes. It grows for a commit that alone takes more, until that is settled.
const CAPACITY: u64 = 4 << 20;

impl Journal {
    /// The names of the files in the folder of a backend.
    pub(crate) const FILES: [&str; 2] = ["journal-0", "journal-1"];

    fn paths(dir: &Path) -> [PathBuf; 2] {
        Self::FILES.map(|name| dir.join(name))
    }

    /// Makes an empty journal in `dir`, durable but for its names, and returns its salt.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`; also when there is one already.
    pub(crate) fn create(dir: &Path) -> Result<u64> {
        let salt = Header::new(MAGIC, 0, CAPACITY).salt;
        for (number, path) in (0..).zip(Self::paths(dir)) {
            let header = Header {
                magic: MAGIC,
                salt,
                number,
                capacity: CAPACITY,
            };
            FrameFile::create(&path, &header)
                .map_err(|error| Error::io("create journal", error).with_path(path))?;
        }
        Ok(salt)
    }

    /// Opens the journal in `dir`, which must be the one with this salt, to go on after commit
    /// `settled`. Shows the commits after it to `visit`, in order. Writes nothing.
    ///
    /// # Errors
    ///
    /// `Corrupt` when a file or a commit is missing or damaged, belongs to another store, or `visit` does not
    /// accept a commit; `Format` for a newer format; `Io`.
    pub(crate) fn open(
        dir: &Path,
        salt: u64,
        access: Access,
        settled: u64,
        visit: impl FnMut(Batch) -> Result<()>,
    ) -> Result<Self> {
        let [zero, one] = Self::paths(dir);
        let mut journal = Self {
            files: [
                Half::open(&zero, salt, 0, access)?,
                Half::open(&one, salt, 1, access)?,
            ],
            current: 0,
            last: settled,
            frame: FrameBuffer::default(),
        };
        journal.replay(visit)?;
        Ok(journal)
    }

    fn replay(&mut self, mut visit: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        for number in self.in_order()? {
            let half = &mut self.files[number];
            half.replay(&mut self.last, &mut visit)?;
            if half.is_in_use() {
                self.current = number;
            }
        }
        for half in &self.files {
            if let Some((_, later)) = half.file.later_frame(half.writer.end(), self.last)? {
                let lost = self.last + 1;
                return Err(half.file.corrupt(&format!(
                    "commit {lost} is damaged or missing, and commit {} is there",
                    later.sequence
                )));
            }
        }
        for number in 0..self.files.len() {
            // Behind the commits of the file before there may be remains that have been kept already.
            let half = &mut self.files[number];
            if number == self.current || !half.is_in_use() {
                half.find_torn(self.last)?;
            }
        }
        Ok(())
    }

    /// The files, the one with the earlier commits first.
    fn in_order(&self) -> Result<[usize; 2]> {
        let [zero, one] = &self.files;
        Ok(match (zero.first_commit()?, one.first_commit()?) {
            (Some(zero), Some(one)) if one < zero => [1, 0],
            _ => [0, 1],
        })
    }

    /// Makes `batch` the commit that [`write`](Self::write) writes. Copies each payload once.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a batch of 4 GiB or more; `Gap` when its number is not the next.
    pub(crate) fn prepare(&mut self, batch: &Batch) -> Result<()> {
        batch.check_follows(self.last)?;
        let half = &self.files[self.current];
        self.frame.begin(half.writer.end());
        encoding::encode(&batch.ops, self.frame.body(), |_, entry, out| {
            encoding::put_bytes(&entry.payload, out)
        })?;
        let salt = half.file.header().salt;
        let finished = self.frame.finish(salt, batch.sequence, 0);
        finished.ok_or_else(encoding::too_large)
    }

    /// Whether what was prepared fits behind the commits that are in the file.
    pub(crate) fn has_room(&self) -> bool {
        let half = &self.files[self.current];
        let end = half.writer.end() + self.frame.len() + Frame::HEAD as u64;
        !half.is_in_use() || end <= CAPACITY
    }

    /// Goes on in the other file, if that has no commit which is not settled.
    pub(crate) fn turn(&mut self) {
        let other = 1 - self.current;
        if !self.files[other].is_in_use() {
            self.current = other;
        }
    }

    /// Writes what was prepared, and returns when it is durable.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`. Then the journal must not be written again.
    pub(crate) fn write(&mut self) -> Result<()> {
        self.set_torn_aside()?;
        let half = &mut self.files[self.current];
        half.writer.write(&half.file, &mut self.frame)?;
        self.last += 1;
        half.last = self.last;
        Ok(())
    }

    /// Takes note that all commits up to `sequence` are durable elsewhere. A file without others is empty.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub(crate) fn settled(&mut self, sequence: u64) -> Result<()> {
        self.set_torn_aside()?;
        for half in &mut self.files {
            if half.is_in_use() && half.last <= sequence {
                half.file.shorten()?;
                half.writer.restart();
            }
        }
        Ok(())
    }

    fn set_torn_aside(&mut self) -> Result<()> {
        let next = self.last + 1;
        for half in &mut self.files {
            if let Some(torn) = half.torn.take() {
                half.file.keep_aside(torn, next)?;
            }
        }
        Ok(())
    }
}

impl Half {
    fn open(path: &Path, salt: u64, number: u64, access: Access) -> Result<Self> {
        let file = FrameFile::open(path, MAGIC, access)?;
        if (file.header().salt, file.header().number) != (salt, number) {
            return Err(file.corrupt("the journal is that of another store"));
        }
        Ok(Self {
            file,
            writer: FrameWriter::new(FrameFile::START),
            last: 0,
            torn: None,
        })
    }

    fn is_in_use(&self) -> bool {
        self.writer.end() > FrameFile::START
    }

    /// The number of the commit at its start, settled or not.
    fn first_commit(&self) -> Result<Option<u64>> {
        let first = self.file.frame_at(FrameFile::START)?;
        Ok(first.map(|(frame, _)| frame.sequence))
    }

    /// Shows the commits after `last` to `visit`, in order, and counts them in.
    fn replay(
        &mut self,
        last: &mut u64,
        visit: &mut impl FnMut(Batch) -> Result<()>,
    ) -> Result<()> {
        let (mut at, mut before) = (FrameFile::START, None);
        while let Some((frame, body)) = self.file.frame_at(at)? {
            if frame.sequence <= *last {
                // Settled. Others may follow it that are not, but not where it was only not overwritten yet.
                if before.is_some_and(|before| frame.sequence != before + 1) {
                    break;
                }
            } else {
                self.visit(frame, body, *last + 1, visit)?;
                (*last, self.last) = (frame.sequence, frame.sequence);
                self.writer = FrameWriter::new(at + frame.len());
            }
            before = Some(frame.sequence);
            at += frame.len();
        }
        Ok(())
    }

    fn visit(
        &self,
        frame: Frame,
        body: Bytes,
        expected: u64,
        visit: &mut impl FnMut(Batch) -> Result<()>,
    ) -> Result<()> {
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
        visit(batch)
            .map_err(|error| broken("does not follow from the one before").with_source(error))
    }

    /// Looks for what is left of the commit after `last`.
    fn find_torn(&mut self, last: u64) -> Result<()> {
        self.torn = self.file.remains(self.writer.end(), last)?;
        if self.torn.is_some() {
            tracing::warn!(
                path = %self.file.path().display(),
                commit = last + 1,
                "a commit that was never acknowledged is torn, and cut off"
            );
        }
        Ok(())
    }
}
