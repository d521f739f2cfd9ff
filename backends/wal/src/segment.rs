use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};
use raft_logstore_core::{Entry, Error, GroupId, Result};
use raft_logstore_frames::{Access, FrameFile};

use crate::record::{self, Place};

/// A file of frames with a number, and of one that is not written any more the places of its entries.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: FrameFile,
    pub(crate) number: u64,
}

/// The kind of file that a segment is.
pub(crate) const MAGIC: &[u8; 8] = b"RLSWAL\0\0";

/// The greatest distance between two records, in bytes, that are read at once with what lies between.
const GAP: u64 = 4 << 10;

/// How much is read at once, in bytes, if more than one record is.
const SPAN: u64 = 256 << 10;

impl Segment {
    /// The path of the segment `number` in the folder of the backend.
    pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("segment-{number:016x}"))
    }

    /// The number in the name of a file; `None` when it is not that of a segment.
    pub(crate) fn number_of(name: &str) -> Option<u64> {
        let digits = name.strip_prefix("segment-")?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        (digits == format!("{number:016x}")).then_some(number)
    }

    /// Opens the segment `number`.
    ///
    /// # Errors
    ///
    /// As [`FrameFile::open`]; `Corrupt` for one with another number.
    pub(crate) fn open(dir: &Path, number: u64, access: Access) -> Result<Self> {
        let file = FrameFile::open(&Self::path(dir, number), MAGIC, access)?;
        if file.header().number != number {
            let what = format!("the file is that of segment {:x}", file.header().number);
            return Err(file.corrupt(&what));
        }
        Ok(Self { file, number })
    }

    /// Reads the entries of a group from `first` on, which are at `places`, into `entries`. Records that lie
    /// close to each other are read at once, and share their memory.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming group and index, for a record that is not what was written; `Io`.
    pub(crate) fn read(
        &self,
        group: GroupId,
        first: u64,
        places: &[Place],
        entries: &mut Vec<Entry>,
    ) -> Result<()> {
        let mut index = first;
        for near in places.chunk_by(close_by()) {
            let (start, end) = match near {
                [] => continue,
                [first, .., last] => (u64::from(first.at), last.end()),
                [only] => (u64::from(only.at), only.end()),
            };
            let failed = |error: Error| {
                let last = index + near.len() as u64 - 1;
                error.with_group(group).with_indexes(index..=last)
            };
            if end > self.file.len() {
                return Err(failed(
                    self.file
                        .corrupt("the place of the entry is outside the file"),
                ));
            }
            // At most a segment, which is in memory anyway when it is cached, and fits.
            let mut bytes = vec![0; (end - start) as usize];
            self.file.read_at(&mut bytes, start).map_err(failed)?;
            let bytes = Bytes::from(bytes);
            for place in near {
                let from = (u64::from(place.at) - start) as usize;
                let to = (place.end() - start) as usize;
                let mut record = bytes.slice(from..to);
                let payload = record::get(group, index, &mut record)
                    .filter(|_| !record.has_remaining())
                    .ok_or_else(|| {
                        self.file
                            .corrupt("the entry fails its checksum")
                            .with_group(group)
                            .with_indexes(index..=index)
                    })?;
                entries.push(Entry { index, payload });
                index += 1;
            }
        }
        Ok(())
    }
}

/// Says of one place after the other whether it is read together with those before.
fn close_by() -> impl FnMut(&Place, &Place) -> bool {
    let mut start = None;
    move |before: &Place, next: &Place| {
        let from = *start.get_or_insert(before.at);
        let at = u64::from(next.at);
        let is_close =
            at >= before.end() && at - before.end() <= GAP && next.end() - u64::from(from) <= SPAN;
        if !is_close {
            start = None;
        }
        is_close
    }
}
