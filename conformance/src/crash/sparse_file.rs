use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes in a page.
pub(super) const PAGE: u64 = 4096;

/// The content of a file, as the pages that were written; what lies between them is zero.
///
/// Clones share pages. Engines preallocate tens of megabytes: only what was written costs anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseFile {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE as usize]>>,
}

impl SparseFile {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many pages were written.
    pub(super) fn page_count(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Makes the file this long; what is cut off is gone, what is new is zero.
    pub(super) fn resize(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                Arc::make_mut(page)[(len % PAGE) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// Makes the file at least this long.
    pub(super) fn grow(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        for (at, piece) in pieces(offset, data.len(), PAGE) {
            let page = self
                .pages
                .entry(at / PAGE)
                .or_insert_with(|| Arc::new([0; PAGE as usize]));
            let start = (at % PAGE) as usize;
            Arc::make_mut(page)[start..start + piece.len()].copy_from_slice(&data[piece]);
        }
        self.grow(offset + data.len() as u64);
    }

    /// What the file holds from `offset` on, at most `size` bytes.
    pub(super) fn read(&self, offset: u64, size: usize) -> Vec<u8> {
        let size =
            usize::try_from(self.len.saturating_sub(offset)).map_or(size, |rest| size.min(rest));
        let mut data = vec![0; size];
        for (at, piece) in pieces(offset, size, PAGE) {
            if let Some(page) = self.pages.get(&(at / PAGE)) {
                let start = (at % PAGE) as usize;
                data[piece.clone()].copy_from_slice(&page[start..start + piece.len()]);
            }
        }
        data
    }

    /// Its written parts, each as long as pages lie next to each other, up to 1 MiB.
    pub(super) fn parts(&self) -> Vec<(u64, Bytes)> {
        const MOST: usize = 1 << 20;
        let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
        for (&number, page) in &self.pages {
            let at = number * PAGE;
            let used = (self.len.saturating_sub(at)).min(PAGE) as usize;
            match parts.last_mut() {
                Some((start, part)) if *start + part.len() as u64 == at && part.len() < MOST => {
                    part.extend_from_slice(&page[..used]);
                }
                _ => parts.push((at, page[..used].to_vec())),
            }
        }
        let parts = parts.into_iter();
        parts.map(|(at, part)| (at, Bytes::from(part))).collect()
    }

    /// Writes the file out, with its holes.
    pub(super) fn write_to(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        for (at, part) in self.parts() {
            file.write_all_at(&part, at)?;
        }
        file.set_len(self.len)
    }
}

/// The pieces of `len` bytes at `offset` that lie in one unit of the disk each: where a piece goes, and
/// which of the bytes it is.
pub(super) fn pieces(
    offset: u64,
    len: usize,
    unit: u64,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let piece = ((unit - at % unit) as usize).min(len - done);
        let range = done..done + piece;
        done += piece;
        Some((at, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_comes_back_as_zeros() {
        let mut file = SparseFile::default();
        file.write(4000, &[7; 5000]);
        file.resize(4500);
        file.resize(9000);
        let read = file.read(0, 10_000);
        assert_eq!(read.len(), 9000);
        assert!(read[4000..4500].iter().all(|byte| *byte == 7));
        assert!(read[4500..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn its_parts_are_the_file() {
        let mut file = SparseFile::default();
        file.write(10, b"here");
        file.write(1 << 26, b"and far away");
        let mut copy = SparseFile::default();
        for (at, part) in file.parts() {
            copy.write(at, &part);
        }
        copy.resize(file.len());
        assert_eq!(copy, file);
        assert_eq!(file.page_count(), 2);
    }
}
