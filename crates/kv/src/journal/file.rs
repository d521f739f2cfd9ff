use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::{io, mem};

use raft_logstore_core::{Batch, Error, ErrorKind, Result};

use super::encoding;
use super::frame::Frame;
use crate::aside::keep_aside;
use crate::reader::RESTORE;

/// The commits that are not settled yet, in a file of their own.
///
/// ```text
/// offset  content (numbers big-endian)
/// 0       "RLSJRNL\0", u32 format version (1), u64 salt, u32 CRC32C of the 20 bytes before
/// 4096    the frame of the first commit after the last settle, then those after it, then zeros
/// ```
///
/// The file is filled with zeros when it is made, and used again from the start after each settle. So a
/// commit is one write into a place that the file has already, and one sync that has no metadata to write.
///
/// # What is found after a crash
///
/// One commit is written at a time, and the next one only when it is durable. So at most one can be
/// torn, the last one. It was never acknowledged: it is taken for the end, and copied aside before the next
/// write. A damaged frame with a whole one of a later commit behind it is rot, and an error. Frames of settled
/// commits that were not overwritten yet are told by their numbers.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    salt: u64,
    /// The last commit in the file, or the last settled one.
    last: u64,
    /// Where the next frame goes.
    end: u64,
    /// The length of the file.
    len: u64,
    /// At `end` lies what is left of a write that was not completed.
    is_torn: bool,
    /// The frame of the next commit.
    buffer: Vec<u8>,
}

/// Who opens a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To commit.
    Write,
    /// To look at a store.
    Look,
}

const MAGIC: &[u8; 8] = b"RLSJRNL\0";
const VERSION: u32 = 1;
const HEADER: usize = 24;

/// Where the first frame is: the page of the header is never written again.
const START: u64 = 4096;

/// How long the file is, in bytes. It grows for a commit that alone takes more, until the next settle.
const CAPACITY: u64 = 4 << 20;

