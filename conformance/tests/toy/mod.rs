//! A log store in one file, for the crash kit to break.

#![allow(
    clippy::unwrap_used,
    reason = "test code; clippy does not see it in helper modules"
)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes};
use raft_logstore_conformance::{Feature, OpenStore, SingleGroup, Subject};
use raft_logstore_core::{
    Backend, Batch, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore,
    MemoryBackend, Op, Result, StableKey, StableStore,
};

/// What is wrong with a [`ToyLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// It never syncs.
    NeverSyncs,
    /// It says that a write is durable, and then syncs.
    AcknowledgesFirst,
    /// It syncs entries, and takes votes for less important.
    ForgetsVotes,
    /// It leaves the name of its file to chance.
    ForgetsDirectory,
    /// It shows what a killed process wrote, durable or not.
    ShowsUnsynced,
    /// It believes what it reads.
    NoChecksums,
    /// It goes on after a sync that failed.
    IgnoresFailedSyncs,
    /// It tries a sync that failed again, and believes the second.
    RetriesFailedSyncs,
    /// It acknowledges what the disk had no room for.
    AcknowledgesWhenFull,
    /// It goes on behind a write of which a part is there.
    AppendsBehindTorn,
    /// It takes a part of a write for the whole.
    IgnoresShortWrites,
    /// It panics where it cannot read.
    PanicsOnReadErrors,
    /// It does not open what it has not finished making.
    RefusesHalfMade,
    /// It panics at a torn write.
    PanicsWhenTorn,
    /// It takes a torn write for damage.
    RefusesWhenTorn,
}

/// Stores of this kind.
pub(crate) struct Toy(pub(crate) Flaw);

impl Subject for Toy {
    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        Ok(Box::new(SingleGroup::new(ToyLog::open(dir, self.0)?)))
    }

    fn lacks(&self, feature: Feature) -> Option<&'static str> {
        match feature {
            Feature::Groups => Some("holds one group"),
            Feature::Close => Some("closes when it is dropped"),
            Feature::Lock => Some("locks nothing"),
            _ => None,
        }
    }
}

/// One group in memory, and a file with everything that was written to it: records of a length, a
/// checksum and an operation.
struct ToyLog {
    inner: Mutex<Inner>,
    flaw: Flaw,
}

struct Inner {
    memory: MemoryBackend,
    file: File,
    /// Why it takes no more writes.
    poison: Option<Error>,
}

const GROUP: GroupId = GroupId(1);

