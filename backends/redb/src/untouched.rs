use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use redb::StorageBackend;

/// The unit in which changes are kept, in bytes.
const PAGE: u64 = 4096;

/// A file as redb sees it, with whatever redb writes kept in memory: the file stays untouched.
///
/// redb writes to a file when it opens it, and repairs one that was not closed; here it may.
#[derive(Debug)]
pub(crate) struct Untouched {
    file: File,
    changes: RwLock<Changes>,
}

#[derive(Debug)]
struct Changes {
    len: u64,
    /// How much of the file still shows. A file that was cut and grows again reads as zeros.
    visible: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Untouched {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file,
            changes: RwLock::new(Changes {
                len,
                visible: len,
                pages: BTreeMap::new(),
            }),
        })
    }

    fn changes(&self) -> RwLockWriteGuard<'_, Changes> {
        // Nothing panics half way through a change.
        self.changes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file holds at `offset`; zeros where it does not show.
    fn original(&self, changes: &Changes, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let shown = changes.visible.saturating_sub(offset);
        let shown = usize::try_from(shown).unwrap_or(usize::MAX).min(out.len());
        let (front, back) = out.split_at_mut(shown);
        back.fill(0);
        self.file.read_exact_at(front, offset)
    }
}

/// The parts of `offset..offset + len` by page: number of the page, offset in it, and range in the
/// buffer.
fn by_page(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        // Below a page, so it fits.
        let inside = (at % PAGE) as usize;
        let take = (len - done).min(PAGE as usize - inside);
        let part = done..done + take;
        done += take;
        (take > 0).then_some((at / PAGE, inside, part))
    })
}

impl StorageBackend for Untouched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes.read().unwrap_or_else(PoisonError::into_inner);
        if offset.saturating_add(out.len() as u64) > changes.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.original(&changes, offset, out)?;
        for (page, inside, part) in by_page(offset, out.len()) {
            if let Some(changed) = changes.pages.get(&page) {
                let changed = &changed[inside..inside + part.len()];
                out[part].copy_from_slice(changed);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changes = self.changes();
        if len < changes.len {
            changes.visible = changes.visible.min(len);
            changes.pages.split_off(&len.div_ceil(PAGE));
            if let Some(page) = changes.pages.get_mut(&(len / PAGE)) {
                page[(len % PAGE) as usize..].fill(0);
            }
        }
        changes.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        for (page, inside, part) in by_page(offset, data.len()) {
            let mut content = match changes.pages.remove(&page) {
                Some(content) => content,
                None => {
                    let mut content = vec![0; PAGE as usize].into_boxed_slice();
                    self.original(&changes, page * PAGE, &mut content)?;
                    content
                }
            };
            content[inside..inside + part.len()].copy_from_slice(&data[part]);
            changes.pages.insert(page, content);
        }
        changes.len = changes.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_as_the_file_would_and_leaves_it_untouched(
            content in proptest::collection::vec(any::<u8>(), 0..20_000),
            steps in proptest::collection::vec((0..24_000u64, 0..9_000usize, any::<bool>()), 0..20),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &content).unwrap();
            let untouched = Untouched::new(File::open(file.path()).unwrap()).unwrap();
            let model = InMemoryBackend::new();
            model.set_len(content.len() as u64).unwrap();
            model.write(0, &content).unwrap();
            for (number, (at, len, is_write)) in steps.into_iter().enumerate() {
                if is_write {
                    let data = vec![number as u8; len];
                    if at + len as u64 > model.len().unwrap() {
                        model.set_len(at + len as u64).unwrap();
                        untouched.set_len(at + len as u64).unwrap();
                    }
                    model.write(at, &data).unwrap();
                    untouched.write(at, &data).unwrap();
                } else {
                    model.set_len(at).unwrap();
                    untouched.set_len(at).unwrap();
                }
                let size = model.len().unwrap();
                prop_assert_eq!(size, untouched.len().unwrap());
                let (mut expected, mut found) = (vec![0; size as usize], vec![1; size as usize]);
                model.read(0, &mut expected).unwrap();
                untouched.read(0, &mut found).unwrap();
                prop_assert!(expected == found);
                prop_assert!(untouched.read(size, &mut [0]).is_err());
            }
            prop_assert_eq!(fs::read(file.path()).unwrap(), content);
        }
    }
}
