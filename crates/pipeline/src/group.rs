use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use raft_logstore_core::{
    Backend, Bounds, Completion, Entry, Error, ErrorKind, GroupId, IndexRange, LogStore, MAX_INDEX,
    Op, Result, StableKey, StableStore,
};

use crate::blocking::BlockingGroup;
use crate::progress::Place;
use crate::queue::{Permit, Refused, Ticket, Urgency, refuse};
use crate::store::Shared;
use crate::sync::{Arc, Mutex, lock};
use crate::tail::{ENTRY_OVERHEAD, Tail, memory_bytes, payload_bytes};

/// One group of a [`Store`](crate::Store): its [`LogStore`] and its [`StableStore`].
///
/// Cheap to clone; all clones are the same group. Keeps the store open until it is dropped or the
/// store is closed.
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
    state: Arc<GroupState>,
}

impl Group {
    pub(crate) fn new(shared: Arc<Shared>, state: Arc<GroupState>) -> Self {
        Self { shared, state }
    }

    /// Which group this is.
    pub fn id(&self) -> GroupId {
        self.state.id
    }

    /// The same group for a thread that may block.
    pub fn blocking(&self) -> BlockingGroup {
        BlockingGroup::new(self.clone())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits for room, then hands a write over: `plan` checks it against the group's state and says
    /// what to queue, `apply` makes it visible. Both run under the group's lock, around the
    /// queueing.
    async fn submit<P>(
        &self,
        bytes: u64,
        urgency: Urgency,
        done: Completion,
        plan: impl FnOnce(&Visible) -> Result<Plan<P>>,
        apply: impl FnOnce(&mut Visible, Ticket, P),
    ) -> Result<Place> {
        let permit = match self.shared.queue.reserve(bytes).await {
            Ok(permit) => permit,
            Err(error) => return Err(refuse(error.with_group(self.state.id), done)),
        };
        self.queue(permit, urgency, done, plan, apply)
            .map_err(Refused::answer)
    }

    fn queue<P>(
        &self,
        permit: Permit,
        urgency: Urgency,
        done: Completion,
        plan: impl FnOnce(&Visible) -> Result<Plan<P>>,
        apply: impl FnOnce(&mut Visible, Ticket, P),
    ) -> Result<Place, Refused> {
        let mut visible = lock(&self.state.visible);
        let Plan { op, bounds, rest } = match plan(&visible) {
            Ok(plan) => plan,
            Err(error) => return Err(Refused::new(error.with_group(self.state.id), done)),
        };
        let group = Some(Arc::clone(&self.state));
        let queue = &self.shared.queue;
        let place = queue.push(group, op, bounds, urgency, done, permit)?;
        visible.bounds = bounds;
        apply(&mut visible, place.ticket, rest);
        Ok(place)
    }

    pub(crate) async fn submit_append(
        &self,
        entries: Vec<Entry>,
        urgency: Urgency,
        done: Completion,
    ) -> Result<Place> {
        let largest = entries
            .iter()
            .map(|entry| entry.payload.len())
            .max()
            .unwrap_or(0);
        let bytes = memory_bytes(&entries);
        let checked = self
            .check_size("append", largest as u64)
            .and_then(|()| check_appended(bytes));
        if let Err(error) = checked {
            return Err(refuse(error.with_group(self.state.id), done));
        }
        let group = self.state.id;
        self.submit(
            bytes,
            urgency,
            done,
            move |visible| {
                let bounds = visible.readable()?.bounds;
                let Some(first) = entries.first().map(|entry| entry.index) else {
                    return Ok(Plan {
                        op: None,
                        bounds,
                        rest: entries,
                    });
                };
                contiguous(&entries)?;
                Ok(Plan {
                    bounds: bounds.append(first, entries.len() as u64)?,
                    // The tail shares the payloads; only the small entry headers are cloned.
                    op: Some(Op::Append {
                        group,
                        entries: entries.clone(),
                    }),
                    rest: entries,
                })
            },
            |visible, ticket, entries| visible.tail.append(ticket, entries),
        )
        .await
    }

    pub(crate) async fn submit_truncate(
        &self,
        from: u64,
        urgency: Urgency,
        done: Completion,
    ) -> Result<Place> {
        let group = self.state.id;
        self.submit(
            ENTRY_OVERHEAD,
            urgency,
            done,
            move |visible| {
                let before = visible.readable()?.bounds;
                let bounds = before.truncate(from)?;
                let cuts = bounds != before;
                Ok(Plan {
                    op: cuts.then_some(Op::Truncate { group, from }),
                    bounds,
                    rest: cuts,
                })
            },
            |visible, _, cuts| {
                if cuts {
                    visible.tail.truncate(from);
                    visible.rewrites += 1;
                }
            },
        )
        .await
    }

    pub(crate) async fn submit_purge(
        &self,
        up_to: u64,
        id: Bytes,
        urgency: Urgency,
        done: Completion,
    ) -> Result<Place> {
        let group = self.state.id;
        let checked = if up_to > MAX_INDEX {
            Err(
                Error::new(ErrorKind::TooLarge, "purge").with_advice(format!(
                    "index {up_to} is past the highest index, {MAX_INDEX}"
                )),
            )
        } else {
            self.check_size("purge", id.len() as u64)
        };
        if let Err(error) = checked {
            return Err(refuse(error.with_group(group), done));
        }
        self.submit(
            id.len() as u64 + ENTRY_OVERHEAD,
            urgency,
            done,
            move |visible| {
                let before = visible.readable()?.bounds;
                let bounds = before.purge(up_to);
                let moved = (bounds != before).then_some(id);
                Ok(Plan {
                    op: moved.clone().map(|id| Op::Purge { group, up_to, id }),
                    bounds,
                    rest: moved,
                })
            },
            |visible, ticket, moved| {
                if let Some(id) = moved {
                    visible.tail.purge(up_to);
                    let id = (ticket, Some(id));
                    visible.stable.insert(StableKey::PURGED, id);
                }
            },
        )
        .await
    }

    pub(crate) async fn submit_put(
        &self,
        key: &StableKey,
        value: Option<Bytes>,
        urgency: Urgency,
        done: Completion,
    ) -> Result<Place> {
        let size = value.as_ref().map_or(0, Bytes::len) as u64;
        let checked = if *key == StableKey::PURGED {
            Err(Error::new(ErrorKind::Config, "put")
                .with_advice(format!("the stable key {key} is written by a purge only")))
        } else {
            self.check_size("put", size)
        };
        if let Err(error) = checked {
            return Err(refuse(error.with_group(self.state.id), done));
        }
        let op = Op::Put {
            group: self.state.id,
            key: key.clone(),
            value: value.clone(),
        };
        self.submit(
            size + ENTRY_OVERHEAD,
            urgency,
            done,
            |visible| {
                let bounds = visible.readable()?.bounds;
                Ok(Plan {
                    op: Some(op),
                    bounds,
                    rest: value,
                })
            },
            |visible, ticket, value| {
                visible.stable.insert(key.clone(), (ticket, value));
            },
        )
        .await
    }

    fn check_size(&self, operation: &'static str, bytes: u64) -> Result<()> {
        let limit = self.shared.max_entry_bytes;
        if bytes <= limit {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::TooLarge, operation).with_advice(format!(
                "{bytes} bytes are more than StoreConfig::max_entry_bytes, {limit}"
            )),
        )
    }

