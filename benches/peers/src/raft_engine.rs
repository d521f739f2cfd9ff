use std::ops::Range;
use std::path::Path;
use std::slice;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use protobuf::well_known_types::BytesValue;
use raft_engine::{Command, Config, Engine, LogBatch, MessageExt, ReadableSize};
use raft_logstore::{Entry, GroupId};
use raft_logstore_bench::{Log, Rival};

pub(crate) const RIVAL: Rival = Rival {
    name: "raft-engine",
    many_groups: true,
    open: |dir| Ok(Box::new(RaftEngine::open(dir)?)),
};

/// The log engine of TiKV: many groups in shared files. A commit is one log batch, written with `sync`: one write and
/// one `fdatasync`.
///
/// Its settings, the others are its defaults:
///
/// * `enable_log_recycle`: files that are written over have their blocks and their length, and a sync writes data
///   alone.
/// * `target_file_size` of 64 MiB, `purge_threshold` of 256 MiB: it keeps up to one and a half times that threshold in
///   files to write over, more than a measurement writes between two purges, and a purge gives space back once the log
///   is larger. With its defaults, 128 MiB and 10 GiB, no measurement would purge a file.
/// * `batch_compression_threshold` of zero: payloads are random, compressing them costs time and gains nothing.
/// * `prefill_for_recycle` stays off: a fresh log is [warmed up](Self::warm_up) instead. Its first file would not be a
///   filled one, and files filled in blocks of 16 MiB sync no faster than those it has used.
pub(crate) struct RaftEngine {
    engine: Engine,
    batch: LogBatch,
    /// The messages of the commit before: their buffers are used again.
    messages: Vec<BytesValue>,
}

const FILE_MIB: u64 = 64;

/// How many files may wait to be written over, and the one that is written.
const FILES: u64 = 6;

/// A group that no measurement asks for.
const FILLER: u64 = u64::MAX;

impl RaftEngine {
    fn open(dir: &Path) -> Result<Self> {
        let engine = Engine::open(Config {
            dir: dir
                .to_str()
                .context("a folder with a name in UTF-8")?
                .into(),
            enable_log_recycle: true,
            prefill_for_recycle: false,
            target_file_size: ReadableSize::mb(FILE_MIB),
            purge_threshold: ReadableSize::mb(FILE_MIB * FILES * 2 / 3),
            batch_compression_threshold: ReadableSize(0),
            ..Config::default()
        })?;
        let mut log = Self {
            engine,
            batch: LogBatch::default(),
            messages: Vec::new(),
        };
        if log.engine.is_empty() {
            log.warm_up()?;
        }
        Ok(log)
    }

    /// Fills and purges a fresh log, so that from its first commit on it writes over files, as it does all its life but
    /// the first minutes.
    fn warm_up(&mut self) -> Result<()> {
        self.fill(FILES)?;
        self.engine.purge_expired_files()?;
        self.fill(1)
    }

    /// Fills this many files, goes on to the next, and removes what it wrote.
    fn fill(&mut self, files: u64) -> Result<()> {
        let mut message = BytesValue::new();
        for index in 1..=files * FILE_MIB {
            write(&Entry::new(index, vec![0; 1 << 20]), &mut message);
            self.batch
                .add_entries::<Indexed>(FILLER, slice::from_ref(&message))?;
            self.engine.write(&mut self.batch, false)?;
        }
        self.batch.add_command(FILLER, Command::Clean);
        self.engine.write(&mut self.batch, true)?;
        Ok(())
    }
}

impl Log for RaftEngine {
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        for (group, entries) in appends {
            if self.messages.len() < entries.len() {
                self.messages.resize_with(entries.len(), BytesValue::new);
            }
            for (message, entry) in self.messages.iter_mut().zip(&entries) {
                write(entry, message);
            }
            self.batch
                .add_entries::<Indexed>(group.0, &self.messages[..entries.len()])?;
        }
        self.engine.write(&mut self.batch, true)?;
        Ok(())
    }

    fn read(&self, group: GroupId, range: Range<u64>) -> Result<Vec<Entry>> {
        let mut messages = Vec::new();
        self.engine.fetch_entries_to::<Indexed>(
            group.0,
            range.start,
            range.end,
            None,
            &mut messages,
        )?;
        messages.into_iter().map(entry).collect()
    }

    fn purge(&mut self, group: GroupId, upto: u64) -> Result<()> {
        self.batch
            .add_command(group.0, Command::Compact { index: upto + 1 });
        self.engine.write(&mut self.batch, true)?;
        // It names the groups that hold files back; what they keep is for their owner to say.
        self.engine.purge_expired_files()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// An entry as raft-engine takes it, a message: in its bytes first the index, 8 in little endian, then the payload.
struct Indexed;

impl MessageExt for Indexed {
    type Entry = BytesValue;

    fn index(message: &BytesValue) -> u64 {
        // What is in the engine was written here, with an index.
        message
            .value
            .first_chunk()
            .map_or(0, |index| u64::from_le_bytes(*index))
    }
}

fn write(entry: &Entry, message: &mut BytesValue) {
    message.value.clear();
    message.value.extend_from_slice(&entry.index.to_le_bytes());
    message.value.extend_from_slice(&entry.payload);
}

fn entry(message: BytesValue) -> Result<Entry> {
    ensure!(message.value.len() >= 8, "an entry without an index");
    let index = Indexed::index(&message);
    Ok(Entry::new(index, Bytes::from(message.value).slice(8..)))
}
