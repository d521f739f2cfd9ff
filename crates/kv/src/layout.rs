//! How a store lies in an ordered key-value engine, byte by byte.
//!
//! Numbers in keys and values are big-endian, so that byte order is index order.
//!
//! ```text
//! key                                               length    value
//! "logs-" <group u64> <index u64>                   21        the payload of an entry
//! "meta-" <group u64> <name>                        14..=77   a stable key of a group
//! "meta-" <group u64> "!group"                      19        the header of a group, below
//! "meta-" <group u64> "!low"                        17        u64: no entry of the group is stored below
//! "stor-" "format"                                  11        u32: format version, then the
//!                                                             backend's name in ASCII
//! "stor-" "sequence"                                13        u64: number of the last settled commit,
//!                                                             then u64: how many groups it left
//! "stor-" "journal"                                 12        u64: the salt of the journal
//! ```
//!
//! A commit is put into the journal, a file beside the engine. A settle writes what its commits have
//! changed under these keys, in one engine write: they hold the state after the last settled commit, and the
//! journal holds every commit since.
//!
//! The header says what a group has, so that a record that went missing is noticed:
//!
//! ```text
//! offset  size  content
//! 0       1     bit 0: there is a purge floor; bit 1: there are entries; other bits 0
//! 1       8     the purge floor, or 0
//! 9       8     index of the first entry, or 0
//! 17      8     index of the last entry, or 0
//! 25      n     the name of every stable key that is set, in ascending order: u8 length, bytes
//! ```
//!
//! The prefixes differ in their first byte, so records of a group and of the store never meet,
//! whatever the group's number. `!` is not allowed in the name of a stable key, so a reserved name
//! and a stable key never meet either.
//!
//! Every value is wrapped in an [`envelope`](raft_logstore_core::envelope): 4 bytes of CRC32C over
//! key and value, then the value.
//!
//! Entries at or below a group's floor are garbage: never shown, deleted by and by. A group that has
//! nothing has no header.

use std::ops::RangeInclusive;

use raft_logstore_core::{GroupId, StableKey};

/// The longest key, in bytes.
pub const MAX_KEY_LEN: usize = PREFIX_LEN + 8 + StableKey::MAX_LEN;

/// Prefix of the entries.
pub const LOGS: &[u8; PREFIX_LEN] = b"logs-";

/// Prefix of what is stored for a group beside its entries.
pub const META: &[u8; PREFIX_LEN] = b"meta-";

/// Key of the format record.
pub const FORMAT: &[u8] = b"stor-format";

/// Key of the record that says which journal belongs to the store.
pub const JOURNAL: &[u8] = b"stor-journal";

/// Key of the record of the last settled commit.
pub const SEQUENCE: &[u8] = b"stor-sequence";

pub(crate) const PREFIX_LEN: usize = 5;
const GROUP_END: usize = PREFIX_LEN + 8;
const ENTRY_KEY_LEN: usize = GROUP_END + 8;

/// Sorts after every name of a stable key, which is ASCII.
const AFTER_NAMES: u8 = 0xff;

/// The name under which a group's header is stored.
const HEADER: &[u8] = b"!group";

/// The name under which is stored what was deleted.
const LOW: &[u8] = b"!low";

