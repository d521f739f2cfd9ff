use raft_logstore_core::{Error, ErrorKind, LogStore, Result, StableKey, StableStore};

use crate::{LogCodec, LogTypes, TypedLog};

/// Where a log begins and ends.
pub struct LogState<T: LogTypes> {
    /// The log id that was purged last: everything up to it is gone.
    pub last_purged: Option<T::LogId>,

    /// The log id of the last entry; in an empty log, the one that was purged last.
    pub last: Option<T::LogId>,
}

impl<T, S, K> TypedLog<T, S, K>
where
    T: LogTypes,
    T::Entry: Clone,
    S: LogStore + StableStore + ?Sized,
    K: LogCodec<T>,
{
    /// Where the log begins and ends.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when the last entry or the purged log id is damaged, or they
    /// disagree with the bounds of the log; [`Poisoned`](ErrorKind::Poisoned) after a failed commit.
    pub async fn state(&self) -> Result<LogState<T>> {
        self.before_any_failure(self.find_state()).await
    }

    /// The committed log id, as far as the log is [known to reach it](crate#committed).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) when it is not what this codec writes, or the log holds
    /// another entry in its place; [`Poisoned`](ErrorKind::Poisoned) after a failed commit.
    pub async fn read_committed(&self) -> Result<Option<T::LogId>> {
        self.before_any_failure(self.committed()).await
    }

    /// The lowest index that the log can hold: one past the highest purged, 0 when nothing was purged.
    ///
    /// # Errors
    ///
    /// As [`LogStore::bounds`].
    pub async fn start(&self) -> Result<u64> {
        let floor = self.store.bounds().await?.floor();
        Ok(floor.map_or(0, |floor| floor + 1))
    }

    /// What the committed log id is to be when the log is cut at `from`, so that it never names an
    /// entry that is gone; `None` when it may stay as it is. Nothing has changed yet.
    pub(crate) async fn plan_truncate(&self, from: u64) -> Result<Option<Option<T::LogId>>> {
        let bounds = self.store.bounds().await?;
        bounds.truncate(from)?;
        let passes = |id: &Option<T::LogId>| id.as_ref().is_some_and(|id| T::index(id) >= from);
        if !passes(&self.get(&StableKey::COMMITTED).await?) {
            return Ok(None);
        }
        let committed = self.committed().await?;
        if !passes(&committed) {
            return Ok(Some(committed));
        }
        match bounds.first() {
            Some(first) if first < from => Ok(Some(Some(self.entry_id(from - 1).await?))),
            _ => Ok(Some(self.last_purged().await?)),
        }
    }

    async fn find_state(&self) -> Result<LogState<T>> {
        let last_purged = self.last_purged().await?;
        let bounds = self.store.bounds().await?;
        let last = match bounds.range().bounds() {
            Some((_, last)) => Some(self.entry_id(last).await?),
            None => last_purged.clone(),
        };
        Ok(LogState { last_purged, last })
    }

    async fn committed(&self) -> Result<Option<T::LogId>> {
        let Some(committed) = self.get::<T::LogId>(&StableKey::COMMITTED).await? else {
            return Ok(None);
        };
        let index = T::index(&committed);
        let bounds = self.store.bounds().await?;
        let reached = match bounds.range().bounds() {
            Some((first, last)) if index >= first => self.entry_id(last.min(index)).await?,
            // Nothing is left of the log up to there but, perhaps, the floor.
            Some(_) => return Ok(Some(committed)),
            None => match self.last_purged().await? {
                Some(purged) if index > T::index(&purged) => purged,
                Some(_) => return Ok(Some(committed)),
                None => return Ok(None),
            },
        };
        // What lies below a committed entry is its own past: never of a later leader.
        let in_its_place = T::index(&reached) == index && reached != committed;
        if reached > committed || in_its_place {
            return Err(Error::new(ErrorKind::Corrupt, "read committed")
                .with_indexes(T::index(&reached)..=index)
                .with_advice(format!(
                    "{committed} is committed, but the log holds {reached}"
                )));
        }
        // A leader only appends, so its earlier entries are the past of its later ones. An entry of
        // an earlier leader may be one that the committed log replaced.
        if T::is_of_one_leader(&reached, &committed) {
            Ok(Some(reached))
        } else {
            self.last_purged().await
        }
    }

    async fn last_purged(&self) -> Result<Option<T::LogId>> {
        let floor = self.store.bounds().await?.floor();
        let purged: Option<T::LogId> = self.get(&StableKey::PURGED).await?;
        let index = purged.as_ref().map(T::index);
        if index != floor {
            return Err(
                Error::new(ErrorKind::Corrupt, "read state").with_advice(format!(
                    "the log is purged up to {floor:?}, but the purged log id says {index:?}"
                )),
            );
        }
        Ok(purged)
    }

    /// The log id of the entry at `index`, which the log holds.
    async fn entry_id(&self, index: u64) -> Result<T::LogId> {
        let range = (index..=index).into();
        let entry = self.read(range).await?.pop();
        entry.as_ref().map(T::entry_id).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "read")
                .with_indexes(index..=index)
                .with_advice("the entry is missing, although the bounds of the log hold it")
        })
    }
}
