//! What the write-ahead log promises beyond the conformance suite: its segments, and what it says when they are
//! not as it left them.

// The helpers of tests state what they expect by unwrapping, too.
#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use raft_logstore_core::{
    Backend, BackendConfig, Batch, Bounds, Entry, Error, ErrorKind, GroupId, IndexRange, Op,
    StableKey,
};
use raft_logstore_wal::WalConfig;
use rstest::rstest;
use tempfile::TempDir;

const GROUP: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(2);
const KIB: u64 = 1 << 10;

/// Where the first frame of a segment is, and what comes before its body.
const START: usize = 4096;
const HEAD: usize = 32;

/// A store with short segments, in which everything happens soon.
struct Wal {
    dir: TempDir,
    config: WalConfig,
    backend: Box<dyn Backend>,
}

impl Wal {
    fn new() -> Self {
        Self::with(WalConfig::default().with_segment_bytes(WalConfig::MIN_SEGMENT_BYTES))
    }

    fn with(config: WalConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        config.create(dir.path()).unwrap();
        Self {
            backend: config.open(dir.path()).unwrap(),
            dir,
            config,
        }
    }

    fn commit(&self, ops: impl Into<Vec<Op>>) {
        let sequence = self.backend.sequence().unwrap() + 1;
        let ops = ops.into();
        self.backend.commit(&Batch { sequence, ops }).unwrap();
    }

    /// Ends the store without closing it, and opens it again.
    fn reopen(self) -> Self {
        let Self {
            dir,
            config,
            backend,
        } = self;
        drop(backend);
        let backend = config.open(dir.path()).unwrap();
        Self {
            dir,
            config,
            backend,
        }
    }

