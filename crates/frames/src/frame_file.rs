use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BufMut, Bytes};
use raft_logstore_core::{Error, ErrorKind, Result};

use crate::disk::{Disk, Zeros};
use crate::{Frame, keep_aside};

/// A file of frames that has its space from the start: filled with zeros when it is made.
///
/// ```text
/// offset  size  content (numbers big-endian)
/// 0       8     what kind of file it is
/// 8       4     format version (1)
/// 12      8     salt: the random number of this use of the file
/// 20      8     number of the file
/// 28      8     capacity: how long the file is at least, in bytes
/// 36      4     CRC32C of the 36 bytes before
/// 4096          the first frame
/// ```
///
/// The page of the header is never written while frames are. One caller writes; any number read.
#[derive(Debug)]
pub struct FrameFile {
    file: File,
    path: PathBuf,
    header: Header,
    /// The length of the file, in bytes. Only who writes changes it.
    len: AtomicU64,
}

/// What the header of a [`FrameFile`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of file.
    pub magic: &'static [u8; 8],
    /// The random number of this use of the file.
    pub salt: u64,
    /// The number of the file among its like.
    pub number: u64,
    /// How long the file is at least, in bytes.
    pub capacity: u64,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To commit.
    Write,
    /// To look at it.
    Look,
}

const VERSION: u32 = 1;

/// How much is written, or looked through, at once, in bytes.
const WINDOW: usize = 256 << 10;

impl Header {
    /// The length of a header, in bytes.
    pub const LEN: usize = 40;

    /// The header of a new use of a file, with a salt of its own.
    pub fn new(magic: &'static [u8; 8], number: u64, capacity: u64) -> Self {
        Self {
            magic,
            // Keyed at random by the standard library; 0 would make zeros a frame.
            salt: RandomState::new().hash_one(number) | 1,
            number,
            capacity,
        }
    }

    /// The bytes of the header.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut header = [0; Self::LEN];
        let (checked, mut checksum) = header.split_at_mut(Self::LEN - 4);
        let mut fields = &mut *checked;
        fields.put_slice(self.magic);
        fields.put_u32(VERSION);
        fields.put_u64(self.salt);
        fields.put_u64(self.number);
        fields.put_u64(self.capacity);
        checksum.put_u32(crc32c::crc32c(checked));
        header
    }

    /// What `bytes` say, if they are whole, and the format version.
    fn decode(magic: &'static [u8; 8], bytes: &[u8; Self::LEN]) -> Option<(u32, Self)> {
        let (checked, checksum) = bytes.split_at(Self::LEN - 4);
        if checksum != crc32c::crc32c(checked).to_be_bytes() {
            return None;
        }
        let mut fields = checked.strip_prefix(magic)?;
        let version = fields.get_u32();
        let header = Self {
            magic,
            salt: fields.get_u64(),
            number: fields.get_u64(),
            capacity: fields.get_u64(),
        };
        Some((version, header))
    }
}

impl FrameFile {
    /// Where the first frame is, in bytes.
    pub const START: u64 = 4096;

    /// Makes a file without frames, durable but for its name.
    ///
    /// # Errors
    ///
    /// Those of the file system; also when there is one already.
    pub fn create(path: &Path, header: &Header) -> io::Result<()> {
        let file = File::create_new(path)?;
        let mut disk = Disk::of(&file, path);
        let zeros = Zeros::new(WINDOW);
        // In parts, because a commit into another file must not wait for all of it.
        for at in (0..header.capacity).step_by(WINDOW) {
            // At most a window, so it fits.
            let len = (header.capacity - at).min(WINDOW as u64) as usize;
            disk.write(&file, zeros.get(len.next_multiple_of(disk.block())), at)?;
        }
        file.set_len(header.capacity)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()
    }

