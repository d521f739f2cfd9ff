use std::io::{self, Write};

use anyhow::Result;
use serde_json::{Map, Value};

/// Prints rows as one JSON array, or as a table with the same columns.
pub(crate) fn print(rows: &[Map<String, Value>], json: bool) -> Result<()> {
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(rows)?)?;
        return Ok(());
    }
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let names = first.keys().cloned().collect();
    let lines: Vec<Vec<String>> = std::iter::once(names)
        .chain(rows.iter().map(|row| row.values().map(cell).collect()))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max();
    let widths: Vec<usize> = (0..first.len()).filter_map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        writeln!(io::stdout(), "{}", cells.join("  "))?;
    }
    Ok(())
}

/// How a value is printed in a table.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(".."),
        other => other.to_string(),
    }
}
