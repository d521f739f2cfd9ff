//! Frames on a real file system: what is written is what is read, whatever block it shares.

// Helpers of tests state what they expect by unwrapping, like the tests.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bytes::Bytes;
use raft_logstore_frames::{Access, Frame, FrameBuffer, FrameFile, FrameWriter, Header};
use tempfile::TempDir;

const MAGIC: &[u8; 8] = b"TESTING\0";
const CAPACITY: u64 = 1 << 20;

/// A new file, on the disk that the program was built on: most others have their temporary files in memory.
fn file() -> (TempDir, FrameFile) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = dir.path().join("frames");
    FrameFile::create(&path, &Header::new(MAGIC, 1, CAPACITY)).unwrap();
    let file = FrameFile::open(&path, MAGIC, Access::Write).unwrap();
    (dir, file)
}

/// A body for each commit: of all lengths, some longer than a few blocks.
fn body(sequence: u64) -> Vec<u8> {
    let len = sequence * 37 % 700
        + if sequence.is_multiple_of(11) {
            9_000
        } else {
            0
        };
    (0..len).map(|byte| (byte + sequence) as u8).collect()
}

fn write(writer: &mut FrameWriter, file: &FrameFile, frame: &mut FrameBuffer, sequence: u64) {
    frame.begin(writer.end());
    frame.body().extend(body(sequence));
    frame.finish(file.header().salt, sequence, 0).unwrap();
    writer.write(file, frame).unwrap();
}

/// Reads the frames of the commits `1..=last` and checks each; returns where the last one ends.
fn check(file: &FrameFile, last: u64) -> u64 {
    let mut at = FrameFile::START;
    for sequence in 1..=last {
        let (frame, found) = file.frame_at(at).unwrap().expect("the frame is there");
        assert_eq!(
            (frame.sequence, found),
            (sequence, Bytes::from(body(sequence)))
        );
        at += frame.len();
    }
    at
}

#[test]
fn every_frame_stays_what_it_is_while_the_next_ones_are_written() {
    let (_dir, file) = file();
    let written = AtomicU64::new(0);
    thread::scope(|scope| {
        // A reader fills the page cache with the blocks that the writer goes on in.
        scope.spawn(|| {
            while written.load(Ordering::Acquire) < 400 {
                check(&file, written.load(Ordering::Acquire));
            }
        });
        let mut frame = FrameBuffer::default();
        let mut writer = FrameWriter::new(FrameFile::START);
        for sequence in 1..=400 {
            write(&mut writer, &file, &mut frame, sequence);
            written.store(sequence, Ordering::Release);
            assert!(
                file.frame_at(writer.end()).unwrap().is_none(),
                "nothing is behind the last"
            );
            if sequence.is_multiple_of(50) {
                // Opened again: what the block before the end holds is read from the file.
                writer = FrameWriter::new(check(&file, sequence));
            }
        }
    });
    assert!(check(&file, 400) < CAPACITY, "the file did not grow");
    assert_eq!(file.len(), CAPACITY);
}

#[test]
fn frames_go_into_the_file_that_was_opened_and_not_into_another_at_its_path() {
    let (dir, file) = file();
    // Moved before the first frame, and another made in its place.
    fs::rename(file.path(), dir.path().join("moved")).unwrap();
    FrameFile::create(file.path(), &Header::new(MAGIC, 2, CAPACITY)).unwrap();
    let other = fs::read(file.path()).unwrap();

    let mut writer = FrameWriter::new(FrameFile::START);
    for sequence in 1..=20 {
        write(&mut writer, &file, &mut FrameBuffer::default(), sequence);
    }
    check(&file, 20);
    assert!(
        fs::read(file.path()).unwrap() == other,
        "the other file was written to"
    );
}

#[test]
fn a_file_that_is_begun_again_shows_nothing_of_before_behind_its_end() {
    let (_dir, file) = file();
    let mut frame = FrameBuffer::default();
    let mut writer = FrameWriter::new(FrameFile::START);
    for sequence in 1..=20 {
        write(&mut writer, &file, &mut frame, sequence);
    }
    writer.restart();
    for sequence in 1..=3 {
        write(&mut writer, &file, &mut frame, sequence);
        assert!(file.frame_at(writer.end()).unwrap().is_none());
    }
    assert_eq!(check(&file, 3), writer.end());
}

#[test]
fn a_frame_longer_than_the_file_makes_it_longer() {
    let (_dir, file) = file();
    let mut frame = FrameBuffer::default();
    let mut writer = FrameWriter::new(FrameFile::START);
    frame.begin(writer.end());
    frame.body().resize(2 * CAPACITY as usize, 7);
    frame.finish(file.header().salt, 1, 0).unwrap();
    writer.write(&file, &mut frame).unwrap();
    assert!(file.len() >= writer.end() + Frame::HEAD as u64);
    file.shorten().unwrap();
    assert_eq!(file.len(), CAPACITY);
}
