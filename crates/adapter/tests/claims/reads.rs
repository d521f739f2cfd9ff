//! Reads from memory, from the store, and from both at once.

use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use raft_logstore_core::{ErrorKind, GroupId, LogStore, LogStoreExt, MemoryBackend, StableStore};
use rstest::rstest;

use crate::support::{
    Entry, HeldGroup, Log, LogId, MessagePack, Point, RaftLog, RaftLogConfig, RaftLogReader,
    RaftLogStorage, TypeConfig, append, blank, callback, entries, entry, fresh_log, id, id_of, ids,
    is, log, soon, store, truncate_after,
};

/// Room for a handful of the small test entries.
const SMALL_CACHE: u64 = 2_000;

fn with_cache<S: LogStore + StableStore>(group: S, cache_bytes: u64) -> Log<S> {
    let config = RaftLogConfig {
        cache_bytes,
        ..RaftLogConfig::default()
    };
    RaftLog::with_config(Arc::new(group), MessagePack, &config)
}

#[rstest]
#[case::all((Unbounded, Unbounded), 3..10)]
#[case::from((Included(5), Unbounded), 5..10)]
#[case::after((Excluded(5), Unbounded), 6..10)]
#[case::up_to((Unbounded, Included(5)), 3..6)]
#[case::before((Unbounded, Excluded(5)), 3..5)]
#[case::between((Excluded(4), Excluded(7)), 5..7)]
#[case::wider_than_the_log((Included(0), Included(u64::MAX)), 3..10)]
#[case::touching((Excluded(4), Excluded(5)), 0..0)]
#[case::past_the_end((Included(10), Unbounded), 0..0)]
#[case::after_the_greatest((Excluded(u64::MAX), Unbounded), 0..0)]
#[tokio::test]
async fn reads_honour_every_kind_of_range(
    #[case] range: (Bound<u64>, Bound<u64>),
    #[case] expected: Range<u64>,
    #[values(0, SMALL_CACHE, u64::MAX)] cache_bytes: u64,
) {
    let store = store(&MemoryBackend::new()).await;
    let mut log = with_cache(store.group(GroupId(1)), cache_bytes);
    append(&mut log, entries(1, 1..=9)).await;
    log.purge(id(1, 2)).await.unwrap();

    let expected: Vec<_> = expected.map(|index| id(1, index)).collect();
    assert_eq!(ids(&mut log.get_log_reader().await, range).await, expected);
}

#[tokio::test]
async fn recent_entries_are_read_from_memory() {
    let group = HeldGroup::default();
    let mut log: Log<HeldGroup> = RaftLog::new(group.clone());
    append(&mut log, entries(1, 1..=100)).await;

    let mut reader = log.get_log_reader().await;
    assert_eq!(ids(&mut reader, 1..=100).await.len(), 100);
    assert_eq!(
        reader.limited_get_log_entries(40, 50).await.unwrap().len(),
        10
    );
    assert_eq!(group.reads(), 0);
}

#[tokio::test]
async fn the_cache_is_bounded_in_bytes() {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 1 << 20);
    let payload = "x".repeat(100 << 10);
    for index in 1..=30 {
        append(&mut log, vec![entry(1, index, payload.clone())]).await;
    }

    // About ten of these fit: the newest are in memory, the oldest are not.
    let mut reader = log.get_log_reader().await;
    reader.try_get_log_entries(22..=30).await.unwrap();
    assert_eq!(group.reads(), 0);
    reader.try_get_log_entries(19..=30).await.unwrap();
    assert_eq!(group.reads(), 1);
}

#[tokio::test]
async fn cold_reads_equal_warm_reads() {
    let memory = MemoryBackend::new();
    let first = store(&memory).await;
    let mut warm = log(&first);
    append(&mut warm, entries(1, 1..=50)).await;
    append(&mut warm, vec![blank(2, 51), entry(2, 52, "")]).await;
    let warm_entries = warm
        .get_log_reader()
        .await
        .try_get_log_entries(..)
        .await
        .unwrap();
    first.close().await.unwrap();

    let mut cold = log(&store(&memory).await);
    let cold_entries = cold
        .get_log_reader()
        .await
        .try_get_log_entries(..)
        .await
        .unwrap();
    assert_eq!(cold_entries, warm_entries);
    assert_eq!(cold_entries.len(), 52);
}

