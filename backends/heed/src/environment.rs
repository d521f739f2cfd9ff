#![allow(unsafe_code)] // LMDB maps a file, and heed asks for the promises that come with it.

use std::fs::File;
use std::ops::{Bound, Range};
use std::path::Path;
use std::ptr;
use std::time::Duration;

use heed::types::Bytes;
use heed::{
    CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn,
    WithoutTls,
};
use raft_logstore_core::{Error, ErrorKind, Result};
use raft_logstore_kv::Visitor;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::error::Failure;
use crate::gate::{Gate, Pass};

/// From key to record; the only database of the file.
pub(crate) type Records = Database<'static, Bytes, Bytes>;

/// How many reads may run at the same time.
const MAX_READERS: u32 = 1024;

/// From how many bytes of the map on a scan gives up the memory that it took.
const LONG_SCAN: usize = 256 << 10;

/// How long a map that has to grow waits for the reads that use it.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open LMDB environment whose map can grow: every transaction passes a [`Gate`].
///
/// This is the only module with `unsafe` code.
pub(crate) struct Environment {
    env: Env<WithoutTls>,
    pub(crate) records: Records,
    gate: Gate,
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads and writes; makes the file if there is none.
    Write,
    /// Reads, and changes, creates and locks nothing.
    Look,
}

/// A read transaction. The fields are dropped in this order.
pub(crate) struct Reading<'a> {
    pub(crate) transaction: RoTxn<'a, WithoutTls>,
    _pass: Pass<'a>,
}

impl Reading<'_> {
    /// Shows the records inside `keys` to `visit`, in order, until it breaks or fails.
    ///
    /// The pages that a scan has passed stay in the memory of the process, although the system could
    /// take them back at any time: who reads a whole store, seems to need as much memory. So a long
    /// scan gives them up when it ends. They stay in the cache of the system.
    pub(crate) fn scan(
        &self,
        records: Records,
        keys: (Bound<&[u8]>, Bound<&[u8]>),
        visit: &mut Visitor<'_>,
    ) -> Result<(), Failure> {
        let (mut start, mut end) = (usize::MAX, 0);
        let mut scan = || {
            for pair in records.range(&self.transaction, &keys)? {
                let (key, record) = pair?;
                let place = record.as_ptr_range();
                start = start.min(place.start as usize);
                end = end.max(place.end as usize);
                if visit(key, record)?.is_break() {
                    break;
                }
            }
            Ok(())
        };
        let scanned = scan();
        if end.saturating_sub(start) >= LONG_SCAN {
            self.give_up(start..end);
        }
        scanned
    }

    /// Gives up the memory of a part of the map, which begins and ends in records of this transaction.
    #[cfg(target_os = "linux")]
    fn give_up(&self, part: Range<usize>) {
        use rustix::mm::{Advice, madvise};

        let page_size = rustix::param::page_size();
        let start = part.start / page_size * page_size;
        let len = part.end.next_multiple_of(page_size) - start;
        // SAFETY: both ends are in the map, which is whole pages long, in one piece, and stays where it
        // is while this transaction holds its pass. It is a shared map of the file that nobody writes
        // to (the flags are those of `open`, without `WRITE_MAP`), so no page holds what the file does
        // not: whoever looks at one again, finds the same.
        let given_up = unsafe { madvise(start as *mut _, len, Advice::LinuxDontNeed) };
        if let Err(error) = given_up {
            // It was only an offer.
            tracing::debug!(%error, "the memory of the map was not given up");
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn give_up(&self, _: Range<usize>) {}
}

impl Environment {
    /// Opens the file in the folder `dir`, which nobody else may change while it is open: the store
    /// holds a lock on its directory.
    pub(crate) fn open(dir: &Path, map_bytes: usize, access: Access) -> Result<Self, Failure> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map_bytes).max_readers(MAX_READERS);
        if access == Access::Look {
            // SAFETY: without its lock file LMDB does not see other users of the file. There are none:
            // the caller holds the lock of the store's directory, and itself only reads.
            unsafe { options.flags(EnvFlags::READ_ONLY | EnvFlags::NO_LOCK) };
        }
        // SAFETY: the map must not change under our feet. The lock of the store's directory keeps other
        // stores out, heed refuses a second environment of the same folder in this process, and the
        // flags are those that LMDB has by default, or those above. That the trees in the file are in
        // order, so that LMDB stays inside of the file, was checked before (`Check`).
        let env = unsafe { options.open(dir)? };
        if access == Access::Write {
            env.clear_stale_readers()?;
        }
        let transaction = env.read_txn()?;
        let records = env
            .open_databases_and_commit(transaction, |opener, transaction| {
                opener
                    .open_database::<Bytes, Bytes>(transaction, None)
                    .map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit()
            .expect("the unnamed database is always there");
        Ok(Self {
            env,
            records,
            gate: Gate::default(),
        })
    }

    pub(crate) fn read(&self) -> Result<Reading<'_>, Failure> {
        let pass = self.gate.enter()?;
        Ok(Reading {
            transaction: self.env.read_txn()?,
            _pass: pass,
        })
    }

    /// Commits what `work` writes, durably, unless it fails.
    pub(crate) fn write(
        &self,
        work: impl FnOnce(&mut RwTxn<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let _pass = self.gate.enter()?;
        let mut transaction = self.env.write_txn()?;
        work(&mut transaction)?;
        Ok(transaction.commit()?)
    }

    /// How large the map is, and how much of it is in use or free to be used again, in bytes.
    pub(crate) fn map(&self) -> Result<MapUse> {
        let _pass = self.gate.enter()?;
        let info = self.env.info();
        let page_bytes = u64::from(self.env.unnamed_database_stat().page_size);
        Ok(MapUse {
            map_bytes: info.map_size as u64,
            used_bytes: (info.last_page_number as u64 + 1) * page_bytes,
        })
    }

    /// How many bytes of the file are free, those among them that keep the list of free pages included.
    pub(crate) fn free_bytes(&self) -> Result<u64> {
        let _pass = self.gate.enter()?;
        let records = self.env.unnamed_database_stat();
        let pages = records.branch_pages + records.leaf_pages + records.overflow_pages;
        // Two pages are the meta pages.
        let free = (self.env.info().last_page_number as u64 + 1).saturating_sub(pages as u64 + 2);
        Ok(free * u64::from(records.page_size))
    }

    /// How many records there are.
    pub(crate) fn entries(&self) -> Result<u64> {
        let _pass = self.gate.enter()?;
        Ok(self.env.unnamed_database_stat().entries as u64)
    }

    /// Writes the state of the file without its free pages into a new file.
    pub(crate) fn copy(&self, to: &Path) -> Result<File, Failure> {
        let _pass = self.gate.enter()?;
        Ok(self.env.copy_to_path(to, CompactionOption::Enabled)?)
    }

    /// Makes the map `bytes` long, a multiple of the system's page size, or as long as what is in use.
    /// Waits for all transactions to end.
    pub(crate) fn resize(&self, bytes: usize) -> Result<(), Failure> {
        let alone = self.gate.alone(PATIENCE)?;
        // LMDB gives up the old map before it asks for the new one.
        try_address_space(bytes)?;
        // SAFETY: LMDB must have no transaction, as it moves the map. Every transaction holds a pass for
        // as long as it lives, and while `alone` lives there is no pass.
        let resized = unsafe { self.env.resize(bytes) };
        Ok(resized.inspect_err(|_| alone.lose())?)
    }

    /// Closes the file; when this returns, it can be opened again.
    pub(crate) fn close(self) {
        self.env.prepare_for_closing().wait();
    }
}

/// Asks for as much address space as a map takes, and gives it back.
fn try_address_space(bytes: usize) -> Result<(), Failure> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: it is a new map at an address that the system chooses, which nobody else knows of, and is
    // unmapped as it was mapped.
    let tried = unsafe {
        mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags)
            .and_then(|map| munmap(map, bytes))
    };
    tried.map_err(|error| heed::Error::Io(error.into()).into())
}