    /// Makes a file that was used before one without frames, durable but for its name: what is left of the old
    /// ones has another salt.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn renew(path: &Path, header: &Header) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        let mut start = vec![0; Self::START as usize + Frame::HEAD];
        start[..Header::LEN].copy_from_slice(&header.encode());
        file.write_all_at(&start, 0)?;
        file.sync_all()
    }

    /// Opens a file of the kind `magic`. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when the file is missing, cut short or has no whole header;
    /// [`Format`](ErrorKind::Format) for a newer format; [`Io`](ErrorKind::Io).
    pub fn open(path: &Path, magic: &'static [u8; 8], access: Access) -> Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .write(access == Access::Write)
            .open(path)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => corrupt(path, "the file is missing").with_source(error),
            _ => Error::io("open", error).with_path(path),
        })?;
        if len < Self::START {
            return Err(corrupt(path, "the file was cut short"));
        }
        let mut bytes = [0; Header::LEN];
        file.read_exact_at(&mut bytes, 0)
            .map_err(|error| Error::io("open", error).with_path(path))?;
        let header = match Header::decode(magic, &bytes) {
            Some((VERSION, header)) => header,
            Some((version, _)) => {
                return Err(format(path, &format!("the file has format {version}")));
            }
            None => return Err(corrupt(path, "the header of the file is damaged")),
        };
        if len < header.capacity {
            return Err(corrupt(path, "the file was cut short"));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            header,
            len: AtomicU64::new(len),
        })
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The length of the file, in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a file has its space from the start"
    )]
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// The whole frame at `at` and its body; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`Format`](ErrorKind::Format) for a frame of a newer format; [`Io`](ErrorKind::Io).
    pub fn frame_at(&self, at: u64) -> Result<Option<(Frame, Bytes)>> {
        let found = self.unchecked_frame_at(at)?;
        let Some((frame, body)) = found.filter(|(frame, body)| frame.holds(body)) else {
            return Ok(None);
        };
        match frame.unknown() {
            Some(kind) => Err(format(
                &self.path,
                &format!("commit {} has {kind}", frame.sequence),
            )),
            None => Ok(Some((frame, body))),
        }
    }

    /// What looks like a frame at `at`, and its body, damaged or not; `None` when nothing does.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io).
    pub fn unchecked_frame_at(&self, at: u64) -> Result<Option<(Frame, Bytes)>> {
        let head = self.head_at(at)?;
        let Some(frame) = head.and_then(|head| Frame::decode(self.header.salt, &head)) else {
            return Ok(None);
        };
        if at + frame.len() > self.len() {
            return Ok(None);
        }
        let mut body = vec![0; frame.body as usize];
        self.read_at(&mut body, at + Frame::HEAD as u64)?;
        Ok(Some((frame, body.into())))
    }

    /// A whole frame of a commit above `sequence` anywhere from `from` on, and where it is.
    ///
    /// # Errors
    ///
    /// As [`frame_at`](Self::frame_at).
    pub fn later_frame(&self, from: u64, sequence: u64) -> Result<Option<(u64, Frame)>> {
        let salt = self.header.salt.to_be_bytes();
        let mut window = vec![0; WINDOW];
        let mut start = from;
        while start < self.len() {
            // At most a window, so it fits.
            let window = &mut window[..(self.len() - start).min(WINDOW as u64) as usize];
            self.read_at(window, start)?;
            for offset in (0..window.len()).step_by(Frame::ALIGNMENT) {
                let at = start + offset as u64;
                if window[offset..].starts_with(&salt)
                    && let Some((frame, _)) = self.frame_at(at)?
                    && frame.sequence > sequence
                {
                    return Ok(Some((at, frame)));
                }
            }
            start += WINDOW as u64;
        }
        Ok(None)
    }

    /// Where what is left at `at` of a write that was not completed may lie; `None` when nothing is but what is left
    /// of a commit up to `sequence`, an older one.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io).
    pub fn remains(&self, at: u64, sequence: u64) -> Result<Option<Range<u64>>> {
        let Some(head) = self.head_at(at)? else {
            return Ok(None);
        };
        if head == [0; Frame::HEAD] || self.frame_at(at)?.is_some() {
            return Ok(None);
        }
        let frame = Frame::decode(self.header.salt, &head);
        if frame
            .as_ref()
            .is_some_and(|frame| frame.sequence <= sequence)
        {
            return Ok(None);
        }
        let end = frame.map_or(self.len(), |frame| self.len().min(at + frame.len()));
        Ok(Some(at..end))
    }

    fn head_at(&self, at: u64) -> Result<Option<[u8; Frame::HEAD]>> {
        if at + Frame::HEAD as u64 > self.len() {
            return Ok(None);
        }
        let mut head = [0; Frame::HEAD];
        self.read_at(&mut head, at)?;
        Ok(Some(head))
    }

    /// Fills `buffer` from `at` on.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io), also when the file ends before.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|error| self.failed("read", error))
    }

    /// Writes `bytes` at `at`, and returns when they are durable.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](ErrorKind::DiskFull), [`Io`](ErrorKind::Io). Then the file must not be written again.
    pub fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, at)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| self.failed("commit", error))?;
        self.reaches(at + bytes.len() as u64);
        Ok(())
    }

    /// The same with whole blocks, on the shortest way.
    pub(crate) fn write_blocks(&self, disk: &mut Disk, blocks: &[u8], at: u64) -> Result<()> {
        disk.write(&self.file, blocks, at)
            .map_err(|error| self.failed("commit", error))?;
        self.reaches(at + blocks.len() as u64);
        Ok(())
    }

    /// Takes note that the file was written up to `end`.
    fn reaches(&self, end: u64) {
        self.len.fetch_max(end, Ordering::Relaxed);
    }

    /// Gives back what lies behind the capacity.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io).
    pub fn shorten(&self) -> Result<()> {
        if self.len() > self.header.capacity {
            self.file
                .set_len(self.header.capacity)
                .map_err(|error| self.failed("shorten", error))?;
            self.len.store(self.header.capacity, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies `bytes` of the file, what is left of the commit `sequence` that was never acknowledged, into a new
    /// file beside it, `torn-commit-<sequence>.<number>`, durable on return.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](ErrorKind::DiskFull), [`Io`](ErrorKind::Io).
    pub fn keep_aside(&self, bytes: Range<u64>, sequence: u64) -> Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let kept = keep_aside(&self.file, bytes, dir, &format!("torn-commit-{sequence}"))
            .map_err(|error| self.failed("keep a torn commit", error))?;
        tracing::warn!(path = %kept.display(), "what is left of the torn commit is here");
        Ok(())
    }

    fn failed(&self, operation: &'static str, error: io::Error) -> Error {
        Error::io(operation, error).with_path(&self.path)
    }

    /// An error that says what is wrong with this file.
    pub fn corrupt(&self, what: &str) -> Error {
        corrupt(&self.path, what)
    }
}

fn corrupt(path: &Path, what: &str) -> Error {
    Error::corrupt("read", what).with_path(path)
}

fn format(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Format, "open")
        .with_path(path)
        .with_advice(format!(
            "{what}, and this program reads format {VERSION}; open it with the program that wrote it, or a \
             newer one"
        ))
}
