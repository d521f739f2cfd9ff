use raft_logstore_core::IndexRange;

use crate::record::Place;

/// Entries of a group, without a hole, that lie in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The number of the segment.
    pub(crate) segment: u64,
    /// The first index that is part of the log.
    pub(crate) first: u64,
    /// The last one.
    pub(crate) last: u64,
    /// What the records of the entries take, in bytes; after a part of them went, about.
    pub(crate) bytes: u64,
    /// The index that the first place is of.
    pub(crate) base: u64,
    pub(crate) places: Places,
}

/// Where the records of a run are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// Those from `base` on, in memory: the segment is written, or not sealed yet.
    Here(Vec<Place>),
    /// In the segment, from this byte on.
    Sealed(u32),
    /// Not looked up yet.
    Unknown,
}

impl Run {
    /// The entries from `first` on, which were written to `places`; at least one.
    pub(crate) fn new(segment: u64, first: u64, places: Vec<Place>) -> Self {
        Self {
            segment,
            first,
            last: first + (places.len() as u64).saturating_sub(1),
            bytes: places.iter().map(|place| place.bytes()).sum(),
            base: first,
            places: Places::Here(places),
        }
    }

    pub(crate) fn indexes(&self) -> IndexRange {
        IndexRange::new(self.first..=self.last)
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Leaves only `first..=last`, and returns how many bytes went, about.
    pub(crate) fn narrow(&mut self, first: u64, last: u64) -> u64 {
        let before = self.len();
        (self.first, self.last) = (first, last);
        if let Places::Here(places) = &mut self.places {
            // What lies before stays until the segment is sealed.
            places.truncate((last - self.base + 1) as usize);
        }
        let left = u128::from(self.bytes) * u128::from(self.len()) / u128::from(before);
        // Not more than before, so it fits.
        let gone = self.bytes - left as u64;
        self.bytes -= gone;
        gone
    }
}