    /// Drops the group and returns when that is durable.
    pub(crate) async fn remove(&self) -> Result<()> {
        let (done, durable) = Completion::pending();
        let op = Op::DropGroup {
            group: self.state.id,
        };
        self.submit(
            ENTRY_OVERHEAD,
            Urgency::Durable,
            done,
            |_| {
                Ok(Plan {
                    op: Some(op),
                    bounds: Bounds::default(),
                    rest: (),
                })
            },
            |visible, ticket, ()| visible.drop_all(ticket),
        )
        .await?;
        durable.await
    }
}

#[async_trait]
impl LogStore for Group {
    async fn bounds(&self) -> Result<Bounds> {
        self.shared.queue.answers_reads()?;
        lock(&self.state.visible)
            .readable()
            .map(|visible| visible.bounds)
    }

    async fn append(&self, entries: Vec<Entry>, done: Completion) -> Result<()> {
        if entries.is_empty() && done.is_ignored() {
            // There is nothing to write and nobody to tell: a commit would be for what is lazy alone.
            let accepted = self.shared.queue.accepts_writes();
            accepted.map_err(|error| error.with_group(self.state.id))?;
            return lock(&self.state.visible).readable().map(drop);
        }
        self.submit_append(entries, Urgency::Durable, done).await?;
        Ok(())
    }

