/// Whether the writer looks for the next request after a commit, before it sleeps.
///
/// To wake a sleeping thread takes 10 to 50 µs on a virtual machine, which is much beside the sync of a fast
/// disk, and a caller that waits for each of its writes comes back sooner than that. So the writer looks for
/// it for a moment. Each time nobody came, it does so after half as many of the next commits, down to one
/// in [`Self::MOST_SKIPPED`] and one: a store with little to do does not keep a core busy.
#[derive(Debug, Default)]
pub(crate) struct Linger {
    /// How many of the next commits not to look after.
    skip: u32,
    /// How many were not looked after the last time.
    skipped: u32,
}

impl Linger {
    /// How often the writer yields its core while it looks: about 50 µs on a core that nobody else wants.
    pub(crate) const YIELDS: u32 = 100;

    const MOST_SKIPPED: u32 = 63;

    /// Whether to look after this commit.
    pub(crate) fn is_worth_it(&mut self) -> bool {
        match self.skip.checked_sub(1) {
            Some(left) => {
                self.skip = left;
                false
            }
            None => true,
        }
    }

    /// Takes note of what looking has brought.
    pub(crate) fn note(&mut self, found: bool) {
        self.skipped = if found {
            0
        } else {
            (2 * self.skipped + 1).min(Self::MOST_SKIPPED)
        };
        self.skip = self.skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_always_where_somebody_comes_and_seldom_where_nobody_does() {
        let mut linger = Linger::default();
        let mut looks = |found, commits: u32| {
            let mut looks = 0;
            for _ in 0..commits {
                if linger.is_worth_it() {
                    looks += 1;
                    linger.note(found);
                }
            }
            looks
        };
        assert_eq!(looks(true, 100), 100);
        // 1, 3, 7, 15, 31 and 63 commits are left out after each look, then always 63.
        assert_eq!(looks(false, 6 + 120), 6);
        assert_eq!(looks(false, 640), 10);
        // One that comes again is found at the next look, and from then on each time.
        assert!(looks(true, 64 + 100) >= 100);
    }
}
