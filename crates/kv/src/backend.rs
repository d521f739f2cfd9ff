use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, Error, GroupId, IndexRange, Op, ReadOnly, Result, StableKey,
};
use raft_logstore_frames::{Access, Folder};

use crate::desk::Desk;
use crate::garbage::{Garbage, SLICE};
use crate::journal::Journal;
use crate::reader::Reader;
use crate::recent::{Recent, StableValue};
use crate::settler::{Settled, Settler};
use crate::{KvBatch, KvEngine, format};

/// How much is in the journal when a commit begins to settle it, in bytes of memory.
const SETTLE_BYTES: u64 = 2 << 20;

/// How much may come into the journal while it is settled, in bytes of memory. Then a commit waits.
const MOST_BYTES: u64 = 2 * SETTLE_BYTES;

/// How long a slice of background work waits for a settle that is under way.
const PATIENCE: Duration = Duration::from_micros(100);

/// A [`Backend`] over any [`KvEngine`].
///
/// A commit is one write and one sync of a *journal*, a file beside the engine that has its space already,
/// whatever number of groups it is about. What the journal holds is kept in memory as well and read
/// from there. From time to time the journal is *settled* by a thread of its own: everything in it goes to its place in
/// the engine, in key order and in one engine write, while commits go on in a second file. So a commit costs
/// no more than the disk needs, and a settle fills whole pages of a B-tree.
///
/// Every record is sealed with a checksum when written and checked when read, and the header of a
/// group says which records have to be there; what does not fit is reported as
/// [`Corrupt`](raft_logstore_core::ErrorKind::Corrupt), naming group and indexes. Each read sees one consistent state and
/// waits for no commit. A batch that breaks the rules of [`Bounds`] is refused as a failed commit.
///
/// # Cost of an operation
///
/// * A commit is one write and one sync of the journal. It waits for the engine only when what came into the journal
///   since the last settle began, 4 MiB, is more than the engine can write in that time.
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
    shared: Arc<Shared<E>>,
    writer: Mutex<Writer>,
}

/// What reads find things in.
#[derive(Debug)]
pub(crate) struct Shared<E> {
    pub(crate) engine: E,
    /// What an engine does in the background, or to close, it may do by path.
    folder: Folder,
    recent: RwLock<Recent>,
}

/// What commits work with, one at a time; readers never wait for it.
#[derive(Debug)]
struct Writer {
    journal: Journal,
    /// The thread has it while a settle is under way.
    desk: Option<Desk>,
    /// Started with the first settle.
    settler: Option<Settler>,
    /// Whether anything was written since the store was opened.
    has_written: bool,
    /// Why the last write failed. Then nobody knows what the engine holds.
    failure: Option<Error>,
}

impl<E: KvEngine> Shared<E> {
    pub(crate) fn recent(&self) -> RwLockReadGuard<'_, Recent> {
        // A panic half way through a change poisons the writer as well, so nothing is built on it.
        self.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn recent_mut(&self) -> RwLockWriteGuard<'_, Recent> {
        self.recent.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Reader<E::View<'_>>> {
        Ok(Reader(self.engine.view()?))
    }
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
        backend.shared.recent().whole()?;
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
            desk: Some(Desk::new(garbage)),
            settler: None,
            has_written: false,
            failure: None,
        };
        let shared = Shared {
            engine,
            folder: Folder::hold(dir)?,
            recent: RwLock::new(recent),
        };
        Ok(Self {
            shared: Arc::new(shared),
            writer: Mutex::new(writer),
        })
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
        writer.failure = done.as_ref().err().cloned();
        done
    }

    /// Waits up to `patience` for the settle that is under way. Says whether none is, or none any more.
    ///
    /// # Errors
    ///
    /// Why it failed.
    fn settled(&self, writer: &mut Writer, patience: Duration) -> Result<bool> {
        let (None, Some(settler)) = (&writer.desk, &writer.settler) else {
            return Ok(true);
        };
        let Some(Settled { sequence, desk }) = settler.wait(patience)? else {
            return Ok(false);
        };
        writer.desk = Some(desk);
        writer.journal.settled(sequence)?;
        Ok(true)
    }

    /// Begins to put everything in the journal to its place, unless a settle is under way.
    fn begin_to_settle(&self, writer: &mut Writer) -> Result<()> {
        self.shared.folder.check()?;
        let Some(desk) = writer.desk.take() else {
            return Ok(());
        };
        let settler = match writer.settler.take() {
            Some(settler) => settler,
            None => Settler::start(Arc::clone(&self.shared))?,
        };
        settler.settle(self.shared.recent_mut().begin_to_settle(), desk);
        writer.settler = Some(settler);
        writer.journal.turn();
        Ok(())
    }

    /// Puts everything in the journal to its place.
    fn settle(&self, writer: &mut Writer) -> Result<()> {
        self.settled(writer, Duration::MAX)?;
        self.begin_to_settle(writer)?;
        self.settled(writer, Duration::MAX)?;
        Ok(())
    }

    /// Sees to it that what was prepared has room in the journal, and that the journal is settled in time.
    fn make_room(&self, writer: &mut Writer) -> Result<()> {
        let bytes = self.shared.recent().bytes();
        if !writer.journal.has_room() || bytes >= MOST_BYTES {
            self.settled(writer, Duration::MAX)?;
            self.begin_to_settle(writer)?;
        } else if self.settled(writer, Duration::ZERO)? && bytes >= SETTLE_BYTES {
            self.begin_to_settle(writer)?;
        }
        if !writer.journal.has_room() {
            // After a crash both files may be in use.
            self.settled(writer, Duration::MAX)?;
        }
        Ok(())
    }

    /// Checks that the engine will have room for the entries of `batch`.
    fn check_room(&self, writer: &mut Writer, batch: &Batch) -> Result<()> {
        let appended = appended_bytes(batch);
        if appended == 0 {
            return Ok(());
        }
        let check = || {
            let unsettled = self.shared.recent().unsettled_bytes();
            self.shared.engine.check_room(appended, unsettled)
        };
        check().or_else(|_| {
            // What a settle has written is counted twice until it comes to its end.
            self.settled(writer, Duration::MAX)?;
            check()
        })
    }
}

