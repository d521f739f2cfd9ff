use raft_logstore_core::{Bounds, Entry};

use crate::violation::{ensure, ensure_eq};
use crate::{LawResult, Probe, Violation};

/// The log holds exactly `entries` above `floor`, in its bounds and in what it reads.
pub(crate) fn expect_log(log: &Probe, floor: Option<u64>, entries: &[Entry]) -> LawResult {
    let ends = entries
        .first()
        .zip(entries.last())
        .map(|(first, last)| (first.index, last.index));
    ensure_eq!(log.bounds()?, Bounds::new(floor, ends)?, "bounds");
    expect_entries(&log.read(..)?, entries)
}

/// What was read is what was written: the same indexes in the same order, the same bytes.
pub(crate) fn expect_entries(found: &[Entry], expected: &[Entry]) -> LawResult {
    if let Some((found, expected)) = found.iter().zip(expected).find(|(a, b)| a != b) {
        ensure_eq!(
            found.index,
            expected.index,
            "index of an entry that was read"
        );
        return Err(Violation::new(format!(
            "entry {} holds other bytes than were written: {} of them, {} written",
            found.index,
            found.payload.len(),
            expected.payload.len()
        )));
    }
    let indexes = |entries: &[Entry]| {
        entries
            .first()
            .zip(entries.last())
            .map(|(a, b)| a.index..=b.index)
    };
    ensure!(
        found.len() == expected.len(),
        "read {} entries ({:?}), expected {} ({:?})",
        found.len(),
        indexes(found),
        expected.len(),
        indexes(expected)
    );
    Ok(())
}