/// How much is written or looked through at once, in bytes.
const WINDOW: usize = 256 << 10;

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
        // Keyed at random by the standard library; 0 would make zeros a frame.
        let salt = RandomState::new().hash_one(&path) | 1;
        Self::write_new(&path, salt).map_err(|error| failed("create journal", &path, error))?;
        Ok(salt)
    }

    fn write_new(path: &Path, salt: u64) -> io::Result<()> {
        let file = File::create_new(path)?;
        let zeros = vec![0; WINDOW];
        for at in (0..CAPACITY).step_by(WINDOW) {
            file.write_all_at(&zeros, at)?;
        }
        file.write_all_at(&header(salt), 0)?;
        file.sync_all()
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
        let path = dir.join(Self::FILE);
        let opened = OpenOptions::new()
            .read(true)
            .write(access == Access::Write)
            .open(&path)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => corrupt(&path, "the journal is missing").with_source(error),
            _ => failed("open journal", &path, error),
        })?;
        let mut journal = Self {
            file,
            path,
            salt,
            last: settled,
            end: START,
            len,
            is_torn: false,
            buffer: Vec::new(),
        };
        journal.check_header()?;
        journal.replay(visit)?;
        Ok(journal)
    }

    fn check_header(&self) -> Result<()> {
        if self.len < CAPACITY {
            return Err(corrupt(&self.path, "the journal was cut short"));
        }
        let mut found = [0; HEADER];
        self.read_at(&mut found, 0)?;
        if found == header(self.salt) {
            return Ok(());
        }
        let (fields, checksum) = found.split_at(HEADER - 4);
        let is_header =
            fields.starts_with(MAGIC) && checksum == crc32c::crc32c(fields).to_be_bytes();
        if !is_header {
            return Err(corrupt(&self.path, "the header of the journal is damaged"));
        }
        match fields[8..].first_chunk().map(|version| u32::from_be_bytes(*version)) {
            Some(VERSION) => Err(corrupt(&self.path, "the journal is that of another store")),
            version => Err(Error::new(ErrorKind::Format, "open journal")
                .with_path(&self.path)
                .with_advice(format!(
                    "the journal has format {} and this program reads {VERSION}; open it with the program \
                     that wrote it, or a newer one",
                    version.unwrap_or_default()
                ))),
        }
    }

    fn replay(&mut self, mut visit: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        while let Some((frame, body)) = self.frame_at(self.end)? {
            if frame.sequence <= self.last {
                // Settled, and not overwritten since.
                break;
            }
            let expected = self.last + 1;
            let broken = |what| corrupt(&self.path, &format!("commit {expected} {what}"));
            if frame.sequence != expected {
                return Err(broken("is missing from the journal"));
            }
            let ops = encoding::decode(body.into())
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
        if let Some(later) = self.later_frame()? {
            return Err(corrupt(
                &self.path,
                &format!(
                    "commit {} is damaged or missing, and commit {later} is there",
                    self.last + 1
                ),
            ));
        }
        self.is_torn = match self.head_at(self.end)? {
            Some(head) => head != [0; Frame::HEAD] && self.frame_at(self.end)?.is_none(),
            None => false,
        };
        if self.is_torn {
            tracing::warn!(
                path = %self.path.display(),
                commit = self.last + 1,
                "a commit that was never acknowledged is torn, and cut off"
            );
        }
        Ok(())
    }

    fn head_at(&self, at: u64) -> Result<Option<[u8; Frame::HEAD]>> {
        if at + Frame::HEAD as u64 > self.len {
            return Ok(None);
        }
        let mut head = [0; Frame::HEAD];
        self.read_at(&mut head, at)?;
        Ok(Some(head))
    }

    /// The whole frame at `at` and its body; `None` when there is none.
    fn frame_at(&self, at: u64) -> Result<Option<(Frame, Vec<u8>)>> {
        let head = self.head_at(at)?;
        let Some(frame) = head.and_then(|head| Frame::decode(self.salt, &head)) else {
            return Ok(None);
        };
        if at + frame.len() > self.len {
            return Ok(None);
        }
        let mut body = vec![0; frame.body as usize];
        self.read_at(&mut body, at + Frame::HEAD as u64)?;
        Ok(frame.holds(&body).then_some((frame, body)))
    }

    /// The number of a commit after the last one of which a whole frame lies anywhere behind the end.
    fn later_frame(&self) -> Result<Option<u64>> {
        let mut window = vec![0; WINDOW];
        for start in (self.end..self.len).step_by(WINDOW) {
            let window = &mut window[..WINDOW.min((self.len - start) as usize)];
            self.read_at(window, start)?;
            for offset in (0..window.len()).step_by(Frame::ALIGNMENT) {
                if window[offset..].starts_with(&self.salt.to_be_bytes())
                    && let Some((frame, _)) = self.frame_at(start + offset as u64)?
                    && frame.sequence > self.last
                {
                    return Ok(Some(frame.sequence));
                }
            }
        }
        Ok(None)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|error| failed("read journal", &self.path, error))
    }

    /// Makes `batch` the commit that [`write`](Self::write) writes. Copies each payload once.
    ///
    /// # Errors
    ///
    /// `TooLarge` for a batch of 4 GiB or more; `Gap` when its number is not the next.
    pub(crate) fn prepare(&mut self, batch: &Batch) -> Result<()> {
        if Some(batch.sequence) != self.last.checked_add(1) {
            return Err(Error::new(ErrorKind::Gap, "commit").with_advice(format!(
                "commit {} does not follow commit {}",
                batch.sequence, self.last
            )));
        }
        Frame::begin(&mut self.buffer);
        self.buffer.shrink_to(KEEP_BYTES);
        encoding::encode(batch, &mut self.buffer)?;
        Frame::finish(self.salt, batch.sequence, &mut self.buffer).ok_or_else(encoding::too_large)
    }

    /// Whether what was prepared fits behind the commits that are there.
    pub(crate) fn has_room(&self) -> bool {
        self.end == START || self.end + self.buffer.len() as u64 <= CAPACITY
    }

    /// Writes what was prepared, and returns when it is durable.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`. Then the journal must not be written again.
    pub(crate) fn write(&mut self) -> Result<()> {
        self.set_torn_aside()?;
        self.file
            .write_all_at(&self.buffer, self.end)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| failed("commit", &self.path, error))?;
        self.last += 1;
        let end = self.end + self.buffer.len() as u64;
        self.end = end - Frame::HEAD as u64;
        self.len = self.len.max(end);
        Ok(())
    }

    /// Empties the journal: everything in it is durable elsewhere.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.set_torn_aside()?;
        if self.len > CAPACITY {
            self.file
                .set_len(CAPACITY)
                .map_err(|error| failed("shorten journal", &self.path, error))?;
            self.len = CAPACITY;
        }
        self.end = START;
        Ok(())
    }

    fn set_torn_aside(&mut self) -> Result<()> {
        if !mem::take(&mut self.is_torn) {
            return Ok(());
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let name = format!("torn-commit-{}", self.last + 1);
        let kept = keep_aside(&self.file, self.end..self.len, dir, &name)
            .map_err(|error| failed("keep a torn commit", &self.path, error))?;
        tracing::warn!(path = %kept.display(), "what is left of the torn commit is here");
        Ok(())
    }
}

fn header(salt: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_be_bytes());
    header[12..20].copy_from_slice(&salt.to_be_bytes());
    let checksum = crc32c::crc32c(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_be_bytes());
    header
}

fn failed(operation: &'static str, path: &Path, error: io::Error) -> Error {
    Error::io(operation, error).with_path(path)
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, "read journal")
        .with_path(path)
        .with_advice(format!("{what}; {RESTORE}"))
}
