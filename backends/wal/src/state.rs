use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use raft_logstore_core::{Bounds, Entry, Error, GroupId, IndexRange, Op, Result, StableKey};

use crate::record::Place;
use crate::run::{Places, Run};
use crate::usage::Usage;

/// What the log holds after a commit, but for the payloads: every group with its bounds, stable keys and runs, and
/// which segments those lie in.
///
/// Pure: it is changed by the operations of a commit and where their entries were written, and knows no file.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// The number of the last commit.
    pub(crate) sequence: u64,
    pub(crate) groups: HashMap<GroupId, Group>,
    pub(crate) usage: Usage,
}

/// What a group has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) bounds: Bounds,
    pub(crate) stable: BTreeMap<StableKey, Bytes>,
    /// Ascending; together they hold exactly the entries inside the bounds.
    pub(crate) runs: VecDeque<Run>,
}

impl State {
    pub(crate) fn bounds(&self, group: GroupId) -> Bounds {
        let group = self.groups.get(&group);
        group.map_or(Bounds::default(), |group| group.bounds)
    }

    /// The runs that lie in a segment, in no order.
    pub(crate) fn runs_of(&self, segment: u64) -> impl Iterator<Item = (GroupId, &Run)> {
        let groups = self.groups.iter();
        let runs = groups.flat_map(|(id, group)| group.runs.iter().map(|run| (*id, run)));
        runs.filter(move |(_, run)| run.segment == segment)
    }

    /// The same, to say where their places are.
    pub(crate) fn runs_of_mut(
        &mut self,
        segment: u64,
    ) -> impl Iterator<Item = (GroupId, &mut Run)> {
        let groups = self.groups.iter_mut();
        let runs = groups.flat_map(|(id, group)| group.runs.iter_mut().map(|run| (*id, run)));
        runs.filter(move |(_, run)| run.segment == segment)
    }

    /// Takes in operations; `places` says where their entries were written, in order.
    ///
    /// # Errors
    ///
    /// Those of [`Bounds::after`], and `Corrupt` when there are fewer places than entries; then the state is
    /// not to be used any more.
    pub(crate) fn apply(
        &mut self,
        ops: &[Op],
        places: &mut impl Iterator<Item = Place>,
    ) -> Result<()> {
        for op in ops {
            self.apply_op(op, places)
                .map_err(|error| error.with_group(op.group()))?;
        }
        Ok(())
    }

    fn apply_op(&mut self, op: &Op, places: &mut impl Iterator<Item = Place>) -> Result<()> {
        let group = self.groups.entry(op.group()).or_default();
        let before = group.bounds;
        group.bounds = before.after(op)?;
        match op {
            Op::Append { entries, .. } => {
                for entry in entries {
                    let place = places.next().ok_or_else(no_place)?;
                    group.push(entry.index, place, &mut self.usage);
                }
            }
            Op::Truncate { .. } => group.trim(&mut self.usage),
            Op::Purge { id, .. } if group.bounds != before => {
                group.stable.insert(StableKey::PURGED, id.clone());
                group.trim(&mut self.usage);
            }
            Op::Purge { .. } => {}
            Op::Put { key, value, .. } => match value {
                Some(value) => drop(group.stable.insert(key.clone(), value.clone())),
                None => drop(group.stable.remove(key)),
            },
            Op::DropGroup { .. } => {
                group.stable.clear();
                group.trim(&mut self.usage);
            }
        }
        if group.is_empty() {
            self.groups.remove(&op.group());
        }
        Ok(())
    }

    /// Takes note that the first entries of a run were written again, to `places` of the current segment.
    ///
    /// # Errors
    ///
    /// `Corrupt` when no run begins with them.
    pub(crate) fn relocate(
        &mut self,
        id: GroupId,
        entries: &[Entry],
        places: &mut impl Iterator<Item = Place>,
    ) -> Result<()> {
        let moved = || {
            Error::corrupt("move entries", "what was moved is not part of the log").with_group(id)
        };
        let group = self.groups.get_mut(&id).ok_or_else(moved)?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(moved());
        };
        let (first, last) = (first.index, last.index);
        let at = group.runs.partition_point(|run| run.first < first);
        let run = group.runs.get_mut(at);
        let run = run.filter(|run| run.first == first && last <= run.last);
        let run = run.ok_or_else(moved)?;
        if run.last == last {
            self.usage.remove(run.segment, run.len(), run.bytes);
            group.runs.remove(at);
        } else {
            let gone = run.narrow(last + 1, run.last);
            self.usage.remove(run.segment, last - first + 1, gone);
        }
        let places: Vec<_> = places.take(entries.len()).collect();
        if places.len() < entries.len() {
            return Err(no_place().with_group(id));
        }
        let run = Run::new(self.usage.current(), first, places);
        self.usage.begin_run();
        self.usage.add(run.segment, run.len(), run.bytes);
        group.runs.insert(at, run);
        Ok(())
    }
}

impl Group {
    /// Adds an entry in the current segment.
    fn push(&mut self, index: u64, place: Place, usage: &mut Usage) {
        usage.add(usage.current(), 1, place.bytes());
        if let Some(Run {
            segment,
            last,
            bytes,
            places: Places::Here(places),
            ..
        }) = self.runs.back_mut()
            && *segment == usage.current()
        {
            places.push(place);
            *last = index;
            *bytes += place.bytes();
            return;
        }
        usage.begin_run();
        self.runs
            .push_back(Run::new(usage.current(), index, vec![place]));
    }

    /// Drops the parts of runs that are outside the bounds.
    fn trim(&mut self, usage: &mut Usage) {
        let keep = self.bounds.range();
        self.runs.retain_mut(|run| {
            let kept = run.indexes().intersect(keep).bounds();
            let (entries, bytes) = match kept {
                Some((first, last)) => {
                    let before = run.len();
                    let gone = run.narrow(first, last);
                    (before - run.len(), gone)
                }
                None => (run.len(), run.bytes),
            };
            usage.remove(run.segment, entries, bytes);
            kept.is_some()
        });
    }

    fn is_empty(&self) -> bool {
        self.bounds == Bounds::default() && self.stable.is_empty()
    }

    /// The runs that have an entry of `range`.
    pub(crate) fn runs_in(&self, range: IndexRange) -> impl Iterator<Item = &Run> {
        let (first, last) = range.bounds().unwrap_or((u64::MAX, 0));
        let from = self.runs.partition_point(|run| run.last < first);
        let runs = self.runs.range(from..);
        runs.take_while(move |run| run.first <= last)
    }
}

fn no_place() -> Error {
    Error::corrupt("apply", "an entry was written nowhere")
}
