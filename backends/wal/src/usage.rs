use std::collections::BTreeMap;

/// How much of each segment is part of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// The segment that is written.
    current: u64,
    /// How many runs were begun in it.
    runs: u64,
    segments: BTreeMap<u64, Used>,
    /// Those that lost their last entry, or were gone on from, since somebody asked for the dead ones.
    perhaps_dead: Vec<u64>,
}

/// What of a segment is part of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// The salt of the segment: its name, beside its number.
    pub(crate) salt: u64,
    /// How many entries.
    pub(crate) entries: u64,
    /// What their records take, in bytes, about.
    pub(crate) bytes: u64,
}

impl Usage {
    /// Goes on in another segment.
    pub(crate) fn begin(&mut self, segment: u64, salt: u64) {
        self.perhaps_dead.push(self.current);
        self.current = segment;
        self.runs = 0;
        let used = Used {
            salt,
            ..Used::default()
        };
        self.segments.insert(segment, used);
    }

    pub(crate) fn current(&self) -> u64 {
        self.current
    }

    /// How many runs were begun in the current segment.
    pub(crate) fn runs(&self) -> u64 {
        self.runs
    }

    /// The segments that are in use, by their numbers.
    pub(crate) fn segments(&self) -> &BTreeMap<u64, Used> {
        &self.segments
    }

    /// Takes note of a run in the current segment.
    pub(crate) fn begin_run(&mut self) {
        self.runs += 1;
    }

    /// Takes note of entries in a segment.
    pub(crate) fn add(&mut self, segment: u64, entries: u64, bytes: u64) {
        let used = self.segments.entry(segment).or_default();
        used.entries += entries;
        used.bytes += bytes;
    }

    /// Takes note of entries that went.
    pub(crate) fn remove(&mut self, segment: u64, entries: u64, bytes: u64) {
        if let Some(used) = self.segments.get_mut(&segment) {
            used.entries = used.entries.saturating_sub(entries);
            used.bytes = used.bytes.saturating_sub(bytes);
            if used.entries == 0 {
                self.perhaps_dead.push(segment);
            }
        }
    }

    /// Forgets the segments without an entry, but for the current one, and returns their numbers.
    pub(crate) fn take_dead(&mut self) -> Vec<u64> {
        let perhaps_dead = std::mem::take(&mut self.perhaps_dead);
        let dead = perhaps_dead.into_iter().filter(|segment| {
            let used = self.segments.get(segment);
            let is_dead = *segment != self.current && used.is_some_and(|used| used.entries == 0);
            if is_dead {
                self.segments.remove(segment);
            }
            is_dead
        });
        dead.collect()
    }
}
