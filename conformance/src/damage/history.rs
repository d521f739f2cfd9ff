use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use raft_logstore_core::{
    Backend, Batch, Entry, GroupId, IndexRange, MemoryBackend, Op, Result, StableKey,
};
use serde::{Deserialize, Serialize};

use crate::damage::Content;
use crate::damage::content::{GroupContent, ShownEntry, numbers, shown};
use crate::law::DEADLINE;
use crate::payload::{Mix, payload};
use crate::{Feature, LawResult, OpenStore, Session, Subject, subject};

/// What is written into a store that is to be damaged: entries small and large, replaced suffixes,
/// purged prefixes and several votes, in a few groups. The same seed gives the same history.
///
/// In the middle the store is closed and opened again, so that a part of it lies where a store keeps
/// what is old, and a part where it keeps what is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    seed: u64,
    has_groups: bool,
    /// How many of its entries do not fit into a page.
    long_entries: u64,
}

const LOG: GroupId = GroupId(1);
const LONG: GroupId = GroupId(2);
const FLOOR: GroupId = GroupId(3);
const VOTER: GroupId = GroupId(0x2100_0000_0000_0000);
const LATE: GroupId = GroupId(u64::MAX);

const NOTE: StableKey = StableKey::from_static("note");

impl History {
    /// The stable keys that it sets.
    pub(crate) const KEYS: [StableKey; 4] = [
        StableKey::VOTE,
        StableKey::COMMITTED,
        StableKey::PURGED,
        NOTE,
    ];

    /// The history of `seed` for a kind of store: of one group, when it holds no more.
    pub fn new(subject: &dyn Subject, seed: u64) -> Self {
        Self {
            seed,
            has_groups: subject::lacks(subject, Feature::Groups).is_none(),
            long_entries: 4,
        }
    }

    /// The same with another number of entries of 9,000 bytes in the group that has some, so that more of the
    /// store lies where it keeps what is old.
    #[must_use]
    pub fn with_long_entries(self, long_entries: u64) -> Self {
        Self {
            long_entries,
            ..self
        }
    }

    /// The last long entry that is there from the beginning.
    fn last_long(&self) -> u64 {
        30 + self.long_entries
    }

    pub(crate) fn has_groups(&self) -> bool {
        self.has_groups
    }

    /// The groups that it writes to.
    pub(crate) fn groups(&self) -> BTreeSet<u64> {
        let parts = [self.past(), self.recent()];
        parts.iter().flatten().map(|op| op.group().0).collect()
    }

