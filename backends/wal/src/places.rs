//! The places of the entries in a segment that is not written any more: so that nobody has to look through it,
//! and nobody has to keep them in memory.
//!
//! ```text
//! in the first page of the segment:
//! offset  size  content (numbers big-endian)
//! 512     8     salt of the segment
//! 520     8     where the directory starts, in bytes
//! 528     4     length of the directory, in bytes
//! 532     4     CRC32C of the 20 bytes before, then the directory
//!
//! the directory, behind the last frame:
//! u32 how many runs, then for each: u64 group, u64 first index, u32 how many entries, u32 where its places start
//!
//! the places of a run, for each entry: u32 where its record starts, in bytes, u32 length of the payload
//! ```
//!
//! All of it can be made again from the frames. So the first page is written only when the rest is durable, and a
//! directory that is damaged is as good as none. A place that is damaged shows when the entry is read: a record says
//! what it is.

use std::collections::HashMap;

use bytes::{Buf, BufMut};
use raft_logstore_core::{GroupId, Result};
use raft_logstore_frames::{Frame, FrameFile, encoding};

use crate::record::Place;
use crate::run::{Places, Run};
use crate::segment::Segment;

/// Where the first page says where the directory is.
const SEAL: u64 = 512;

/// The length of that, in bytes.
const SEAL_LEN: usize = 24;

/// What a run takes in the directory, in bytes.
const RUN: usize = 24;

/// What a place takes, in bytes.
pub(crate) const PLACE: usize = 8;

/// What the places of so many entries in so many runs take, in bytes.
pub(crate) fn needed(entries: u64, runs: u64) -> u64 {
    Frame::HEAD as u64 + 4 + RUN as u64 * runs + PLACE as u64 * entries
}

/// Which runs a sealed segment has, and where their places start: by group and first index.
#[derive(Debug, Default)]
pub(crate) struct Directory(HashMap<GroupId, Vec<SealedRun>>);

#[derive(Clone, Copy, Debug)]
struct SealedRun {
    base: u64,
    entries: u32,
    places: u32,
}

impl Directory {
    /// Where the places of a run are: those of the first run that has all its entries.
    pub(crate) fn find(&self, group: GroupId, run: &Run) -> Option<(u64, Places)> {
        let mut runs = self.0.get(&group)?.iter();
        let sealed = runs.find(|sealed| {
            sealed.base <= run.first
                && run.last - sealed.base.min(run.last) < u64::from(sealed.entries)
        })?;
        Some((sealed.base, Places::Sealed(sealed.places)))
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut directory = Self::default();
        for _ in 0..bytes.try_get_u32().ok()? {
            let group = GroupId(bytes.try_get_u64().ok()?);
            let run = SealedRun {
                base: bytes.try_get_u64().ok()?,
                entries: bytes.try_get_u32().ok()?,
                places: bytes.try_get_u32().ok()?,
            };
            directory.0.entry(group).or_default().push(run);
        }
        bytes.is_empty().then_some(directory)
    }
}

/// The directory of a segment, and the places behind it, as bytes.
#[derive(Debug)]
pub(crate) struct Sealed {
    start: u64,
    bytes: Vec<u8>,
    /// What of the bytes is the directory.
    directory: usize,
}

impl Sealed {
    /// The places of `runs`, all that a segment whose frames end at `end` has of the log.
    ///
    /// # Errors
    ///
    /// `TooLarge` when they do not fit into a file of 4 GiB.
    pub(crate) fn encode(end: u64, runs: &[(GroupId, u64, &[Place])]) -> Result<Self> {
        let start = end + Frame::HEAD as u64;
        let mut at = start + 4 + (RUN * runs.len()) as u64;
        let mut bytes = Vec::new();
        bytes.put_u32(short(runs.len() as u64)?);
        for (group, base, places) in runs {
            bytes.put_u64(group.0);
            bytes.put_u64(*base);
            bytes.put_u32(short(places.len() as u64)?);
            bytes.put_u32(short(at)?);
            at += (PLACE * places.len()) as u64;
        }
        let directory = bytes.len();
        for place in runs.iter().flat_map(|(_, _, places)| *places) {
            bytes.put_u32(place.at);
            bytes.put_u32(place.len);
        }
        Ok(Self {
            start,
            bytes,
            directory,
        })
    }

    /// Writes it into the segment, and returns when it is durable.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Io`. Then the segment has no directory, or a whole one.
    pub(crate) fn write(&self, segment: &FrameFile) -> Result<Directory> {
        segment.write(&self.bytes, self.start)?;
        let directory = &self.bytes[..self.directory];
        let mut seal = Vec::with_capacity(SEAL_LEN);
        seal.put_u64(segment.header().salt);
        seal.put_u64(self.start);
        seal.put_u32(short(directory.len() as u64)?);
        seal.put_u32(crc32c::crc32c_append(crc32c::crc32c(&seal), directory));
        segment.write(&seal, SEAL)?;
        Directory::decode(directory).ok_or_else(|| segment.corrupt("the directory is not whole"))
    }
}

fn short(number: u64) -> Result<u32> {
    u32::try_from(number).map_err(|_| encoding::too_large())
}

/// The directory of a sealed segment; `None` for one that is not sealed, or whose directory is damaged.
///
/// # Errors
///
/// `Io`.
pub(crate) fn directory(segment: &FrameFile) -> Result<Option<Directory>> {
    let mut seal = [0; SEAL_LEN];
    segment.read_at(&mut seal, SEAL)?;
    let (checked, mut checksum) = seal.split_at(SEAL_LEN - 4);
    let mut fields = checked;
    let (salt, start, len) = (fields.get_u64(), fields.get_u64(), fields.get_u32());
    let end = start.checked_add(len.into());
    if salt != segment.header().salt || end.is_none_or(|end| end > segment.len()) {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    segment.read_at(&mut bytes, start)?;
    if crc32c::crc32c_append(crc32c::crc32c(checked), &bytes) != checksum.get_u32() {
        tracing::warn!(path = %segment.path().display(), "the directory is damaged; looking through the segment");
        return Ok(None);
    }
    Ok(Directory::decode(&bytes))
}

/// Reads `count` places of a sealed segment, which start at `at`.
///
/// # Errors
///
/// `Corrupt` when they are outside the file; `Io`.
pub(crate) fn read(segment: &Segment, at: u64, count: usize) -> Result<Vec<Place>> {
    let len = PLACE * count;
    if at + len as u64 > segment.file.len() {
        return Err(segment
            .file
            .corrupt("the places of the entries are outside the file"));
    }
    let mut bytes = vec![0; len];
    segment.file.read_at(&mut bytes, at)?;
    let place = |bytes: &[u8; PLACE]| {
        let mut fields = &bytes[..];
        Place {
            at: fields.get_u32(),
            len: fields.get_u32(),
        }
    };
    let (places, _) = bytes.as_chunks();
    Ok(places.iter().map(place).collect())
}
