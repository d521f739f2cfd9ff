use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use raft_logstore_core::{Error, ErrorKind, Result};

use crate::check::Counts;
use crate::error::corrupt;

/// The bytes in front of the content of a page: number u64, unused u16, flags u16, then the bounds of
/// the free space in it, two u16, or in the first page of a long value the number of its pages, u32.
pub(crate) const PAGE_HEADER: usize = 16;

/// Flags of a page. Each page on disk has exactly one.
pub(crate) const BRANCH: u16 = 0x01;
pub(crate) const LEAF: u16 = 0x02;
pub(crate) const OVERFLOW: u16 = 0x04;
const META: u16 = 0x08;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;

/// The flags of the tree of free pages: its keys are numbers.
const FREE_FLAGS: u16 = 0x08;

/// The root of a tree that has no pages.
const NO_ROOT: u64 = u64::MAX;

/// A meta page up to the end of what is used of it.
const META_LEN: usize = 152;

/// The start of one state of the file, from one of its two meta pages.
///
/// LMDB writes them in turn: transaction `n` writes page `n % 2`. It checks of them no more than magic
/// and version, and believes the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) page_size: usize,
    /// The tree of the pages that are free.
    pub(crate) free: Tree,
    /// The tree of the records.
    pub(crate) main: Tree,
    /// The greatest page number in use or free. The file may end before it, if the last pages are free.
    pub(crate) last_page: u64,
    /// The number of the transaction that wrote it.
    pub(crate) transaction: u64,
}

/// A tree, as its meta page describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    flags: u16,
    /// From the root down to the leaves, both included.
    pub(crate) depth: usize,
    pub(crate) counts: Counts,
    pub(crate) root: Option<u64>,
}

impl Meta {
    /// The newest state of the file, from meta pages that agree with each other.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when they are damaged, [`Format`](ErrorKind::Format) when the
    /// file is that of another program or of another LMDB, [`Io`](ErrorKind::Io).
    pub(crate) fn newest(file: &File) -> Result<Self> {
        let first = Self::read(file, 0, 0)?;
        let second = Self::read(file, 1, first.page_size as u64)?;
        let numbers = [first.transaction, second.transaction];
        // One of them is the transaction before the other. A new file starts with twice 0.
        let in_turn = match numbers {
            [0, 0] => true,
            [even, odd] => even % 2 == 0 && odd % 2 == 1 && even.abs_diff(odd) == 1,
        };
        if second.page_size != first.page_size || !in_turn {
            return Err(corrupt("its two meta pages contradict each other"));
        }
        let newest = if first.transaction < second.transaction {
            second
        } else {
            first
        };
        newest.check()
    }

    fn read(file: &File, number: u64, offset: u64) -> Result<Self> {
        let mut page = [0; META_LEN];
        match file.read_exact_at(&mut page, offset) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(corrupt("it ends before its second meta page").with_source(error));
            }
            Err(error) => return Err(Error::io("open", error)),
        }
        if u32_at(&page, 16) != MAGIC || u16_at(&page, 10) != META || u64_at(&page, 0) != number {
            return Err(corrupt("it does not start with the meta pages of LMDB"));
        }
        let version = u32_at(&page, 20);
        if version != VERSION {
            return Err(Error::new(ErrorKind::Format, "open").with_advice(format!(
                "the file has LMDB format {version}, and this LMDB reads format {VERSION}"
            )));
        }
        let page_size = u32_at(&page, 40) as usize;
        if !page_size.is_power_of_two() || !(512..=32 << 10).contains(&page_size) {
            return Err(corrupt("its page size is impossible"));
        }
        Ok(Self {
            page_size,
            free: Tree::read(&page[40..88]),
            main: Tree::read(&page[88..136]),
            last_page: u64_at(&page, 136),
            transaction: u64_at(&page, 144),
        })
    }

    fn check(self) -> Result<Self> {
        if self.free.flags != FREE_FLAGS || self.last_page < 1 {
            return Err(corrupt("its newest meta page is damaged"));
        }
        if self.main.flags != 0 {
            return Err(not_ours());
        }
        for tree in [self.free, self.main] {
            let in_file = |root| (2..=self.last_page).contains(&root);
            if !tree.root.is_none_or(in_file) || tree.root.is_none() != (tree.depth == 0) {
                return Err(corrupt("its newest meta page is damaged"));
            }
        }
        Ok(self)
    }

    /// The least size of the map, in bytes: what is in use or free.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.last_page
            .saturating_add(1)
            .saturating_mul(self.page_size as u64)
    }
}

impl Tree {
    fn read(bytes: &[u8]) -> Self {
        let root = u64_at(bytes, 40);
        Self {
            flags: u16_at(bytes, 4),
            depth: u16_at(bytes, 6).into(),
            counts: Counts {
                branch_pages: u64_at(bytes, 8),
                leaf_pages: u64_at(bytes, 16),
                long_pages: u64_at(bytes, 24),
                entries: u64_at(bytes, 32),
            },
            root: (root != NO_ROOT).then_some(root),
        }
    }
}

/// An LMDB file that no store can have written.
pub(crate) fn not_ours() -> Error {
    Error::new(ErrorKind::Format, "open").with_advice(
        "the file is an LMDB database of another program, not a store of the `heed` backend of \
         raft-logstore; check the path",
    )
}

// LMDB writes numbers as the machine has them. The callers stay inside of `bytes`.

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(number)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(number)
}
