use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;

use raft_logstore_core::{Error, Result};

use crate::error::corrupt;
use crate::meta::{
    BRANCH, LEAF, Meta, OVERFLOW, PAGE_HEADER, Tree, not_ours, u16_at, u32_at, u64_at,
};

/// The bytes in front of the key of a node: size of the value or page number, flags, size of the key.
const NODE_HEADER: usize = 8;

/// The value of a node lies in pages of its own.
const BIG: u16 = 0x01;

/// The longest key of LMDB, in bytes.
const MAX_KEY: usize = 511;

/// The deepest tree that LMDB can walk.
const MAX_DEPTH: usize = 32;

/// A walk over every page of the trees of a file, by ordinary reads.
///
/// LMDB believes what it finds in the map: a damaged page makes it follow a wrong number, read past the
/// end of the file or fail an assertion, and each of these ends the process. What this walk has found
/// in order, LMDB can follow. The content of values is not looked at; every record has a checksum.
pub(crate) struct Check<'a> {
    file: &'a File,
    meta: Meta,
    /// How many whole pages the file has.
    file_pages: u64,
    /// One bit per page of the file that is in use or free: each must be only once.
    claimed: Vec<u64>,
    /// The free pages behind the end of the file.
    behind: BTreeSet<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// From transaction number to the pages that it freed.
    Free,
    /// From key to record.
    Main,
}

/// What there is in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) branch_pages: u64,
    pub(crate) leaf_pages: u64,
    /// Pages of long values.
    pub(crate) long_pages: u64,
    pub(crate) entries: u64,
}

/// The keys below a page: from the first on, and before the second.
#[derive(Clone, Copy)]
struct Bounds<'k> {
    from: Option<&'k [u8]>,
    before: Option<&'k [u8]>,
}

impl<'a> Check<'a> {
    /// Walks over the state of `file` that starts with `meta`.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt) naming the first page that is not in order,
    /// [`Format`](raft_logstore_core::ErrorKind::Format) for the file of another program,
    /// [`Io`](raft_logstore_core::ErrorKind::Io).
    pub(crate) fn run(file: &'a File, meta: Meta) -> Result<()> {
        let len = file.metadata().map_err(|error| Error::io("open", error))?;
        let file_pages = len.len() / meta.page_size as u64;
        // As long as the file at most: one bit per page.
        let words = usize::try_from(file_pages / 64 + 1)
            .map_err(|_| corrupt("it is longer than the address space"))?;
        let mut check = Self {
            file,
            meta,
            file_pages,
            claimed: vec![0; words],
            behind: BTreeSet::new(),
        };
        check.claim(0..=1)?;
        check.tree(meta.free, Kind::Free)?;
        check.tree(meta.main, Kind::Main)?;
        let missing = meta.last_page.saturating_add(1).saturating_sub(file_pages);
        if check.behind.len() as u64 != missing {
            return Err(corrupt("it ends too early"));
        }
        Ok(())
    }

    fn tree(&mut self, tree: Tree, kind: Kind) -> Result<()> {
        // What a transaction freed is listed under its number, and none is later than this state.
        let next = self.meta.transaction.saturating_add(1).to_be_bytes();
        let everything = Bounds {
            from: None,
            before: (kind == Kind::Free).then_some(&next[..]),
        };
        if tree.depth > MAX_DEPTH {
            return Err(corrupt("one of its trees is impossibly deep"));
        }
        let mut counts = Counts::default();
        if let Some(root) = tree.root {
            self.page(root, tree.depth, everything, kind, &mut counts)?;
        }
        if counts != tree.counts {
            return Err(corrupt(format!(
                "a tree has {counts:?} where there should be {:?}",
                tree.counts
            )));
        }
        Ok(())
    }

    /// Checks a page of a tree and what is below it; `depth` is 1 for a leaf. Adds what it finds
    /// to `counts`.
    fn page(
        &mut self,
        number: u64,
        depth: usize,
        bounds: Bounds<'_>,
        kind: Kind,
        counts: &mut Counts,
    ) -> Result<()> {
        self.claim(number..=number)?;
        let mut bytes = vec![0; self.meta.page_size];
        self.read(&mut bytes, number, 0)?;
        let flags = if depth == 1 { LEAF } else { BRANCH };
        let page = Page::new(&bytes, number, flags)?;
        // In a branch, LMDB insists on two children, except in the tree of free pages.
        let least = match kind {
            Kind::Main if depth > 1 => 2,
            _ => 1,
        };
        if page.len() < least {
            return Err(damaged(number));
        }
        page.check_space(depth == 1)?;
        let mut keys = Vec::with_capacity(page.len());
        for at in 0..page.len() {
            let node = page.node(at)?;
            // The first child of a branch has all keys before the second; its own key is not used.
            keys.push(if depth > 1 && at == 0 {
                None
            } else {
                Some(sortable(node.key, kind).ok_or_else(|| damaged(number))?)
            });
        }
        let in_order = keys.iter().flatten().is_sorted_by(|a, b| a < b)
            && keys.iter().flatten().all(|key| bounds.contain(key));
        if !in_order {
            return Err(damaged(number));
        }
        match depth {
            1 => counts.leaf_pages += 1,
            _ => counts.branch_pages += 1,
        }
        for at in 0..page.len() {
            let node = page.node(at)?;
            if depth == 1 {
                counts.long_pages += self.value(&node, number, kind)?;
                counts.entries += 1;
                continue;
            }
            let below = Bounds {
                from: keys[at].as_deref().or(bounds.from),
                before: keys
                    .get(at + 1)
                    .map_or(bounds.before, |next| next.as_deref()),
            };
            self.page(node.child(), depth - 1, below, kind, counts)?;
        }
        Ok(())
    }