/// The key of an entry.
pub fn entry_key(group: GroupId, index: u64) -> [u8; ENTRY_KEY_LEN] {
    let mut key = [0; ENTRY_KEY_LEN];
    key[..PREFIX_LEN].copy_from_slice(LOGS);
    key[PREFIX_LEN..GROUP_END].copy_from_slice(&group.0.to_be_bytes());
    key[GROUP_END..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The keys of the entries of a group at `indexes`, both ends included.
pub fn entry_keys(
    group: GroupId,
    indexes: RangeInclusive<u64>,
) -> RangeInclusive<[u8; ENTRY_KEY_LEN]> {
    entry_key(group, *indexes.start())..=entry_key(group, *indexes.end())
}

/// The index of the entry stored under `key`; `None` when that is not the key of an entry.
pub fn entry_index(key: &[u8]) -> Option<u64> {
    let index = key.strip_prefix(LOGS)?.get(8..)?;
    Some(u64::from_be_bytes(index.try_into().ok()?))
}

/// The key of a stable key of a group.
pub fn stable_key(group: GroupId, name: &StableKey) -> Vec<u8> {
    meta_key(group, name.as_str().as_bytes())
}

/// The key of a group's header.
pub fn header_key(group: GroupId) -> Vec<u8> {
    meta_key(group, HEADER)
}

/// The key of the record that says below which index no entry of a group is stored. Missing, it is 0:
/// it spares a walk over what an engine remembers of deleted keys.
pub fn low_key(group: GroupId) -> Vec<u8> {
    meta_key(group, LOW)
}

/// The value stored under [`SEQUENCE`]: the number of the last settled commit, and how many groups it
/// left.
pub fn sequence(commit: u64, groups: u64) -> [u8; 16] {
    let mut value = [0; 16];
    value[..8].copy_from_slice(&commit.to_be_bytes());
    value[8..].copy_from_slice(&groups.to_be_bytes());
    value
}

/// The keys of everything that is stored for a group beside its entries, both ends included.
pub fn meta_keys(group: GroupId) -> RangeInclusive<Vec<u8>> {
    meta_key(group, b"")..=meta_key(group, &[AFTER_NAMES])
}

/// Where the records of the groups `groups` lie under `prefix`, both ends included.
pub fn group_keys(
    prefix: &[u8; PREFIX_LEN],
    groups: RangeInclusive<GroupId>,
) -> RangeInclusive<Vec<u8>> {
    let first = [&prefix[..], &groups.start().0.to_be_bytes()].concat();
    let last = [
        &prefix[..],
        &groups.end().0.to_be_bytes(),
        &[AFTER_NAMES; 9],
    ]
    .concat();
    first..=last
}

/// The two numbers in a value of [`SEQUENCE`]; `None` when it cannot be one.
pub fn commit_and_groups(value: &[u8]) -> Option<(u64, u64)> {
    let (commit, groups) = value.split_first_chunk()?;
    Some((
        u64::from_be_bytes(*commit),
        u64::from_be_bytes(groups.try_into().ok()?),
    ))
}

/// The group whose record lies under `key`; `None` when no such record has this key.
pub fn group_of(key: &[u8]) -> Option<GroupId> {
    let group = match key.get(..PREFIX_LEN)? {
        prefix if prefix == LOGS && key.len() == ENTRY_KEY_LEN => key,
        prefix if prefix == META && (GROUP_END + 1..=MAX_KEY_LEN).contains(&key.len()) => key,
        _ => return None,
    };
    Some(GroupId(u64::from_be_bytes(
        group[PREFIX_LEN..GROUP_END].try_into().ok()?,
    )))
}

fn meta_key(group: GroupId, name: &[u8]) -> Vec<u8> {
    [META, &group.0.to_be_bytes()[..], name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group whose number starts with the letter of no, some and every reserved character.
    const GROUPS: [GroupId; 4] = [
        GroupId(0),
        GroupId(0x2100_0000_0000_0000),
        GroupId(u64::MAX - 1),
        GroupId(u64::MAX),
    ];

    #[test]
    fn the_bytes_of_every_key_are_as_documented() {
        let group = GroupId(0x0102_0304_0506_0708);
        assert_eq!(
            entry_key(group, 9),
            *b"logs-\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x09"
        );
        assert_eq!(
            stable_key(group, &StableKey::VOTE),
            b"meta-\x01\x02\x03\x04\x05\x06\x07\x08vote"
        );
        assert_eq!(
            header_key(group),
            b"meta-\x01\x02\x03\x04\x05\x06\x07\x08!group"
        );
        assert_eq!(
            (FORMAT, SEQUENCE),
            (&b"stor-format"[..], &b"stor-sequence"[..])
        );
    }

    #[test]
    fn byte_order_is_group_order_and_index_order() {
        let mut keys = Vec::new();
        for group in GROUPS {
            keys.extend(
                [0, 1, 255, 256, u64::MAX - 1].map(|index| entry_key(group, index).to_vec()),
            );
        }
        assert!(keys.is_sorted());
    }

    #[test]
    fn the_records_of_two_groups_and_of_the_store_never_meet() {
        let longest = StableKey::new("z".repeat(StableKey::MAX_LEN)).unwrap();
        for group in GROUPS {
            let own = meta_keys(group);
            for name in [&StableKey::VOTE, &longest] {
                assert!(own.contains(&stable_key(group, name)));
                assert!(stable_key(group, name).len() <= MAX_KEY_LEN);
                assert!(group_keys(META, group..=group).contains(&stable_key(group, name)));
            }
            assert!(own.contains(&header_key(group)));
            assert!(group_keys(LOGS, group..=group).contains(&entry_key(group, u64::MAX).to_vec()));
            for other in GROUPS.into_iter().filter(|&other| other != group) {
                assert!(!own.contains(&stable_key(other, &StableKey::VOTE)));
                assert!(!own.contains(&header_key(other)));
            }
            for record in [FORMAT, SEQUENCE, JOURNAL] {
                assert!(!own.contains(&record.to_vec()));
                assert_eq!(group_of(record), None);
            }
        }
    }

    #[test]
    fn a_key_tells_its_group_and_index_and_nothing_else_does() {
        let group = GroupId(7);
        let key = entry_key(group, 9);
        assert_eq!((group_of(&key), entry_index(&key)), (Some(group), Some(9)));
        assert_eq!(group_of(&stable_key(group, &StableKey::VOTE)), Some(group));
        for damaged in [
            &key[..20],
            &[&key[..], b"x"].concat(),
            b"logs-",
            b"",
            &meta_key(group, b""),
        ] {
            assert_eq!(
                (group_of(damaged), entry_index(damaged)),
                (None, None),
                "{damaged:?}"
            );
        }
    }
}
