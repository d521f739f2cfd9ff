//! What is on disk, and the state that it says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use raft_logstore_core::{Error, ErrorKind, GroupId, IndexRange, Op, Result};
use raft_logstore_frames::{Access, Frame, FrameFile, encoding};

use crate::checkpoint;
use crate::log::Log;
use crate::places;
use crate::pool::SPARE;
use crate::record::{self, Place};
use crate::run::Run;
use crate::segment::Segment;
use crate::state::State;

/// The flag of a frame that ends with the state before it, and that with its length as a u32.
pub(crate) const CHECKPOINT: u16 = 1;

/// The flag of a frame that is no commit: its entries were written before, and are written again to leave another
/// segment.
pub(crate) const MOVED: u16 = 2;

/// What was found in the folder of a backend.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) log: Log,
    /// The segment that is written.
    pub(crate) current: Arc<Segment>,
    /// Where its frames end.
    pub(crate) end: u64,
    /// Segments that are not written any more and not sealed, and where their frames end.
    pub(crate) unsealed: Vec<(Arc<Segment>, u64)>,
    /// Segments that wait for their use.
    pub(crate) ready: VecDeque<Segment>,
    /// Files that hold nothing of the log.
    pub(crate) leftovers: Vec<PathBuf>,
}

/// What the frames of a segment say.
struct Replayed {
    state: State,
    end: u64,
}

/// Finds out what the folder holds. Writes nothing.
///
/// # Errors
///
/// `Corrupt` when a segment is missing or damaged, naming group and indexes where that can be told; `Format`
/// for a newer format; `Io`.
pub(crate) fn open(dir: &Path, access: Access) -> Result<Opened> {
    let (numbers, mut leftovers) = list(dir)?;
    let mut ready = VecDeque::new();
    // The last segment with a frame is the one that is written; those behind it wait.
    let mut older = numbers;
    let (current, Replayed { mut state, end }) = loop {
        let Some(number) = older.pop() else {
            return Err(missing(dir, "a segment with a commit is missing"));
        };
        let segment = Segment::open(dir, number, access)?;
        if let Some(replayed) = replay(&segment)? {
            break (segment, replayed);
        }
        if let Some((_, later)) = segment.file.later_frame(FrameFile::START, 0)? {
            let what = format!(
                "the first frame is damaged, and commit {} is there",
                later.sequence
            );
            return Err(segment.file.corrupt(&what));
        }
        ready.push_front(segment);
    };
    let waiting = (current.number + 1..).zip(&ready);
    for (number, segment) in waiting {
        if segment.number != number {
            return Err(missing(dir, &format!("segment {number:x} is missing")));
        }
    }
    let current = Arc::new(current);
    let mut segments = BTreeMap::from([(current.number, Arc::clone(&current))]);
    let mut unsealed = Vec::new();
    state.usage.take_dead();
    let in_use: Vec<_> = state.usage.segments().clone().into_iter().collect();
    for (number, used) in in_use {
        if number == current.number {
            continue;
        }
        let segment = Segment::open(dir, number, access)
            .and_then(|segment| {
                if segment.file.header().salt == used.salt {
                    Ok(Arc::new(segment))
                } else {
                    Err(segment.file.corrupt("the segment is that of another store"))
                }
            })
            .map_err(|error| {
                first_in(&state, number).map_or(error.clone(), |(group, indexes)| {
                    error.with_group(group).with_indexes(indexes)
                })
            })?;
        if let Some(end) = locate(&segment, &mut state)? {
            unsealed.push((Arc::clone(&segment), end));
        }
        segments.insert(number, segment);
    }
    let dead = older.iter().filter(|number| !segments.contains_key(number));
    leftovers.extend(dead.map(|number| Segment::path(dir, *number)));
    Ok(Opened {
        log: Log {
            state,
            segments,
            stuck: BTreeSet::new(),
        },
        current,
        end,
        unsealed,
        ready,
        leftovers,
    })
}

/// The numbers of the segments in a folder, ascending, and the files that are no segments yet.
fn list(dir: &Path) -> Result<(Vec<u64>, Vec<PathBuf>)> {
    let failed = |error| Error::io("open", error).with_path(dir);
    let (mut numbers, mut spares) = (Vec::new(), Vec::new());
    for file in fs::read_dir(dir).map_err(failed)? {
        let file = file.map_err(failed)?;
        let name = file.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        if let Some(number) = Segment::number_of(name) {
            numbers.push(number);
        } else if name.starts_with(SPARE) {
            spares.push(file.path());
        }
    }
    numbers.sort_unstable();
    Ok((numbers, spares))
}

