use std::ops::RangeInclusive;

use anyhow::{Result, ensure};
use clap::builder::RangedU64ValueParser;

/// The longest payload of an entry, and the most that one call carries, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// A number inside a range; anything else is refused with an error that names the range.
pub(crate) fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::new().range(range)
}

/// How many there are: at least one, and no more than anybody has time for.
pub(crate) fn count<T: TryFrom<u64>>() -> RangedU64ValueParser<T> {
    number(1..=1_000_000_000_000)
}

/// How many groups, or threads: at least one, and no more than fit in memory.
pub(crate) fn few<T: TryFrom<u64>>() -> RangedU64ValueParser<T> {
    number(1..=1 << 20)
}

/// Payload bytes of an entry.
pub(crate) fn bytes() -> RangedU64ValueParser<usize> {
    number(1..=MOST_BYTES)
}

/// Checks that one call can carry `entries` entries of `bytes` each.
pub(crate) fn check_size(entries: u64, bytes: usize) -> Result<()> {
    ensure!(
        entries.saturating_mul(bytes as u64) <= MOST_BYTES,
        "{entries} entries of {bytes} bytes at once are more than {MOST_BYTES} bytes"
    );
    Ok(())
}