impl ToyLog {
    fn open(dir: &Path, flaw: Flaw) -> Result<Self> {
        let failed = |error| Error::io("open", error);
        let is_new = !dir.join("log").exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("log"))
            .map_err(failed)?;
        let mut content = Vec::new();
        match file.read_to_end(&mut content) {
            Err(_) if flaw == Flaw::PanicsOnReadErrors => panic!("a read failed"),
            read => read.map_err(failed)?,
        };
        if flaw == Flaw::RefusesHalfMade && content.is_empty() && !is_new {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let memory = MemoryBackend::new();
        let mut rest = &content[..];
        while let Some(op) = decode_record(&mut rest, flaw)? {
            apply(&memory, op)?;
        }
        // What follows the last whole record is a write that was torn.
        let end = (content.len() - rest.len()) as u64;
        if end < content.len() as u64 {
            file.set_len(end).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        if !matches!(flaw, Flaw::NeverSyncs | Flaw::ShowsUnsynced) {
            file.sync_all().map_err(failed)?;
        }
        if !matches!(flaw, Flaw::NeverSyncs | Flaw::ForgetsDirectory) {
            File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(failed)?;
        }
        Ok(Self {
            inner: Mutex::new(Inner {
                memory,
                file,
                poison: None,
            }),
            flaw,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn write(&self, op: Op, done: Completion) -> Result<()> {
        let mut inner = self.inner();
        if self.flaw == Flaw::AcknowledgesFirst {
            done.complete(Ok(()));
            return inner.write(op, self.flaw, false);
        }
        let written = inner.write(op, self.flaw, false);
        done.complete(written.clone());
        written
    }
}

impl Drop for ToyLog {
    /// Dropping it is closing it: what was written lazily is durable then.
    fn drop(&mut self) {
        let inner = self.inner();
        if self.flaw != Flaw::NeverSyncs && inner.poison.is_none() {
            // Nobody hears of an error here.
            drop(inner.file.sync_data());
        }
    }
}

impl Inner {
    /// Writes unless an earlier write has failed.
    fn write(&mut self, op: Op, flaw: Flaw, lazy: bool) -> Result<()> {
        if let Some(cause) = &self.poison {
            return Err(Error::new(ErrorKind::Poisoned, "write").with_source(cause.clone()));
        }
        let written = self.try_write(op, flaw, lazy);
        if flaw != Flaw::AppendsBehindTorn
            && let Err(error) = &written
        {
            self.poison = Some(error.clone());
        }
        written
    }

    fn try_write(&mut self, op: Op, flaw: Flaw, lazy: bool) -> Result<()> {
        let record = encode_record(&op);
        let is_vote = matches!(op, Op::Put { .. });
        let syncs = flaw != Flaw::NeverSyncs && !(flaw == Flaw::ForgetsVotes && is_vote);
        apply(&self.memory, op)?;
        let failed = |error| Error::io("write", error);
        let written = match flaw {
            Flaw::IgnoresShortWrites => self.file.write(&record).map(drop),
            _ => self.file.write_all(&record),
        };
        match written {
            Err(error) if flaw == Flaw::AcknowledgesWhenFull => {
                return match error.kind() {
                    std::io::ErrorKind::StorageFull => Ok(()),
                    _ => Err(failed(error)),
                };
            }
            written => written.map_err(failed)?,
        }
        if lazy || !syncs {
            return Ok(());
        }
        match self.file.sync_data() {
            Err(_) if flaw == Flaw::IgnoresFailedSyncs => Ok(()),
            Err(_) if flaw == Flaw::RetriesFailedSyncs => self.file.sync_data().map_err(failed),
            synced => synced.map_err(failed),
        }
    }
}

fn apply(memory: &MemoryBackend, op: Op) -> Result<()> {
    memory.commit(&Batch {
        sequence: memory.sequence()? + 1,
        ops: vec![op],
    })
}

fn encode_record(op: &Op) -> Vec<u8> {
    let mut body = Vec::new();
    let put_bytes = |body: &mut Vec<u8>, bytes: &[u8]| {
        body.put_u32(bytes.len() as u32);
        body.put_slice(bytes);
    };
    match op {
        Op::Append { entries, .. } => {
            body.put_u8(0);
            for entry in entries {
                body.put_u64(entry.index);
                put_bytes(&mut body, &entry.payload);
            }
        }
        Op::Truncate { from, .. } => {
            body.put_u8(1);
            body.put_u64(*from);
        }
        Op::Purge { up_to, id, .. } => {
            body.put_u8(2);
            body.put_u64(*up_to);
            put_bytes(&mut body, id);
        }
        Op::Put { key, value, .. } => {
            body.put_u8(3);
            put_bytes(&mut body, key.as_str().as_bytes());
            if let Some(value) = value {
                put_bytes(&mut body, value);
            }
        }
        Op::DropGroup { .. } => panic!("there is one group"),
    }
    let mut record = Vec::new();
    record.put_u32(body.len() as u32);
    record.put_u32(crc32c::crc32c(&body));
    record.extend(body);
    record
}

/// The next operation; `None` at the end of what can be believed.
fn decode_record(rest: &mut &[u8], flaw: Flaw) -> Result<Option<Op>> {
    let record = *rest;
    if record.is_empty() {
        return Ok(None);
    }
    if let Some(op) = decode_whole_record(rest, flaw) {
        return Ok(Some(op));
    }
    *rest = record;
    match flaw {
        Flaw::PanicsWhenTorn => panic!("a torn write"),
        Flaw::RefusesWhenTorn => Err(Error::io("open", std::io::ErrorKind::InvalidData.into())),
        _ => Ok(None),
    }
}

fn decode_whole_record(rest: &mut &[u8], flaw: Flaw) -> Option<Op> {
    let len = rest.try_get_u32().ok()?;
    let crc = rest.try_get_u32().ok()?;
    let body = rest.get(..len as usize)?;
    if len == 0 || (crc32c::crc32c(body) != crc && flaw != Flaw::NoChecksums) {
        return None;
    }
    *rest = &rest[len as usize..];
    decode_body(body)
}

fn decode_body(mut body: &[u8]) -> Option<Op> {
    fn bytes(body: &mut &[u8]) -> Option<Bytes> {
        let len = body.try_get_u32().ok()? as usize;
        let bytes = Bytes::copy_from_slice(body.get(..len)?);
        body.advance(len);
        Some(bytes)
    }
    let group = GROUP;
    match body.try_get_u8().ok()? {
        0 => {
            let mut entries = Vec::new();
            while !body.is_empty() {
                let index = body.try_get_u64().ok()?;
                entries.push(Entry::new(index, bytes(&mut body)?));
            }
            Some(Op::Append { group, entries })
        }
        1 => Some(Op::Truncate {
            group,
            from: body.try_get_u64().ok()?,
        }),
        2 => Some(Op::Purge {
            group,
            up_to: body.try_get_u64().ok()?,
            id: bytes(&mut body)?,
        }),
        3 => {
            let key = String::from_utf8(bytes(&mut body)?.to_vec()).ok()?;
            let value = match body.is_empty() {
                true => None,
                false => Some(bytes(&mut body)?),
            };
            let key = StableKey::new(key).ok()?;
            Some(Op::Put { group, key, value })
        }
        _ => None,
    }
}

#[async_trait]
impl LogStore for ToyLog {
    async fn bounds(&self) -> Result<Bounds> {
        self.inner().memory.bounds(GROUP)
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        let group = GROUP;
        self.write(Op::Append { group, entries }, done)
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.inner().memory.read(GROUP, range, max_bytes)
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        self.write(Op::Truncate { group: GROUP, from }, done)
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        let group = GROUP;
        self.write(Op::Purge { group, up_to, id }, done)
    }
}

#[async_trait]
impl StableStore for ToyLog {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        self.inner().memory.get(GROUP, key)
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        let (group, key) = (GROUP, key.clone());
        self.write(Op::Put { group, key, value }, done)
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        let (group, key) = (GROUP, key.clone());
        self.inner()
            .write(Op::Put { group, key, value }, self.flaw, true)
    }
}
