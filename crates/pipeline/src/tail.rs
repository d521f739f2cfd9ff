use std::collections::VecDeque;

use raft_logstore_core::Entry;

use crate::queue::Ticket;

/// What an entry costs in memory beyond its payload, in bytes.
pub(crate) const ENTRY_OVERHEAD: u64 = 96;

/// The entries of one group that are in memory: a contiguous run that ends with the log's last
/// entry. Those in flight are pinned; the durable ones before them may be evicted.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    entries: VecDeque<Entry>,
    /// The appends that are not durable, oldest first: ticket and first index.
    in_flight: VecDeque<(Ticket, u64)>,
}

impl Tail {
    /// The first index in memory.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.index)
    }

    /// Adds entries in flight; they follow the log's last entry.
    pub(crate) fn append(&mut self, ticket: Ticket, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            self.in_flight.push_back((ticket, first.index));
            self.entries.extend(entries);
        }
    }

    /// Drops `from` and everything after it.
    pub(crate) fn truncate(&mut self, from: u64) {
        if let Some(first) = self.first() {
            let keep = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
            self.entries.truncate(keep);
        }
        while self
            .in_flight
            .back()
            .is_some_and(|&(_, first)| first >= from)
        {
            self.in_flight.pop_back();
        }
    }

    /// Drops `up_to` and everything before it, in flight or not.
    pub(crate) fn purge(&mut self, up_to: u64) {
        self.drop_front(up_to);
        if self.entries.is_empty() {
            self.in_flight.clear();
        }
    }

    /// Unpins every append up to `ticket`.
    pub(crate) fn durable(&mut self, ticket: Ticket) {
        while self
            .in_flight
            .front()
            .is_some_and(|&(queued, _)| queued <= ticket)
        {
            self.in_flight.pop_front();
        }
    }

    /// Keeps the durable entries, if they still end with `last`, the last durable one of the log.
    pub(crate) fn revert(&mut self, last: Option<u64>) {
        if let Some(&(_, first)) = self.in_flight.front() {
            self.truncate(first);
        }
        if self.entries.back().map(|entry| entry.index) != last {
            self.clear();
        }
    }

    /// Drops `up_to` and everything before it, as far as it is durable.
    pub(crate) fn evict(&mut self, up_to: u64) {
        match self.in_flight.front() {
            Some(&(_, 0)) => {}
            Some(&(_, first)) => self.drop_front(up_to.min(first - 1)),
            None => self.drop_front(up_to),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Clones the entries `first..=last`, which must be in memory, into `out` until `max_bytes` of
    /// payload are in it; an empty `out` gets at least one.
    pub(crate) fn read(&self, first: u64, last: u64, max_bytes: u64, out: &mut Vec<Entry>) {
        let Some(start) = self.first().filter(|&start| start <= first) else {
            return;
        };
        let mut bytes = payload_bytes(out);
        let wanted = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let skipped = usize::try_from(first - start).unwrap_or(usize::MAX);
        let entries = self.entries.iter().skip(skipped).take(wanted);
        out.reserve(
            entries
                .len()
                .min(max_bytes.try_into().unwrap_or(usize::MAX)),
        );
        for entry in entries {
            bytes = bytes.saturating_add(entry.payload.len() as u64);
            if bytes > max_bytes && !out.is_empty() {
                break;
            }
            out.push(entry.clone());
        }
    }

    fn drop_front(&mut self, up_to: u64) {
        let Some(first) = self.first().filter(|&first| first <= up_to) else {
            return;
        };
        let count = usize::try_from(up_to - first + 1).unwrap_or(usize::MAX);
        self.entries.drain(..count.min(self.entries.len()));
        // Gives memory back after a burst, without shrinking at every step.
        if self.entries.capacity() > 1024 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.capacity() / 2);
        }
    }
}

/// The payload of some entries, in bytes.
pub(crate) fn payload_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.payload.len() as u64).sum()
}

/// What some entries cost in memory, in bytes.
pub(crate) fn memory_bytes(entries: &[Entry]) -> u64 {
    payload_bytes(entries) + ENTRY_OVERHEAD * entries.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(first: u64, last: u64) -> Vec<Entry> {
        (first..=last)
            .map(|index| Entry::new(index, vec![0; 10]))
            .collect()
    }

    fn indexes(tail: &Tail, first: u64, last: u64, max_bytes: u64) -> Vec<u64> {
        let mut out = Vec::new();
        tail.read(first, last, max_bytes, &mut out);
        out.iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn entries_in_flight_are_never_evicted() {
        let mut tail = Tail::default();
        tail.append(1, entries(1, 3));
        tail.append(2, entries(4, 6));
        tail.evict(6);
        assert_eq!(tail.first(), Some(1), "nothing is durable yet");

        tail.durable(1);
        tail.evict(6);
        assert_eq!(
            tail.first(),
            Some(4),
            "the first append is durable, the second is not"
        );
    }

    #[test]
    fn a_late_acknowledgement_of_truncated_entries_unpins_nothing_written_since() {
        let mut tail = Tail::default();
        tail.append(1, entries(1, 6));
        tail.truncate(3);
        tail.append(3, entries(3, 5));
        tail.durable(1);
        tail.evict(5);
        assert_eq!(
            indexes(&tail, 3, 5, u64::MAX),
            [3, 4, 5],
            "the new entries stay pinned"
        );
    }

    #[test]
    fn a_revert_keeps_the_durable_entries_and_no_others() {
        let mut tail = Tail::default();
        tail.append(1, entries(1, 3));
        tail.durable(1);
        tail.append(2, entries(4, 6));
        tail.revert(Some(3));
        assert_eq!(indexes(&tail, 1, 6, u64::MAX), [1, 2, 3]);

        // A truncate in flight took durable entries out of memory: the log has more than the tail.
        tail.truncate(2);
        tail.append(3, entries(2, 2));
        tail.revert(Some(3));
        assert_eq!(tail.first(), None);
    }

    #[test]
    fn a_purge_drops_entries_in_flight_too() {
        let mut tail = Tail::default();
        tail.append(1, entries(1, 6));
        tail.purge(4);
        assert_eq!(tail.first(), Some(5));
        tail.purge(100);
        assert_eq!(tail.first(), None);
    }

    #[test]
    fn a_read_honours_its_byte_cap_but_returns_at_least_one_entry() {
        let mut tail = Tail::default();
        tail.append(1, entries(1, 6));
        assert_eq!(indexes(&tail, 2, 6, 0), [2]);
        assert_eq!(indexes(&tail, 2, 6, 29), [2, 3]);
        assert_eq!(indexes(&tail, 2, 4, u64::MAX), [2, 3, 4]);
    }
}