    async fn read(&self, range: IndexRange, max_bytes: u64) -> Result<Vec<Entry>> {
        loop {
            self.shared.queue.answers_reads()?;
            let cold = match lock(&self.state.visible)
                .readable()?
                .plan_read(range, max_bytes)
            {
                Read::Warm(entries) => return Ok(entries),
                Read::Cold(cold) => cold,
            };
            self.shared.counters.read_cold();
            let (id, first, last) = (self.state.id, cold.first, cold.last);
            let read =
                move |backend: &dyn Backend| backend.read(id, (first..=last).into(), max_bytes);
            let found = self.shared.readers.run(read).await;
            // A truncate or purge may have changed the log below the read: then start over.
            if lock(&self.state.visible).still_holds(&cold) {
                return cold.join(id, found?, max_bytes);
            }
        }
    }

    async fn truncate(&self, from: u64, done: Completion) -> Result<()> {
        self.submit_truncate(from, Urgency::Durable, done).await?;
        Ok(())
    }

    async fn purge(&self, up_to: u64, id: Bytes, done: Completion) -> Result<()> {
        self.submit_purge(up_to, id, Urgency::Durable, done).await?;
        Ok(())
    }
}

#[async_trait]
impl StableStore for Group {
    async fn get(&self, key: &StableKey) -> Result<Option<Bytes>> {
        self.shared.queue.answers_reads()?;
        if let Some(value) = lock(&self.state.visible).readable()?.stable_in_memory(key) {
            return Ok(value);
        }
        let (id, key) = (self.state.id, key.clone());
        self.shared
            .readers
            .run(move |backend| backend.get(id, &key))
            .await
    }

    async fn put(&self, key: &StableKey, value: Option<Bytes>, done: Completion) -> Result<()> {
        self.submit_put(key, value, Urgency::Durable, done).await?;
        Ok(())
    }

    async fn put_lazy(&self, key: &StableKey, value: Option<Bytes>) -> Result<()> {
        self.submit_put(key, value, Urgency::Lazy, Completion::ignore())
            .await?;
        Ok(())
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.state.id)
            .finish_non_exhaustive()
    }
}

/// A backend takes less than 4 GiB in one commit, and its encoding takes some of that.
const MOST_APPENDED: u64 = 2 << 30;

fn check_appended(bytes: u64) -> Result<()> {
    if bytes <= MOST_APPENDED {
        return Ok(());
    }
    Err(
        Error::new(ErrorKind::TooLarge, "append").with_advice(format!(
            "{bytes} bytes are more than the {MOST_APPENDED} of one append; append in parts"
        )),
    )
}

fn contiguous(entries: &[Entry]) -> Result<()> {
    match entries
        .windows(2)
        .find(|pair| pair[0].index.checked_add(1) != Some(pair[1].index))
    {
        None => Ok(()),
        Some(pair) => Err(Error::new(ErrorKind::Gap, "append").with_advice(format!(
            "entry {} follows entry {} in one append",
            pair[1].index, pair[0].index
        ))),
    }
}

/// What the handles and the committer share about one group.
pub(crate) struct GroupState {
    id: GroupId,
    visible: Mutex<Visible>,
}

impl GroupState {
    /// A group as it was found on disk; an error stands for one that cannot be read.
    pub(crate) fn new(id: GroupId, found: Result<Bounds>) -> Self {
        let mut visible = Visible::default();
        match found {
            Ok(bounds) => (visible.bounds, visible.durable) = (bounds, bounds),
            Err(error) => visible.unreadable = Some(error),
        }
        Self {
            id,
            visible: Mutex::new(visible),
        }
    }

    /// Everything queued up to `ticket` is durable; it left the log with `bounds`.
    pub(crate) fn durable(&self, ticket: Ticket, bounds: Bounds) {
        let mut visible = lock(&self.visible);
        visible.durable = bounds;
        visible.tail.durable(ticket);
        if visible.dropped.is_some_and(|dropped| dropped <= ticket) {
            visible.dropped = None;
            visible.unreadable = None;
        }
        if !visible.stable.is_empty() {
            visible.stable.retain(|_, (queued, _)| *queued > ticket);
        }
    }

    /// Whether it is no different from a group that nobody has spoken of.
    pub(crate) fn is_blank(&self) -> bool {
        let visible = lock(&self.visible);
        visible.bounds == Bounds::default()
            && visible.durable == Bounds::default()
            && visible.stable.is_empty()
            && visible.dropped.is_none()
            && visible.unreadable.is_none()
    }

