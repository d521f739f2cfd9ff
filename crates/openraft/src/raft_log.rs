use std::fmt;
use std::io;
use std::sync::Arc;

use openraft::alias::{LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftTypeConfig};
use raft_logstore_core::{
    Completion, Error, ErrorKind, LogStore, Result, StableKey, StableStore, StableStoreExt,
};

use crate::typed_log::{Encoded, TypedLog};
use crate::{LogReader, MessagePack, RaftCodec, RaftLogConfig};

/// The log storage of one openraft node, kept in one group of a store.
///
/// `S` is the group: anything that is [`LogStore`] and [`StableStore`], such as the pipeline's
/// `Group`. `K` is the [codec](crate::Codec).
///
/// Appends, truncates and purges return without waiting for the disk, in an order the store keeps;
/// the callback of an append is answered exactly once: `Ok` when the entries are durable, an error
/// when they cannot become so, also when the store is closed or dropped. A vote is durable when
/// [`save_vote`](RaftLogStorage::save_vote) returns. The committed log id is written with the next
/// batch, and reported only as far as the log is known to reach it: when its entry is missing, the
/// last entry takes its place if it is of the same leader, and otherwise the purged log id does.
///
/// After a failed commit writes are errors, and so is every read that memory cannot answer: see the
/// [crate's documentation](crate#failure).
///
/// The group must be written through one `RaftLog` at a time, and through nothing else. openraft's
/// feature `single-threaded` is not supported: callbacks are answered on the store's writer thread.
pub struct RaftLog<C: RaftTypeConfig, S: ?Sized, K = MessagePack> {
    log: Arc<TypedLog<C, S, K>>,
}

impl<C, S> RaftLog<C, S>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore,
    MessagePack: RaftCodec<C>,
{
    /// The log kept in `group`, in MessagePack, with the default limits.
    pub fn new(group: S) -> Self {
        Self::with_codec(group, MessagePack)
    }
}

impl<C, S, K> RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore,
    K: RaftCodec<C>,
{
    /// The log kept in `group`, written by `codec`, with the default limits.
    pub fn with_codec(group: S, codec: K) -> Self {
        Self::with_config(Arc::new(group), codec, &RaftLogConfig::default())
    }
}

impl<C, S, K> RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized,
    K: RaftCodec<C>,
{
    /// The log kept in `group`, which may be a trait object, written by `codec`, with limits.
    pub fn with_config(group: Arc<S>, codec: K, config: &RaftLogConfig) -> Self {
        Self {
            log: Arc::new(TypedLog::new(group, codec, config)),
        }
    }

    /// The log id of the entry at `index`, which the log holds.
    async fn log_id(&self, index: u64) -> Result<LogIdOf<C>> {
        let entry = self.log.read((index..=index).into(), u64::MAX).await?.pop();
        entry.map(|entry| entry.log_id()).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "read")
                .with_indexes(index..=index)
                .with_advice("the entry is missing, although the bounds of the log hold it")
        })
    }

    async fn last_purged(&self) -> Result<Option<LogIdOf<C>>> {
        let floor = self.log.store.bounds().await?.floor();
        let purged: Option<LogIdOf<C>> = self.log.get(&StableKey::PURGED).await?;
        if purged.as_ref().map(|id| id.index) != floor {
            let purged = purged.map(|id| id.index);
            return Err(
                Error::new(ErrorKind::Corrupt, "read state").with_advice(format!(
                    "the log is purged up to {floor:?}, but the purged log id says {purged:?}"
                )),
            );
        }
        Ok(purged)
    }

    async fn state(&self) -> Result<LogState<C>> {
        let last_purged_log_id = self.last_purged().await?;
        let bounds = self.log.store.bounds().await?;
        let last_log_id = match bounds.range().bounds() {
            Some((_, last)) => Some(self.log_id(last).await?),
            None => last_purged_log_id.clone(),
        };
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    /// The committed log id, as far as the log is known to reach it.
    async fn committed(&self) -> Result<Option<LogIdOf<C>>> {
        let Some(committed) = self.log.get::<LogIdOf<C>>(&StableKey::COMMITTED).await? else {
            return Ok(None);
        };
        let bounds = self.log.store.bounds().await?;
        let reached = match bounds.range().bounds() {
            Some((first, last)) if committed.index >= first => {
                self.log_id(last.min(committed.index)).await?
            }
            // Nothing is left of the log up to there but, perhaps, the floor.
            Some(_) => return Ok(Some(committed)),
            None => match self.last_purged().await? {
                Some(purged) if committed.index > purged.index => purged,
                Some(_) => return Ok(Some(committed)),
                None => return Ok(None),
            },
        };
        // What lies below a committed entry is its own past: never of a later leader.
        if reached > committed || (reached.index == committed.index && reached != committed) {
            return Err(Error::new(ErrorKind::Corrupt, "read committed")
                .with_indexes(reached.index..=committed.index)
                .with_advice(format!(
                    "{committed} is committed, but the log holds {reached}"
                )));
        }
        // A leader only appends, so its earlier entries are the past of its later ones. An entry of
        // an earlier leader may be one that the committed log replaced.
        if reached.leader_id == committed.leader_id {
            Ok(Some(reached))
        } else {
            self.last_purged().await
        }
    }

    /// What the committed log id is to be when the log is cut back to `last`, so that it never names
    /// an entry that is gone; `None` when it may stay as it is.
    async fn lowered_committed(&self, last: Option<&LogIdOf<C>>) -> Result<Option<Committed<C>>> {
        let index = |id: &LogIdOf<C>| id.index;
        let stored = self.log.get::<LogIdOf<C>>(&StableKey::COMMITTED).await?;
        if stored.as_ref().map(index) <= last.map(index) {
            return Ok(None);
        }
        let committed = self.committed().await?;
        let beyond = committed.as_ref().map(index) > last.map(index);
        Ok(Some(Committed(if beyond {
            last.cloned()
        } else {
            committed
        })))
    }

    async fn save_committed_lazily(&self, committed: Option<&LogIdOf<C>>) -> Result<()> {
        let value = committed
            .map(|committed| self.log.encode(committed))
            .transpose()?;
        self.log.store.put_lazy(&StableKey::COMMITTED, value).await
    }

    /// What a truncate after `last` is to do; nothing has changed yet.
    async fn plan_truncate(&self, last: Option<LogIdOf<C>>) -> Result<Cut<C>> {
        let bounds = self.log.store.bounds().await?;
        let last = match last {
            Some(last) => Some(last),
            // All there is; what is purged stays purged.
            None => self.last_purged().await?,
        };
        let from = last.as_ref().map_or(0, |last| last.index.saturating_add(1));
        bounds.truncate(from)?;
        let committed = self.lowered_committed(last.as_ref()).await?;
        Ok(Cut { from, committed })
    }

    async fn truncate(&self, last: Option<LogIdOf<C>>) -> Result<()> {
        let planned = self.log.before_any_failure(self.plan_truncate(last));
        let Cut { from, committed } = planned.await?;
        // Queued first, so that it is on disk not later than the truncate.
        if let Some(Committed(committed)) = committed {
            self.save_committed_lazily(committed.as_ref()).await?;
        }
        let _change = self.log.cache.truncate(from);
        // A commit that fails shows in the next write.
        self.log.store.truncate(from, Completion::ignore()).await
    }
}

