use crate::{Error, ErrorKind, IndexRange, MAX_INDEX, Op, Result};

/// The bounds of one log, and the rules by which they move.
///
/// A log holds the entries `first..=last` without a hole, all above the purge floor. The rules are
/// pure functions: every store that keeps them keeps laws 1, 4, 5 and 6.
///
/// ```
/// use raft_logstore_core::Bounds;
///
/// let log = Bounds::default().append(5, 3)?; // 5, 6, 7
/// assert_eq!((log.first(), log.last()), (Some(5), Some(7)));
/// let log = log.purge(9);
/// assert_eq!((log.first(), log.last()), (None, Some(9)));
/// # Ok::<(), raft_logstore_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    floor: Option<u64>,
    entries: Option<(u64, u64)>,
}

impl Bounds {
    /// Bounds as found on disk: the purge floor, and the first and last entry above it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] when an entry lies at or below the floor, or first is above last.
    pub fn new(floor: Option<u64>, entries: Option<(u64, u64)>) -> Result<Self> {
        match entries {
            Some((first, last)) if first > last || floor.is_some_and(|floor| first <= floor) => Err(
                Error::new(ErrorKind::Corrupt, "read bounds").with_advice(format!(
                    "entries {first}..={last} do not lie in order above the purge floor {floor:?}"
                )),
            ),
            _ => Ok(Self { floor, entries }),
        }
    }

    /// The highest purged index; `None` when nothing was ever purged.
    pub fn floor(self) -> Option<u64> {
        self.floor
    }

    /// The first entry; `None` when the log is empty.
    pub fn first(self) -> Option<u64> {
        self.entries.map(|(first, _)| first)
    }

    /// The last index the log knows: its last entry, or the floor when it is empty (law
    /// `an_empty_log_reports_its_floor_as_last`). `None` when nothing was ever written.
    pub fn last(self) -> Option<u64> {
        self.entries.map(|(_, last)| last).or(self.floor)
    }

    /// Whether the log holds no entry.
    pub fn is_empty(self) -> bool {
        self.entries.is_none()
    }

    /// How many entries the log holds.
    pub fn len(self) -> u64 {
        self.entries.map_or(0, |(first, last)| last - first + 1)
    }

    /// The entries as a range.
    pub fn range(self) -> IndexRange {
        self.entries.map_or(IndexRange::EMPTY, |(first, last)| {
            IndexRange::new(first..=last)
        })
    }

    /// The bounds of the log of its group after `op`.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append) and [`truncate`](Self::truncate).
    pub fn after(self, op: &Op) -> Result<Self> {
        Ok(match op {
            Op::Append { entries, .. } => entries
                .iter()
                .try_fold(self, |bounds, entry| bounds.append(entry.index, 1))?,
            Op::Truncate { from, .. } => self.truncate(*from)?,
            Op::Purge { up_to, .. } => self.purge(*up_to),
            Op::Put { .. } => self,
            Op::DropGroup { .. } => Self::default(),
        })
    }

    /// Law 1: the bounds after appending `count` entries from `first` on. An empty log takes any
    /// first index above the floor, a log with entries exactly `last + 1`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gap`] for a hole or an overlap, [`ErrorKind::Purged`] at or below the floor,
    /// [`ErrorKind::TooLarge`] past [`MAX_INDEX`].
    pub fn append(self, first: u64, count: u64) -> Result<Self> {
        let Some(more) = count.checked_sub(1) else {
            return Ok(self);
        };
        let last = first
            .checked_add(more)
            .filter(|&last| last <= MAX_INDEX)
            .ok_or_else(|| {
                Error::new(ErrorKind::TooLarge, "append").with_advice(format!(
                    "{count} entries from index {first} pass the highest index, {MAX_INDEX}"
                ))
            })?;
        match (self.entries, self.floor) {
            (Some((start, end)), _) if first == end + 1 => Ok(Self {
                entries: Some((start, last)),
                ..self
            }),
            (Some((_, end)), _) => Err(Error::new(ErrorKind::Gap, "append")
                .with_indexes(first..=last)
                .with_advice(format!(
                    "the next index is {}; truncate first to replace entries",
                    end + 1
                ))),
            (None, Some(floor)) if first <= floor => Err(Error::new(ErrorKind::Purged, "append")
                .with_indexes(first..=last)
                .with_advice(format!("the log is purged up to {floor}; append above it"))),
            (None, _) => Ok(Self {
                entries: Some((first, last)),
                ..self
            }),
        }
    }

