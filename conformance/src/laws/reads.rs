//! What a read returns, also while the log is being rewritten.

use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_logstore_core::{Entry, GroupId, MAX_INDEX};

use super::history::{History, State, stamp, stamped};
use super::log::append_many;
use crate::expect::expect_entries;
use crate::law::law;
use crate::payload::{Mix, payload};
use crate::setting::{LIVE, PAYLOADS, VIEWS, VIEWS_AND_MANY};
use crate::violation::ensure;
use crate::{Feature, Law, LawResult, Probe, Setting, TestBed};

pub(crate) const LAWS: &[Law] = &[
    law!(7, reads_are_atomic_and_whole, needs [], in &[Setting::LIVE, Setting::COLD]),
    law!(7, reads_honour_every_kind_of_range, needs [], in VIEWS_AND_MANY),
    law!(7, reads_honour_their_byte_cap, needs [Feature::ByteCap], in PAYLOADS),
    law!(7, capped_reads_find_a_prefix_of_at_least_one, needs [], in VIEWS),
    law!(7, every_form_of_a_range_reads_the_same, needs [Feature::RangeForms], in LIVE),
];

const GROUP: GroupId = GroupId(1);

/// Law 7. A read shows one state the log was in while the read ran: no hole, no mix of states, and
/// nothing older than what was visible when it began. The same for the bounds.
///
/// openraft: a read is atomic and reflects no change made after it has started; holes are never
/// permitted. One writer appends, replaces and purges; readers compare what they see with the states
/// the log went through.
pub fn reads_are_atomic_and_whole(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let history = History::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|seed| {
                let reader = session.group(GROUP);
                let (history, stop) = (&history, &stop);
                scope.spawn(move || {
                    let found = bed.within(|| read_against(&reader?, history, stop, seed));
                    stop.store(true, Ordering::SeqCst);
                    found
                })
            })
            .collect();
        let written = rewrite(&log, &history, &stop);
        stop.store(true, Ordering::SeqCst);
        readers.into_iter().try_for_each(super::join)?;
        written
    })
}

/// Appends, replaces and purges for up to a second and a half, waiting for the disk now and then.
fn rewrite(log: &Probe, history: &History, stop: &AtomicBool) -> LawResult {
    let started = Instant::now();
    let mut random = Mix::new(11);
    let mut state = State::new();
    for generation in 1..=10_000 {
        if stop.load(Ordering::SeqCst) || started.elapsed() > Duration::from_millis(1500) {
            break;
        }
        if random.below(4) == 0 && state.generations.len() > 40 {
            let kept = state.generations.len() - 1 - random.below(30) as usize;
            state.generations.truncate(kept);
            let from = state.end();
            history.write(&state, || log.truncate(from).accepted().map(drop))?;
        }
        let first = state.end();
        let count = 1 + random.below(12);
        let entries: Vec<Entry> = (first..first + count)
            .map(|index| stamped(index, generation))
            .collect();
        state.generations.extend(entries.iter().map(|_| generation));
        let mut last_append = None;
        history.write(&state, || {
            last_append = Some(log.append(entries).accepted()?);
            Ok(())
        })?;
        if state.generations.len() > 300 {
            let floor = state.first + 99 + random.below(100);
            state.purge(floor + 1);
            history.write(&state, || log.purge(floor, "id").accepted().map(drop))?;
        }
        if let Some(append) = last_append.filter(|_| generation % 4 == 0) {
            append.durable()?;
        }
    }
    Ok(())
}

fn read_against(log: &Probe, history: &History, stop: &AtomicBool, seed: u64) -> LawResult {
    let mut random = Mix::new(seed);
    loop {
        let (bounds, moment) = history.read(|| Ok(log.bounds()?))?;
        ensure!(
            moment.any(|state| state.bounds().is_ok_and(|known| known == bounds)),
            "bounds {bounds:?}, which the log never had while they were read"
        );

        // All of it, or a part somewhere around its ends.
        let (mut first, mut end) = (0, MAX_INDEX);
        if random.below(2) == 0 {
            first = bounds.first().unwrap_or(1).saturating_sub(20) + random.below(300);
            end = first + 1 + random.below(200);
        }
        let (found, moment) = history.read(|| Ok(log.read(first..end)?))?;
        let found: Vec<(u64, u64)> = found.iter().map(stamp).collect::<LawResult<_>>()?;
        for pair in found.windows(2) {
            ensure!(
                pair[0].0 + 1 == pair[1].0,
                "read {} right after {}: a hole",
                pair[1].0,
                pair[0].0
            );
        }
        ensure!(
            moment.any(|state| state.reads(first, end, &found)),
            "read {first}..{end} found a log that never was while it was read: {} entries, from {:?} \
             to {:?} (index, generation); it had the states number {:?} meanwhile",
            found.len(),
            found.first(),
            found.last(),
            moment.numbers()
        );
        if stop.load(Ordering::SeqCst) {
            return Ok(());
        }
    }
}

