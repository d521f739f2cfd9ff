//! What `KvBackend` promises over any engine.

use std::ops::RangeInclusive;

use bytes::Bytes;
use raft_logstore_core::{
    Backend, Batch, Entry, Error, ErrorKind, GroupId, IndexRange, Op, StableKey, envelope,
};
use raft_logstore_kv::{FORMAT_VERSION, KvBackend, layout};
use rstest::rstest;

use crate::map_engine::MapEngine;
use crate::store::{GROUP, OTHER, Store, append, purge, put, truncate};

#[test]
fn one_batch_applies_its_operations_in_order() {
    let mut store = Store::new();
    // A group lives, is cut, purged and dropped, and lives again, beside another group.
    store.commit([
        append(GROUP, 5, 9),
        put(GROUP, "old"),
        truncate(GROUP, 7),
        append(GROUP, 7, 8),
        append(OTHER, 1, 3),
        put(OTHER, "other"),
        purge(GROUP, 5),
        Op::DropGroup { group: GROUP },
        append(GROUP, 3, 6),
        put(GROUP, "new"),
        purge(GROUP, 3),
        truncate(GROUP, 6),
    ]);
    for round in 0..3 {
        assert_eq!(store.bounds(GROUP), (Some(3), Some(4), Some(5)));
        assert_eq!(store.indexes(GROUP), [4, 5]);
        assert_eq!(
            store.backend.get(GROUP, &StableKey::VOTE).unwrap().unwrap(),
            "new"
        );
        assert_eq!(
            store
                .backend
                .get(GROUP, &StableKey::PURGED)
                .unwrap()
                .unwrap(),
            "id 3"
        );
        assert_eq!(store.bounds(OTHER), (None, Some(1), Some(3)));
        assert_eq!(
            store.backend.get(OTHER, &StableKey::VOTE).unwrap().unwrap(),
            "other"
        );
        assert_eq!(store.backend.sequence().unwrap(), 1);
        // Read from memory, from the journal, and from where it was settled.
        match round {
            0 => store.reopen(),
            _ => store.settle(),
        }
    }
}

#[test]
fn a_dropped_group_leaves_no_record() {
    let mut store = Store::new();
    let before = store.engine.keys();
    store.commit([
        append(GROUP, 1, 2000),
        put(GROUP, "v"),
        append(OTHER, 1, 1),
        put(GroupId(2), "v"),
    ]);
    store.settle();
    store.commit([purge(GROUP, 1500)]);
    store.settle();
    assert_eq!(store.backend.groups().unwrap(), [GROUP, GroupId(2), OTHER]);
    // Dropped with garbage still in place, and written again among it: nothing old comes back, and
    // the forgotten garbage takes nothing new away.
    store.commit([Op::DropGroup { group: GROUP }, append(GROUP, 1400, 1401)]);
    store.settle();
    assert!(!store.backend.maintain().unwrap());
    assert_eq!(
        (store.bounds(GROUP), store.stored_entries(GROUP)),
        ((None, Some(1400), Some(1401)), 2)
    );
    store.commit([GROUP, OTHER, GroupId(2)].map(|group| Op::DropGroup { group }));
    store.settle();
    assert_eq!(store.engine.keys(), before);
    assert!(store.backend.groups().unwrap().is_empty());
}

#[test]
fn opening_and_finding_bounds_visit_a_few_records_per_group() {
    let mut store = Store::new();
    store.commit([
        append(GROUP, 1, 5000),
        append(OTHER, 1, 5000),
        put(GroupId(u64::MAX), "v"),
    ]);
    store.settle();
    let before = store.engine.visited();
    store.reopen();
    assert_eq!(
        store.backend.groups().unwrap(),
        [GROUP, OTHER, GroupId(u64::MAX)]
    );
    assert_eq!(store.bounds(OTHER).2, Some(5000));
    assert!(
        store.engine.visited() - before < 20,
        "{}",
        store.engine.visited() - before
    );
}

