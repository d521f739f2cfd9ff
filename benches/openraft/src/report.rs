use std::io::{self, Write};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

/// One store under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The line of openraft.
    pub(crate) openraft: &'static str,
    pub(crate) store: &'static str,
    pub(crate) clients: u64,
    pub(crate) groups: u64,
    pub(crate) writes_per_second: u64,
    /// Entries that one sync of a store made durable, over the stores of all nodes.
    pub(crate) entries_per_sync: Option<f64>,
    /// This throughput over that of the log in memory, round by round.
    pub(crate) ratio_to_memory: Option<f64>,
}

/// Prints the rows: one JSON array, or a table with the same columns.
pub(crate) fn print(rows: &[Row], json: bool) -> Result<()> {
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(rows)?)?;
        return Ok(());
    }
    let mut lines: Vec<Vec<String>> = Vec::new();
    for row in rows {
        let Value::Object(fields) = serde_json::to_value(row)? else {
            bail!("a row is not an object");
        };
        if lines.is_empty() {
            lines.push(fields.keys().cloned().collect());
        }
        lines.push(fields.values().map(cell).collect());
    }
    for line in &lines {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = lines.iter().map(|line| line[column].len()).max();
            format!("{cell:>width$}", width = width.unwrap_or(0))
        });
        let cells = cells.collect::<Vec<_>>().join("  ");
        writeln!(io::stdout(), "{cells}")?;
    }
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
