use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use raft_logstore_conformance::Log;
use raft_logstore_core::{
    Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore, LogStoreExt,
    Result, StableKey, StableStore,
};

use super::Fault;
use super::subject::Shared;

/// A handle that forwards to a correct one, except for the fault.
pub(super) struct BrokenLog {
    group: GroupId,
    inner: Arc<dyn Log>,
    /// Where stable keys go.
    keys: Arc<dyn Log>,
    shared: Arc<Shared>,
    /// What a handle that freezes has seen first.
    frozen_log: Mutex<Option<Vec<Entry>>>,
    frozen_vote: Mutex<Option<Option<Bytes>>>,
    /// Appends that wait for the next vote.
    overtaken: Mutex<Vec<(Vec<Entry>, Completion)>>,
}

impl BrokenLog {
    pub(super) fn new(
        group: GroupId,
        inner: Arc<dyn Log>,
        keys: Arc<dyn Log>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            group,
            inner,
            keys,
            shared,
            frozen_log: Mutex::default(),
            frozen_vote: Mutex::default(),
            overtaken: Mutex::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.shared.fault == fault
    }

    /// Hides what a write to a store that failed, or was refused, returns.
    fn forgive(&self, result: Result<()>) -> Result<()> {
        match result {
            Err(error)
                if matches!(
                    self.shared.fault,
                    Fault::FailureIgnored | Fault::FailureForgotten
                ) && error.kind() == ErrorKind::Poisoned =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// The completion of a write as the fault leaves it.
    fn completion(&self, done: Completion) -> Completion {
        match self.shared.fault {
            Fault::RefusalCompletesOk | Fault::FailureIgnored => Completion::new(|result| {
                let refused = |error: &Error| error.kind() != ErrorKind::Closed;
                done.complete(
                    result.or_else(|error| if refused(&error) { Ok(()) } else { Err(error) }),
                );
            }),
            Fault::FailureForgotten => Completion::new(|result| {
                let failed = |error: &Error| error.kind() != ErrorKind::Poisoned;
                done.complete(result.or_else(
                    |error| {
                        if failed(&error) { Err(error) } else { Ok(()) }
                    },
                ));
            }),
            _ => self.shared.completion(done),
        }
    }

    /// The log is empty because the process that had it in memory has ended.
    fn is_gone(&self) -> bool {
        self.has(Fault::LogInMemory) && self.shared.reopened
    }

    async fn lose_vote(&self, fault: Fault) -> Result<()> {
        if !self.has(fault) {
            return Ok(());
        }
        self.inner
            .put(&StableKey::VOTE, None, Completion::ignore())
            .await
    }
}

#[async_trait]
impl LogStore for BrokenLog {
    async fn bounds(&self) -> Result<Bounds> {
        let bounds = match self.inner.bounds().await {
            Err(error) if self.has(Fault::ClosedAnswers) && error.kind() == ErrorKind::Closed => {
                return Ok(Bounds::default());
            }
            bounds => bounds?,
        };
        let entries = bounds.first().zip(bounds.last());
        if self.is_gone() {
            return Bounds::new(bounds.floor(), None);
        }
        if let Some(late) = self.shared.late_bounds.lock().unwrap().get(&self.group) {
            return Ok(*late);
        }
        match self.shared.fault {
            Fault::EmptyLogIsAnError if bounds.is_empty() => {
                Err(Error::new(ErrorKind::Io, "bounds").with_advice("not found"))
            }
            Fault::TruncateResetsFloor
                if bounds.is_empty() && self.shared.reset.lock().unwrap().contains(&self.group) =>
            {
                Ok(Bounds::default())
            }
            Fault::EmptyLogForgetsFloor if bounds.is_empty() => Ok(Bounds::default()),
            Fault::ReopenForgetsFloor if self.shared.reopened => Bounds::new(None, entries),
            Fault::FloorGoesBack => {
                let floor = self.shared.floors.lock().unwrap().get(&self.group).copied();
                Bounds::new(floor.or(bounds.floor()), entries)
            }
            _ => Ok(bounds),
        }
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        let (first, last) = (
            entries.first().map(|e| e.index),
            entries.last().map(|e| e.index),
        );
        let end = self.inner.last_index().await.unwrap_or_default();
        match self.shared.fault {
            Fault::GapAccepted if first.zip(end).is_some_and(|(first, end)| first > end + 1) => {
                done.complete(Ok(()));
                return Ok(());
            }
            Fault::OverlapReplaces if first <= end => {
                if let Some(first) = first {
                    // Refused at or below the floor: then the append is refused as well.
                    drop(self.inner.truncate(first, Completion::ignore()).await);
                }
            }
            Fault::OverlapKeepsOld if first <= end && last <= end && first.is_some() => {
                done.complete(Ok(()));
                return Ok(());
            }
            Fault::EntrySkippedAtASplit => {
                // Parts of 16, and one more than the part is advanced by.
                let lost = entries.iter().skip(16).step_by(17);
                let mut skipped = self.shared.skipped.lock().unwrap();
                skipped.extend(lost.map(|entry| (self.group, entry.index)));
            }
            Fault::CachedBeforeWritten => {
                let mut cached = self.shared.cached.lock().unwrap();
                let cached = cached.entry(self.group).or_default();
                cached.retain(|entry| Some(entry.index) < first);
                cached.extend(entries.iter().cloned());
            }
            Fault::VoteOvertakesLog if !entries.is_empty() => {
                self.overtaken.lock().unwrap().push((entries, done));
                return Ok(());
            }
            Fault::VisibleWhenDurable => {
                let (shared, group) = (Arc::clone(&self.shared), self.group);
                let done = Completion::new(move |result| {
                    shared
                        .durable
                        .lock()
                        .unwrap()
                        .insert(group, last.unwrap_or(0));
                    done.complete(result);
                });
                return self.inner.append(entries, done).await;
            }
            _ => {}
        }
        self.forgive(self.inner.append(entries, self.completion(done)).await)
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        let Some((first, last)) = range.bounds() else {
            return self.inner.read(range, max_bytes).await;
        };
        if self.is_gone() {
            return Ok(Vec::new());
        }
        match self.shared.fault {
            Fault::RangeStartOneEarly if first > 0 => {
                self.inner
                    .read(IndexRange::new(first - 1..=last), max_bytes)
                    .await
            }
            Fault::UnboundedStartRefused if first == 0 => {
                Err(Error::new(ErrorKind::Config, "read").with_advice("give a start"))
            }
            Fault::EntrySkippedAtASplit => {
                let mut found = self.inner.read(range, max_bytes).await?;
                let skipped = self.shared.skipped.lock().unwrap();
                found.retain(|entry| !skipped.contains(&(self.group, entry.index)));
                Ok(found)
            }
            Fault::CachedBeforeWritten => {
                let mut found = self.inner.read(range, max_bytes).await?;
                let end = found.last().map(|entry| entry.index);
                let cached = self.shared.cached.lock().unwrap();
                let cached = cached.get(&self.group).into_iter().flatten();
                let beyond = cached.filter(|entry| {
                    (first..=last).contains(&entry.index) && Some(entry.index) > end
                });
                found.extend(beyond.cloned());
                Ok(found)
            }
            Fault::VisibleWhenDurable => {
                let durable = self
                    .shared
                    .durable
                    .lock()
                    .unwrap()
                    .get(&self.group)
                    .copied();
                let durable = durable.unwrap_or(u64::MAX);
                self.inner
                    .read(range.intersect((0..=durable).into()), max_bytes)
                    .await
            }
            Fault::TornReads => {
                let middle = self.inner.bounds().await?.first().unwrap_or(0) + 100;
                let (below, above) = (IndexRange::new(..middle), IndexRange::new(middle..));
                let mut found = self.inner.read(range.intersect(below), max_bytes).await?;
                thread::sleep(Duration::from_micros(200));
                found.extend(self.inner.read(range.intersect(above), max_bytes).await?);
                Ok(found)
            }
            Fault::FrozenReader => {
                let all = self.inner.read(IndexRange::new(..), u64::MAX).await?;
                let mut frozen = self.frozen_log.lock().unwrap();
                let frozen = frozen.get_or_insert(all);
                let inside = |entry: &&Entry| (first..=last).contains(&entry.index);
                Ok(frozen.iter().filter(inside).cloned().collect())
            }
            Fault::RangeEndExcluded => {
                self.inner
                    .read(IndexRange::new(first..last), max_bytes)
                    .await
            }
            Fault::StaleAfterTruncate => {
                let mut found = self.inner.read(range, max_bytes).await?;
                let stale = self.shared.stale.lock().unwrap();
                if let Some((at, dropped)) = stale.get(&self.group)
                    && at.elapsed() < Duration::from_micros(500)
                {
                    for entry in &mut found {
                        let cached = dropped.iter().find(|cached| cached.index == entry.index);
                        *entry = cached.unwrap_or(entry).clone();
                    }
                }
                Ok(found)
            }
            Fault::CapIgnored => self.inner.read(range, u64::MAX).await,
            Fault::CapReturnsNothing => {
                let found = self.inner.read(range, max_bytes).await?;
                let too_large = found
                    .first()
                    .is_some_and(|e| e.payload.len() as u64 > max_bytes);
                Ok(if too_large { Vec::new() } else { found })
            }
            Fault::ClosedAnswers => Ok(self.inner.read(range, max_bytes).await.unwrap_or_default()),
            _ => self.inner.read(range, max_bytes).await,
        }
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        let from = if self.has(Fault::TruncateKeepsOne) {
            from.saturating_add(1)
        } else {
            from
        };
        if self.has(Fault::StaleAfterTruncate) {
            let dropped = self.inner.read(IndexRange::new(from..), u64::MAX).await?;
            let mut stale = self.shared.stale.lock().unwrap();
            stale.insert(self.group, (Instant::now(), dropped));
        }
        self.forgive(self.inner.truncate(from, self.completion(done)).await)?;
        if self.has(Fault::TruncateResetsFloor) && self.inner.bounds().await?.is_empty() {
            self.shared.reset.lock().unwrap().insert(self.group);
        }
        self.lose_vote(Fault::TruncateLosesVote).await
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        let (mut up_to, mut id) = (up_to, id);
        let bounds = self.inner.bounds().await?;
        match self.shared.fault {
            Fault::PurgeStopsAtLast => up_to = up_to.min(bounds.last().unwrap_or(0)),
            Fault::FloorGoesBack if bounds.first().is_some() || bounds.floor() >= Some(up_to) => {
                self.shared.floors.lock().unwrap().insert(self.group, up_to);
            }
            Fault::PurgeStoresOldId => {
                id = self
                    .inner
                    .get(&StableKey::PURGED)
                    .await?
                    .unwrap_or_else(|| vec![0; 8].into());
            }
            Fault::SpaceNeverGivenBack => self.shared.litter(),
            Fault::RepurgeRefused if bounds.floor() >= Some(up_to) => {
                let error = Error::new(ErrorKind::Purged, "purge");
                done.complete(Err(error.clone()));
                return Err(error);
            }
            Fault::FloorMovesLate => {
                let mut late = self.shared.late_bounds.lock().unwrap();
                late.insert(self.group, bounds);
            }
            _ => {}
        }
        self.forgive(self.inner.purge(up_to, id, self.completion(done)).await)?;
        if self.has(Fault::PurgeWipesCommitted) {
            let committed = &StableKey::COMMITTED;
            self.inner
                .put(committed, None, Completion::ignore())
                .await?;
        }
        if self.has(Fault::FloorMovesLate) {
            thread::sleep(Duration::from_micros(300));
            self.shared.late_bounds.lock().unwrap().remove(&self.group);
        }
        self.lose_vote(Fault::PurgeLosesVote).await
    }
}

#[async_trait]
impl StableStore for BrokenLog {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        if self.has(Fault::VoteInMemory) && *key == StableKey::VOTE {
            return Ok(self
                .shared
                .votes
                .lock()
                .unwrap()
                .get(&self.group)
                .cloned()
                .flatten());
        }
        if self.has(Fault::PurgedInMemory) && self.shared.reopened && *key == StableKey::PURGED {
            return Ok(None);
        }
        if self.has(Fault::LazyAhead)
            && let Some(value) = self
                .shared
                .aside
                .lock()
                .unwrap()
                .get(&(self.group, key.clone()))
        {
            return Ok(Some(value.clone()));
        }
        let value = match self.keys.get(key).await {
            Err(_) if self.has(Fault::ClosedAnswers) => return Ok(None),
            value => value?,
        };
        if self.has(Fault::FrozenVote) && *key == StableKey::VOTE {
            return Ok(self
                .frozen_vote
                .lock()
                .unwrap()
                .get_or_insert(value)
                .clone());
        }
        Ok(value)
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        if self.has(Fault::VoteInMemory) && *key == StableKey::VOTE {
            self.shared.votes.lock().unwrap().insert(self.group, value);
            // Completes in its turn, though nothing is written.
            return self.inner.append(Vec::new(), done).await;
        }
        if self.has(Fault::VoteUnsynced) && *key == StableKey::VOTE {
            self.keys.put_lazy(key, value).await?;
            done.complete(Ok(()));
            return Ok(());
        }
        if self.has(Fault::VoteOvertakesLog) {
            let (voted, durable) = Completion::pending();
            self.keys.put(key, value, voted).await?;
            durable.await?;
            let overtaken = std::mem::take(&mut *self.overtaken.lock().unwrap());
            for (entries, done) in overtaken {
                self.inner.append(entries, done).await?;
            }
            done.complete(Ok(()));
            return Ok(());
        }
        self.forgive(self.keys.put(key, value, self.completion(done)).await)
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        match (self.shared.fault, value) {
            (Fault::LazyIsNever, _) => Ok(()),
            (Fault::LazyIsSynced, value) => self.keys.put(key, value, Completion::ignore()).await,
            (Fault::LazyAhead, Some(value)) => {
                self.shared
                    .aside
                    .lock()
                    .unwrap()
                    .insert((self.group, key.clone()), value);
                Ok(())
            }
            (_, value) => self.forgive(self.keys.put_lazy(key, value).await),
        }
    }
}