#[test]
fn a_purge_hides_the_entries_at_once_and_deletes_them_in_slices() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 10_000)]);
    store.settle();
    // The purge itself: visible at once, without a write of the engine, and every record still stored.
    let writes = store.engine.writes();
    store.commit([purge(GROUP, 9_990)]);
    assert_eq!(store.engine.writes(), writes);
    assert_eq!(
        store.bounds(GROUP),
        (Some(9_990), Some(9_991), Some(10_000))
    );
    assert_eq!(store.indexes(GROUP), (9_991..=10_000).collect::<Vec<_>>());
    assert_eq!(store.stored_entries(GROUP), 10_000);
    // When there is time they go, a bounded number in each write, also after reopening.
    let (mut stored, mut calls) = (10_000, 0);
    while store.backend.maintain().unwrap() {
        let left = store.stored_entries(GROUP);
        // Beside the slice of the call, the settle that it waited for.
        assert!(stored - left <= 2 * 512, "{stored} to {left}");
        assert_eq!(store.bounds(GROUP).1, Some(9_991));
        (stored, calls) = (left, calls + 1);
        if calls == 7 {
            store.reopen();
        }
    }
    assert_eq!((stored, store.engine.writes() - writes), (10, 20));
    // What is gone is noted, so that nobody has to look for it.
    let low = layout::low_key(GROUP);
    let record = store.engine.record(&low).unwrap();
    assert_eq!(
        envelope::open(&low, &record).unwrap(),
        9_991u64.to_be_bytes()
    );
    assert_eq!(store.backend.sequence().unwrap(), store.sequence);
    // With nothing to do, nothing is written.
    let writes = store.engine.writes();
    assert!(!store.backend.maintain().unwrap());
    assert_eq!(store.engine.writes(), writes);
}

#[test]
fn garbage_goes_with_the_commits_when_there_is_never_time_for_it() {
    let mut store = Store::new();
    let append_large = |first: u64| Op::Append {
        group: GROUP,
        entries: (first..first + 2000)
            .map(|index| Entry::new(index, vec![1; 4096]))
            .collect(),
    };
    for round in 0..20 {
        let first = round * 2000 + 1;
        store.commit([append_large(first)]);
        store.commit([purge(GROUP, first + 1990)]);
        assert!(store.stored_entries(GROUP) <= 10_000, "round {round}");
    }
}

#[test]
fn a_small_purge_leaves_nothing_behind() {
    let mut store = Store::new();
    for round in 0..10 {
        store.commit([
            append(GROUP, round * 500 + 1, (round + 1) * 500),
            purge(GROUP, (round + 1) * 500 - 5),
        ]);
        store.settle();
        assert_eq!(store.stored_entries(GROUP), 5);
        assert!(!store.backend.maintain().unwrap());
    }
}

#[test]
fn garbage_below_that_of_a_later_purge_is_found_again_after_a_crash() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 10_000)]);
    store.settle();
    for up_to in [5_000, 5_600, 5_700] {
        store.commit([purge(GROUP, up_to)]);
        assert!(store.backend.maintain().unwrap());
    }
    store.reopen();
    while store.backend.maintain().unwrap() {}
    assert_eq!(store.stored_entries(GROUP), 10_000 - 5_700);
}

#[test]
fn a_floor_may_jump_over_any_number_of_indexes() {
    let mut store = Store::new();
    const FAR: u64 = 1 << 60;
    store.commit([append(GROUP, 1, 3000)]);
    store.settle();
    store.commit([purge(GROUP, FAR)]);
    store.settle();
    assert_eq!(
        (store.bounds(GROUP), store.stored_entries(GROUP)),
        ((Some(FAR), None, Some(FAR)), 3000 - 512)
    );
    // The log goes on far above its floor, with the old entries not yet deleted.
    store.commit([append(GROUP, FAR + 1000, FAR + 1001)]);
    assert_eq!(store.indexes(GROUP), [FAR + 1000, FAR + 1001]);
    store.reopen();
    assert_eq!(store.indexes(GROUP), [FAR + 1000, FAR + 1001]);
    let mut calls = 0;
    while store.backend.maintain().unwrap() {
        calls += 1;
    }
    store.settle();
    assert_eq!(store.stored_entries(GROUP), 2);
    assert!(calls < 10, "{calls} slices for 2,500 entries");
}

#[test]
fn a_purge_at_or_below_the_floor_changes_nothing() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9), purge(GROUP, 5)]);
    for up_to in [5, 4, 0] {
        store.commit([purge(GROUP, up_to)]);
        assert_eq!(store.bounds(GROUP), (Some(5), Some(6), Some(9)));
        assert_eq!(
            store
                .backend
                .get(GROUP, &StableKey::PURGED)
                .unwrap()
                .unwrap(),
            "id 5"
        );
        store.reopen();
    }
}

#[test]
fn many_groups_with_garbage_are_all_cleaned() {
    let mut store = Store::new();
    let groups = || (0..100).map(GroupId);
    store.commit(
        groups()
            .map(|group| append(group, 1, 600))
            .collect::<Vec<_>>(),
    );
    store.settle();
    store.commit(groups().map(|group| purge(group, 599)).collect::<Vec<_>>());
    while store.backend.maintain().unwrap() {}
    assert!(groups().all(|group| store.stored_entries(group) == 1));
}

