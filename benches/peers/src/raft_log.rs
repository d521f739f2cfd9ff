use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::codeq::{Decode, Encode};
use raft_log::{Config, RaftLog, Types, chunked_wal};
use raft_logstore::{Entry, GroupId};
use raft_logstore_bench::{Log, Rival};

pub(crate) const RIVAL: Rival = Rival {
    name: "raft-log",
    many_groups: false,
    open: |dir| Ok(Box::new(OneLog::open(dir)?)),
};

/// The log of Databend's meta service: one group, appended to files that grow. A commit is the append and a
/// `flush(true, callback)`: a thread of its own writes and syncs, the call waits for the callback.
///
/// Its settings, the others are its defaults:
///
/// * `flush_batch_wait` of zero instead of a millisecond: that thread would wait that long for more to write, and none
///   comes, because the caller waits for it.
/// * `chunk_max_size` of 64 MiB instead of 1 GiB: what a purge can give back are whole files, and every entry of the
///   file that is written stays in memory.
/// * `log_cache_capacity` of 64 MiB instead of 1 GiB, for the same reason; and as many items as that holds.
pub(crate) struct OneLog {
    log: RaftLog<Parts>,
    done: SyncSender<io::Result<()>>,
    durable: Receiver<io::Result<()>>,
}

const CHUNK_BYTES: usize = 64 << 20;

impl OneLog {
    fn open(dir: &Path) -> Result<Self> {
        let dir = dir.to_str().context("a folder with a name in UTF-8")?;
        let config = Config {
            wal: chunked_wal::Config {
                chunk_max_size: Some(CHUNK_BYTES),
                flush_batch_wait: Some(Duration::ZERO),
                ..chunked_wal::Config::new(dir)
            },
            log_cache_capacity: Some(CHUNK_BYTES),
            ..Config::default()
        };
        let (done, durable) = sync_channel(1);
        Ok(Self {
            log: RaftLog::open(Arc::new(config))?,
            done,
            durable,
        })
    }

    /// Makes durable what was written, and waits until it is.
    fn sync(&mut self) -> Result<()> {
        self.log.flush(true, Some(self.done.clone()))?;
        Ok(self.durable.recv()??)
    }
}

impl Log for OneLog {
    fn append(&mut self, appends: Vec<(GroupId, Vec<Entry>)>) -> Result<()> {
        ensure!(appends.len() <= 1, "raft-log holds one group");
        for (_, entries) in appends {
            let entries = entries.into_iter();
            self.log
                .append(entries.map(|entry| (entry.index, Payload(entry.payload))))?;
        }
        self.sync()
    }

    fn read(&self, _: GroupId, range: Range<u64>) -> Result<Vec<Entry>> {
        let entries = self.log.read(range.start, range.end).map(|entry| {
            let (index, payload) = entry?;
            Ok(Entry::new(index, payload.0))
        });
        entries.collect()
    }

    fn purge(&mut self, _: GroupId, upto: u64) -> Result<()> {
        self.log.purge(upto)?;
        self.sync()
    }

    fn close(self: Box<Self>) -> Result<()> {
        // Files that a purge gave back are removed by then.
        Ok(self.log.wait_worker_idle()?)
    }
}

/// What raft-log stores: the id of an entry is its index alone, its payload is in memory shared, not copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts;

impl Types for Parts {
    type LogId = u64;
    type LogPayload = Payload;
    type Vote = u64;
    type Callback = SyncSender<io::Result<()>>;
    type UserData = u64;

    fn log_index(log_id: &u64) -> u64 {
        *log_id
    }

    fn payload_size(payload: &Payload) -> u64 {
        payload.0.len() as u64
    }
}

/// On disk its length, 4 bytes in big endian, in front of it.
#[derive(Clone, Debug)]
struct Payload(Bytes);

impl Encode for Payload {
    fn encode<W: Write>(&self, mut to: W) -> io::Result<usize> {
        let length = u32::try_from(self.0.len()).map_err(io::Error::other)?;
        to.write_all(&length.to_be_bytes())?;
        to.write_all(&self.0)?;
        Ok(size_of::<u32>() + self.0.len())
    }
}

impl Decode for Payload {
    fn decode<R: Read>(from: R) -> io::Result<Self> {
        Ok(Self(Vec::<u8>::decode(from)?.into()))
    }
}
