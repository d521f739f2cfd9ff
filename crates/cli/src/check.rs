//! `raft-logstore check`: whether everything is there and as it was written.

use std::io::{self, Write};

use anyhow::Result;
use raft_logstore::{Backend, Error, GroupId, IndexRange, Inspection};
use serde::Serialize;

use crate::args::CheckArgs;
use crate::chunks::{self, CHUNK_BYTES, CHUNK_ENTRIES};
use crate::fault::Fault;
use crate::outcome::Outcome;
use crate::output;
use crate::table::number_or_dash;

/// After so many damaged records in a row the rest of a log is not read one by one any more.
const GIVE_UP_AFTER: u64 = 100_000;

/// What a check found.
#[derive(Default, Serialize)]
struct Report {
    clean: bool,
    groups: u64,
    /// Entries that are as they were written.
    entries: u64,
    stable_keys: u64,
    sequence: Option<u64>,
    watermark: Option<u64>,
    /// All faults, also those that are not listed.
    fault_count: u64,
    faults: Vec<Fault>,
    /// The last fault, which may go on.
    #[serde(skip)]
    open: Option<Fault>,
    #[serde(skip)]
    max_faults: u64,
}

pub(crate) fn run(args: &CheckArgs) -> Result<Outcome> {
    let mut report = Report {
        max_faults: args.max_faults,
        ..Report::default()
    };
    let store = args.store.inspect()?;
    report.check_store(&store);
    report.close_fault();
    // An engine may keep books that nobody who reads looks into.
    if let Err(error) = store.close()
        && report.fault_count == 0
    {
        report.add(Fault::of_store(error));
        report.close_fault();
    }
    report.clean = report.fault_count == 0;
    let outcome = Outcome::damaged_if(!report.clean);
    if args.json {
        output::json(&report)?;
    } else {
        output::result(|out| report.print(args, out))?;
    }
    Ok(outcome)
}

impl Report {
    fn check_store(&mut self, store: &Inspection) {
        self.watermark = store.acknowledged();
        match store.sequence() {
            Ok(sequence) => self.sequence = Some(sequence),
            Err(error) => self.add(Fault::of_store(error)),
        }
        if let (Some(sequence), Some(acknowledged)) = (self.sequence, self.watermark)
            && acknowledged > sequence
        {
            self.add(Fault::of_store(format_args!(
                "{} of {acknowledged} acknowledged commits are lost: the last one here is {sequence}; \
                 rebuild this node from its peers",
                acknowledged - sequence
            )));
        }
        match store.groups() {
            Ok(groups) => {
                self.groups = groups.len() as u64;
                for group in groups {
                    self.check_stable_keys(&**store, group);
                    self.check_log(&**store, group);
                }
            }
            Err(error) => self.add(Fault::of_store(error)),
        }
    }

    fn check_stable_keys(&mut self, store: &dyn Backend, group: GroupId) {
        let keys = match store.stable_keys(group) {
            Ok(keys) => keys,
            Err(error) => return self.add(Fault::of_group(group, error)),
        };
        for key in keys {
            match store.get(group, &key) {
                Ok(Some(_)) => self.stable_keys += 1,
                Ok(None) => {
                    self.add(Fault::of_group(
                        group,
                        format_args!("stable key `{key}` is missing"),
                    ));
                }
                Err(error) => self.add(Fault::of_group(group, error)),
            }
        }
    }