    /// Checks where the value of a node lies, and reads it if it is a list of free pages. Returns how
    /// many pages it has of its own.
    fn value(&mut self, node: &Node<'_>, number: u64, kind: Kind) -> Result<u64> {
        let size = node.low as usize;
        let mut long = Vec::new();
        let (value, pages) = match node.flags {
            0 => (node.rest.get(..size).ok_or_else(|| damaged(number))?, 0),
            BIG if node.rest.len() >= 8 => {
                let first = u64_at(node.rest, 0);
                let pages = self.long_value(first, size)?;
                if kind == Kind::Free {
                    // As long as pages of the file that no other value has.
                    long.resize(size, 0);
                    self.read(&mut long, first, PAGE_HEADER)?;
                }
                (&long[..], pages)
            }
            _ if kind == Kind::Main => return Err(not_ours()),
            _ => return Err(damaged(number)),
        };
        if kind == Kind::Free {
            self.free_pages(value, number)?;
        }
        Ok(pages)
    }

    /// Checks and claims the pages of a long value, and returns how many there are.
    fn long_value(&mut self, first: u64, size: usize) -> Result<u64> {
        if first >= self.file_pages {
            return Err(behind_the_end(first));
        }
        let mut header = [0; PAGE_HEADER];
        self.read(&mut header, first, 0)?;
        let pages = u64::from(u32_at(&header, 12));
        let needed = (PAGE_HEADER + size).div_ceil(self.meta.page_size) as u64;
        if u64_at(&header, 0) != first || u16_at(&header, 10) != OVERFLOW || pages < needed {
            return Err(damaged(first));
        }
        // Neither is near the end of its type.
        self.claim(first..=first + pages - 1)?;
        Ok(pages)
    }

    /// Claims the pages in a list: their number, then they themselves, descending. The list lies in page
    /// `number`.
    fn free_pages(&mut self, list: &[u8], number: u64) -> Result<()> {
        let numbers: Vec<u64> = list.chunks_exact(8).map(|n| u64_at(n, 0)).collect();
        let pages = numbers
            .split_first()
            .and_then(|(count, pages)| pages.get(..usize::try_from(*count).ok()?))
            .filter(|pages| pages.is_sorted_by(|a, b| a > b))
            .ok_or_else(|| damaged(number))?;
        for &page in pages {
            if page < self.file_pages {
                self.claim(page..=page)?;
            } else if page > self.meta.last_page || !self.behind.insert(page) {
                return Err(damaged(number));
            }
        }
        Ok(())
    }

    /// Notes that the pages are in use or free.
    fn claim(&mut self, pages: RangeInclusive<u64>) -> Result<()> {
        let last = *pages.end();
        if last > self.meta.last_page || last >= self.file_pages {
            return Err(behind_the_end(last));
        }
        for page in pages {
            // Below the number of pages of the file, for which there are words.
            let (word, bit) = ((page / 64) as usize, 1 << (page % 64));
            if self.claimed[word] & bit != 0 {
                return Err(corrupt(format!("page {page} has two uses")));
            }
            self.claimed[word] |= bit;
        }
        Ok(())
    }

    fn read(&self, out: &mut [u8], page: u64, offset: usize) -> Result<()> {
        let at = page * self.meta.page_size as u64 + offset as u64;
        match self.file.read_exact_at(out, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(corrupt("it ends too early").with_source(error))
            }
            done => done.map_err(|error| Error::io("open", error)),
        }
    }
}

impl Bounds<'_> {
    fn contain(&self, key: &[u8]) -> bool {
        self.from.is_none_or(|from| from <= key) && self.before.is_none_or(|before| key < before)
    }
}

/// A key in a form that sorts byte by byte; `None` when no such tree has it.
fn sortable(key: &[u8], kind: Kind) -> Option<Vec<u8>> {
    match kind {
        Kind::Main => (1..=MAX_KEY).contains(&key.len()).then(|| key.to_vec()),
        Kind::Free => {
            let number = u64::from_ne_bytes(key.try_into().ok()?);
            (number > 0).then(|| number.to_be_bytes().to_vec())
        }
    }
}

fn behind_the_end(page: u64) -> Error {
    corrupt(format!(
        "page {page} is behind its end: it was cut, or what led there is damaged"
    ))
}

fn damaged(page: u64) -> Error {
    corrupt(format!("page {page} is damaged"))
}

/// A page of a tree: after the header, where each node starts; the nodes lie at the end.
struct Page<'p> {
    bytes: &'p [u8],
    number: u64,
    len: usize,
    nodes_from: usize,
}