#[test]
fn a_read_honours_its_range_and_its_byte_cap() {
    let mut store = Store::new();
    let entries = (1..=9)
        .map(|index| Entry::new(index, vec![7; 10]))
        .collect();
    store.commit([
        Op::Append {
            group: GROUP,
            entries,
        },
        purge(GROUP, 2),
    ]);
    let read = |range: IndexRange, cap| {
        let entries = store.backend.read(GROUP, range, cap).unwrap();
        entries.iter().map(|entry| entry.index).collect::<Vec<_>>()
    };
    for (cap, expected) in [(0, 1), (10, 1), (19, 1), (20, 2), (u64::MAX, 7)] {
        assert_eq!(read(IndexRange::new(..), cap).len(), expected, "cap {cap}");
    }
    assert_eq!(read(IndexRange::new(4..7), u64::MAX), [4, 5, 6]);
    assert_eq!(read(IndexRange::new(8..100), u64::MAX), [8, 9]);
    assert!(read(IndexRange::new(..=2), u64::MAX).is_empty());
    assert!(read(IndexRange::new(10..), u64::MAX).is_empty());
    assert!(read(IndexRange::EMPTY, u64::MAX).is_empty());
}

#[test]
fn the_byte_cap_counts_across_what_is_settled_and_what_is_not() {
    let mut store = Store::new();
    let append = |index, len| Op::Append {
        group: GROUP,
        entries: vec![Entry::new(index, vec![7; len])],
    };
    store.commit([append(1, 10)]);
    store.settle();
    store.commit([append(2, 0), append(3, 5)]);
    for (cap, expected) in [(0, 1), (9, 1), (10, 2), (14, 2), (15, 3)] {
        let range = IndexRange::new(..);
        let entries = store.backend.read(GROUP, range, cap).unwrap();
        assert_eq!(entries.len(), expected, "cap {cap}");
    }
}

fn corrupt_at(error: &Error, group: GroupId, indexes: RangeInclusive<u64>) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(
        (error.group(), error.indexes()),
        (Some(group), Some(indexes.into())),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_in_an_entry_is_reported_with_group_and_index() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9)]);
    store.settle();
    for index in [1, 5, 9] {
        let key = layout::entry_key(GROUP, index);
        store.engine.flip_a_bit(&key);
        let error = store
            .backend
            .read(GROUP, IndexRange::new(..), u64::MAX)
            .unwrap_err();
        corrupt_at(&error, GROUP, index..=index);
        // The entries around it can still be read.
        assert_eq!(
            store
                .backend
                .read(GROUP, IndexRange::new(2..=4), u64::MAX)
                .unwrap()
                .len(),
            3
        );
        store.engine.flip_a_bit(&key);
    }
    // At an end of the log, the bounds are in doubt as well.
    store.engine.flip_a_bit(&layout::entry_key(GROUP, 9));
    corrupt_at(&store.backend.bounds(GROUP).unwrap_err(), GROUP, 9..=9);
}

#[test]
fn an_entry_under_a_wrong_key_is_reported() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 4)]);
    store.settle();
    let move_entry = |from: u64, to: u64| {
        store.engine.damage(|map| {
            let record = map.remove(&layout::entry_key(GROUP, from)[..]).unwrap();
            map.insert(layout::entry_key(GROUP, to).to_vec(), record);
        });
    };
    // The last entry turns up far above: it must not stretch the log, nor shorten it.
    move_entry(4, 1 << 40);
    corrupt_at(&store.backend.bounds(GROUP).unwrap_err(), GROUP, 4..=4);
    // Another entry poses as the last.
    move_entry(2, 4);
    corrupt_at(&store.backend.bounds(GROUP).unwrap_err(), GROUP, 4..=4);
}

#[rstest]
#[case::whole_log(IndexRange::new(..), 4..=5)]
#[case::from_the_hole_on(IndexRange::new(4..), 4..=5)]
#[case::inside_the_hole(IndexRange::new(4..=4), 4..=4)]
#[case::only_its_end(IndexRange::new(5..=5), 5..=5)]
#[case::up_to_the_hole(IndexRange::new(2..=5), 4..=5)]
fn a_hole_is_reported_with_group_and_indexes(
    #[case] range: IndexRange,
    #[case] missing: RangeInclusive<u64>,
) {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9), purge(GROUP, 1)]);
    store.settle();
    store.lose(&[4, 5].map(|index| layout::entry_key(GROUP, index).to_vec()));
    let error = store.backend.read(GROUP, range, u64::MAX).unwrap_err();
    corrupt_at(&error, GROUP, missing);
    // Outside the hole all is well.
    let read = |range| store.backend.read(GROUP, range, u64::MAX).unwrap().len();
    assert_eq!(
        (read(IndexRange::new(..=3)), read(IndexRange::new(6..))),
        (2, 4)
    );
}

