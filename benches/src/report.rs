use anyhow::Result;
use serde::Serialize;

/// Prints rows as one JSON array, or as a table with the same columns.
pub(crate) fn print<R: Serialize>(rows: &[R], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    }
    let rows: Vec<Vec<(String, String)>> = rows
        .iter()
        .map(|row| match serde_json::to_value(row)? {
            serde_json::Value::Object(fields) => Ok(fields
                .into_iter()
                .map(|(name, value)| (name, value.to_string().trim_matches('"').to_owned()))
                .collect()),
            other => anyhow::bail!("a row is not an object: {other}"),
        })
        .collect::<Result<_>>()?;
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].1.len());
        cells.chain([first[column].0.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..first.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ")
    };
    println!(
        "{}",
        line(first.iter().map(|(name, _)| name.as_str()).collect())
    );
    for row in &rows {
        println!(
            "{}",
            line(row.iter().map(|(_, value)| value.as_str()).collect())
        );
    }
    Ok(())
}
