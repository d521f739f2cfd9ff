//! The text that is replicated.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::api::BODY_LIMIT;

/// Without `--input` and `--lines` there are at least so many lines.
const DEFAULT_LINES: usize = 10_000;

/// Lines to write, in order.
pub(crate) struct Input {
    pub(crate) lines: Vec<Arc<str>>,
    /// Where they are from, for people.
    pub(crate) source: String,
}

impl Input {
    /// Reads `file`, or else this repository's own sources. `count` cuts or repeats the text.
    pub(crate) fn load(file: Option<&Path>, count: Option<usize>) -> Result<Self> {
        let (mut lines, mut source) = match file {
            Some(file) => (read_lines(file)?, file.display().to_string()),
            None => own_sources()?,
        };
        ensure!(!lines.is_empty(), "there is not a single line in {source}");
        let len = lines.len();
        let count = match (count, file) {
            (Some(count), _) => count,
            (None, Some(_)) => len,
            (None, None) => len.max(DEFAULT_LINES),
        };
        if count > len {
            source = format!("{source}, whose {len} lines are repeated");
            lines = lines.iter().cycle().take(count).cloned().collect();
        }
        lines.truncate(count);
        Ok(Self { lines, source })
    }
}

fn read_lines(file: &Path) -> Result<Vec<Arc<str>>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines: Vec<Arc<str>> = text.lines().map(Arc::from).collect();
    if let Some(at) = lines.iter().position(|line| line.len() > BODY_LIMIT) {
        let (file, len) = (file.display(), lines[at].len());
        anyhow::bail!(
            "line {} of {file} has {len} bytes; the limit is {BODY_LIMIT}",
            at + 1
        );
    }
    Ok(lines)
}

/// Every source file of the workspace, and Cargo.lock.
fn own_sources() -> Result<(Vec<Arc<str>>, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    let mut files = vec![root.join("Cargo.lock")];
    for folder in ["crates", "backends", "conformance", "examples", "benches"] {
        collect(&root.join(folder), &mut files)
            .with_context(|| format!("cannot read the sources in {}", root.display()))
            .context("give a text with --input FILE")?;
    }
    files.sort();
    let mut lines = Vec::new();
    for file in &files {
        lines.extend(read_lines(file)?);
    }
    Ok((lines, format!("this repository ({} files)", files.len())))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                collect(&path, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|kind| kind == "rs" || kind == "toml")
        {
            files.push(path);
        }
    }
    Ok(())
}
