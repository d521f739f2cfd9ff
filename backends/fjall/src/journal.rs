use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use raft_logstore_core::{Error, ErrorKind, RESTORE, Result};
use raft_logstore_frames::keep_aside;
use xxhash_rust::xxh3::Xxh3;

use crate::error::translate_io;
use crate::link::Head;

/// The journals of a database, read before fjall reads them.
///
/// fjall takes whatever it cannot decode for the end of a journal and cuts the file there, whether a
/// power cut tore the last batch or a bit flipped a hundred batches before; and it refuses to open
/// when a tear left the last batch decodable. So every batch is checked here first. Damage is a torn
/// write, to be cut off, only when nothing of a later batch follows it: each batch is synced before
/// the next one is written. Anything else is rot, and nothing is cut.
#[derive(Debug)]
pub(crate) struct Journals {
    /// In the order in which they were written.
    pub(crate) files: Vec<Journal>,
    /// The numbers of the first and last batch of the run that the journals end with.
    pub(crate) run: Option<(u64, u64)>,
    torn: Option<Torn>,
}

/// One journal file.
#[derive(Debug)]
pub(crate) struct Journal {
    id: u64,
    pub(crate) path: PathBuf,
    /// Where its last whole batch ends, in bytes.
    pub(crate) end: u64,
}

/// What a torn write left of the last batch.
#[derive(Debug)]
struct Torn {
    path: PathBuf,
    /// From the end of the last whole batch to the last byte that is not zero.
    start: u64,
    end: u64,
}

impl Journals {
    /// Reads and checks the journals in `folder`. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt), naming the file and the place in it;
    /// [`Format`](ErrorKind::Format) for the journal of another program; [`Io`](ErrorKind::Io).
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut journals = Self {
            files: list(folder)?,
            run: None,
            torn: None,
        };
        let mut last = None;
        for at in 0..journals.files.len() {
            let path = journals.files[at].path.clone();
            let end = journals
                .read_file(&path, &mut last)
                .map_err(|failure| failure.at(&path))?;
            journals.files[at].end = end;
        }
        Ok(journals)
    }

    /// Checks one journal, and says where its last whole batch ends.
    fn read_file(&mut self, path: &Path, last: &mut Option<Head>) -> Result<u64, Damage> {
        let mut tape = Tape::open(path)?;
        let mut is_first = true;
        loop {
            let start = tape.at();
            if tape.rest_is_zero()? {
                return Ok(start);
            }
            if self.torn.is_some() {
                return Err(Damage::Rot(start, "there is more after a damaged batch"));
            }
            tape.seek(start)?;
            let Some(head) = tape.batch()? else {
                let known = last.as_ref().map_or(0, |head| head.link.number);
                if let Some(later) = tape.find_head(start + 1, known)? {
                    return Err(Damage::Followed(start, later));
                }
                self.torn = Some(Torn {
                    path: path.to_owned(),
                    start,
                    end: tape.content_end(start)?,
                });
                return Ok(start);
            };
            let number = head.link.number;
            let follows = match &last {
                None => number > 0,
                Some(last) if head.seqno <= last.seqno => false,
                // A journal between two others may be gone: fjall deletes it once its batches are in
                // tables, and the deletion of an older one need not have reached the disk.
                Some(last) => {
                    number == last.link.number + 1 || is_first && number > last.link.number
                }
            };
            if !follows {
                return Err(Damage::Rot(start, "a batch is missing before it"));
            }
            self.run = Some(match (self.run, &last) {
                (Some((first, _)), Some(last)) if last.link.number + 1 == number => (first, number),
                _ => (number, number),
            });
            *last = Some(head);
            is_first = false;
        }
    }

    /// Cuts off what a torn write left of the last batch, if it did. It is first copied into a file
    /// in `aside`, and nothing is cut before that copy is durable.
    ///
    /// # Errors
    ///
    /// [`DiskFull`](ErrorKind::DiskFull) or [`Io`](ErrorKind::Io).
    pub(crate) fn cut_torn_batch(&self, aside: &Path) -> Result<()> {
        let Some(torn) = &self.torn else {
            return Ok(());
        };
        let journal = torn.path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("torn-{journal}-at-{}", torn.start);
        let copy = File::open(&torn.path)
            .and_then(|file| keep_aside(&file, torn.start..torn.end, aside, &name))
            .and_then(|copy| {
                let journal = OpenOptions::new().write(true).open(&torn.path)?;
                journal.set_len(torn.start)?;
                journal.sync_all()?;
                Ok(copy)
            })
            .map_err(|error| Error::io("open", error).with_path(&torn.path))?;
        tracing::warn!(
            journal = %torn.path.display(),
            offset = torn.start,
            bytes = torn.end - torn.start,
            copy = %copy.display(),
            "the last batch of the journal was torn, as a power cut does; it was cut off and copied aside"
        );
        Ok(())
    }
}

