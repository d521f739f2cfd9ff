use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, Op, Result, StableKey,
};
use raft_logstore_frames::{Access, FrameFile, Header};

use crate::WalConfig;
use crate::cache::Cache;
use crate::log::{self, Laggards, Log};
use crate::pool::Pool;
use crate::replay::{self, MOVED};
use crate::segment::{MAGIC, Segment};
use crate::writer::{self, Writer};

/// How much one slice of work in the background writes again, in bytes of payload.
const SLICE: u64 = 256 << 10;

/// How much commits write, in bytes, until one does such a slice when there is never time for it. A segment of which a
/// third is live takes half its length to be emptied.
const WRITTEN_PER_SLICE: u64 = 2 * SLICE;

/// How many segments may be taken beyond the limit while there is never time.
const SPARE_SEGMENTS: u64 = 2;

/// A log in segments. `ARCHITECTURE.md` and `FORMAT.md` say how it works.
///
/// A read takes what it needs to know from memory, under a lock that nobody holds across IO, and then reads
/// files that nobody changes.
#[derive(Debug)]
pub(crate) struct WalBackend {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
}

/// What readers, the writer and the keeper work with.
#[derive(Debug)]
pub(crate) struct Shared {
    log: RwLock<Log>,
    pub(crate) pool: Pool,
    cache: Cache,
}

impl Shared {
    pub(crate) fn log(&self) -> RwLockReadGuard<'_, Log> {
        // A panic half way through a change poisons the writer as well, so nothing is built on it.
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log_mut(&self) -> RwLockWriteGuard<'_, Log> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WalBackend {
    pub(crate) fn create(dir: &Path, config: &WalConfig) -> Result<()> {
        let path = Segment::path(dir, 1);
        let header = Header::new(MAGIC, 1, config.segment_bytes);
        FrameFile::create(&path, &header)
            .map_err(|error| Error::io("create", error).with_path(&path))?;
        writer::begin_log(&FrameFile::open(&path, MAGIC, Access::Write)?)
    }

    pub(crate) fn open(dir: &Path, config: &WalConfig, access: Access) -> Result<Self> {
        let mut opened = replay::open(dir, access)?;
        let writer = Writer::new(&mut opened)?;
        let last = opened.ready.back().unwrap_or(&opened.current);
        let next = last.number + 1;
        Ok(Self {
            shared: Arc::new(Shared {
                log: RwLock::new(opened.log),
                pool: Pool::new(dir, config, opened.ready, next)?,
                cache: Cache::new(config.cache_bytes),
            }),
            writer: Mutex::new(writer),
        })
    }

    /// The writer, unless an earlier write failed: then nobody knows what the file holds.
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

    /// Writes a slice of the entries again that keep segments from being used again, when the full segments take more
    /// than they may and `spare` bytes. Says whether there were any. What is damaged stays where it is: that is an error
    /// of its group, and the others go on.
    fn move_laggards(&self, writer: &mut Writer, spare: u64) -> Result<bool> {
        let (laggards, sequence) = {
            let log = self.shared.log();
            (log.laggards(spare, SLICE), log.state.sequence)
        };
        let any = !laggards.is_empty();
        let (mut moved, mut bytes) = (Vec::new(), 0);
        for Laggards {
            segment,
            group,
            indexes,
        } in laggards
        {
            let entries = match self.read(group, indexes, SLICE - bytes) {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::error!("entries that lag behind keep segment {segment:x}: {error}");
                    self.shared.log_mut().stuck.insert(segment);
                    continue;
                }
                read => read?,
            };
            bytes += entries
                .iter()
                .map(|entry| entry.payload.len() as u64)
                .sum::<u64>();
            moved.push(Op::Append { group, entries });
            if bytes >= SLICE {
                break;
            }
        }
        if !moved.is_empty() {
            writer.write(&self.shared, sequence, MOVED, &moved)?;
        }
        Ok(any)
    }
}

impl Backend for WalBackend {
    fn name(&self) -> &'static str {
        WalConfig::NAME
    }

    fn sequence(&self) -> Result<u64> {
        Ok(self.shared.log().state.sequence)
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        let mut groups: Vec<_> = self.shared.log().state.groups.keys().copied().collect();
        groups.sort_unstable();
        Ok(groups)
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        Ok(self.shared.log().state.bounds(group))
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        let parts = self.shared.log().parts(group, range, max_bytes)?;
        log::read(group, &parts, max_bytes, &self.shared.cache)
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        let log = self.shared.log();
        let group = log.state.groups.get(&group);
        Ok(group.and_then(|group| group.stable.get(key).cloned()))
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        let log = self.shared.log();
        let group = log.state.groups.get(&group);
        Ok(group.map_or_else(Vec::new, |group| group.stable.keys().cloned().collect()))
    }

    fn reusable_bytes(&self) -> Result<u64> {
        let unwritten = self.writer("read")?.unwritten();
        Ok(unwritten + self.shared.pool.bytes())
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        self.write("commit", |writer| {
            {
                let log = self.shared.log();
                batch.check_follows(log.state.sequence)?;
                batch.check(|group| Ok(log.state.bounds(group)))?;
            }
            // Before the batch is written: what fails here must not make one that is durable look failed.
            if writer.written >= WRITTEN_PER_SLICE {
                writer.written = 0;
                self.move_laggards(writer, SPARE_SEGMENTS * writer.segment_bytes())?;
            }
            writer.write(&self.shared, batch.sequence, 0, &batch.ops)
        })
    }

    fn maintain(&self) -> Result<bool> {
        self.write("maintain", |writer| self.move_laggards(writer, 0))
    }

    fn close(self: Box<Self>) -> Result<()> {
        // Everything that was written is durable; a segment that waits to be sealed or removed is not left to
        // the next open.
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .rest();
        Ok(())
    }
}