/// What the frames of a segment say; `None` when it has no whole one at the start.
fn replay(segment: &Segment) -> Result<Option<Replayed>> {
    let file = &segment.file;
    let Some((frame, body)) = file.frame_at(FrameFile::START)? else {
        return Ok(None);
    };
    let broken = |frame: Frame, what: &str| {
        file.corrupt(&format!("the frame of commit {} {what}", frame.sequence))
    };
    let (ops, state) = split_checkpoint(frame, body)
        .and_then(|(ops, state)| Some((ops, checkpoint::decode(state?)?)))
        .ok_or_else(|| broken(frame, "has no state in it"))?;
    let mut replayed = Replayed {
        state,
        end: FrameFile::START,
    };
    replayed
        .state
        .usage
        .begin(segment.number, file.header().salt);
    let mut next = Some((frame, ops));
    while let Some((frame, ops)) = next {
        let state = &mut replayed.state;
        let is_moved = frame.flags & MOVED != 0;
        let expected = state.sequence + u64::from(!is_moved);
        if frame.sequence < expected {
            // From before the end was cut off here once.
            break;
        }
        if frame.sequence > expected {
            let what = format!("is where that of commit {expected} should be");
            return Err(broken(frame, &what));
        }
        let (ops, places) = decode(ops, replayed.end + Frame::HEAD as u64)
            .ok_or_else(|| broken(frame, "cannot be what was written"))?;
        apply(state, frame.sequence, frame.flags, &ops, &places).map_err(|error| {
            broken(frame, "does not follow from the one before").with_source(error)
        })?;
        replayed.end += frame.len();
        next = next_frame(file, &replayed)?;
    }
    Ok(Some(replayed))
}

/// The frame behind those that were replayed, and its operations; `None` at the end.
///
/// # Errors
///
/// `Corrupt` when the frame is damaged and that of a later commit is there, unless only payloads are: who reads
/// those entries is told.
fn next_frame(file: &FrameFile, replayed: &Replayed) -> Result<Option<(Frame, Bytes)>> {
    let Replayed { state, end } = replayed;
    let found = match file.frame_at(*end)? {
        Some(found) => Some(found),
        None => match file.later_frame(*end, state.sequence)? {
            Some((at, later)) => {
                let found = file.unchecked_frame_at(*end)?;
                let sound = found.filter(|(frame, body)| holds_but_for_payloads(*frame, body));
                Some(sound.ok_or_else(|| rotten(file, state, at, later))?)
            }
            None => None,
        },
    };
    found
        .map(|(frame, body)| {
            let (ops, _) = split_checkpoint(frame, body)
                .ok_or_else(|| file.corrupt("a frame cannot be what was written"))?;
            Ok((frame, ops))
        })
        .transpose()
}

/// Whether everything in a frame is what was written, but perhaps for the payloads of entries: the checksums that are
/// stored with those take their place.
fn holds_but_for_payloads(frame: Frame, body: &Bytes) -> bool {
    let Some((ops, _)) = split_checkpoint(frame, body.clone()) else {
        return false;
    };
    let (len, mut checksum, mut checked) = (ops.len(), frame.head_checksum, 0);
    let decoded = encoding::decode(ops, |group, index, value| {
        let (payload, stored) = record::skip(value)?;
        let of_payload = record::checksum_of_payload(group, index, payload, stored);
        let (end, payload) = (len - value.len(), payload as usize);
        checksum = crc32c::crc32c_append(checksum, &body[checked..end - payload]);
        checksum = crc32c::crc32c_combine(checksum, of_payload, payload);
        checked = end;
        Some(Bytes::new())
    });
    decoded.is_some()
        && frame.unknown().is_none()
        && crc32c::crc32c_append(checksum, &body[checked..]) == frame.checksum
}