#[rstest]
#[case::its_end(8..=9)]
#[case::its_start(2..=3)]
#[case::all_of_it(2..=9)]
fn a_log_that_lost_an_end_is_never_silently_shorter(#[case] lost: RangeInclusive<u64>) {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9), purge(GROUP, 1)]);
    store.settle();
    let keys = lost
        .clone()
        .map(|index| layout::entry_key(GROUP, index).to_vec());
    store.lose(&keys.collect::<Vec<_>>());
    store.reopen();
    assert_eq!(
        store.backend.bounds(GROUP).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let error = store
        .backend
        .read(GROUP, IndexRange::new(..), u64::MAX)
        .unwrap_err();
    corrupt_at(&error, GROUP, lost);
}

#[test]
fn a_lost_stable_key_is_reported_and_not_taken_for_one_that_was_never_set() {
    let mut store = Store::new();
    store.commit([put(GROUP, "vote")]);
    store.settle();
    store.lose(&[layout::stable_key(GROUP, &StableKey::VOTE)]);
    let error = store.backend.get(GROUP, &StableKey::VOTE).unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP))
    );
    assert_eq!(
        store.backend.get(GROUP, &StableKey::COMMITTED).unwrap(),
        None
    );
}

#[test]
fn a_lost_header_or_group_is_reported() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9), put(OTHER, "vote")]);
    store.settle();
    // Without its header nobody knows what a group has to have.
    for group in [GROUP, OTHER] {
        let record = store.engine.record(&layout::header_key(group)).unwrap();
        store.lose(&[layout::header_key(group)]);
        let error = store.open_again().unwrap_err();
        assert_eq!(
            (error.kind(), error.group()),
            (ErrorKind::Corrupt, Some(group)),
            "{error}"
        );
        store
            .engine
            .damage(|map| drop(map.insert(layout::header_key(group), record)));
    }
    // A group that is gone altogether is missed as well.
    store.lose(&[
        layout::header_key(OTHER),
        layout::stable_key(OTHER, &StableKey::VOTE),
    ]);
    assert_eq!(store.open_again().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_store_that_was_only_read_is_closed_without_a_write() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 3)]);
    store.reopen();
    let writes = store.engine.writes();
    store.settle();
    assert_eq!(store.engine.writes(), writes);
    assert_eq!(store.indexes(GROUP), [1, 2, 3]);
}

#[test]
fn a_key_of_the_wrong_length_is_reported() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 3)]);
    store.settle();
    let key = layout::entry_key(GROUP, 2);
    store
        .engine
        .damage(|map| drop(map.insert([&key[..], b"x"].concat(), "record".into())));
    let error = store
        .backend
        .read(GROUP, IndexRange::new(2..), u64::MAX)
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP)),
        "{error}"
    );
    assert!(error.indexes().is_some(), "{error}");
    // A key that names no group at all is met when groups are listed, also at open.
    store
        .engine
        .damage(|map| drop(map.insert(b"logs-short".to_vec(), "record".into())));
    assert_eq!(store.open_again().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_look_shows_the_other_groups_beside_a_damaged_one_and_writes_nothing() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 3), append(OTHER, 1, 3)]);
    store.settle();
    store.engine.flip_a_bit(&layout::header_key(GROUP));
    assert!(store.open_again().is_err());

    let looked_at = KvBackend::open_read_only(store.engine.clone(), store.engine.dir()).unwrap();
    assert_eq!(looked_at.groups().unwrap(), [GROUP, OTHER]);
    let error = looked_at.bounds(GROUP).unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP))
    );
    assert_eq!(looked_at.bounds(OTHER).unwrap().last(), Some(3));
    let writes = store.engine.writes();
    let refused = looked_at.commit(&Batch::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert_eq!(store.engine.writes(), writes);
}