#[rstest]
#[case::warm(u64::MAX)]
#[case::cold(0)]
#[tokio::test]
async fn a_big_entry_comes_back_whole(#[case] cache_bytes: u64) {
    let store = store(&MemoryBackend::new()).await;
    let mut log = with_cache(store.group(GroupId(1)), cache_bytes);
    let data: String = (0..8 << 20)
        .map(|at| char::from(b'a' + (at % 26) as u8))
        .collect();
    append(
        &mut log,
        vec![
            entry(1, 1, "before"),
            entry(1, 2, data),
            entry(1, 3, "after"),
        ],
    )
    .await;

    // Alone over the byte cap, and all the same it is returned, alone.
    let mut reader = log.get_log_reader().await;
    let read = reader.limited_get_log_entries(2, 4).await.unwrap();
    assert_eq!(read.len(), 1);
    let read = reader.try_get_log_entries(..).await.unwrap();
    let expected: String = (0..8 << 20)
        .map(|at| char::from(b'a' + (at % 26) as u8))
        .collect();
    assert_eq!(read[1], entry(1, 2, expected));
    assert_eq!(read[2], entry(1, 3, "after"));
}

#[rstest]
#[case::warm(u64::MAX)]
#[case::partly_warm(30 << 10)]
#[case::cold(0)]
#[tokio::test]
async fn a_replication_read_is_capped_in_bytes_and_any_other_read_is_not(#[case] cache_bytes: u64) {
    let store = store(&MemoryBackend::new()).await;
    let group = store.group(GroupId(1));
    let config = RaftLogConfig {
        cache_bytes,
        read_bytes: 64 << 10,
    };
    let mut log: Log = RaftLog::with_config(Arc::new(group.clone()), MessagePack, &config);
    append(
        &mut log,
        (1..=100)
            .map(|index| entry(1, index, "x".repeat(2_000)))
            .collect(),
    )
    .await;

    let mut reader = log.get_log_reader().await;
    let bytes = group.entry(1).await.unwrap().unwrap().payload.len();
    let fit = (64 << 10) / bytes as u64;
    for start in [1, 62, 65, 80] {
        let read = reader.limited_get_log_entries(start, 101).await.unwrap();
        let expected: Vec<_> = (start..=100).take(fit as usize).collect();
        let read: Vec<_> = read.iter().map(|entry| id_of(entry).index).collect();
        assert_eq!(read, expected, "from {start}");
    }
    assert_eq!(reader.try_get_log_entries(..).await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_replication_read_never_begins_later_than_asked() {
    let mut log = fresh_log().await;
    append(&mut log, entries(1, 1..=9)).await;
    log.purge(id(1, 4)).await.unwrap();

    let mut reader = log.get_log_reader().await;
    assert_eq!(reader.limited_get_log_entries(3, 8).await.unwrap(), []);
    assert_eq!(reader.limited_get_log_entries(5, 8).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_truncate_or_purge_is_seen_by_every_reader_at_once() {
    let mut log = fresh_log().await;
    let mut reader = log.get_log_reader().await;
    append(&mut log, entries(1, 1..=9)).await;

    truncate_after(&mut log, Some(id(1, 7))).await.unwrap();
    assert_eq!(ids(&mut reader, 6..).await, [id(1, 6), id(1, 7)]);
    log.purge(id(1, 5)).await.unwrap();
    assert_eq!(ids(&mut reader, ..7).await, [id(1, 6)]);
    append(&mut log, entries(2, 8..=8)).await;
    assert_eq!(ids(&mut reader, ..).await, [id(1, 6), id(1, 7), id(2, 8)]);
}

#[rstest]
#[case::at_the_start(1)]
#[case::inside(3)]
#[case::at_the_end(5)]
#[tokio::test]
async fn an_entry_that_the_store_leaves_out_is_an_error(#[case] lost: u64) {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 0);
    append(&mut log, entries(1, 1..=5)).await;
    group.lose(lost);

    let error = log
        .get_log_reader()
        .await
        .try_get_log_entries(..)
        .await
        .unwrap_err();
    assert!(is(&error, ErrorKind::Corrupt), "{error}");
    assert!(
        error.to_string().contains(&format!("indexes {lost}..=5")),
        "{error}"
    );
}

#[tokio::test]
async fn an_entry_that_cannot_be_decoded_is_an_error_naming_its_index() {
    let store = store(&MemoryBackend::new()).await;
    let group = store.group(GroupId(1));
    let garbage = vec![raft_logstore_core::Entry::new(1, vec![0xc1; 9])];
    group.append_durable(garbage).await.unwrap();

    let mut reader = log(&store).get_log_reader().await;
    let error = reader.try_get_log_entries(..).await.unwrap_err();
    assert!(is(&error, ErrorKind::Corrupt), "{error}");
    assert!(error.to_string().contains("indexes 1..=1"), "{error}");
}

#[tokio::test]
async fn an_entry_stored_under_another_index_is_an_error() {
    let store = store(&MemoryBackend::new()).await;
    let group = store.group(GroupId(1));
    append(&mut log(&store), entries(1, 1..=1)).await;
    let payload = group.entry(1).await.unwrap().unwrap().payload;
    group
        .append_durable(vec![raft_logstore_core::Entry::new(2, payload)])
        .await
        .unwrap();

    let mut reader = log(&store).get_log_reader().await;
    let error = reader.try_get_log_entries(2..=2).await.unwrap_err();
    assert!(is(&error, ErrorKind::Corrupt), "{error}");
}

/// The log ids that a read of everything returns when `change` happens to ten entries of term 1, of
/// which the last are in memory, while the store's part is being read.
async fn read_while(point: Point, change: impl AsyncFnOnce(&mut Log<HeldGroup>)) -> Vec<LogId> {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 600);
    append(&mut log, entries(1, 1..=10)).await;
    let mut reader = log.get_log_reader().await;

    let pause = group.pause(point);
    let reading = tokio::spawn(async move { ids(&mut reader, ..).await });
    pause.reached().await;
    change(&mut log).await;
    pause.go_on();
    soon(reading).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn a_read_that_meets_a_truncate_and_new_entries_belongs_to_one_state(
    #[values(Point::BeforeRead, Point::AfterRead)] point: Point,
    #[values(2, 8, 9)] keep: u64,
) {
    let read = read_while(point, async |log| {
        truncate_after(log, Some(id(1, keep))).await.unwrap();
        append(log, entries(2, keep + 1..=12)).await;
    })
    .await;
    let old = (1..=keep).map(|index| id(1, index));
    let new = (keep + 1..=12).map(|index| id(2, index));
    assert_eq!(read, old.chain(new).collect::<Vec<_>>());
}

#[rstest]
#[tokio::test]
async fn a_read_that_meets_a_purge_belongs_to_one_state(
    #[values(Point::BeforeRead, Point::AfterRead)] point: Point,
    #[values(2, 8, 9)] up_to: u64,
) {
    let read = read_while(point, async |log| log.purge(id(1, up_to)).await.unwrap()).await;
    let new: Vec<_> = (up_to + 1..=10).map(|index| id(1, index)).collect();
    assert_eq!(read, new);
}

#[rstest]
#[case::at_the_start(4)]
#[case::inside(7)]
#[case::at_the_end(10)]
#[tokio::test]
async fn an_entry_that_the_store_leaves_out_of_a_read_that_meets_a_purge_is_an_error(
    #[case] lost: u64,
) {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 600);
    append(&mut log, entries(1, 1..=10)).await;
    let mut reader = log.get_log_reader().await;

    let pause = group.pause(Point::AfterRead);
    let reading = tokio::spawn(async move { reader.try_get_log_entries(..).await });
    pause.reached().await;
    log.purge(id(1, 3)).await.unwrap();
    group.lose(lost);
    pause.go_on();
    let error = soon(reading).await.unwrap().unwrap_err();
    assert!(is(&error, ErrorKind::Corrupt), "{error}");
    let named = format!("indexes {lost}..=10");
    assert!(error.to_string().contains(&named), "{error}");
}

#[tokio::test]
async fn a_read_that_a_truncate_overtakes_belongs_to_one_state() {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 0);
    append(&mut log, entries(1, 1..=10)).await;
    let mut reader = log.get_log_reader().await;

    // The truncate has begun when the read begins, so the read asks the store a second time.
    let (before, after) = (group.pause(Point::BeforeCut), group.pause(Point::AfterCut));
    let truncating = tokio::spawn(async move { truncate_after(&mut log, Some(id(1, 6))).await });
    before.reached().await;
    let first_read = group.pause(Point::AfterRead);
    let reading = tokio::spawn(async move { ids(&mut reader, ..).await });
    first_read.reached().await;
    let second_read = group.pause(Point::BeforeRead);
    first_read.go_on();

    // It takes effect after the bounds were asked and before the entries are.
    second_read.reached().await;
    before.go_on();
    after.reached().await;
    second_read.go_on();
    let new: Vec<_> = (1..=6).map(|index| id(1, index)).collect();
    assert_eq!(soon(reading).await.unwrap(), new);
    after.go_on();
    soon(truncating).await.unwrap().unwrap();
}

#[rstest]
#[tokio::test]
async fn a_read_that_meets_a_failed_commit_is_an_error(
    #[values(Point::BeforeRead, Point::AfterRead)] point: Point,
) {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 0);
    append(&mut log, entries(1, 1..=10)).await;
    let mut reader = log.get_log_reader().await;

    let pause = group.pause(point);
    let reading = tokio::spawn(async move { reader.try_get_log_entries(..).await });
    pause.reached().await;
    group.fail();
    pause.go_on();
    let error = soon(reading).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("poisoned"), "{error}");
}

