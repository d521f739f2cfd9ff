use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use raft_logstore_core::{
    Backend, BackendConfig, Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange,
    MemoryBackend, Op, ReadOnly, Result, StableKey,
};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Fault;

/// A backend in two files: `FORMAT`, and `log`, one record after the other for each batch. All of it is
/// in memory as well. Correct but for the fault; nothing is synced, since the power stays on.
#[derive(Clone, Copy)]
pub(crate) struct Files {
    pub(crate) fault: Fault,
}

const FORMAT: &str = "file store, format 1";

/// Length and hash of what follows.
const HEADER: usize = 12;

impl BackendConfig for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn create(&self, dir: &Path) -> Result<()> {
        let created =
            fs::write(dir.join("FORMAT"), FORMAT).and_then(|()| fs::write(dir.join("log"), ""));
        created.map_err(|error| Error::io("create", error))
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        Ok(Box::new(Open::load(*self, dir, true)?))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        Ok(Box::new(ReadOnly::new(Box::new(Open::load(
            *self, dir, false,
        )?))))
    }
}

struct Open {
    fault: Fault,
    dir: PathBuf,
    memory: MemoryBackend,
    log: Mutex<Log>,
}

struct Log {
    file: File,
    bytes: u64,
    /// How long it was when it was written anew.
    rewritten: u64,
}

impl Open {
    fn load(config: Files, dir: &Path, repair: bool) -> Result<Self> {
        let fault = config.fault;
        if fault == Fault::MissingFileIsEmpty && !dir.join("log").exists() {
            config.create(dir)?;
        }
        let read = |name| fs::read(dir.join(name)).map_err(|error| missing(error, dir, name));
        if read("FORMAT")? != FORMAT.as_bytes() {
            return Err(Error::new(ErrorKind::Format, "open").with_path(dir));
        }
        let (stored, memory) = (read("log")?, MemoryBackend::new());
        let mut at = 0;
        while let Some((found, len)) = record(&stored[at..], fault) {
            match found {
                Some(record) => replay(&memory, record, fault)?,
                None if fault == Fault::BadRecordSkipped => {}
                None => break,
            }
            at += len;
        }
        // What is left was torn, or it is missing: the watermark above tells which.
        if repair && at < stored.len() {
            let failed = |error| Error::io("cut off a torn record", error).with_path(dir);
            fs::write(dir.join(format!("torn-at-{at}")), &stored[at..]).map_err(failed)?;
            let log = OpenOptions::new().write(true).open(dir.join("log"));
            log.and_then(|log| log.set_len(at as u64)).map_err(failed)?;
        }
        let file = OpenOptions::new().append(true).open(dir.join("log"));
        Ok(Self {
            fault,
            dir: dir.to_owned(),
            memory,
            log: Mutex::new(Log {
                file: file.map_err(|error| Error::io("open", error))?,
                bytes: at as u64,
                rewritten: 0,
            }),
        })
    }

    fn vote_file(&self, group: GroupId) -> PathBuf {
        self.dir.join(format!("vote-{}", group.0))
    }

    /// All that is there, as one batch.
    fn snapshot(&self) -> Result<Batch> {
        let mut ops = Vec::new();
        for group in self.memory.groups()? {
            let keys = self.memory.stable_keys(group)?;
            let value = |key: &StableKey| self.memory.get(group, key);
            if let Some(up_to) = self.memory.bounds(group)?.floor() {
                let id = value(&StableKey::PURGED)?.unwrap_or_default();
                ops.push(Op::Purge { group, up_to, id });
            }
            let entries = self.memory.read(group, IndexRange::new(..), u64::MAX)?;
            if !entries.is_empty() {
                ops.push(Op::Append { group, entries });
            }
            for key in keys.into_iter().filter(|key| *key != StableKey::PURGED) {
                let value = value(&key)?;
                ops.push(Op::Put { group, key, value });
            }
        }
        let sequence = self.memory.sequence()?;
        Ok(Batch { sequence, ops })
    }
}