/// The value of the committed log id.
struct Committed<C: RaftTypeConfig>(Option<LogIdOf<C>>);

/// A truncate that was checked.
struct Cut<C: RaftTypeConfig> {
    /// The first index to drop.
    from: u64,
    /// The committed log id to save before, if it must change.
    committed: Option<Committed<C>>,
}

impl<C: RaftTypeConfig, S: ?Sized, K> fmt::Debug for RaftLog<C, S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaftLog").finish_non_exhaustive()
    }
}

impl<C, S, K> RaftLogStorage<C> for RaftLog<C, S, K>
where
    C: RaftTypeConfig,
    C::Entry: Clone,
    S: LogStore + StableStore + ?Sized + 'static,
    K: RaftCodec<C>,
{
    type LogReader = LogReader<C, S, K>;

    async fn get_log_state(&mut self) -> io::Result<LogState<C>> {
        Ok(self.log.before_any_failure(self.state()).await?)
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        LogReader::new(Arc::clone(&self.log))
    }

    async fn save_vote(&mut self, vote: &VoteOf<C>) -> io::Result<()> {
        let value = self.log.encode(vote)?;
        Ok(self.log.store.set(&StableKey::VOTE, value).await?)
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<C>>) -> io::Result<()> {
        Ok(self.save_committed_lazily(committed.as_ref()).await?)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<C>>> {
        Ok(self.log.before_any_failure(self.committed()).await?)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<C>) -> io::Result<()>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let cache = Arc::clone(&self.log.cache);
        let done = Completion::new(move |result| {
            if result.is_err() {
                cache.fail();
            }
            callback.io_completed(result.map_err(io::Error::from));
        });
        let Encoded { stored, cached } = match self.log.encode_entries(entries) {
            Ok(encoded) => encoded,
            Err(error) => {
                done.complete(Err(error.clone()));
                return Err(error.into());
            }
        };
        self.log.store.append(stored, done).await?;
        self.log.cache.push(cached);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogIdOf<C>>) -> io::Result<()> {
        Ok(self.truncate(last_log_id).await?)
    }

    async fn purge(&mut self, log_id: LogIdOf<C>) -> io::Result<()> {
        let id = self.log.encode(&log_id)?;
        let _change = self.log.cache.purge(log_id.index);
        // A commit that fails shows in the next write.
        Ok(self
            .log
            .store
            .purge(log_id.index, id, Completion::ignore())
            .await?)
    }
}