#[tokio::test]
async fn a_read_inside_a_purge_belongs_to_one_state() {
    let group = HeldGroup::default();
    let mut log = with_cache(group.clone(), 600);
    append(&mut log, entries(1, 1..=10)).await;
    let mut reader = log.get_log_reader().await;

    // The purge has begun when the read begins, and takes effect while the read is under way.
    let (before, after) = (group.pause(Point::BeforeCut), group.pause(Point::AfterCut));
    let purging = tokio::spawn(async move { log.purge(id(1, 6)).await });
    before.reached().await;
    let read = group.pause(Point::BeforeRead);
    let reading = tokio::spawn(async move { ids(&mut reader, ..).await });
    read.reached().await;
    before.go_on();
    after.reached().await;
    read.go_on();

    let new: Vec<_> = (7..=10).map(|index| id(1, index)).collect();
    assert_eq!(soon(reading).await.unwrap(), new);
    after.go_on();
    soon(purging).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_entries_of_two_histories() {
    let store = store(&MemoryBackend::new()).await;
    let mut log = with_cache(store.group(GroupId(1)), SMALL_CACHE);
    let writer_is_done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for start in [0, 0, 15, 25] {
        let mut reader = log.get_log_reader().await;
        let done = Arc::clone(&writer_is_done);
        tasks.push(tokio::spawn(async move {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let read = ids(&mut reader, start..).await;
                let contiguous = read
                    .windows(2)
                    .all(|pair| pair[0].index + 1 == pair[1].index);
                let one_term = read
                    .windows(2)
                    .all(|pair| pair[0].leader_id == pair[1].leader_id);
                assert!(contiguous && one_term, "{read:?}");
                seen += read.len();
                tokio::task::yield_now().await;
            }
            seen
        }));
    }

    // Each round replaces the whole log by that of a later term, purging none of it.
    for term in 1..=300 {
        truncate_after(&mut log, None).await.unwrap();
        append(&mut log, entries(term, 1..=40)).await;
    }
    writer_is_done.store(true, Ordering::Relaxed);
    for task in tasks {
        assert!(soon(task).await.unwrap() > 0, "a reader saw nothing at all");
    }
}

