use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, Error, GroupId, IndexRange, Op, ReadOnly, Result, StableKey,
};
use raft_logstore_frames::Access;

use crate::garbage::{Garbage, SLICE};
use crate::journal::Journal;
use crate::reader::Reader;
use crate::recent::{Recent, StableValue};
use crate::{KvBatch, KvEngine, format};

/// How much may be in the journal before a commit settles it first, in bytes of memory.
const JOURNAL_BYTES: u64 = 2 << 20;

/// How many indexes of garbage one settle deletes at least.
const GARBAGE_PER_SETTLE: u64 = 4 * SLICE;

/// A [`Backend`] over any [`KvEngine`].
///
/// A commit is one write and one sync of a *journal*, a file beside the engine that has its space already,
/// whatever number of groups it is about. What the journal holds is kept in memory as well and read
/// from there. From time to time the journal is *settled*: everything in it goes to its place in the engine, in
/// key order and in one engine write, and the journal begins anew. So a commit costs no more than the disk
/// needs, and a settle fills whole pages of a B-tree.
///
/// Every record is sealed with a checksum when written and checked when read, and the header of a
/// group says which records have to be there; what does not fit is reported as
/// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt), naming group and indexes. Each read sees one consistent state and
/// waits for no commit. A batch that breaks the rules of [`Bounds`] is refused as a failed commit.
///
/// # Cost of an operation
///
/// * A commit is one write and one sync of the journal. When 2 MiB are there, a commit settles them first, in
///   an engine write.
/// * A purge is visible with its commit. When it is settled, at most 512 indexes are deleted,
///   however long the purged prefix is; the rest goes with [`maintain`](Backend::maintain), 512
///   indexes a call, and with later settles, twice as many as were appended and at least 2,048.
/// * A truncate and the drop of a group delete all their records when they are settled, so dropping a
///   group with a long log takes time in proportion to it; purge it first, and let `maintain` work,
///   where that matters.
/// * [`open`](Self::open) takes a few seeks per group and reads the journal. The headers of all groups
///   stay in memory (about 100 bytes each), and what the journal holds.
#[derive(Debug)]
pub struct KvBackend<E> {
    engine: E,
    recent: RwLock<Recent>,
    writer: Mutex<Writer>,
}

/// What commits work with, one at a time; readers never wait for it.
#[derive(Debug)]
struct Writer {
    journal: Journal,
    garbage: Garbage,
    batch: KvBatch,
    /// Whether anything was written since the store was opened.
    has_written: bool,
    /// Why the last write failed. Then nobody knows what the engine holds.
    failure: Option<Error>,
}

impl<E: KvEngine> KvBackend<E> {
    /// Makes the store in an empty engine, with commit number 0, and an empty journal in `dir`, the folder
    /// of the backend; closes the engine.
    ///
    /// # Errors
    ///
    /// As [`KvEngine::write`] and [`KvEngine::close`]; [`DiskFull`](raft_logstore_core::ErrorKind::DiskFull) or
    /// [`Io`](raft_logstore_core::ErrorKind::Io) when the journal cannot be made.
    pub fn create(engine: E, dir: &Path) -> Result<()> {
        let written = Journal::create(dir).and_then(|salt| {
            let mut batch = KvBatch::new();
            format::put_new_store(&mut batch, engine.name(), salt);
            engine.write(&batch)
        });
        written.and(engine.close())
    }

    /// Opens the store in an engine, with its journal in `dir`, the folder of the backend. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`Format`](raft_logstore_core::ErrorKind::Format) when the engine holds no store, another backend's, or one of a
    /// newer format, naming both; [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt) when a record of the store, the
    /// header of a group or a commit of the journal is missing or fails its checksum;
    /// [`Io`](raft_logstore_core::ErrorKind::Io).
    pub fn open(engine: E, dir: &Path) -> Result<Self> {
        let backend = Self::load(engine, dir, Access::Write)?;
        backend.recent().whole()?;
        Ok(backend)
    }

    /// Opens the store in an engine, with its journal in `dir`, to look at it. A damaged group hides no
    /// other: it is an error of its own. A write is refused.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for the groups.
    pub fn open_read_only(engine: E, dir: &Path) -> Result<ReadOnly> {
        Ok(ReadOnly::new(Box::new(Self::load(
            engine,
            dir,
            Access::Look,
        )?)))
    }

    fn load(engine: E, dir: &Path, access: Access) -> Result<Self> {
        let reader = Reader(engine.view()?);
        format::check_format(&reader.0, engine.name())?;
        let (settled, expected) = reader.settled()?;
        let mut garbage = Garbage::default();
        let mut groups = Vec::new();
        for (id, header) in reader.groups()? {
            let header = header.and_then(|header| {
                garbage.find(&reader, id, header.bounds)?;
                Ok(header)
            });
            groups.push((id, header));
        }
        let mut recent = Recent::new(settled, expected, groups);
        let salt = reader.salt()?;
        drop(reader);
        let journal = Journal::open(dir, salt, access, settled, |batch| recent.apply(&batch))?;
        let writer = Writer {
            journal,
            garbage,
            batch: KvBatch::new(),
            has_written: false,
            failure: None,
        };
        Ok(Self {
            engine,
            recent: RwLock::new(recent),
            writer: Mutex::new(writer),
        })
    }