    /// Law 4: the bounds after dropping `from` and everything after it. Beyond the end nothing
    /// changes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Purged`] when `from` is at or below the floor.
    pub fn truncate(self, from: u64) -> Result<Self> {
        if let Some(floor) = self.floor.filter(|&floor| from <= floor) {
            return Err(Error::new(ErrorKind::Purged, "truncate")
                .with_indexes(from..=floor)
                .with_advice(format!(
                    "the log is purged up to {floor}; what is purged was committed and stays gone"
                )));
        }
        let entries = match self.entries {
            Some((first, _)) if from <= first => None,
            Some((first, last)) => Some((first, last.min(from - 1))),
            None => None,
        };
        Ok(Self { entries, ..self })
    }

    /// Law 5: the bounds after dropping `up_to` and everything before it. May lie beyond the last
    /// entry (a snapshot was installed) or below the first (only the floor moves). The floor never
    /// goes back.
    #[must_use]
    pub fn purge(self, up_to: u64) -> Self {
        if self.floor.is_some_and(|floor| up_to <= floor) {
            return self;
        }
        let entries = match self.entries {
            Some((_, last)) if up_to >= last => None,
            Some((first, last)) => Some((first.max(up_to + 1), last)),
            None => None,
        };
        Self {
            floor: Some(up_to),
            entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn log(floor: Option<u64>, entries: Option<(u64, u64)>) -> Bounds {
        Bounds::new(floor, entries).unwrap()
    }

    #[rstest]
    #[case::free_first_index(log(None, None), 7, Ok(log(None, Some((7, 8)))))]
    #[case::contiguous(log(None, Some((1, 3))), 4, Ok(log(None, Some((1, 5)))))]
    #[case::gap(log(None, Some((1, 3))), 5, Err(ErrorKind::Gap))]
    #[case::overlap(log(None, Some((1, 3))), 3, Err(ErrorKind::Gap))]
    #[case::above_the_floor(log(Some(9), None), 12, Ok(log(Some(9), Some((12, 13)))))]
    #[case::at_the_floor(log(Some(9), None), 9, Err(ErrorKind::Purged))]
    #[case::past_the_highest_index(log(None, None), MAX_INDEX, Err(ErrorKind::TooLarge))]
    fn append_is_contiguous(
        #[case] before: Bounds,
        #[case] first: u64,
        #[case] after: Result<Bounds, ErrorKind>,
    ) {
        assert_eq!(before.append(first, 2).map_err(|error| error.kind()), after);
    }

    #[rstest]
    #[case::inside(3, Ok(log(Some(1), Some((2, 2)))))]
    #[case::at_the_first(2, Ok(log(Some(1), None)))]
    #[case::beyond_the_end(9, Ok(log(Some(1), Some((2, 5)))))]
    #[case::below_the_floor(1, Err(ErrorKind::Purged))]
    fn truncate_drops_a_suffix(#[case] from: u64, #[case] after: Result<Bounds, ErrorKind>) {
        let before = log(Some(1), Some((2, 5)));
        assert_eq!(before.truncate(from).map_err(|error| error.kind()), after);
    }

    #[rstest]
    #[case::inside(4, log(Some(4), Some((5, 9))))]
    #[case::the_last(9, log(Some(9), None))]
    #[case::beyond_the_last(20, log(Some(20), None))]
    #[case::below_the_first(2, log(Some(2), Some((3, 9))))]
    #[case::back(0, log(Some(1), Some((3, 9))))]
    fn purge_drops_a_prefix_and_the_floor_never_goes_back(
        #[case] up_to: u64,
        #[case] after: Bounds,
    ) {
        let before = log(Some(1), Some((3, 9)));
        assert_eq!(before.purge(up_to), after);
    }

    #[test]
    fn entries_at_or_below_the_floor_are_corrupt() {
        let error = Bounds::new(Some(4), Some((4, 6))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