trait Group: LogStore + StableStore {}

impl Group for HeldGroup {}

#[tokio::test]
async fn any_store_drops_in_also_as_a_trait_object() {
    let group: Arc<dyn Group> = Arc::new(HeldGroup::default());
    let config = RaftLogConfig::default();
    let mut log: RaftLog<TypeConfig, dyn Group> = RaftLog::with_config(group, MessagePack, &config);
    let (done, answer) = callback();
    log.append(entries(1, 1..=3), done).await.unwrap();
    soon(answer).await.unwrap();
    assert_eq!(
        log.get_log_state().await.unwrap().last_log_id,
        Some(id(1, 3))
    );
}

#[derive(Clone, Debug)]
enum Step {
    Append { count: u64, size: usize },
    Truncate { to: u64 },
    Purge { to: u64 },
    Read { start: u64, len: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..12u64, 0..300usize).prop_map(|(count, size)| Step::Append { count, size }),
        1 => (0..120u64).prop_map(|to| Step::Truncate { to }),
        1 => (0..120u64).prop_map(|to| Step::Purge { to }),
        4 => (0..120u64, 0..60u64).prop_map(|(start, len)| Step::Read { start, len }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_with_a_small_cache_reads_like_a_map(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut log = with_cache(HeldGroup::default(), SMALL_CACHE);
            let mut reader = log.get_log_reader().await;
            let mut model: BTreeMap<u64, Entry> = BTreeMap::new();
            let mut floor = 0;
            for (term, step) in (1..).zip(steps) {
                match step {
                    Step::Append { count, size } => {
                        let next = model.keys().last().copied().unwrap_or(floor) + 1;
                        let new = (next..next + count)
                            .map(|index| entry(term, index, "x".repeat(size)));
                        model.extend(new.clone().map(|entry| (id_of(&entry).index, entry)));
                        append(&mut log, new.collect()).await;
                    }
                    Step::Truncate { to } => {
                        let to = to.max(floor);
                        model.split_off(&(to + 1));
                        truncate_after(&mut log, Some(id(term, to))).await.unwrap();
                    }
                    Step::Purge { to } => {
                        floor = floor.max(to);
                        model = model.split_off(&(floor + 1));
                        log.purge(id(term, to)).await.unwrap();
                    }
                    Step::Read { start, len } => {
                        let range = start..start + len;
                        let expected: Vec<_> = model.range(range.clone()).map(|(_, e)| e.clone()).collect();
                        let read = reader.try_get_log_entries(range).await.unwrap();
                        assert_eq!(read, expected);
                    }
                }
            }
        });
    }
}