#[test]
fn a_flipped_bit_in_a_stable_key_or_the_header_is_reported_with_the_group() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9), put(GROUP, "vote"), purge(GROUP, 4)]);
    store.settle();
    store
        .engine
        .flip_a_bit(&layout::stable_key(GROUP, &StableKey::VOTE));
    let error = store.backend.get(GROUP, &StableKey::VOTE).unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP))
    );
    assert!(error.to_string().contains("vote"), "{error}");
    store.engine.flip_a_bit(&layout::header_key(GROUP));
    let error = store.open_again().unwrap_err();
    assert_eq!(
        (error.kind(), error.group()),
        (ErrorKind::Corrupt, Some(GROUP)),
        "{error}"
    );
}

#[test]
fn an_engine_that_breaks_down_is_reported_with_the_group_that_was_asked_for() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 9), put(GROUP, "vote")]);
    store.settle();
    store.engine.break_down();
    let backend = &store.backend;
    let errors = [
        backend.read(GROUP, IndexRange::new(..), 0).unwrap_err(),
        backend.bounds(GROUP).unwrap_err(),
        backend.get(GROUP, &StableKey::VOTE).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.group()),
            (ErrorKind::Corrupt, Some(GROUP)),
            "{error}"
        );
    }
}

#[rstest]
#[case::format(layout::FORMAT)]
#[case::sequence(layout::SEQUENCE)]
#[case::journal(layout::JOURNAL)]
fn a_flipped_bit_in_a_record_of_the_store_is_reported(#[case] key: &[u8]) {
    let store = Store::new();
    store.engine.flip_a_bit(key);
    assert_eq!(store.engine.open().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_lost_commit_number_is_reported() {
    let store = Store::new();
    store
        .engine
        .damage(|map| drop(map.remove(layout::SEQUENCE)));
    assert_eq!(store.open_again().unwrap_err().kind(), ErrorKind::Corrupt);
}

fn open_with_format(version: u32, backend: &str) -> Error {
    let store = Store::new();
    let mut record = Vec::new();
    let value = [&version.to_be_bytes(), backend.as_bytes()].concat();
    envelope::seal(layout::FORMAT, &value, &mut record);
    store
        .engine
        .damage(|map| drop(map.insert(layout::FORMAT.to_vec(), record.into())));
    store.engine.open().unwrap_err()
}

#[test]
fn a_store_that_is_not_ours_is_refused_naming_both() {
    let checks = [
        // A newer format.
        (
            open_with_format(FORMAT_VERSION + 6, "map"),
            vec!["version 7".to_owned(), FORMAT_VERSION.to_string()],
        ),
        // Another backend's, whatever its version.
        (
            open_with_format(99, "heed"),
            vec!["`heed`".to_owned(), "`map`".to_owned()],
        ),
        // None at all.
        (
            MapEngine::empty().open().unwrap_err(),
            vec!["`map`".to_owned()],
        ),
    ];
    for (error, names) in checks {
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert!(
            names.iter().all(|name| error.to_string().contains(name)),
            "{error}"
        );
    }
}

#[test]
fn a_failed_commit_changes_nothing_and_ends_writing() {
    let mut store = Store::new();
    store.commit([append(GROUP, 1, 3)]);
    store.engine.fill_the_disk();
    let commit = |sequence| {
        store.backend.commit(&Batch {
            sequence,
            ops: vec![append(GROUP, 4, 5)],
        })
    };
    assert_eq!(commit(2).unwrap_err().kind(), ErrorKind::DiskFull);
    // The cause is named by every later write, and reads show the last successful commit.
    let errors = [
        commit(2).unwrap_err(),
        store.backend.maintain().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("disk is full"), "{error}");
    }
    assert_eq!(
        (store.indexes(GROUP), store.backend.sequence().unwrap()),
        (vec![1, 2, 3], 1)
    );
}

#[test]
fn an_empty_payload_and_an_empty_value_are_stored() {
    let mut store = Store::new();
    let entries = vec![Entry::new(0, Bytes::new())];
    store.commit([
        Op::Append {
            group: GROUP,
            entries: entries.clone(),
        },
        put(GROUP, ""),
    ]);
    assert_eq!(
        store.backend.read(GROUP, IndexRange::new(..), 0).unwrap(),
        entries
    );
    assert_eq!(
        store.backend.get(GROUP, &StableKey::VOTE).unwrap(),
        Some(Bytes::new())
    );
    store.commit([Op::Put {
        group: GROUP,
        key: StableKey::VOTE,
        value: None,
    }]);
    assert_eq!(store.backend.get(GROUP, &StableKey::VOTE).unwrap(), None);
    store.settle();
    assert!(store.engine.record(&layout::entry_key(GROUP, 0)).is_some());
}
