//! What every group has, as a segment begins with it: all that is in older segments but the entries.
//!
//! ```text
//! u64 number of the last commit
//! u32 how many segments are in use, then for each: u64 number, u64 salt
//! u32 how many groups, then for each:
//!   u64 group
//!   u8 1: u64 purge floor              or u8 0: none
//!   u8 1: u64 first, u64 last entry    or u8 0: the log is empty
//!   u32 how many stable keys, then for each: u8 length and bytes of the name, u32 length and bytes of the value
//!   u32 how many runs, then for each: u64 segment, u64 first, u64 last index, u64 bytes of the records, about
//! ```
//!
//! Numbers are big-endian.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use raft_logstore_core::{Bounds, GroupId, Result};
use raft_logstore_frames::encoding;

use crate::run::{Places, Run};
use crate::state::{Group, State};

/// Appends the state to `out`.
///
/// # Errors
///
/// `TooLarge` for a stable value of 4 GiB or more, and for 2³² of anything.
pub(crate) fn encode(state: &State, out: &mut Vec<u8>) -> Result<()> {
    out.put_u64(state.sequence);
    let segments = state.usage.segments();
    let in_use = || segments.iter().filter(|(_, used)| used.entries > 0);
    put_count(in_use().count(), out)?;
    for (segment, used) in in_use() {
        out.put_u64(*segment);
        out.put_u64(used.salt);
    }
    put_count(state.groups.len(), out)?;
    for (id, group) in &state.groups {
        out.put_u64(id.0);
        put_option(group.bounds.floor().as_slice(), out);
        let ends = group.bounds.range().bounds();
        let ends = ends.map(|(first, last)| [first, last]);
        put_option(ends.as_slice().as_flattened(), out);
        put_count(group.stable.len(), out)?;
        for (name, value) in &group.stable {
            encoding::put_name(name, out);
            encoding::put_bytes(value, out)?;
        }
        put_count(group.runs.len(), out)?;
        for run in &group.runs {
            for number in [run.segment, run.first, run.last, run.bytes] {
                out.put_u64(number);
            }
        }
    }
    Ok(())
}

/// The state in `value`, without the places of its entries; `None` when it cannot be one.
pub(crate) fn decode(mut value: Bytes) -> Option<State> {
    let value = &mut value;
    let mut state = State {
        sequence: value.try_get_u64().ok()?,
        ..State::default()
    };
    let mut salts = BTreeMap::new();
    for _ in 0..value.try_get_u32().ok()? {
        salts.insert(value.try_get_u64().ok()?, value.try_get_u64().ok()?);
    }
    for (segment, salt) in &salts {
        state.usage.begin(*segment, *salt);
    }
    for _ in 0..value.try_get_u32().ok()? {
        let id = GroupId(value.try_get_u64().ok()?);
        let group = decode_group(value)?;
        for run in &group.runs {
            if !salts.contains_key(&run.segment) {
                return None;
            }
            state.usage.add(run.segment, run.len(), run.bytes);
        }
        if state.groups.insert(id, group).is_some() {
            return None;
        }
    }
    (!value.has_remaining()).then_some(state)
}

fn decode_group(value: &mut Bytes) -> Option<Group> {
    let floor = get_option(value, |value| value.try_get_u64().ok())?;
    let ends = get_option(value, |value| {
        Some((value.try_get_u64().ok()?, value.try_get_u64().ok()?))
    })?;
    let mut group = Group {
        bounds: Bounds::new(floor, ends).ok()?,
        ..Group::default()
    };
    for _ in 0..value.try_get_u32().ok()? {
        let name = encoding::get_name(value)?;
        group.stable.insert(name, encoding::get_bytes(value)?);
    }
    // The runs are the log, without a hole.
    let mut next = ends.map(|(first, _)| first);
    for _ in 0..value.try_get_u32().ok()? {
        let mut number = || value.try_get_u64().ok();
        let (segment, first, last, bytes) = (number()?, number()?, number()?, number()?);
        if next != Some(first) || first > last {
            return None;
        }
        next = last.checked_add(1);
        group.runs.push_back(Run {
            segment,
            first,
            last,
            bytes,
            base: first,
            places: Places::Unknown,
        });
    }
    let end = ends.and_then(|(_, last)| last.checked_add(1));
    (next == end).then_some(group)
}

fn put_count(count: usize, out: &mut Vec<u8>) -> Result<()> {
    out.put_u32(u32::try_from(count).map_err(|_| encoding::too_large())?);
    Ok(())
}

/// Appends numbers that are there together, or not at all.
fn put_option(numbers: &[u64], out: &mut Vec<u8>) {
    out.put_u8((!numbers.is_empty()).into());
    for number in numbers {
        out.put_u64(*number);
    }
}

/// `None` when the bytes cannot be an option.
fn get_option<T>(
    value: &mut Bytes,
    get: impl FnOnce(&mut Bytes) -> Option<T>,
) -> Option<Option<T>> {
    match value.try_get_u8().ok()? {
        0 => Some(None),
        1 => Some(Some(get(value)?)),
        _ => None,
    }
}