struct Node<'p> {
    /// The size of the value, or the low half of the number of the page below.
    low: u32,
    flags: u16,
    key: &'p [u8],
    /// What follows the key in the page.
    rest: &'p [u8],
}

impl<'p> Page<'p> {
    fn new(bytes: &'p [u8], number: u64, flags: u16) -> Result<Self> {
        let (lower, upper) = (
            usize::from(u16_at(bytes, 12)),
            usize::from(u16_at(bytes, 14)),
        );
        let in_order = u64_at(bytes, 0) == number
            && u16_at(bytes, 10) == flags
            && lower >= PAGE_HEADER
            && lower % 2 == 0
            && lower <= upper
            && upper <= bytes.len();
        if !in_order {
            return Err(damaged(number));
        }
        Ok(Self {
            bytes,
            number,
            len: (lower - PAGE_HEADER) / 2,
            nodes_from: upper,
        })
    }

    fn len(&self) -> usize {
        self.len
    }

    /// Checks that the nodes fill their part of the page: no gap, no overlap. LMDB moves them by their
    /// sizes.
    fn check_space(&self, leaf: bool) -> Result<()> {
        let mut nodes = Vec::with_capacity(self.len);
        for at in 0..self.len {
            let node = self.node(at)?;
            let value = match node.flags {
                _ if !leaf => 0,
                BIG => 8,
                _ => node.low as usize,
            };
            let start = usize::from(u16_at(self.bytes, PAGE_HEADER + 2 * at));
            let size = NODE_HEADER + node.key.len() + value;
            nodes.push((start, start + size.next_multiple_of(2)));
        }
        nodes.sort_unstable();
        let end = nodes.iter().try_fold(self.nodes_from, |before, node| {
            (node.0 == before).then_some(node.1)
        });
        if end == Some(self.bytes.len()) {
            Ok(())
        } else {
            Err(damaged(self.number))
        }
    }

    fn node(&self, at: usize) -> Result<Node<'p>> {
        let start = usize::from(u16_at(self.bytes, PAGE_HEADER + 2 * at));
        let node = Some(start)
            .filter(|start| start % 2 == 0 && *start >= self.nodes_from)
            .and_then(|start| self.bytes.get(start..))
            .and_then(|node| node.split_at_checked(NODE_HEADER));
        let Some((header, rest)) = node else {
            return Err(damaged(self.number));
        };
        let (key, rest) = rest
            .split_at_checked(u16_at(header, 6).into())
            .ok_or_else(|| damaged(self.number))?;
        Ok(Node {
            low: u32_at(header, 0),
            flags: u16_at(header, 4),
            key,
            rest,
        })
    }
}

impl Node<'_> {
    fn child(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use raft_logstore_core::ErrorKind;
    use raft_logstore_kv::{KvBatch, KvEngine};

    use crate::engine::{HeedEngine, Limits};
    use crate::environment::{Access, Environment};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Put(u16, usize),
        Delete(u16),
        DeleteRange(u16, u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
        let size = prop_oneof![
            6 => 0..300_usize,
            2 => 1_000..2_100_usize,
            2 => 4_000..40_000_usize,
        ];
        let step = prop_oneof![
            8 => (0..2_000_u16, size).prop_map(|(key, size)| Step::Put(key, size)),
            2 => (0..2_000_u16).prop_map(Step::Delete),
            1 => (0..2_000_u16, 0..400_u16).prop_map(|(from, len)| Step::DeleteRange(from, from + len)),
        ];
        proptest::collection::vec(proptest::collection::vec(step, 1..150), 1..40)
    }

    fn check(dir: &Path) {
        let file = File::open(dir.join("data.mdb")).unwrap();
        Check::run(&file, Meta::newest(&file).unwrap()).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn whatever_lmdb_writes_is_found_in_order(batches in steps()) {
            let dir = tempfile::tempdir().unwrap();
            let open = || Environment::open(dir.path(), 64 << 10, Access::Write).unwrap();
            let path = dir.path().join("data.mdb");
            // Small enough to become full now and then.
            let engine = |environment| HeedEngine::new(environment, &path, Limits::new(1 << 20), true);
            let mut database = engine(open());
            for (number, steps) in batches.iter().enumerate() {
                let mut batch = KvBatch::new();
                for step in steps {
                    match *step {
                        // Twice, for what is replaced within a transaction.
                        Step::Put(key, size) => {
                            batch.put(&key.to_be_bytes(), &vec![7; size]);
                            batch.put(&key.to_be_bytes(), &vec![8; size / 2]);
                        }
                        Step::Delete(key) => batch.delete(&key.to_be_bytes()),
                        Step::DeleteRange(from, to) => {
                            batch.delete_range(from.to_be_bytes()..=to.to_be_bytes());
                        }
                    }
                }
                // It may be full; what is there is in order all the same.
                if let Err(error) = database.write(&batch) {
                    prop_assert_eq!(error.kind(), ErrorKind::DiskFull);
                }
                check(dir.path());
                if number % 10 == 9 {
                    database.close().unwrap();
                    check(dir.path());
                    database = engine(open());
                }
            }
        }
    }
}