    /// Ends the store without closing it, does something to its files, and opens it again.
    fn harmed(self, harm: impl FnOnce(&Path)) -> Result<Self, Error> {
        let Self {
            dir,
            config,
            backend,
        } = self;
        drop(backend);
        harm(dir.path());
        let backend = config.open(dir.path())?;
        Ok(Self {
            dir,
            config,
            backend,
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        files(self.dir.path())
    }

    fn bytes_on_disk(&self) -> u64 {
        // Files go away in the background.
        let len = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
        self.files().iter().map(len).sum()
    }

    fn entries(&self, group: GroupId) -> Vec<Entry> {
        self.backend
            .read(group, IndexRange::new(..), u64::MAX)
            .unwrap()
    }

    /// Works in the background until nothing is left to do there.
    fn settle_down(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.backend.maintain().unwrap() {
            assert!(
                Instant::now() < deadline,
                "work in the background never ends"
            );
        }
    }

    /// Whether there is a segment of this number.
    fn has(&self, number: u64) -> bool {
        segment(self.dir.path(), number).exists()
    }

    /// Waits for the background thread, which removes files.
    fn wait_until(&self, removed: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !removed(self) {
            let bytes = self.bytes_on_disk();
            assert!(
                Instant::now() < deadline,
                "{:?}, {bytes} bytes",
                self.files()
            );
            thread::yield_now();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("segment-{number:016x}"))
}

fn payload(index: u64, bytes: u64) -> Vec<u8> {
    (0..bytes).map(|at| (index * 7 + at) as u8).collect()
}

fn append(group: GroupId, first: u64, last: u64, bytes: u64) -> Op {
    let entries = (first..=last).map(|index| Entry::new(index, payload(index, bytes)));
    Op::Append {
        group,
        entries: entries.collect(),
    }
}

fn purge(group: GroupId, up_to: u64) -> Op {
    Op::Purge {
        group,
        up_to,
        id: up_to.to_string().into(),
    }
}

fn vote(group: GroupId, value: &'static str) -> Op {
    Op::Put {
        group,
        key: StableKey::VOTE,
        value: Some(value.into()),
    }
}

fn write_at(path: &Path, bytes: &[u8], at: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut byte = fs::read(path).unwrap()[at];
    byte ^= 1;
    write_at(path, &[byte], at);
}

/// Where the frames of a segment start, and where the next one goes.
fn frames(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let mut frames = vec![START];
    let mut at = START;
    while bytes[at..at + HEAD] != [0; HEAD] {
        let body = u32::from_be_bytes(bytes[at + 16..at + 20].try_into().unwrap());
        at += (HEAD + body as usize).next_multiple_of(8);
        frames.push(at);
    }
    frames
}

/// Where a payload lies in a file.
fn find(path: &Path, payload: &[u8]) -> usize {
    let bytes = fs::read(path).unwrap();
    let mut windows = bytes.windows(payload.len());
    windows.position(|window| window == payload).unwrap()
}

#[test]
fn a_log_over_many_segments_is_read_from_all_of_them_and_found_again() {
    let wal = Wal::new();
    for index in 1..=1000 {
        wal.commit([append(GROUP, index, index, 400), vote(GROUP, "a")]);
    }
    let wal = wal.reopen();
    assert!(wal.files().len() > 5, "{:?}", wal.files());
    let expected: Vec<_> = (1..=1000)
        .map(|index| Entry::new(index, payload(index, 400)))
        .collect();
    assert_eq!(wal.entries(GROUP), expected);
    for (first, last) in [(1, 1), (163, 163), (150, 340), (999, 1000)] {
        let range = IndexRange::new(first..=last);
        let found = wal.backend.read(GROUP, range, u64::MAX).unwrap();
        assert_eq!(found, expected[first as usize - 1..last as usize]);
    }
    assert_eq!(
        wal.backend.get(GROUP, &StableKey::VOTE).unwrap().as_deref(),
        Some(&b"a"[..])
    );
}

#[test]
fn a_commit_leaves_the_length_of_every_file_alone() {
    let wal = Wal::new();
    wal.commit([append(GROUP, 1, 1, 100)]);
    wal.settle_down();
    let lengths = |wal: &Wal| -> Vec<u64> {
        let files = wal.files();
        files
            .iter()
            .filter_map(|path| Some(fs::metadata(path).ok()?.len()))
            .collect()
    };
    // Prepared in the background.
    let deadline = Instant::now() + Duration::from_secs(30);
    while lengths(&wal) != [64 * KIB; 2] {
        assert!(Instant::now() < deadline, "{:?}", lengths(&wal));
        thread::yield_now();
    }
    for index in 2..=100 {
        wal.commit([append(GROUP, index, index, 100)]);
        assert_eq!(lengths(&wal), [64 * KIB; 2]);
    }
}

#[test]
fn an_entry_larger_than_a_segment_is_kept() {
    let wal = Wal::new();
    wal.commit([append(GROUP, 1, 3, 10)]);
    wal.commit([append(GROUP, 4, 4, 300 * KIB), vote(OTHER, "b")]);
    wal.commit([append(GROUP, 5, 5, 10)]);
    let wal = wal.reopen();
    let lengths: Vec<_> = wal
        .entries(GROUP)
        .iter()
        .map(|entry| entry.payload.len() as u64)
        .collect();
    assert_eq!(lengths, [10, 10, 10, 300 * KIB, 10]);
    assert_eq!(wal.entries(GROUP)[3].payload, payload(4, 300 * KIB));
}

#[test]
fn purged_segments_are_used_again_and_nothing_of_the_old_ones_is_seen() {
    let mut wal = Wal::new();
    let mut most = 0;
    for round in 0..40 {
        let first = round * 100 + 1;
        for index in first..first + 100 {
            wal.commit([append(GROUP, index, index, 500)]);
        }
        wal.commit([purge(GROUP, first + 90)]);
        wal.settle_down();
        most = most.max(wal.bytes_on_disk());
        if round % 7 == 0 {
            wal = wal.reopen();
        }
        let indexes: Vec<_> = wal.entries(GROUP).iter().map(|entry| entry.index).collect();
        assert_eq!(indexes, Vec::from_iter(first + 91..=first + 99));
    }
    // 2 MB went through.
    assert!(most < 600 * KIB, "{most} bytes on disk");
}

#[rstest]
#[case::with_time_in_between(true)]
#[case::with_never_any_time(false)]
fn a_group_that_lags_behind_does_not_keep_the_segments_of_the_others(#[case] has_time: bool) {
    let wal = Wal::new();
    let lagging = 100;
    for group in 0..=lagging {
        wal.commit([append(GroupId(group), 1, 2, 300)]);
    }
    for round in 1..=100 {
        for group in 0..lagging {
            let (first, last) = (2 * round + 1, 2 * round + 2);
            wal.commit([
                append(GroupId(group), first, last, 300),
                purge(GroupId(group), first - 1),
            ]);
        }
        // The lagging group, too, has a few entries in each segment.
        wal.commit([append(GroupId(lagging), 2 * round + 1, 2 * round + 2, 300)]);
        if has_time {
            wal.settle_down();
        }
    }
    let live = 100 * 2 * 300 + 202 * 300;
    // Without any time, two segments more, and what was written until the last slice.
    let spare = if has_time {
        0
    } else {
        2 * 64 * KIB + 512 * KIB
    };
    wal.wait_until(|wal| wal.bytes_on_disk() <= 3 * live + 2 * 64 * KIB + spare);
    let wal = wal.reopen();
    let expected = (1..=202).map(|index| Entry::new(index, payload(index, 300)));
    assert_eq!(wal.entries(GroupId(lagging)), Vec::from_iter(expected));
}

#[test]
fn a_damaged_entry_that_lags_behind_stays_where_it_is_and_the_others_go_on() {
    // A group that lags behind has an entry in each of six segments. The first is damaged.
    let wal = Wal::new();
    wal.commit([append(OTHER, 1, 1, 300)]);
    for index in 1..=360 {
        wal.commit([append(GROUP, index, index, 1000)]);
        if index % 60 == 0 {
            wal.commit([append(OTHER, 1 + index / 60, 1 + index / 60, 300)]);
        }
    }
    let wal = wal
        .harmed(|dir| flip(&files(dir)[0], START + HEAD + 200))
        .unwrap();
    // Under load what lags behind is written again, and every old segment is given up but the damaged one.
    let load = |wal: &Wal, from| {
        for index in from..from + 1_500 {
            wal.commit([append(GROUP, index, index, 1000), purge(GROUP, index - 20)]);
        }
        wal.settle_down();
    };
    load(&wal, 361);
    wal.wait_until(|wal| !wal.has(2));
    assert!(wal.has(1));
    // The damage is an error of that entry alone, also after the next open, and nothing ends with it.
    let wal = wal.reopen();
    let read = |range| wal.backend.read(OTHER, range, u64::MAX);
    let error = read(IndexRange::new(1..=1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(
        (error.group(), error.indexes()),
        (Some(OTHER), Some((1..=1).into()))
    );
    assert_eq!(read(IndexRange::new(2..)).unwrap().len(), 6);
    load(&wal, 1_861);
    // When it is purged its segment can go.
    wal.commit([purge(OTHER, 1)]);
    let wal = wal.reopen();
    wal.commit([append(OTHER, 8, 8, 300)]);
    wal.wait_until(|wal| !wal.has(1));
    assert_eq!(wal.entries(OTHER).len(), 7);
}

#[test]
fn behind_a_segment_that_is_damaged_the_work_goes_on_with_the_next_ones() {
    // A group that lags behind has a slice of each of six segments. That of the first, the least, is damaged.
    let config = WalConfig::default().with_segment_bytes(1 << 20);
    let mut wal = Wal::with(config);
    let mut next = [1, 1];
    for number in 0..6 {
        for (group, entries) in [(OTHER, 290 + 5 * number), (GROUP, 700)] {
            let next = &mut next[usize::from(group == GROUP)];
            wal.commit([append(group, *next, *next + entries - 1, 1000)]);
            *next += entries;
        }
    }
    wal.commit([purge(GROUP, next[1] - 1)]);
    wal = wal
        .harmed(|dir| flip(&files(dir)[0], START + HEAD + 5_000))
        .unwrap();
    // The first slice is the damaged one: nothing is moved, and there is more to do.
    let files = wal.files();
    assert!(wal.backend.maintain().unwrap());
    assert_eq!(wal.files(), files);
    wal.settle_down();
    let wal = wal.reopen();
    wal.commit([vote(GROUP, "1")]);
    wal.wait_until(|wal| !wal.has(2));
    assert!(wal.has(1));
}

#[test]
fn what_somebody_reads_is_not_written_over() {
    let wal = Wal::new();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut looks = 0u64;
            while !done.load(Ordering::Relaxed) || looks == 0 {
                let entries = wal.backend.read(GROUP, IndexRange::new(..), u64::MAX);
                for entry in entries.unwrap() {
                    assert_eq!(entry.payload, payload(entry.index, 700));
                }
                looks += 1;
            }
        });
        for index in 1..=3000 {
            let mut ops = vec![append(GROUP, index, index, 700)];
            if index % 50 == 0 {
                ops.push(purge(GROUP, index - 20));
            }
            wal.commit(ops);
            if reader.is_finished() {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Four commits, each of an entry, in the first segment.
fn four_commits() -> Wal {
    let wal = Wal::new();
    for index in 1..=4 {
        wal.commit([append(GROUP, index, index, 100)]);
    }
    wal
}

#[test]
fn a_torn_last_commit_is_cut_off_and_kept_aside() {
    let mut cut = 0;
    let wal = four_commits()
        .harmed(|dir| {
            let path = segment(dir, 1);
            cut = frames(&path)[4];
            write_at(&path, &[0; 60], cut + HEAD + 40);
        })
        .unwrap();
    let torn = wal.dir.path().join("torn-commit-4.1");

    // Looking at it changes nothing.
    assert_eq!(wal.backend.sequence().unwrap(), 3);
    assert!(!torn.exists());

    // The first write keeps what is left, and goes on in its place.
    wal.commit([append(GROUP, 4, 4, 20)]);
    let kept = fs::read(&torn).unwrap();
    assert!(
        kept.windows(20)
            .any(|window| window == &payload(4, 100)[80..]),
        "{kept:?}"
    );
    let wal = wal.reopen();
    assert_eq!(wal.entries(GROUP)[3].payload, payload(4, 20));
    assert!(!wal.dir.path().join("torn-commit-4.2").exists());
}

#[test]
fn a_torn_first_commit_of_a_segment_is_cut_off_and_kept_aside() {
    // The segment before is full.
    let mut wal = Wal::new();
    let mut index = 0;
    while wal.backend.sequence().unwrap() == index {
        index += 1;
        wal.commit([append(GROUP, index, index, 1000)]);
        if fs::read(segment(wal.dir.path(), 2)).is_ok_and(|bytes| bytes[START] != 0) {
            break;
        }
    }
    wal = wal
        .harmed(|dir| write_at(&segment(dir, 2), &[0; 100], START + 300))
        .unwrap();
    assert_eq!(wal.backend.sequence().unwrap(), index - 1);
    // As large as the one that was torn, so there is no room for it in the segment before.
    wal.commit([append(GROUP, index, index, 1000)]);
    let torn = wal.dir.path().join(format!("torn-commit-{index}.1"));
    assert!(torn.exists(), "{:?}", wal.files());
    let wal = wal.reopen();
    assert_eq!(wal.entries(GROUP).len() as u64, index);
}

/// The error is damage, and names the group and the one index.
fn expect_corrupt(error: &Error, index: u64) {
    assert_eq!(
        (error.kind(), error.group(), error.indexes()),
        (
            ErrorKind::Corrupt,
            Some(GROUP),
            Some((index..=index).into())
        ),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_in_a_payload_is_an_error_of_that_entry_alone() {
    let wal = four_commits()
        .harmed(|dir| {
            let path = segment(dir, 1);
            flip(&path, find(&path, &payload(2, 100)) + 50);
        })
        .unwrap();
    let read = |range: IndexRange| wal.backend.read(GROUP, range, u64::MAX);
    let error = read(IndexRange::new(..)).unwrap_err();
    expect_corrupt(&error, 2);
    assert_eq!(read(IndexRange::new(3..)).unwrap().len(), 2);
    assert_eq!(wal.backend.sequence().unwrap(), 4);
}

#[test]
fn a_flipped_bit_beside_the_payloads_is_refused_naming_what_is_missing() {
    let error = four_commits()
        .harmed(|dir| {
            let path = segment(dir, 1);
            // The group in the second commit.
            flip(&path, frames(&path)[2] + HEAD + 3);
        })
        .map(drop)
        .unwrap_err();
    expect_corrupt(&error, 2);
    assert!(error.to_string().contains("commit 2"), "{error}");
}

/// A store whose first segment is sealed.
fn sealed() -> Wal {
    let wal = Wal::new();
    for index in 1..=300 {
        wal.commit([append(GROUP, index, index, 400)]);
    }
    // Waits for the background.
    let config = wal.config.clone();
    wal.backend.close().unwrap();
    Wal {
        backend: config.open(wal.dir.path()).unwrap(),
        dir: wal.dir,
        config,
    }
}

#[rstest]
#[case::its_place(512)]
#[case::its_checksum(533)]
fn a_damaged_directory_of_places_is_made_again_from_the_frames(#[case] at: usize) {
    let wal = sealed()
        .harmed(|dir| {
            let path = segment(dir, 1);
            assert_ne!(fs::read(&path).unwrap()[512..536], [0; 24], "not sealed");
            flip(&path, at);
        })
        .unwrap();
    assert_eq!(wal.entries(GROUP).len(), 300);
}

#[test]
fn a_flipped_bit_in_a_full_segment_is_an_error_of_that_entry_alone() {
    let wal = sealed()
        .harmed(|dir| {
            let path = segment(dir, 1);
            flip(&path, find(&path, &payload(7, 400)) + 399);
        })
        .unwrap();
    let error = wal
        .backend
        .read(GROUP, IndexRange::new(..), u64::MAX)
        .unwrap_err();
    expect_corrupt(&error, 7);
}

#[rstest]
#[case::missing(|path: &Path| fs::remove_file(path).unwrap())]
#[case::empty(|path: &Path| fs::write(path, "").unwrap())]
#[case::cut_short(|path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(64 * KIB - 1).unwrap())]
#[case::another_segment(|path: &Path| { fs::copy(segment(path.parent().unwrap(), 2), path).unwrap(); })]
#[case::of_another_store(|path: &Path| { fs::copy(segment(sealed().dir.path(), 1), path).unwrap(); })]
#[case::of_another_program(|path: &Path| write_at(path, b"something else, longer than a header would be", 0))]
fn a_segment_that_is_not_there_or_not_its_own_is_refused_naming_what_it_held(
    #[case] harm: fn(&Path),
) {
    let error = sealed()
        .harmed(|dir| harm(&segment(dir, 1)))
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(error.group(), Some(GROUP), "{error}");
    let (first, _) = error.indexes().unwrap().bounds().unwrap();
    assert_eq!(first, 1, "{error}");
}

#[test]
fn a_missing_last_segment_is_noticed_by_the_one_that_waits_behind_it() {
    let wal = sealed();
    wal.commit([append(GROUP, 301, 301, 10)]);
    let config = wal.config.clone();
    wal.backend.close().unwrap();
    let last_used = wal.dir.path().to_owned();
    let segments = files(&last_used);
    let used: Vec<_> = segments
        .iter()
        .filter(|path| fs::read(path).unwrap()[START] != 0)
        .collect();
    assert!(used.len() < segments.len(), "none waits");
    fs::remove_file(used.last().unwrap()).unwrap();
    let error = config.open(wal.dir.path()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[rstest]
#[case::version(20)]
#[case::codec(21)]
#[case::key(27)]
fn a_frame_of_a_newer_kind_is_refused_as_such(#[case] field: usize) {
    let error = four_commits()
        .harmed(|dir| {
            let path = segment(dir, 1);
            let bytes = fs::read(&path).unwrap();
            let at = frames(&path)[1];
            let mut frame = bytes[at..frames(&path)[2]].to_vec();
            frame[field] = 9;
            let body = u32::from_be_bytes(frame[16..20].try_into().unwrap()) as usize;
            let checksum = crc32c::crc32c(&frame[..28]);
            let checksum = crc32c::crc32c_append(checksum, &frame[HEAD..HEAD + body]);
            frame[28..32].copy_from_slice(&checksum.to_be_bytes());
            write_at(&path, &frame, at);
        })
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format, "{error}");
}

#[test]
fn a_dropped_group_leaves_nothing() {
    let wal = Wal::new();
    wal.commit([append(GROUP, 1, 400, 400), vote(GROUP, "a")]);
    wal.commit([Op::DropGroup { group: GROUP }]);
    wal.settle_down();
    let wal = wal.reopen();
    assert_eq!(wal.backend.groups().unwrap(), []);
    assert_eq!(wal.backend.bounds(GROUP).unwrap(), Bounds::default());
    wal.commit([append(OTHER, 1, 1, 1)]);
    wal.wait_until(|wal| wal.bytes_on_disk() <= 2 * 64 * KIB);
}

#[rstest]
#[case::short_segments(WalConfig::default().with_segment_bytes(WalConfig::MIN_SEGMENT_BYTES - 1), "segment_bytes")]
#[case::long_segments(WalConfig::default().with_segment_bytes(WalConfig::MAX_SEGMENT_BYTES + 1), "segment_bytes")]
#[case::none_prepared(WalConfig::default().with_prepared_segments(0), "prepared_segments")]
#[case::many_prepared(WalConfig::default().with_prepared_segments(65), "prepared_segments")]
#[case::large_cache(WalConfig::default().with_cache_bytes(u64::MAX), "cache_bytes")]
fn an_option_out_of_bounds_is_refused_by_name(#[case] config: WalConfig, #[case] option: &str) {
    let dir = tempfile::tempdir().unwrap();
    for error in [
        config.create(dir.path()).unwrap_err(),
        config.open(dir.path()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(option), "{error}");
    }
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_options_may_change_between_two_opens() {
    let wal = sealed();
    let longer = wal.config.clone().with_segment_bytes(256 * KIB);
    wal.backend.close().unwrap();
    let wal = Wal {
        backend: longer.open(wal.dir.path()).unwrap(),
        dir: wal.dir,
        config: longer,
    };
    for index in 301..=900 {
        wal.commit([append(GROUP, index, index, 400)]);
    }
    let wal = wal.reopen();
    assert_eq!(wal.entries(GROUP).len(), 900);
}

#[test]
fn the_options_are_written_and_read_as_the_same() {
    let config = WalConfig::default().with_cache_bytes(7);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<WalConfig>(&text).unwrap(), config);
    assert!(serde_json::from_str::<WalConfig>(r#"{"segment_byte": 1}"#).is_err());
}