/// See [`Environment::map`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapUse {
    pub(crate) map_bytes: u64,
    pub(crate) used_bytes: u64,
}

/// `bytes`, up to the next multiple of the system's page size.
pub(crate) fn whole_pages(bytes: u64) -> Result<usize> {
    let rounded = bytes.checked_next_multiple_of(rustix::param::page_size() as u64);
    rounded
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| {
            Error::new(ErrorKind::Config, "open")
                .with_advice(format!("no map can be {bytes} bytes long"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_opened_with_nothing_that_makes_a_commit_less_durable() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::open(dir.path(), 1 << 20, Access::Write).unwrap();
        let flags = environment.env.get_flags().unwrap();
        let lazy = EnvFlags::NO_SYNC
            | EnvFlags::NO_META_SYNC
            | EnvFlags::WRITE_MAP
            | EnvFlags::MAP_ASYNC
            | EnvFlags::NO_LOCK;
        assert_eq!(flags & lazy.bits(), 0, "{flags:#x}");
    }

    #[test]
    fn a_map_may_be_moved_while_others_read() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::open(dir.path(), 1 << 20, Access::Write).unwrap();
        let written = environment
            .write(|transaction| Ok(environment.records.put(transaction, b"key", &[7; 10_000])?));
        written.unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let reading = environment.read().unwrap();
                        let record = environment.records.get(&reading.transaction, b"key");
                        assert_eq!(record.unwrap(), Some(&[7; 10_000][..]));
                    }
                });
            }
            for round in 0..300 {
                environment.resize((1 + round % 7) << 20).unwrap();
            }
        });
    }

    /// How much of the file `path` is in the memory of this process, in KiB.
    #[cfg(target_os = "linux")]
    fn resident_kib(path: &Path) -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut of_file = maps
            .lines()
            .skip_while(|line| !line.ends_with(path.to_str().unwrap()));
        let resident = of_file.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_long_scan_gives_up_the_memory_it_took_and_what_was_read_stays_readable() {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment::open(dir.path(), 64 << 20, Access::Write).unwrap();
        let records = environment.records;
        let written = environment.write(|transaction| {
            for number in 0..40_000_u64 {
                records.put(transaction, &number.to_be_bytes(), &[number as u8; 400])?;
            }
            Ok(())
        });
        written.unwrap();
        let path = dir.path().join("data.mdb");
        let reading = environment.read().unwrap();
        let first = records.get(&reading.transaction, &[0; 8]).unwrap().unwrap();
        for _ in 0..2 {
            let (mut number, mut most) = (0_u64, 0);
            let visit: &mut Visitor<'_> = &mut |key, record| {
                assert_eq!(key, number.to_be_bytes());
                assert!(record.iter().all(|byte| *byte == number as u8));
                number += 1;
                if number == 40_000 {
                    most = resident_kib(&path);
                }
                Ok(std::ops::ControlFlow::Continue(()))
            };
            let all = (Bound::Unbounded, Bound::Unbounded);
            reading.scan(records, all, visit).unwrap();
            assert_eq!(number, 40_000);
            let rest = resident_kib(&path);
            assert!(most > 16_000 && rest < 1_000, "{most} KiB, then {rest} KiB");
            assert_eq!(first, &[0; 400]);
        }
    }
}
