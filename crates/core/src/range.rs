use std::fmt;
use std::ops::{Bound, RangeBounds, RangeInclusive};

/// A range of log indexes with both ends included, or nothing.
///
/// Every kind of Rust range converts into one, once, here: a store never sees an open or excluded
/// end (law `reads_honour_every_kind_of_range`).
///
/// ```
/// use raft_logstore_core::IndexRange;
///
/// assert_eq!(IndexRange::new(3..6).bounds(), Some((3, 5)));
/// assert_eq!(IndexRange::new(..=2).bounds(), Some((0, 2)));
/// assert_eq!(IndexRange::new(7..).bounds(), Some((7, u64::MAX)));
/// assert!(IndexRange::new(5..5).is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IndexRange(Option<(u64, u64)>);

impl IndexRange {
    /// Holds no index.
    pub const EMPTY: Self = Self(None);

    /// The indexes inside `range`.
    pub fn new(range: impl RangeBounds<u64>) -> Self {
        let start = match range.start_bound() {
            Bound::Included(&start) => Some(start),
            Bound::Excluded(&before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => Some(end),
            Bound::Excluded(&past) => past.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end => Self(Some((start, end))),
            _ => Self::EMPTY,
        }
    }

    /// The first and the last index, both included; `None` when the range is empty.
    pub fn bounds(self) -> Option<(u64, u64)> {
        self.0
    }

    /// Whether no index is inside.
    pub fn is_empty(self) -> bool {
        self.0.is_none()
    }

    /// The indexes inside both ranges.
    pub fn intersect(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Self::new(a.max(c)..=b.min(d)),
            _ => Self::EMPTY,
        }
    }
}

impl From<RangeInclusive<u64>> for IndexRange {
    fn from(range: RangeInclusive<u64>) -> Self {
        Self::new(range)
    }
}

impl fmt::Display for IndexRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((start, end)) => write!(f, "{start}..={end}"),
            None => f.write_str("(empty)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::after_the_greatest_index((Excluded(u64::MAX), Unbounded))]
    #[case::before_the_least_index((Unbounded, Excluded(0)))]
    #[case::touching_excluded_ends((Excluded(4), Excluded(5)))]
    #[case::backwards((Included(6), Included(5)))]
    fn a_range_without_an_index_is_empty(#[case] range: (Bound<u64>, Bound<u64>)) {
        assert_eq!(IndexRange::new(range), IndexRange::EMPTY);
    }

    #[rstest]
    #[case((Excluded(4), Excluded(6)), (5, 5))]
    #[case((Excluded(4), Included(6)), (5, 6))]
    #[case((Included(u64::MAX), Unbounded), (u64::MAX, u64::MAX))]
    fn excluded_ends_are_left_out(
        #[case] range: (Bound<u64>, Bound<u64>),
        #[case] expected: (u64, u64),
    ) {
        assert_eq!(IndexRange::new(range).bounds(), Some(expected));
    }
}
