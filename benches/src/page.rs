use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value};

use crate::machine::Machine;
use crate::report::{Part, Report};
use crate::table::cell;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .3rem; padding-top: 1rem; border-top: 1px solid #ddd; }
code { background: #f4f4f4; padding: .1rem .3rem; border-radius: 3px; font-size: .9em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; color: #444; }
dt { color: #888; } dd { margin: 0; }
svg { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
th { color: #666; font-weight: 600; }
tr.raw td { background: #f6f6f6; }
summary { cursor: pointer; color: #555; }
";

/// The report as one page that needs nothing else.
pub(crate) fn render(report: &Report) -> Result<Markup> {
    let parts: Vec<Markup> = report
        .parts
        .iter()
        .map(|one| part(one, &report.backends))
        .collect::<Result<_>>()?;
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "raft-logstore, measured" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "raft-logstore, measured" }
                (machine(&report.machine))
                p {
                    "Contenders take turns in rounds. A mark is the median over the rounds, its bar the quartiles; a "
                    "ratio is taken within each round. Circles are bare engines, squares go through a "
                    code { "Store" } " on a thread that blocks, triangles through one by completions. The dashed line is the "
                    "raw file: one write and one " code { "fdatasync" }
                    " in a file that has its space, or the same entries read from it."
                }
                @for part in &parts { (part) }
            }
        }
    })
}

fn machine(machine: &Machine) -> Markup {
    let facts = [
        ("measured", machine.date.clone()),
        ("version", machine.version.to_owned()),
        (
            "processor",
            format!("{}, {} cores", machine.cpu, machine.cores),
        ),
        ("memory", machine.memory.clone()),
        ("kernel", machine.kernel.clone()),
        ("disk", machine.disk.clone()),
        (
            "a write of 256 B and its sync",
            format!("{} µs", machine.sync_us),
        ),
    ];
    html! {
        dl { @for (name, value) in facts { dt { (name) } dd { (value) } } }
    }
}

fn part(part: &Part, backends: &[&str]) -> Result<Markup> {
    let plots = part.section.plots.iter().map(|plot| plot.svg(backends));
    let plots: Vec<String> = plots.collect::<Result<_>>()?;
    Ok(html! {
        h2 { (part.title) }
        p { (part.about) " " code { (part.command) } }
        @for plot in &plots { (PreEscaped(plot)) }
        details open[part.section.rows.len() <= 20] {
            summary { (part.section.rows.len()) " rows" }
            div.table { (table(&part.section.rows)) }
        }
    })
}

fn table(rows: &[Map<String, Value>]) -> Markup {
    let is_raw = |row: &Map<String, Value>| row.get("backend").is_some_and(|name| name == "raw");
    html! {
        table {
            @if let Some(first) = rows.first() {
                tr { @for name in first.keys() { th { (name) } } }
            }
            @for row in rows {
                tr.raw[is_raw(row)] { @for value in row.values() { td { (cell(value)) } } }
            }
        }
    }
}