    /// Writes it all into an empty directory and returns the store, open. All of it is acknowledged then.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) fn write(&self, subject: &dyn Subject, dir: &Path) -> LawResult<Box<dyn OpenStore>> {
        let session = Session::new(subject.open(dir)?, DEADLINE);
        perform(&session, self.past())??;
        session.close()?;
        let session = Session::new(subject.open(dir)?, DEADLINE);
        perform(&session, self.recent())??;
        Ok(session.into_store())
    }

    /// Goes on with a store that holds the history, and returns what the store says of it.
    ///
    /// # Errors
    ///
    /// When a completion does not fire.
    pub(crate) fn go_on(&self, session: &Session) -> LawResult<Result<()>> {
        perform(session, self.future())
    }

    /// Every entry that was ever written, also those that were replaced or purged, as a content shows them.
    pub(crate) fn entries(&self) -> BTreeMap<u64, BTreeSet<ShownEntry>> {
        let mut entries: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for op in [self.past(), self.recent(), self.future()].concat() {
            if let Op::Append {
                group,
                entries: new,
            } = op
            {
                entries
                    .entry(group.0)
                    .or_default()
                    .extend(new.iter().map(shown));
            }
        }
        entries
    }

    /// What a store must show after it was written.
    ///
    /// # Errors
    ///
    /// None that a store could cause.
    pub fn content(&self) -> LawResult<Content> {
        self.reference([self.past(), self.recent()].concat())
    }

    /// What a store must show after it went on.
    pub(crate) fn content_after(&self) -> LawResult<Content> {
        self.reference([self.past(), self.recent(), self.future()].concat())
    }

    /// What the reference shows after `ops`.
    fn reference(&self, ops: Vec<Op>) -> LawResult<Content> {
        let reference = MemoryBackend::new();
        reference.commit(&Batch { sequence: 1, ops })?;
        let mut groups = BTreeMap::new();
        for id in reference.groups()? {
            let entries = reference.read(id, IndexRange::new(..), u64::MAX);
            let content =
                GroupContent::collect(reference.bounds(id), entries, |key| reference.get(id, key));
            groups.insert(id.0, content);
        }
        let listed = numbers(&reference.groups()?);
        Ok(Content {
            listed: self.has_groups.then_some(Ok(listed)),
            groups,
        })
    }

    /// What is written before the store is closed for the first time.
    fn past(&self) -> Vec<Op> {
        self.of_known_groups(vec![
            self.append(LOG, 1, 120, 0),
            put(LOG, StableKey::VOTE, "vote 1"),
            self.append(LONG, 1, 30, 0),
            put(LONG, StableKey::VOTE, "vote 1"),
            put(LONG, NOTE, "a note"),
            self.append_long(LONG, 31, self.last_long()),
            purge(LOG, 40),
            purge(FLOOR, 1_000),
            put(VOTER, StableKey::VOTE, "vote 1"),
            self.append(LOG, 121, 150, 0),
            truncate(LOG, 131),
            self.append(LOG, 131, 140, 1),
            put(LOG, StableKey::VOTE, "vote 2"),
        ])
    }

    /// What is written after it was opened again.
    fn recent(&self) -> Vec<Op> {
        let last = self.last_long();
        self.of_known_groups(vec![
            put(LOG, StableKey::VOTE, "vote 3"),
            self.append(LOG, 141, 170, 1),
            truncate(LOG, 161),
            self.append(LOG, 161, 165, 2),
            put(LOG, StableKey::COMMITTED, "160"),
            purge(LOG, 60),
            self.append(LONG, last + 1, last + 26, 0),
            purge(LONG, 10),
            self.append_long(LONG, last + 27, last + 27),
            put(LONG, StableKey::VOTE, "vote 2"),
            self.append(LATE, 5, 20, 0),
            put(VOTER, StableKey::VOTE, "vote 2"),
            put(LOG, StableKey::VOTE, "vote 4"),
            self.append(LOG, 166, 167, 2),
        ])
    }

    /// What is written to a store that opened in spite of damage. It touches all that is there.
    fn future(&self) -> Vec<Op> {
        let last = self.last_long();
        self.of_known_groups(vec![
            truncate(LOG, 150),
            self.append(LOG, 150, 190, 3),
            purge(LOG, 100),
            purge(LONG, last - 1),
            self.append(LONG, last + 28, last + 36, 0),
            self.append_long(LONG, last + 37, last + 39),
            put(LONG, NOTE, "another note"),
            self.append(FLOOR, 1_001, 1_010, 0),
            put(LOG, StableKey::VOTE, "vote 5"),
        ])
    }

    fn of_known_groups(&self, mut ops: Vec<Op>) -> Vec<Op> {
        ops.retain(|op| self.has_groups || op.group() == LOG);
        ops
    }

    /// Entries of 0 to 200 bytes.
    fn append(&self, group: GroupId, first: u64, last: u64, generation: u64) -> Op {
        let mut sizes = Mix::new(self.seed ^ group.0 ^ first);
        self.append_sized(group, first, last, generation, || sizes.below(200) as usize)
    }

    /// Entries that do not fit into a page.
    fn append_long(&self, group: GroupId, first: u64, last: u64) -> Op {
        self.append_sized(group, first, last, 0, || 9_000)
    }

    fn append_sized(
        &self,
        group: GroupId,
        first: u64,
        last: u64,
        generation: u64,
        mut bytes: impl FnMut() -> usize,
    ) -> Op {
        let generation = self.seed.wrapping_mul(16).wrapping_add(generation);
        let entries = (first..=last)
            .map(|index| Entry::new(index, payload(index ^ group.0, generation, bytes())))
            .collect();
        Op::Append { group, entries }
    }
}

fn put(group: GroupId, key: StableKey, value: &'static str) -> Op {
    let value = Some(value.into());
    Op::Put { group, key, value }
}

fn purge(group: GroupId, up_to: u64) -> Op {
    let id = format!("id of {up_to}").into();
    Op::Purge { group, up_to, id }
}

fn truncate(group: GroupId, from: u64) -> Op {
    Op::Truncate { group, from }
}

/// Does one operation after the other, up to the first error; what was done is durable on return.
fn perform(session: &Session, ops: Vec<Op>) -> LawResult<Result<()>> {
    for op in ops {
        let log = session.group(op.group())?;
        let done = match op {
            Op::Append { entries, .. } => log.append(entries).outcome()?,
            Op::Truncate { from, .. } => log.truncate(from).outcome()?,
            Op::Purge { up_to, id, .. } => log.purge(up_to, id).outcome()?,
            Op::Put { key, value, .. } => match value {
                Some(value) => log.set(&key, value).outcome()?,
                None => log.remove(&key).outcome()?,
            },
            Op::DropGroup { group } => session.drop_group(group),
        };
        if done.is_err() {
            return Ok(done);
        }
    }
    Ok(Ok(()))
}
