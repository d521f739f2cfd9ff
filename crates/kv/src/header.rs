use raft_logstore_core::{Bounds, StableKey};

const HAS_FLOOR: u8 = 1;
const HAS_ENTRIES: u8 = 2;

/// What a group consists of, as its header record says.
///
/// Records prove themselves by their checksum, but a record that is gone proves nothing. The header
/// says which ones have to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) bounds: Bounds,
    /// The stable keys that are set, in order.
    pub(crate) names: Vec<StableKey>,
}

impl Header {
    /// Whether the group has nothing at all: such a group has no header either.
    pub(crate) fn is_empty(&self) -> bool {
        self.bounds == Bounds::default() && self.names.is_empty()
    }

    /// Notes whether a stable key is set. Says whether that is new.
    pub(crate) fn set_name(&mut self, name: &StableKey, is_set: bool) -> bool {
        match (self.names.binary_search(name), is_set) {
            (Err(at), true) => self.names.insert(at, name.clone()),
            (Ok(at), false) => drop(self.names.remove(at)),
            _ => return false,
        }
        true
    }

    /// Replaces `value` with the value of the header record.
    pub(crate) fn encode(&self, value: &mut Vec<u8>) {
        value.clear();
        let (floor, entries) = (self.bounds.floor(), self.bounds.range().bounds());
        let flag = |set, flag| if set { flag } else { 0 };
        value.push(flag(floor.is_some(), HAS_FLOOR) | flag(entries.is_some(), HAS_ENTRIES));
        let (first, last) = entries.unwrap_or_default();
        for number in [floor.unwrap_or_default(), first, last] {
            value.extend_from_slice(&number.to_be_bytes());
        }
        for name in &self.names {
            // At most `StableKey::MAX_LEN`, which is 64.
            value.push(name.as_str().len() as u8);
            value.extend_from_slice(name.as_str().as_bytes());
        }
    }

    /// The header whose record has this value, or `None` when it cannot be one.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (&flags, rest) = value.split_first()?;
        let (floor, rest) = number(rest)?;
        let (first, rest) = number(rest)?;
        let (last, mut rest) = number(rest)?;
        let floor = (flags & HAS_FLOOR != 0).then_some(floor);
        let entries = (flags & HAS_ENTRIES != 0).then_some((first, last));
        let bounds = Bounds::new(floor, entries).ok()?;
        let mut names = Vec::new();
        while let Some((&len, more)) = rest.split_first() {
            let (name, more) = more.split_at_checked(usize::from(len))?;
            names.push(StableKey::new(str::from_utf8(name).ok()?.to_owned()).ok()?);
            rest = more;
        }
        names.is_sorted().then_some(Self { bounds, names })
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_but_a_vote(None, None, &["vote"])]
    #[case::a_log_that_starts_at_0(None, Some((0, 0)), &[])]
    #[case::an_empty_log_above_its_floor(Some(7), None, &["purged"])]
    #[case::everything(Some(7), Some((9, 12)), &["committed", "purged", "vote"])]
    #[case::the_greatest_numbers(Some(u64::MAX - 2), Some((u64::MAX - 1, u64::MAX - 1)), &[])]
    fn a_header_reads_back_as_written(
        #[case] floor: Option<u64>,
        #[case] entries: Option<(u64, u64)>,
        #[case] names: &[&'static str],
    ) {
        let names = names
            .iter()
            .map(|name| StableKey::from_static(name))
            .collect();
        let header = Header {
            bounds: Bounds::new(floor, entries).unwrap(),
            names,
        };
        let mut value = vec![1, 2, 3];
        header.encode(&mut value);
        assert_eq!(Header::decode(&value), Some(header.clone()));
        // A value that ends early is never taken for a whole one.
        for len in 0..value.len() {
            assert_ne!(
                Header::decode(&value[..len]),
                Some(header.clone()),
                "{len} bytes"
            );
        }
    }
}
