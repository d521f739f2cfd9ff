use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, ReadOnly, Result,
    StableKey,
};

use crate::garbage::SLICE;
use crate::reader::Reader;
use crate::writer::Writer;
use crate::{KvBatch, KvEngine, format};

/// How many indexes of garbage one call of [`Backend::maintain`] deletes.
const MAINTAIN_SLICE: u64 = 4 * SLICE;

/// A [`Backend`] over any [`KvEngine`].
///
/// Every record is sealed with a checksum when written and checked when read, and the header of a
/// group says which records have to be there; what does not fit is reported as
/// [`Corrupt`](ErrorKind::Corrupt), naming group and indexes. Each read sees one consistent state and
/// takes no lock that a commit holds. A batch that breaks the rules of [`Bounds`] is refused as a
/// failed commit.
///
/// # Cost of an operation
///
/// * A commit is one engine write: the records of the batch, one header per group whose log it
///   changes, and the commit number.
/// * A purge writes two small records and deletes at most 512 indexes, however long the purged
///   prefix is. The rest goes with later commits, max(512, 2 x entries of the commit) indexes each, in
///   the same engine write, and with [`maintain`](Backend::maintain), 2,048 indexes a call.
/// * A truncate and the drop of a group delete all their records in their own commit, so dropping a
///   group with a long log takes time in proportion to it; purge it first, and let `maintain` work,
///   where that matters.
/// * [`open`](Self::open) and [`groups`](Backend::groups) take a few seeks per group, and the headers
///   of all groups stay in memory (about 100 bytes each).
#[derive(Debug)]
pub struct KvBackend<E> {
    engine: E,
    writer: Mutex<Writer>,
}

impl<E: KvEngine> KvBackend<E> {
    /// Makes the store in an empty engine, with commit number 0, and closes the engine.
    ///
    /// # Errors
    ///
    /// As [`KvEngine::write`] and [`KvEngine::close`].
    pub fn create(engine: E) -> Result<()> {
        let mut batch = KvBatch::new();
        format::put_new_store(&mut batch, engine.name());
        let written = engine.write(&batch);
        written.and(engine.close())
    }

    /// Opens the store in an engine. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`Format`](ErrorKind::Format) when the engine holds no store, another backend's, or one of a
    /// newer format, naming both; [`Corrupt`](ErrorKind::Corrupt) when a record of the store or the
    /// header of a group is missing or fails its checksum; [`Io`](ErrorKind::Io).
    pub fn open(engine: E) -> Result<Self> {
        let reader = Reader(engine.view()?);
        format::check_format(&reader.0, engine.name())?;
        let writer = Writer::open(&reader)?;
        drop(reader);
        Ok(Self {
            engine,
            writer: Mutex::new(writer),
        })
    }

    /// Opens the store in an engine to look at it. Reads no group yet, so one that is damaged hides no
    /// other; a write is refused.
    ///
    /// # Errors
    ///
    /// [`Format`](ErrorKind::Format), [`Corrupt`](ErrorKind::Corrupt) and [`Io`](ErrorKind::Io), as
    /// [`open`](Self::open) but for the groups.
    pub fn open_read_only(engine: E) -> Result<ReadOnly> {
        format::check_format(&engine.view()?, engine.name())?;
        Ok(ReadOnly::new(Box::new(Self {
            engine,
            writer: Mutex::default(),
        })))
    }

    fn reader(&self) -> Result<Reader<E::View<'_>>> {
        Ok(Reader(self.engine.view()?))
    }

    /// The writer, unless an earlier write failed: then nobody knows what the engine holds.
    fn writer(&self, operation: &'static str) -> Result<MutexGuard<'_, Writer>> {
        let poisoned = || {
            Error::new(ErrorKind::Poisoned, operation)
                .with_advice("close the store and open it again")
        };
        let writer = self.writer.lock().map_err(|_| poisoned())?;
        match &writer.failure {
            Some(failure) => Err(poisoned().with_source(failure.clone())),
            None => Ok(writer),
        }
    }

    /// Works with the writer's batch, empties it, and remembers a failure.
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
}

impl<E: KvEngine> Backend for KvBackend<E> {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn sequence(&self) -> Result<u64> {
        self.reader()?.sequence()
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        self.reader()?.groups()
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        self.reader()?.bounds(group)
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.reader()?.entries(group, range, max_bytes)
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        self.reader()?.stable(group, key)
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        Ok(self.reader()?.header(group)?.names)
    }

    fn reusable_bytes(&self) -> Result<u64> {
        self.engine.reusable_bytes()
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.write("commit", |writer| {
            // Garbage goes first: it is what the state before this batch holds below the floors, and
            // an operation of the batch may drop the group and write the same indexes anew.
            if writer.garbage.is_pending() {
                let budget = Writer::garbage_budget(batch);
                writer
                    .garbage
                    .slice(&self.reader()?, budget, &mut writer.batch)?;
            }
            writer.fill(batch)?;
            self.engine.write(&writer.batch)
        })
    }

    fn maintain(&self) -> Result<bool> {
        self.write("maintain", |writer| {
            if !writer.garbage.is_pending() {
                return self.engine.maintain();
            }
            writer
                .garbage
                .slice(&self.reader()?, MAINTAIN_SLICE, &mut writer.batch)?;
            // The groups looked at may turn out to be clean: then there is nothing to sync.
            if !writer.batch.is_empty() {
                self.engine.write(&writer.batch)?;
            }
            Ok(true)
        })
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.engine.close()
    }
}