    fn recent(&self) -> RwLockReadGuard<'_, Recent> {
        // A panic half way through a change poisons the writer as well, so nothing is built on it.
        self.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent_mut(&self) -> RwLockWriteGuard<'_, Recent> {
        self.recent.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Reader<E::View<'_>>> {
        Ok(Reader(self.engine.view()?))
    }

    /// The writer, unless an earlier write failed: then nobody knows what the engine holds.
    fn writer(&self, operation: &'static str) -> Result<MutexGuard<'_, Writer>> {
        let poisoned = || Error::poisoned(operation);
        let writer = self.writer.lock().map_err(|_| poisoned())?;
        match &writer.failure {
            Some(failure) => Err(poisoned().with_source(failure.clone())),
            None => Ok(writer),
        }
    }

    /// Works with the writer, and remembers a failure.
    fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Writer) -> Result<T>,
    ) -> Result<T> {
        let mut writer = self.writer(operation)?;
        let done = work(&mut writer);
        writer.batch.clear();
        writer.failure = done.as_ref().err().cloned();
        done
    }

    /// Writes the batch of the writer and empties it.
    fn flush(&self, writer: &mut Writer) -> Result<()> {
        writer.has_written = true;
        self.engine.write(&writer.batch)?;
        writer.batch.clear();
        Ok(())
    }

    /// Puts everything in the journal to its place, and begins it anew.
    fn settle(&self, writer: &mut Writer) -> Result<()> {
        // Garbage goes first: it is what the settled records hold below the floors, and the journal
        // may have dropped a group and written the same indexes anew.
        let budget = GARBAGE_PER_SETTLE.max(2 * self.recent().appended());
        self.collect_garbage(writer, budget)?;
        self.recent()
            .settle_into(&mut writer.batch, &mut writer.garbage);
        self.flush(writer)?;
        // Until here readers found in memory what is now settled as well: the same state.
        self.recent_mut().settled();
        writer.journal.clear()
    }

    fn collect_garbage(&self, writer: &mut Writer, budget: u64) -> Result<()> {
        if writer.garbage.is_pending() {
            writer
                .garbage
                .slice(&self.reader()?, budget, &mut writer.batch)?;
        }
        Ok(())
    }
}

impl<E: KvEngine> Backend for KvBackend<E> {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn sequence(&self) -> Result<u64> {
        Ok(self.recent().sequence)
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        self.recent().groups()
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        let bounds = self.recent().bounds(group)?;
        // A log whose ends cannot be read has no bounds to rely on.
        if let Some((first, last)) = bounds.range().bounds() {
            self.read(group, IndexRange::new(first..=first), 0)?;
            self.read(group, IndexRange::new(last..=last), 0)?;
        }
        Ok(bounds)
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        let recent = self.recent();
        let (settled, newer) = recent.split(group, range, max_bytes)?;
        if settled.is_empty() {
            return Ok(newer);
        }
        // Taken under the lock: no commit comes between the two parts.
        let reader = self.reader().map_err(|error| error.with_group(group))?;
        drop(recent);
        let mut entries = reader.entries(group, settled, max_bytes)?;
        if entries.last().map(|last| last.index) == settled.bounds().map(|(_, last)| last) {
            let used: u64 = entries.iter().map(|entry| entry.payload.len() as u64).sum();
            // `None` once the first entry alone was more than the cap: then not even an empty one fits.
            let mut room = max_bytes.checked_sub(used);
            entries.extend(newer.into_iter().map_while(|entry| {
                room = room?.checked_sub(entry.payload.len() as u64);
                room.map(|_| entry)
            }));
        }
        Ok(entries)
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        let recent = self.recent();
        match recent.stable(group, key)? {
            StableValue::Here(value) => Ok(value),
            StableValue::Settled => {
                let reader = self.reader().map_err(|error| error.with_group(group))?;
                drop(recent);
                reader.stable(group, key).map(Some)
            }
        }
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        Ok(self.recent().names(group)?.to_vec())
    }

    fn reusable_bytes(&self) -> Result<u64> {
        self.engine.reusable_bytes()
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.write("commit", |writer| {
            self.recent().check(batch)?;
            let appended = appended_bytes(batch);
            if appended > 0 {
                self.engine.check_room(appended, self.recent().bytes())?;
            }
            writer.journal.prepare(batch)?;
            if self.recent().bytes() >= JOURNAL_BYTES || !writer.journal.has_room() {
                self.settle(writer)?;
            }
            writer.has_written = true;
            writer.journal.write()?;
            self.recent_mut().apply(batch)
        })
    }

    fn maintain(&self) -> Result<bool> {
        self.write("maintain", |writer| {
            // What a purge, a truncate or a drop has hidden can only be deleted once it is settled.
            if self.recent().frees_space() {
                self.settle(writer)?;
                return Ok(true);
            }
            if !writer.garbage.is_pending() {
                return self.engine.maintain();
            }
            self.collect_garbage(writer, SLICE)?;
            // The groups looked at may turn out to be clean: then there is nothing to sync.
            if !writer.batch.is_empty() {
                self.flush(writer)?;
            }
            Ok(true)
        })
    }

    fn close(self: Box<Self>) -> Result<()> {
        let settled = match self.writer("close") {
            // So that the next open finds everything in its place.
            Ok(mut writer) if writer.has_written => self.settle(&mut writer),
            // What was only read is left as it is, and after a failure nothing more is written.
            Ok(_) | Err(_) => Ok(()),
        };
        settled.and(self.engine.close())
    }
}

/// What the entries of a batch take, in bytes; 0 when it appends none.
fn appended_bytes(batch: &Batch) -> u64 {
    let entries = batch.ops.iter().flat_map(|op| match op {
        Op::Append { entries, .. } => &entries[..],
        _ => &[],
    });
    entries
        .map(|entry| entry.payload.len() as u64 + Recent::OVERHEAD)
        .sum()
}