fn missing(error: io::Error, dir: &Path, name: &str) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    };
    Error::new(kind, "open")
        .with_path(dir.join(name))
        .with_source(error)
}

/// Applies a record that was read.
fn replay(memory: &MemoryBackend, record: Record, fault: Fault) -> Result<()> {
    if record.is_snapshot {
        // The commits before it are all in there.
        for sequence in memory.sequence()? + 1..record.sequence {
            let ops = Vec::new();
            memory.commit(&Batch { sequence, ops })?;
        }
    }
    match memory.commit(&record.into_batch()) {
        // It skips what does not fit, too.
        Err(_) if fault == Fault::BadRecordSkipped => Ok(()),
        replayed => {
            replayed.map_err(|error| Error::new(ErrorKind::Corrupt, "replay").with_source(error))
        }
    }
}

/// The first record of `stored` and its length; none but a length when it is not what was written.
fn record(stored: &[u8], fault: Fault) -> Option<(Option<Record>, usize)> {
    if stored.is_empty() {
        return None;
    }
    let found = whole_record(stored, fault);
    if found.is_none() {
        match fault {
            Fault::DamagePanics => panic!("the record does not match"),
            Fault::DamageAborts => std::process::abort(),
            _ => {}
        }
    }
    let (bytes, is_whole) = found?;
    let record = is_whole.then(|| serde_json::from_slice(bytes).ok());
    Some((record.flatten(), HEADER + bytes.len()))
}

/// The bytes of the first record, and whether they are those that were written; `None` when there are
/// too few.
fn whole_record(stored: &[u8], fault: Fault) -> Option<(&[u8], bool)> {
    let (header, rest) = stored.split_at_checked(HEADER)?;
    let (len, hash) = header.split_at(4);
    let len = u32::from_le_bytes(len.try_into().unwrap());
    let bytes = rest.get(..len as usize)?;
    let is_whole = xxh3_64(bytes).to_le_bytes() == hash;
    if !is_whole && matches!(fault, Fault::DamagePanics | Fault::DamageAborts) {
        return None;
    }
    Some((bytes, is_whole || fault == Fault::NoChecksum))
}

fn encode(batch: &Batch, is_snapshot: bool) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(&Record::of(batch, is_snapshot))
        .map_err(|error| Error::new(ErrorKind::Io, "encode").with_source(error))?;
    let mut record = (bytes.len() as u32).to_le_bytes().to_vec();
    record.extend(xxh3_64(&bytes).to_le_bytes());
    record.extend(bytes);
    Ok(record)
}

