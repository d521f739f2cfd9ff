//! `raft-logstore groups`: what groups there are.

use anyhow::Result;
use raft_logstore::{Backend, Bounds, GroupId};
use serde::Serialize;

use crate::args::GroupsArgs;
use crate::outcome::Outcome;
use crate::output;
use crate::table::{Table, number_or_dash};

/// The longest list of stable keys that people get to see, in characters.
const SHOWN: usize = 80;

#[derive(Serialize)]
struct Report {
    groups: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    group: u64,
    #[serde(flatten)]
    log: LogBounds,
    stable_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The bounds of a log as they are shown.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct LogBounds {
    /// The first entry; `null` when there is none.
    pub(crate) first: Option<u64>,
    /// The last entry; `null` when there is none.
    pub(crate) last: Option<u64>,
    /// The highest purged index; `null` when nothing was ever purged.
    pub(crate) floor: Option<u64>,
    /// How many entries there are.
    pub(crate) entries: u64,
}

impl From<Bounds> for LogBounds {
    fn from(bounds: Bounds) -> Self {
        let (first, last) = bounds.range().bounds().unzip();
        Self {
            first,
            last,
            floor: bounds.floor(),
            entries: bounds.len(),
        }
    }
}

pub(crate) fn run(args: &GroupsArgs) -> Result<Outcome> {
    let store = args.store.inspect()?;
    let rows: Vec<Row> = store
        .groups()?
        .into_iter()
        .map(|group| row(&*store, group))
        .collect();
    store.close()?;
    let outcome = Outcome::damaged_if(rows.iter().any(|row| row.error.is_some()));
    if args.json {
        output::json(&Report { groups: rows })?;
    } else {
        print(&rows)?;
    }
    Ok(outcome)
}

fn row(store: &dyn Backend, group: GroupId) -> Row {
    let found = store
        .bounds(group)
        .and_then(|bounds| Ok((bounds, store.stable_keys(group)?)));
    let (log, keys, error) = match found {
        Ok((bounds, keys)) => (bounds.into(), keys, None),
        Err(error) => (LogBounds::default(), Vec::new(), Some(error.to_string())),
    };
    Row {
        group: group.0,
        log,
        stable_keys: keys.iter().map(ToString::to_string).collect(),
        error,
    }
}

fn print(rows: &[Row]) -> Result<()> {
    let mut table = Table::new(&["group", "first", "last", "entries", "floor", "stable keys"]);
    for row in rows {
        table.add(vec![
            row.group.to_string(),
            number_or_dash(row.log.first),
            number_or_dash(row.log.last),
            row.log.entries.to_string(),
            number_or_dash(row.log.floor),
            match &row.error {
                Some(_) => "damaged".to_owned(),
                None => listed(&row.stable_keys),
            },
        ]);
    }
    output::result(|out| table.print(out))?;
    for row in rows {
        if let Some(error) = &row.error {
            output::note(format_args!("error: {error}"));
        }
    }
    Ok(())
}

/// Names in one line; of many, the first and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let mut line = String::new();
    for (at, name) in names.iter().enumerate() {
        if line.len() + name.len() > SHOWN {
            return format!("{line} and {} more", names.len() - at);
        }
        if at > 0 {
            line += " ";
        }
        line += name;
    }
    if line.is_empty() {
        "-".to_owned()
    } else {
        line
    }
}