impl<E: KvEngine> Backend for KvBackend<E> {
    fn name(&self) -> &'static str {
        self.shared.engine.name()
    }

    fn sequence(&self) -> Result<u64> {
        Ok(self.shared.recent().sequence)
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        self.shared.recent().groups()
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        let bounds = self.shared.recent().bounds(group)?;
        // A log whose ends cannot be read has no bounds to rely on.
        if let Some((first, last)) = bounds.range().bounds() {
            self.read(group, IndexRange::new(first..=first), 0)?;
            self.read(group, IndexRange::new(last..=last), 0)?;
        }
        Ok(bounds)
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        let recent = self.shared.recent();
        let (settled, newer) = recent.split(group, range, max_bytes)?;
        if settled.is_empty() {
            return Ok(newer);
        }
        // Taken under the lock: no commit comes between the two parts.
        let reader = self
            .shared
            .reader()
            .map_err(|error| error.with_group(group))?;
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
        let recent = self.shared.recent();
        match recent.stable(group, key)? {
            StableValue::Here(value) => Ok(value),
            StableValue::Settled => {
                let reader = self
                    .shared
                    .reader()
                    .map_err(|error| error.with_group(group))?;
                drop(recent);
                reader.stable(group, key).map(Some)
            }
        }
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        Ok(self.shared.recent().names(group)?.to_vec())
    }

    fn reusable_bytes(&self) -> Result<u64> {
        self.shared.engine.reusable_bytes()
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.write("commit", |writer| {
            self.shared.recent().check(batch)?;
            self.check_room(writer, batch)?;
            writer.journal.prepare(batch)?;
            self.make_room(writer)?;
            writer.has_written = true;
            writer.journal.write()?;
            self.shared.recent_mut().apply(batch)
        })
    }

    fn maintain(&self) -> Result<bool> {
        self.write("maintain", |writer| {
            if !self.settled(writer, PATIENCE)? {
                return Ok(true);
            }
            // What a purge, a truncate or a drop has hidden can only be deleted once it is settled.
            if self.shared.recent().frees_space() {
                writer.has_written = true;
                self.begin_to_settle(writer)?;
                return Ok(true);
            }
            self.shared.folder.check()?;
            let engine = &self.shared.engine;
            match &mut writer.desk {
                Some(desk) if desk.has_garbage() => {
                    writer.has_written = true;
                    desk.collect_garbage(engine, SLICE)?;
                    desk.flush(engine)?;
                    Ok(true)
                }
                _ => engine.maintain(),
            }
        })
    }

    fn close(self: Box<Self>) -> Result<()> {
        let settled = match self.writer("close") {
            // So that the next open finds everything in its place.
            Ok(mut writer) if writer.has_written => self.settle(&mut writer),
            // What was only read is left as it is, and after a failure nothing more is written.
            Ok(_) | Err(_) => Ok(()),
        };
        let Self { shared, writer } = *self;
        drop(writer);
        let Shared { engine, folder, .. } = Arc::into_inner(shared)
            .expect("nobody else has it: the thread that settles has ended with the writer");
        folder.check()?;
        settled.and(engine.close())
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