impl Backend for Open {
    fn name(&self) -> &'static str {
        "files"
    }

    fn sequence(&self) -> Result<u64> {
        self.memory.sequence()
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        self.memory.groups()
    }

    fn bounds(&self, group: GroupId) -> Result<Bounds> {
        self.memory.bounds(group)
    }

    fn read(&self, group: GroupId, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        self.memory.read(group, range, max_bytes)
    }

    fn get(&self, group: GroupId, key: &StableKey) -> Result<Option<Bytes>> {
        if self.fault == Fault::VoteInAFileOfItsOwn && *key == StableKey::VOTE {
            return Ok(fs::read(self.vote_file(group)).ok().map(Bytes::from));
        }
        self.memory.get(group, key)
    }

    fn stable_keys(&self, group: GroupId) -> Result<Vec<StableKey>> {
        self.memory.stable_keys(group)
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        let mut log = self.log.lock().unwrap();
        let record = encode(batch, false)?;
        let failed = |error| Error::io("commit", error).with_path(&self.dir);
        if self.fault == Fault::LogReachedByPath {
            let reached = OpenOptions::new().append(true).open(self.dir.join("log"));
            log.file = reached.map_err(failed)?;
        }
        log.file.write_all(&record).map_err(failed)?;
        log.bytes += record.len() as u64;
        for op in &batch.ops {
            if let Op::Put { group, key, value } = op
                && self.fault == Fault::VoteInAFileOfItsOwn
                && *key == StableKey::VOTE
            {
                let value = value.clone().unwrap_or_default();
                fs::write(self.vote_file(*group), value).map_err(failed)?;
            }
        }
        if self.fault != Fault::FirstWriteOfABatchCounts {
            return self.memory.commit(batch);
        }
        let (mut ops, mut written) = (batch.ops.clone(), HashSet::new());
        ops.retain(|op| match op {
            Op::Put { group, key, .. } => written.insert((*group, key.clone())),
            _ => true,
        });
        let sequence = batch.sequence;
        self.memory.commit(&Batch { sequence, ops })
    }

    /// Writes the log anew when most of it is history.
    fn maintain(&self) -> Result<bool> {
        let mut log = self.log.lock().unwrap();
        let inode = |file: io::Result<fs::Metadata>| file.map(|file| file.ino()).ok();
        let was_moved = inode(fs::metadata(self.dir.join("log"))) != inode(log.file.metadata());
        if was_moved || log.bytes < 2 * log.rewritten + (1 << 20) {
            return Ok(false);
        }
        let record = encode(&self.snapshot()?, true)?;
        let (new, path) = (self.dir.join("log.new"), self.dir.join("log"));
        let replaced = fs::write(&new, &record)
            .and_then(|()| fs::rename(&new, &path))
            .and_then(|()| OpenOptions::new().append(true).open(&path));
        log.file = replaced.map_err(|error| Error::io("maintain", error))?;
        log.bytes = record.len() as u64;
        log.rewritten = log.bytes;
        Ok(false)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// A batch as it is stored.
#[derive(Serialize, Deserialize)]
struct Record {
    sequence: u64,
    /// It stands for all commits up to this one.
    is_snapshot: bool,
    ops: Vec<StoredOp>,
}

#[derive(Serialize, Deserialize)]
enum StoredOp {
    Append(u64, Vec<(u64, Vec<u8>)>),
    Truncate(u64, u64),
    Purge(u64, u64, Vec<u8>),
    Put(u64, String, Option<Vec<u8>>),
    Drop(u64),
}

impl Record {
    fn of(batch: &Batch, is_snapshot: bool) -> Self {
        let stored = |op: &Op| match op {
            Op::Append { group, entries } => {
                let entries = entries
                    .iter()
                    .map(|entry| (entry.index, entry.payload.to_vec()));
                StoredOp::Append(group.0, entries.collect())
            }
            Op::Truncate { group, from } => StoredOp::Truncate(group.0, *from),
            Op::Purge { group, up_to, id } => StoredOp::Purge(group.0, *up_to, id.to_vec()),
            Op::Put { group, key, value } => {
                let value = value.as_ref().map(|value| value.to_vec());
                StoredOp::Put(group.0, key.to_string(), value)
            }
            Op::DropGroup { group } => StoredOp::Drop(group.0),
        };
        Self {
            sequence: batch.sequence,
            is_snapshot,
            ops: batch.ops.iter().map(stored).collect(),
        }
    }

    fn into_batch(self) -> Batch {
        let op = |stored| match stored {
            StoredOp::Append(group, entries) => Op::Append {
                group: GroupId(group),
                entries: entries
                    .into_iter()
                    .map(|(index, payload)| Entry::new(index, payload))
                    .collect(),
            },
            StoredOp::Truncate(group, from) => Op::Truncate {
                group: GroupId(group),
                from,
            },
            StoredOp::Purge(group, up_to, id) => Op::Purge {
                group: GroupId(group),
                up_to,
                id: id.into(),
            },
            StoredOp::Put(group, key, value) => Op::Put {
                group: GroupId(group),
                key: StableKey::new(key).unwrap_or(StableKey::VOTE),
                value: value.map(Bytes::from),
            },
            StoredOp::Drop(group) => Op::DropGroup {
                group: GroupId(group),
            },
        };
        Batch {
            sequence: self.sequence,
            ops: self.ops.into_iter().map(op).collect(),
        }
    }
}