    /// Lets go of durable entries up to `last`.
    pub(crate) fn evict(&self, last: u64) {
        lock(&self.visible).tail.evict(last);
    }

    /// Shows what is durable and nothing else (law 12). Called once no more writes are accepted.
    pub(crate) fn revert(&self) {
        let mut visible = lock(&self.visible);
        visible.bounds = visible.durable;
        let last = visible.durable.last();
        visible.tail.revert(last);
        visible.stable.clear();
        visible.dropped = None;
        visible.rewrites += 1;
    }
}

/// A write that was checked.
struct Plan<P> {
    /// What to write; `None` when that is nothing.
    op: Option<Op>,
    /// The bounds of the log after it.
    bounds: Bounds,
    /// What is needed to make it visible.
    rest: P,
}

/// A group as its readers see it, durable or not.
#[derive(Default)]
struct Visible {
    bounds: Bounds,
    tail: Tail,
    /// The stable keys written since they were last durable.
    stable: BTreeMap<StableKey, (Ticket, Option<Bytes>)>,
    /// A group drop in flight: what the backend still holds of the group is gone.
    dropped: Option<Ticket>,
    /// Counts truncates and drops: a read of the disk that overlaps one starts over.
    rewrites: u64,
    /// The bounds as of the last commit.
    durable: Bounds,
    /// Why the group could not be read when the store was opened; until a drop of it is durable.
    unreadable: Option<Error>,
}

/// How a read is answered.
enum Read {
    /// From memory.
    Warm(Vec<Entry>),
    /// The first part from the disk.
    Cold(Cold),
}

/// A read of `first..=last` from the disk, and what follows it in memory.
struct Cold {
    first: u64,
    last: u64,
    rewrites: u64,
    warm: Vec<Entry>,
}

impl Visible {
    fn readable(&self) -> Result<&Self> {
        match &self.unreadable {
            Some(error) if self.dropped.is_none() => Err(error.clone()),
            Some(_) | None => Ok(self),
        }
    }

    fn plan_read(&self, range: IndexRange, max_bytes: u64) -> Read {
        let Some((first, last)) = range.intersect(self.bounds.range()).bounds() else {
            return Read::Warm(Vec::new());
        };
        let mut warm = Vec::new();
        let in_memory = self.tail.first().map_or(u64::MAX, |start| start.max(first));
        if in_memory <= last {
            self.tail.read(in_memory, last, max_bytes, &mut warm);
        }
        if in_memory == first {
            return Read::Warm(warm);
        }
        Read::Cold(Cold {
            first,
            last: last.min(in_memory - 1),
            rewrites: self.rewrites,
            warm,
        })
    }

    /// Whether what was planned from the disk is still there: not truncated, dropped or purged
    /// since.
    fn still_holds(&self, cold: &Cold) -> bool {
        self.rewrites == cold.rewrites && self.bounds.floor().is_none_or(|floor| floor < cold.first)
    }

    /// The value of a stable key where memory knows it.
    fn stable_in_memory(&self, key: &StableKey) -> Option<Option<Bytes>> {
        match self.stable.get(key) {
            Some((_, value)) => Some(value.clone()),
            None => self.dropped.map(|_| None),
        }
    }

    fn drop_all(&mut self, ticket: Ticket) {
        self.tail.clear();
        self.stable.clear();
        self.dropped = Some(ticket);
        self.rewrites += 1;
    }
}

impl Cold {
    /// Puts what the disk gave before what memory gave, within the byte cap.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the disk did not give what the log holds.
    fn join(self, group: GroupId, mut entries: Vec<Entry>, max_bytes: u64) -> Result<Vec<Entry>> {
        let Self {
            first, last, warm, ..
        } = self;
        let next = first + entries.len() as u64;
        let in_order = entries
            .iter()
            .zip(first..)
            .all(|(entry, index)| entry.index == index);
        let whole = next == last + 1;
        if entries.is_empty() || !in_order || next > last + 1 || (!whole && max_bytes == u64::MAX) {
            return Err(Error::new(ErrorKind::Corrupt, "read")
                .with_group(group)
                .with_indexes(next.min(last)..=last)
                .with_advice(
                    "entries that the log holds are missing on disk; rebuild this node from its peers",
                ));
        }
        if whole {
            let mut bytes = payload_bytes(&entries);
            entries.extend(warm.into_iter().take_while(|entry| {
                bytes = bytes.saturating_add(entry.payload.len() as u64);
                bytes <= max_bytes
            }));
        }
        Ok(entries)
    }
}
