//! `raft-logstore stat`: how much there is.

use std::io::{self, Write};

use anyhow::{Result, ensure};
use raft_logstore::{Backend, GroupId, Inspection, StableKey};
use serde::Serialize;

use crate::args::StatArgs;
use crate::chunks::Chunks;
use crate::groups::{LogBounds, listed};
use crate::outcome::Outcome;
use crate::table::{Table, number_or_dash};
use crate::{disk, output};

#[derive(Serialize)]
struct Report {
    groups: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Totals>,
}

/// One group.
#[derive(Default, Serialize)]
struct Row {
    group: u64,
    #[serde(flatten)]
    log: LogBounds,
    /// Bytes of all payloads.
    payload_bytes: u64,
    stable_keys: Vec<StableSize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct StableSize {
    key: String,
    bytes: u64,
}

/// The store as a whole.
#[derive(Serialize)]
struct Totals {
    backend: &'static str,
    groups: u64,
    entries: u64,
    /// Allocated blocks of everything in the directory.
    disk_bytes: u64,
    /// Payloads and stable values.
    live_bytes: u64,
    /// Free space in the backend's files, used again before they grow, as far as it takes disk space.
    reusable_bytes: u64,
    /// The rest: the engine's own structure, checksums, purged entries that are still to be removed.
    dead_bytes: u64,
    /// The number of the last commit.
    sequence: u64,
    /// How many commits the watermark knows to be acknowledged; `null` when there is none.
    watermark: Option<u64>,
}

pub(crate) fn run(args: &StatArgs) -> Result<Outcome> {
    let store = args.store.inspect()?;
    let groups = selected(&*store, args.group)?;
    let rows: Vec<Row> = groups
        .into_iter()
        .map(|group| row(&*store, group))
        .collect();
    let store = match args.group {
        Some(_) => {
            store.close()?;
            None
        }
        None => {
            let disk_bytes = disk::allocated_bytes(args.store.directory()?)?;
            Some(totals(store, &rows, disk_bytes)?)
        }
    };
    let outcome = Outcome::damaged_if(rows.iter().any(|row| row.error.is_some()));
    let report = Report {
        groups: rows,
        store,
    };
    if args.json {
        output::json(&report)?;
    } else {
        output::result(|out| print(&report, out))?;
        for error in report.groups.iter().filter_map(|row| row.error.as_ref()) {
            output::note(format_args!("error: {error}"));
        }
    }
    Ok(outcome)
}

/// The group that was asked for, or all.
///
/// # Errors
///
/// When the store has nothing of that group.
pub(crate) fn selected(store: &dyn Backend, group: Option<u64>) -> Result<Vec<GroupId>> {
    let mut groups = store.groups()?;
    if let Some(group) = group {
        groups.retain(|found| found.0 == group);
        ensure!(
            !groups.is_empty(),
            "the store has no group {group}; `raft-logstore groups` lists what it has"
        );
    }
    Ok(groups)
}

fn row(store: &dyn Backend, group: GroupId) -> Row {
    let mut row = Row {
        group: group.0,
        ..Row::default()
    };
    row.error = measure(store, group, &mut row)
        .err()
        .map(|error| error.to_string());
    row
}

fn measure(store: &dyn Backend, group: GroupId, row: &mut Row) -> raft_logstore::Result<()> {
    let bounds = store.bounds(group)?;
    row.log = bounds.into();
    for key in store.stable_keys(group)? {
        row.stable_keys.push(StableSize {
            bytes: size(store, group, &key)?,
            key: key.to_string(),
        });
    }
    for entries in Chunks::new(store, group, bounds.range()) {
        let bytes = entries?
            .iter()
            .map(|entry| entry.payload.len() as u64)
            .sum::<u64>();
        row.payload_bytes += bytes;
    }
    Ok(())
}

fn size(store: &dyn Backend, group: GroupId, key: &StableKey) -> raft_logstore::Result<u64> {
    Ok(store.get(group, key)?.map_or(0, |value| value.len() as u64))
}

fn totals(store: Inspection, rows: &[Row], disk_bytes: u64) -> Result<Totals> {
    let stable = rows.iter().flat_map(|row| &row.stable_keys);
    let live_bytes = rows.iter().map(|row| row.payload_bytes).sum::<u64>()
        + stable.map(|stable| stable.bytes).sum::<u64>();
    // Free space of a file that has holes may be more than what the file takes.
    let beside_live = disk_bytes.saturating_sub(live_bytes);
    let reusable_bytes = store.reusable_bytes()?.min(beside_live);
    let totals = Totals {
        backend: store.name(),
        groups: rows.len() as u64,
        entries: rows
            .iter()
            .fold(0, |sum, row| sum.saturating_add(row.log.entries)),
        disk_bytes,
        live_bytes,
        reusable_bytes,
        dead_bytes: beside_live - reusable_bytes,
        sequence: store.sequence()?,
        watermark: store.acknowledged(),
    };
    store.close()?;
    Ok(totals)
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let headings = [
        "group",
        "first",
        "last",
        "entries",
        "floor",
        "payload bytes",
        "stable keys",
    ];
    let mut table = Table::new(&headings);
    for row in &report.groups {
        let names: Vec<String> = row
            .stable_keys
            .iter()
            .map(|stable| format!("{}:{}", stable.key, stable.bytes))
            .collect();
        table.add(vec![
            row.group.to_string(),
            number_or_dash(row.log.first),
            number_or_dash(row.log.last),
            row.log.entries.to_string(),
            number_or_dash(row.log.floor),
            row.payload_bytes.to_string(),
            match &row.error {
                Some(_) => "damaged".to_owned(),
                None => listed(&names),
            },
        ]);
    }
    table.print(out)?;
    let Some(store) = &report.store else {
        return Ok(());
    };
    writeln!(out)?;
    let mut table = Table::new(&["store", store.backend]);
    for (name, value) in [
        ("groups", Some(store.groups)),
        ("entries", Some(store.entries)),
        ("disk bytes", Some(store.disk_bytes)),
        ("live bytes", Some(store.live_bytes)),
        ("reusable bytes", Some(store.reusable_bytes)),
        ("dead bytes", Some(store.dead_bytes)),
        ("last commit", Some(store.sequence)),
        ("watermark", store.watermark),
    ] {
        table.add(vec![name.to_owned(), number_or_dash(value)]);
    }
    table.print(out)
}