    fn check_log(&mut self, store: &dyn Backend, group: GroupId) {
        let range = match extent(store, group) {
            Ok(range) => range,
            Err(error) => return self.add(Fault::of_group(group, error)),
        };
        let Some((mut from, last)) = range.bounds() else {
            return;
        };
        let (mut chunk, mut in_a_row) = (CHUNK_ENTRIES, 0);
        while from <= last {
            let end = last.min(from.saturating_add(chunk - 1));
            match chunks::read(store, group, from, end, CHUNK_BYTES) {
                Ok(entries) => {
                    self.entries += entries.len() as u64;
                    from += entries.len() as u64;
                    chunk = CHUNK_ENTRIES.min(chunk * 2);
                    in_a_row = 0;
                }
                // What lies before the fault is read again without it, then one record at a time.
                Err(error) if end > from => chunk = start(&error, from + 1, end) - from,
                Err(error) => {
                    self.add(Fault::of_entries(
                        group,
                        IndexRange::new(from..=from),
                        error,
                    ));
                    from += 1;
                    in_a_row += 1;
                }
            }
            if in_a_row == GIVE_UP_AFTER && from <= last {
                let rest = IndexRange::new(from..=last);
                let message = format!("not read, because {GIVE_UP_AFTER} before are all damaged");
                self.close_fault();
                return self.add(Fault::of_entries(group, rest, message));
            }
        }
    }

    /// Notes a fault. One that goes on with the one before is the same fault.
    fn add(&mut self, fault: Fault) {
        if let Some(open) = &mut self.open
            && (*open == fault || open.extend(&fault))
        {
            return;
        }
        self.close_fault();
        self.open = Some(fault);
    }

    /// The last fault does not go on.
    fn close_fault(&mut self) {
        if let Some(fault) = self.open.take() {
            self.fault_count += 1;
            if self.fault_count <= self.max_faults {
                self.faults.push(fault);
            }
        }
    }

    fn print(&self, args: &CheckArgs, out: &mut impl Write) -> io::Result<()> {
        for fault in &self.faults {
            writeln!(out, "{fault}")?;
        }
        let unlisted = self.fault_count - self.faults.len() as u64;
        if unlisted > 0 {
            writeln!(
                out,
                "... and {unlisted} more; --max-faults shows more of them"
            )?;
        }
        if self.watermark.is_none() {
            writeln!(
                out,
                "the watermark is missing: whether commits were lost cannot be told"
            )?;
        }
        let verdict = match self.fault_count {
            0 => "clean".to_owned(),
            1 => "1 FAULT".to_owned(),
            count => format!("{count} FAULTS"),
        };
        let Self {
            groups,
            entries,
            stable_keys,
            ..
        } = self;
        writeln!(
            out,
            "{}: {verdict}; groups {groups}, whole entries {entries}, whole stable keys \
             {stable_keys}, last commit {}, watermark {}",
            args.store,
            number_or_dash(self.sequence),
            number_or_dash(self.watermark)
        )
    }
}

/// The entries that a log says it has, even where those at its ends are damaged.
///
/// # Errors
///
/// What the backend reports when the log does not say.
fn extent(store: &dyn Backend, group: GroupId) -> raft_logstore::Result<IndexRange> {
    if let Ok(bounds) = store.bounds(group) {
        return Ok(bounds.range());
    }
    let inside = match store.read(group, IndexRange::new(..), 0) {
        Ok(entries) => entries.first().map(|entry| entry.index),
        Err(error) => match error.indexes().and_then(IndexRange::bounds) {
            Some((named, _)) => Some(named),
            None => return Err(error),
        },
    };
    let Some(inside) = inside else {
        return Ok(IndexRange::EMPTY);
    };
    // A read finds something inside the log, be it a fault, and nothing outside. So halving finds the
    // ends.
    let holds = |index| {
        let read = store.read(group, IndexRange::new(index..=index), 0);
        !read.is_ok_and(|entries| entries.is_empty())
    };
    let (mut below, mut first) = (0, inside);
    while below < first {
        let middle = below + (first - below) / 2;
        if holds(middle) {
            first = middle;
        } else {
            below = middle + 1;
        }
    }
    let (mut last, mut above) = (inside, u64::MAX);
    while above - last > 1 {
        let middle = last + (above - last) / 2;
        if holds(middle) {
            last = middle;
        } else {
            above = middle;
        }
    }
    Ok(IndexRange::new(first..=last))
}

/// The first of the indexes `from..=end` that an error is about; `from` when it does not say.
fn start(error: &Error, from: u64, end: u64) -> u64 {
    let named = error.indexes().and_then(IndexRange::bounds);
    named.map_or(from, |(first, _)| first.clamp(from, end))
}