/// The journal files in a folder, in the order in which they were written.
fn list(folder: &Path) -> Result<Vec<Journal>> {
    let failed = |error| translate_io("open", error).with_path(folder);
    let mut files = Vec::new();
    for file in fs::read_dir(folder).map_err(failed)? {
        let file = file.map_err(failed)?;
        let path = file.path();
        let is_journal = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("jnl"));
        if !is_journal {
            continue;
        }
        let name = file.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jnl"))
            .and_then(|id| id.parse().ok())
            .filter(|_| path.is_file());
        let Some(id) = id else {
            return Err(Error::new(ErrorKind::Corrupt, "open")
                .with_path(path)
                .with_advice("this is not a journal that fjall wrote; move it away"));
        };
        files.push(Journal { id, path, end: 0 });
    }
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Corrupt, "open")
            .with_path(folder)
            .with_advice(format!("the journal is missing; put it back, or {RESTORE}")));
    }
    files.sort_unstable_by_key(|file| file.id);
    Ok(files)
}

/// Why the journals are not to be opened.
enum Damage {
    /// Something is wrong at this offset.
    Rot(u64, &'static str),
    /// The batch at the first offset is damaged, and the one at the second was written after it.
    Followed(u64, u64),
    /// Another program wrote it.
    Foreign,
    Io(io::Error),
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Damage {
    fn at(self, path: &Path) -> Error {
        let corrupt = |what: String| {
            Error::new(ErrorKind::Corrupt, "open").with_advice(format!(
                "{what}, so this is not a write that a power cut tore, and acknowledged commits are \
                 damaged; nothing was changed; {RESTORE}"
            ))
        };
        let error = match self {
            Self::Rot(offset, what) => corrupt(format!("at offset {offset}, {what}")),
            Self::Followed(offset, later) => corrupt(format!(
                "the batch at offset {offset} is damaged and a later one follows at offset {later}"
            )),
            Self::Foreign => Error::new(ErrorKind::Format, "open").with_advice(
                "this is a journal of another program, not of the `fjall` backend of raft-logstore; \
                 check the path",
            ),
            Self::Io(error) => translate_io("open", error),
        };
        error.with_path(path)
    }
}

/// A journal read from front to back, with a bounded buffer.
struct Tape {
    file: File,
    /// How long the file is, in bytes.
    len: u64,
    /// Where in the file the buffer ends.
    read: u64,
    buffer: Box<[u8]>,
    /// What is in the buffer and not consumed.
    front: usize,
    back: usize,
}

impl Tape {
    const BUFFER: usize = 256 << 10;

    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            len: file.metadata()?.len(),
            file,
            read: 0,
            buffer: vec![0; Self::BUFFER].into_boxed_slice(),
            front: 0,
            back: 0,
        })
    }

    /// Where in the file the next byte is.
    fn at(&self) -> u64 {
        self.read - (self.back - self.front) as u64
    }

    fn seek(&mut self, at: u64) -> io::Result<()> {
        let buffered = self.read - self.back as u64..=self.read;
        if buffered.contains(&at) {
            self.front = self.back - (self.read - at) as usize;
        } else {
            self.file.seek(SeekFrom::Start(at))?;
            (self.read, self.front, self.back) = (at, 0, 0);
        }
        Ok(())
    }

    /// The next bytes, without consuming them: at least `least`, unless the file ends before.
    fn peek(&mut self, least: usize) -> io::Result<&[u8]> {
        if self.back - self.front < least {
            self.buffer.copy_within(self.front..self.back, 0);
            (self.front, self.back) = (0, self.back - self.front);
            while self.back < least {
                let read = self.file.read(&mut self.buffer[self.back..])?;
                if read == 0 {
                    break;
                }
                self.back += read;
                self.read += read as u64;
            }
        }
        Ok(&self.buffer[self.front..self.back])
    }

    /// The next bytes, or `None` when the file ends before.
    fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let bytes = self.peek(N)?.first_chunk().copied();
        self.front += bytes.map_or(0, |_| N);
        Ok(bytes)
    }

    /// Consumes `len` bytes into `hash`; says whether there are so many.
    fn hash(&mut self, mut len: u64, hash: &mut Xxh3) -> io::Result<bool> {
        if self.len.saturating_sub(self.at()) < len {
            return Ok(false);
        }
        while len > 0 {
            let bytes = self.peek(1)?;
            let part = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
            if part == 0 {
                return Ok(false);
            }
            hash.update(&bytes[..part]);
            self.front += part;
            len -= part as u64;
        }
        Ok(true)
    }

    /// Whether nothing but zeros follows. Consumes some of them.
    fn rest_is_zero(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.peek(1)?;
            if bytes.is_empty() {
                return Ok(true);
            }
            if !are_zeros(bytes) {
                return Ok(false);
            }
            self.front = self.back;
        }
    }

    /// Where the last byte from `start` on that is not zero ends.
    fn content_end(&mut self, start: u64) -> io::Result<u64> {
        self.seek(start)?;
        let mut end = start;
        loop {
            let at = self.at();
            let bytes = self.peek(1)?;
            if bytes.is_empty() {
                return Ok(end);
            }
            if !are_zeros(bytes)
                && let Some(last) = bytes.iter().rposition(|&byte| byte != 0)
            {
                end = at + last as u64 + 1;
            }
            self.front = self.back;
        }
    }

    /// Where a batch with a number above `known` begins, at or after `from`. Its head is enough: it
    /// need not be whole.
    fn find_head(&mut self, from: u64, known: u64) -> io::Result<Option<u64>> {
        self.seek(from)?;
        loop {
            let at = self.at();
            let bytes = self.peek(Head::LEN)?;
            // No head begins with a zero.
            let searched = if are_zeros(bytes) { &[] } else { bytes };
            let heads = searched.windows(Head::LEN).enumerate();
            for (offset, bytes) in heads.filter(|(_, bytes)| bytes[0] == Head::START) {
                let head = bytes.first_chunk().and_then(Head::decode);
                if head.is_some_and(|head| head.link.number > known) {
                    return Ok(Some(at + offset as u64));
                }
            }
            if bytes.len() < Head::LEN {
                return Ok(None);
            }
            self.front += bytes.len() - (Head::LEN - 1);
        }
    }

    /// Consumes a batch; `None` when what follows is not a whole one.
    ///
    /// ```text
    /// 1, u32 items, u64 seqno                                      start of the batch
    /// 2, u8 type, u8 compression, u64 keyspace, u16 key length,
    ///    u32 value length, u32 stored length, key, value           item
    /// 4, u64 keyspace                                              item: clear the keyspace
    /// 3, u64 XXH3 over the items, "FJL" 3                          end of the batch
    /// ```
    fn batch(&mut self) -> Result<Option<Head>, Damage> {
        let head = self.peek(Head::LEN)?.first_chunk().and_then(Head::decode);
        let Some([1, start @ ..]) = self.take::<13>()? else {
            return Ok(None);
        };
        let items = u32::from_le_bytes(*start.first_chunk().expect("12 bytes hold 4"));
        let mut hash = Xxh3::new();
        for _ in 0..items {
            let whole = match self.peek(1)?.first() {
                Some(2) => self.item(&mut hash)?,
                Some(4) => self.hash(9, &mut hash)?,
                _ => false,
            };
            if !whole {
                return Ok(None);
            }
        }
        let Some([3, end @ ..]) = self.take::<13>()? else {
            return Ok(None);
        };
        let (checksum, trailer) = end.split_at(8);
        if checksum != hash.digest().to_le_bytes() || trailer != b"FJL\x03" {
            return Ok(None);
        }
        match head {
            None => Err(Damage::Foreign),
            Some(head) => Ok(Some(head).filter(Head::is_sound)),
        }
    }

    fn item(&mut self, hash: &mut Xxh3) -> io::Result<bool> {
        let Some(header) = self.take::<21>()? else {
            return Ok(false);
        };
        let [2, 0..=2, 0..=1, rest @ ..] = header else {
            return Ok(false);
        };
        hash.update(&header);
        let key = u16::from_le_bytes([rest[8], rest[9]]);
        let value = u32::from_le_bytes([rest[14], rest[15], rest[16], rest[17]]);
        self.hash(u64::from(key) + u64::from(value), hash)
    }
}

/// Whether all of some bytes are zeros: the first is, and each of the others is as the one before it. Slices are compared
/// many bytes at a time, and a journal has up to 64 MiB of zeros at its end.
fn are_zeros(bytes: &[u8]) -> bool {
    bytes
        .split_first()
        .is_none_or(|(first, rest)| *first == 0 && rest == &bytes[..rest.len()])
}
