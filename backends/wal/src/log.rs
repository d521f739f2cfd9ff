use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raft_logstore_core::{Entry, Error, GroupId, IndexRange, Result};

use crate::cache::Cache;
use crate::places::PLACE;
use crate::record::Place;
use crate::run::Places;
use crate::segment::Segment;
use crate::state::State;
use crate::usage::Used;

/// The state, and the segments that it is about.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) state: State,
    pub(crate) segments: BTreeMap<u64, Arc<Segment>>,
    /// Segments with an entry that is damaged and lags behind. They stay as they are, for whoever reads it.
    pub(crate) stuck: BTreeSet<u64>,
}

/// Entries of a group in one segment, to be written again.
#[derive(Debug)]
pub(crate) struct Laggards {
    pub(crate) segment: u64,
    pub(crate) group: GroupId,
    pub(crate) indexes: IndexRange,
}

/// Entries to be read from one segment. Nobody writes over them while somebody has it.
#[derive(Debug)]
pub(crate) struct Part {
    segment: Arc<Segment>,
    first: u64,
    places: PartPlaces,
}

#[derive(Debug)]
enum PartPlaces {
    /// All of them.
    Here(Vec<Place>),
    /// Those of `first..=last` are in the segment, which has those from `base` on at `at`.
    Sealed { at: u32, base: u64, last: u64 },
}

/// How many times what is live in them full segments may take.
const MOST_TAKEN: u64 = 3;

/// How many places of a sealed segment are read at once.
const CHUNK: u64 = 1024;

/// How much may still be read.
struct Room {
    max_bytes: u64,
    used: u64,
    is_empty: bool,
}

impl Room {
    fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            used: 0,
            is_empty: true,
        }
    }

    /// How many of `places` fit: as far as their payloads do, but one if there was none before.
    fn fit(&mut self, places: &[Place]) -> usize {
        let fits = |place: &&Place| {
            self.used = self.used.saturating_add(place.len.into());
            let fits = self.used <= self.max_bytes || self.is_empty;
            self.is_empty = false;
            fits
        };
        places.iter().take_while(fits).count()
    }
}

impl Log {
    /// What has to be read for the entries of a group inside `range`, up to `max_bytes` of payload, but for one
    /// entry at least: all of one consistent state. More than that may be there of sealed segments.
    ///
    /// # Errors
    ///
    /// `Corrupt` when nobody knows where an entry is.
    pub(crate) fn parts(
        &self,
        id: GroupId,
        range: IndexRange,
        max_bytes: u64,
    ) -> Result<Vec<Part>> {
        let Some(group) = self.state.groups.get(&id) else {
            return Ok(Vec::new());
        };
        let mut parts = Vec::new();
        for run in group.runs_in(range) {
            let Some((first, last)) = run.indexes().intersect(range).bounds() else {
                continue;
            };
            let unknown = || {
                Error::corrupt("read entries", "the place of the entries is not known")
                    .with_group(id)
                    .with_indexes(first..=last)
            };
            let segment = self.segments.get(&run.segment).ok_or_else(unknown)?;
            let mut is_last = false;
            let places = match &run.places {
                Places::Here(places) => {
                    // Indexes of places in memory, so they fit.
                    let (from, to) = ((first - run.base) as usize, (last - run.base) as usize);
                    let places = places.get(from..=to).ok_or_else(unknown)?;
                    let fit = Room::new(max_bytes).fit(places);
                    is_last = fit < places.len();
                    PartPlaces::Here(places[..fit].to_vec())
                }
                Places::Sealed(at) => PartPlaces::Sealed {
                    at: *at,
                    base: run.base,
                    last,
                },
                Places::Unknown => return Err(unknown()),
            };
            parts.push(Part {
                segment: Arc::clone(segment),
                first,
                places,
            });
            if is_last {
                break;
            }
        }
        Ok(parts)
    }

    /// The entries to write again next, `bytes` or more if there are as many, so that the segments they are in hold
    /// nothing any more; none while the full segments take no more than `spare` bytes and [`MOST_TAKEN`] times what is
    /// live in them.
    pub(crate) fn laggards(&self, spare: u64, bytes: u64) -> Vec<Laggards> {
        let (taken, live) = self.taken_and_live();
        if taken <= spare + MOST_TAKEN * live {
            return Vec::new();
        }
        let mut full: Vec<_> = self.full().collect();
        full.sort_unstable_by_key(|(_, used)| used.bytes);
        let (mut laggards, mut found) = (Vec::new(), 0);
        for (segment, used) in full {
            let runs = self.state.runs_of(segment);
            laggards.extend(runs.map(|(group, run)| Laggards {
                segment,
                group,
                indexes: run.indexes(),
            }));
            found += used.bytes;
            if found >= bytes {
                break;
            }
        }
        laggards
    }

    /// Whether another segment of `len` bytes may be kept for its next use.
    pub(crate) fn has_room_for(&self, len: u64) -> bool {
        let (taken, live) = self.taken_and_live();
        taken + len <= MOST_TAKEN * live
    }

    /// What the full segments take, and what is live in them, in bytes.
    fn taken_and_live(&self) -> (u64, u64) {
        self.full().fold((0, 0), |(taken, live), (number, used)| {
            let segment = self.segments.get(&number);
            let len = segment.map_or(0, |segment| segment.file.len());
            (taken + len, live + used.bytes)
        })
    }

    /// The segments that are not written any more, and can be emptied.
    fn full(&self) -> impl Iterator<Item = (u64, Used)> {
        let usage = &self.state.usage;
        let segments = usage.segments().iter();
        let segments = segments.map(|(number, used)| (*number, *used));
        segments.filter(|(number, _)| *number != usage.current() && !self.stuck.contains(number))
    }
}

/// Reads `parts` of a group up to `max_bytes` of payload, but one entry at least.
///
/// # Errors
///
/// `Corrupt`, naming group and index; `Io`.
pub(crate) fn read(
    group: GroupId,
    parts: &[Part],
    max_bytes: u64,
    cache: &Cache,
) -> Result<Vec<Entry>> {
    let mut room = Room::new(max_bytes);
    let mut entries = Vec::new();
    for part in parts {
        let whole = match &part.places {
            PartPlaces::Here(places) => {
                part.read(group, part.first, places, &mut room, &mut entries)?
            }
            PartPlaces::Sealed { at, base, last } => {
                let mut next = part.first;
                let mut whole = true;
                while whole && next <= *last {
                    // Chunks start at the same places whatever is read, so that they are found again.
                    let chunk = base + (next - base) / CHUNK * CHUNK;
                    let end = last.min(&(chunk + CHUNK - 1)) + 1;
                    let at = u64::from(*at) + (chunk - base) * PLACE as u64;
                    let places = cache
                        .places(&part.segment, at, (end - chunk) as usize)
                        .map_err(|error| error.with_group(group).with_indexes(next..=end - 1))?;
                    let places = &places[(next - chunk) as usize..(end - chunk) as usize];
                    whole = part.read(group, next, places, &mut room, &mut entries)?;
                    next = end;
                }
                whole
            }
        };
        if !whole {
            break;
        }
    }
    Ok(entries)
}

impl Part {
    /// Reads what fits of the entries at `places`, and says whether that was all of them.
    fn read(
        &self,
        group: GroupId,
        first: u64,
        places: &[Place],
        room: &mut Room,
        entries: &mut Vec<Entry>,
    ) -> Result<bool> {
        let fit = room.fit(places);
        self.segment.read(group, first, &places[..fit], entries)?;
        Ok(fit == places.len())
    }
}