/// Law 7. Included, excluded and open ends, on every side of the floor, the first and the last entry:
/// what is read is what lies inside.
///
/// A store that takes an excluded start for an included one passes openraft's suite.
pub fn reads_honour_every_kind_of_range(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let last = bed.setting().entries + 10;
    append_many(bed, &log, 1..=last - 5, 0)?;
    log.purge(10, "id 10").durable()?;
    // The last few may still be in flight.
    let in_flight = log.append(bed.entries(last - 4..=last, 0)).accepted()?;
    let entries = bed.entries(11..=last, 0);

    let middle = last / 2;
    let points = if bed.setting().entries > 1000 {
        vec![10, middle, last]
    } else {
        vec![
            0,
            9,
            10,
            11,
            12,
            middle,
            last - 5,
            last - 4,
            last,
            last + 1,
            MAX_INDEX,
            u64::MAX,
        ]
    };
    let ends = |point: &u64| [Bound::Included(*point), Bound::Excluded(*point)];
    let ends = || points.iter().flat_map(ends).chain([Bound::Unbounded]);

    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    for range in ends().flat_map(|start| ends().map(move |end| (start, end))) {
        // The entries are 11 and up, one after the other.
        let inside = |index: &u64| range.contains(index);
        let first = (11..=last)
            .position(|index| inside(&index))
            .unwrap_or(entries.len());
        let count = (11..=last).skip(first).take_while(inside).count();
        expect_entries(&log.read(range)?, &entries[first..first + count])
            .map_err(|broken| broken.context(format!("read of {range:?}")))?;
    }
    in_flight.durable()
}

/// Law 7. A read returns the first entries up to its byte cap, but at least one if there is any.
///
/// openraft takes an empty answer for a heartbeat and asks again: a store that returns nothing for an
/// entry larger than the cap stops replication for ever.
pub fn reads_honour_their_byte_cap(bed: &TestBed<'_>) -> LawResult {
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    let bytes = bed.setting().payload_bytes;
    let sizes = [
        bytes,
        bytes,
        0,
        bytes / 2,
        bytes,
        1,
        bytes,
        bytes,
        bytes.div_ceil(3),
    ];
    let entries: Vec<Entry> = (4..)
        .zip(sizes)
        .map(|(at, bytes)| Entry::new(at, filled(at, bytes)))
        .collect();
    log.append(entries[..5].to_vec()).durable()?;
    let in_flight = log.append(entries[5..].to_vec()).accepted()?;

    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    let total: usize = sizes.iter().sum();
    let steps = [0, 1, bytes / 2, bytes, 2 * bytes, 3 * bytes, total].map(|cap| cap as u64);
    let caps = steps
        .into_iter()
        .flat_map(|cap| [cap.saturating_sub(1), cap, cap + 1]);
    for cap in caps.chain([u64::MAX]) {
        for first in 0..entries.len() {
            let mut sum = 0;
            let within = |entry: &&Entry| {
                sum += entry.payload.len() as u64;
                sum <= cap
            };
            let count = entries[first..].iter().take_while(within).count().max(1);
            let from = entries[first].index;
            expect_entries(
                &log.read_capped(from.., cap)?,
                &entries[first..first + count],
            )
            .map_err(|broken| broken.context(format!("read from {from}, cap {cap}")))?;
        }
        // From below the first entry, and where there is none.
        let found = log.read_capped(..=4, cap)?;
        expect_entries(&found, &entries[..1]).map_err(|broken| broken.context("read up to 4"))?;
        expect_entries(&log.read_capped(13.., cap)?, &[])?;
        expect_entries(&log.read_capped(..4, cap)?, &[])?;
    }
    in_flight.durable()
}

/// Law 7. A read with a cap returns the first entries of its range, without a hole, and at least one if
/// there is any, whatever the cap.
///
/// This is what is left of the byte cap where an interface limits reads by itself: openraft's
/// `limited_get_log_entries` must not be empty for a range that is not.
pub fn capped_reads_find_a_prefix_of_at_least_one(bed: &TestBed<'_>) -> LawResult {
    let last = bed.setting().entries + 10;
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    append_many(bed, &log, 1..=last - 5, 0)?;
    log.purge(10, "id 10").durable()?;
    let in_flight = log.append(bed.entries(last - 4..=last, 0)).accepted()?;

    let session = bed.settle(session)?;
    let log = session.group(GROUP)?;
    for cap in [0, 1, 100, u64::MAX - 1] {
        for first in 11..=last {
            for end in [first, last.min(first + 7), last] {
                let entries = bed.entries(first..=end, 0);
                let found = log.read_capped(first..=end, cap)?;
                let context = format!("read of {first}..={end}, cap {cap}");
                ensure!(!found.is_empty(), "{context}: found nothing");
                let count = found.len().min(entries.len());
                expect_entries(&found, &entries[..count])
                    .map_err(|broken| broken.context(context))?;
            }
        }
    }
    in_flight.durable()
}

/// Law 7. Whatever the form in which a range is given, and the way in which it is read, the entries are
/// the same.
///
/// An interface that takes `RangeBounds`, as openraft's does, promises every form of them. Its own suite
/// never begins a range behind an excluded index.
pub fn every_form_of_a_range_reads_the_same(bed: &TestBed<'_>) -> LawResult {
    let last = bed.setting().entries + 10;
    let session = bed.open()?;
    let log = session.group(GROUP)?;
    append_many(bed, &log, 1..=last, 0)?;
    log.purge(10, "id 10").durable()?;
    for from in [11, 12, 12 + last / 4, last] {
        let ends = [from, from + 1, last - 1, last, last + 1, u64::MAX];
        for to in ends.into_iter().filter(|to| *to >= from) {
            let entries = bed.entries(from..=to.min(last), 0);
            for (form, found) in session.read_in_every_form(from, to)? {
                expect_entries(&found, &entries).map_err(|broken| broken.context(form))?;
            }
        }
    }
    Ok(())
}

fn filled(index: u64, bytes: usize) -> Bytes {
    payload(index, 0, bytes)
}