/// Takes in a frame whose entries were written to `places`.
///
/// # Errors
///
/// As [`State::apply`] and [`State::relocate`].
pub(crate) fn apply(
    state: &mut State,
    sequence: u64,
    flags: u16,
    ops: &[Op],
    places: &[Place],
) -> Result<()> {
    let mut places = places.iter().copied();
    if flags & MOVED == 0 {
        state.sequence = sequence;
        return state.apply(ops, &mut places);
    }
    for op in ops {
        if let Op::Append { group, entries } = op {
            state.relocate(*group, entries, &mut places)?;
        }
    }
    Ok(())
}

/// The operations of a frame, and the state behind them.
fn split_checkpoint(frame: Frame, mut body: Bytes) -> Option<(Bytes, Option<Bytes>)> {
    if frame.flags & CHECKPOINT == 0 {
        return Some((body, None));
    }
    let mut length = body.split_off(body.len().checked_sub(size_of::<u32>())?);
    let length = length.get_u32() as usize;
    let state = body.split_off(body.len().checked_sub(length)?);
    Some((body, Some(state)))
}

/// The operations in `bytes`, which start at `at` in their segment, and where their entries are. The payloads are left
/// to who reads them.
fn decode(bytes: Bytes, at: u64) -> Option<(Vec<Op>, Vec<Place>)> {
    let end = at + bytes.len() as u64;
    let mut places = Vec::new();
    let ops = encoding::decode(bytes, |_, _, value| {
        let at = u32::try_from(end - value.len() as u64).ok()?;
        let (len, _) = record::skip(value)?;
        places.push(Place { at, len });
        Some(Bytes::new())
    })?;
    Some((ops, places))
}

/// Finds the places of the entries that are in a segment which is not written any more: in its directory, or else in its
/// frames. Then it returns where those end.
fn locate(segment: &Segment, state: &mut State) -> Result<Option<u64>> {
    let runs = state.runs_of_mut(segment.number);
    let lost = |id, run: &Run| {
        let what = "entries are missing from the segment";
        segment
            .file
            .corrupt(what)
            .with_group(id)
            .with_indexes(run.indexes())
    };
    if let Some(directory) = places::directory(&segment.file)? {
        for (id, run) in runs {
            let (base, places) = directory.find(id, run).ok_or_else(|| lost(id, run))?;
            (run.base, run.places) = (base, places);
        }
        return Ok(None);
    }
    let Some(Replayed { state: then, end }) = replay(segment)? else {
        let what = "the first frame is damaged";
        return Err(segment.file.corrupt(what));
    };
    for (id, run) in runs {
        let group = then.groups.get(&id);
        let mut found = group.into_iter().flat_map(|group| &group.runs);
        let found = found.find(|found| {
            found.segment == segment.number && found.first <= run.first && run.last <= found.last
        });
        let found = found.ok_or_else(|| lost(id, run))?;
        (run.base, run.places) = (found.base, found.places.clone());
    }
    Ok(Some(end))
}

/// The lowest group that has entries in a segment, and the first of them.
fn first_in(state: &State, segment: u64) -> Option<(GroupId, IndexRange)> {
    let first = state
        .runs_of(segment)
        .min_by_key(|(id, run)| (*id, run.first));
    first.map(|(id, run)| (id, run.indexes()))
}

/// The error of a damaged frame behind which that of a later commit is. Names the group that has a hole, if the
/// frames that are whole show one.
fn rotten(file: &FrameFile, state: &State, at: u64, later: Frame) -> Error {
    let error = file.corrupt(&format!(
        "commit {} is damaged or missing, and commit {} is there",
        state.sequence + 1,
        later.sequence
    ));
    let ops = file.frame_at(at).ok().flatten().and_then(|(frame, body)| {
        let (ops, _) = split_checkpoint(frame, body)?;
        decode(ops, at + Frame::HEAD as u64)
    });
    let ops = ops.map(|(ops, _)| ops).unwrap_or_default();
    let hole = ops.iter().find_map(|op| match op {
        Op::Append { group, entries } => {
            let before = state.bounds(*group);
            let first = entries.first()?.index;
            let next = before.last()?.checked_add(1)?;
            let gap = before.append(first, 1).err()?.kind() == ErrorKind::Gap && next < first;
            gap.then(|| (*group, next..=first - 1))
        }
        _ => None,
    });
    match hole {
        Some((group, indexes)) => error.with_group(group).with_indexes(indexes),
        None => error,
    }
}

fn missing(dir: &Path, what: &str) -> Error {
    Error::corrupt("open", what).with_path(dir)
}
