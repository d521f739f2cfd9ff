//! What each engine of this build makes of copies and of damage to its files.
//!
//! Run it with all features to have them all.

use std::fs;
use std::path::{Path, PathBuf};

use raft_logstore::redb::RedbConfig;
use raft_logstore::{BackendConfig, Batch, Entry, GroupId, IndexRange, Op, StableKey};
use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::support::{
    SCHEMES, append, aside, close, content, copy_between, copy_tree, fingerprint, open_uri, run,
    sample_at, set, uri_of,
};

#[test]
fn everything_is_copied_between_every_two_backends() {
    let dir = tempdir().unwrap();
    for from_scheme in SCHEMES {
        let from = uri_of(from_scheme, &dir.path().join(from_scheme));
        sample_at(&from);
        let store = open_uri(&from);
        append(&store, 6, 1, 3, 1 << 20);
        append(&store, 6, 4, 100, 0);
        close(store);
        let original = content(&from);
        for to_scheme in SCHEMES {
            let target = dir.path().join(format!("{from_scheme}-{to_scheme}"));
            let to = uri_of(to_scheme, &target);
            let ran = copy_between(&from, &to).exits(0);
            assert!(
                ran.stdout
                    .contains("2115 entries in 8 groups, every record compared"),
                "{ran:?}"
            );
            assert!(!aside(&target).exists());
            assert_eq!(content(&to), original, "{from} {to}");
            let check = run(["check", &to, "--json"]).exits(0).json();
            assert_eq!(
                (&check["entries"], &check["stable_keys"]),
                (&json!(2115), &json!(7))
            );
            // It is a store to go on with.
            let store = open_uri(&to);
            append(&store, 5, 2000, 1, 10);
            close(store);
            run(["check", &to]).exits(0);
        }
    }
}

/// Every file below a folder, in a fixed order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let found = fingerprint(dir).into_keys();
    found.filter(|path| path.is_file()).collect()
}

/// Flips a bit behind every place where `needle` is stored, in the files that `within` chooses. Says
/// how many places that are.
fn flip_behind(dir: &Path, needle: &[u8], within: impl Fn(&Path) -> bool) -> usize {
    let mut flips = 0;
    for path in files(dir).iter().filter(|path| within(path)) {
        let mut bytes = fs::read(path).unwrap();
        let found: Vec<_> = bytes
            .windows(needle.len())
            .enumerate()
            .filter_map(|(at, window)| (window == needle).then_some(at + needle.len()))
            .collect();
        for &at in &found {
            bytes[at] ^= 1;
        }
        flips += found.len();
        fs::write(path, bytes).unwrap();
    }
    flips
}

/// A closed store of three groups with 4 MiB each, which is more than an engine keeps in its journal.
fn store_of_three_groups(scheme: &str) -> (TempDir, PathBuf, String) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    let uri = uri_of(scheme, &path);
    let options = if scheme == "fjall" {
        "?memtable_bytes=1MiB"
    } else {
        ""
    };
    let store = open_uri(&format!("{uri}{options}"));
    for group in 1..=3 {
        append(&store, group, 1, 4000, 1000);
        set(&store, group, &StableKey::VOTE, "term 1");
    }
    close(store);
    (dir, path, uri)
}

#[test]
fn a_flipped_bit_in_an_entry_is_reported_with_its_group_and_index() {
    for scheme in SCHEMES {
        let (dir, path, uri) = store_of_three_groups(scheme);
        // fjall reads all of its journals when it opens a store; see the next test.
        let flips = flip_behind(&path, b"2/1500/", |path| {
            path.extension() != Some("jnl".as_ref())
        });
        assert!(flips > 0, "{uri} has no such entry");

        let report = run(["check", &uri, "--json"]).exits(1).json();
        assert_eq!(report["fault_count"], 1, "{scheme}: {report:#}");
        let fault = &report["faults"][0];
        assert_eq!(fault["group"], 2, "{scheme}: {report:#}");
        let (first, last) = (
            fault["first"].as_u64().unwrap(),
            fault["last"].as_u64().unwrap(),
        );
        assert!((first..=last).contains(&1500), "{scheme}: {report:#}");
        // fjall checks blocks, of some 4 KiB; the others leave it to the record.
        let most = if scheme == &"fjall" { 16 } else { 1 };
        assert!(last - first < most, "{scheme}: {report:#}");
        assert_eq!(
            report["entries"],
            12_000 - (last - first + 1),
            "{scheme}: {report:#}"
        );
        assert_eq!(report["stable_keys"], 3);

        // The rest can be looked at, and nothing is copied.
        let dump = run(["dump", &uri, "--group", "3", "--json"]).exits(0);
        assert_eq!(dump.json_lines().len(), 4001);
        run(["dump", &uri, "--group", "2"]).exits(1).says("group 2");
        let target = dir.path().join("copy");
        copy_between(&uri, &uri_of(SCHEMES[0], &target))
            .exits(1)
            .says("group 2");
        assert!(!target.exists());
    }
}

#[test]
#[cfg(feature = "fjall")]
fn a_flipped_bit_in_a_journal_of_fjall_is_reported_by_every_command() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    let uri = uri_of("fjall", &path);
    // fjall gets what is written when the store is closed: two batches, of which the first is damaged.
    for first in [1, 2001] {
        let store = open_uri(&uri);
        append(&store, 2, first, 2000, 100);
        close(store);
    }
    let journals = |path: &Path| path.extension() == Some("jnl".as_ref());
    assert!(flip_behind(&path, b"2/1500/", journals) > 0);
    for command in ["check", "groups", "stat", "dump"] {
        run([command, &uri]).exits(1).says(".jnl");
    }
}

/// Checks a damaged copy of the store `original` and says whether that was noticed. What was not
/// noticed must have changed nothing.
fn is_noticed(uri: &str, original: &[String; 2], damage: &str) -> bool {
    let ran = run(["check", uri]);
    if ran.code == 0 {
        assert_eq!(&content(uri), original, "{damage}");
        return false;
    }
    // It is a report, or one line that names the file where the user has it.
    let said = match ran.stderr.lines().collect::<Vec<_>>()[..] {
        [] => ran.stdout.contains("FAULT") && ran.code == 1,
        [error] => error.starts_with("error: ") && error.contains(uri.split_once(':').unwrap().1),
        _ => false,
    };
    assert!(said, "{damage}: {ran:?}");
    // No other command crashes on it either.
    for command in ["groups", "stat", "dump"] {
        run([command, uri]);
    }
    true
}

#[test]
fn no_damage_to_a_file_goes_unnoticed_and_none_crashes_the_program() {
    /// How many bits are flipped, in all files of an engine.
    const FLIPS: usize = 40;
    for scheme in SCHEMES {
        let dir = tempdir().unwrap();
        let (whole, damaged) = (dir.path().join("whole"), dir.path().join("damaged"));
        sample_at(&uri_of(scheme, &whole));
        let original = content(&uri_of(scheme, &whole));
        let uri = uri_of(scheme, &damaged);
        let mut noticed = 0;
        let mut try_out = |name: &Path, what: String, change: &dyn Fn(&mut Vec<u8>)| {
            copy_tree(&whole, &damaged);
            let path = damaged.join(name);
            let mut bytes = fs::read(&path).unwrap();
            change(&mut bytes);
            fs::write(&path, bytes).unwrap();
            let damage = format!("{scheme}: {what} {}", name.display());
            noticed += u32::from(is_noticed(&uri, &original, &damage));
            fs::remove_dir_all(&damaged).unwrap();
        };
        let files: Vec<_> = files(&whole.join(scheme))
            .into_iter()
            .map(|path| (fs::read(&path).unwrap(), path))
            .filter(|(bytes, _)| !bytes.is_empty())
            .collect();
        for (bytes, path) in &files {
            // Where a file was filled with zeros for what comes, there is nothing to damage.
            let used = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(1, |last| last + 1);
            let len = bytes.len();
            let name = path.strip_prefix(&whole).unwrap();
            try_out(name, "cut to nothing".to_owned(), &|bytes| bytes.clear());
            try_out(name, "cut in half".to_owned(), &|bytes| {
                bytes.truncate(len / 2)
            });
            try_out(name, "one byte cut off".to_owned(), &|bytes| {
                bytes.truncate(len - 1);
            });
            try_out(name, "noise in".to_owned(), &|bytes| bytes.fill(0xa5));
            try_out(
                name,
                "zeros in the second half of what is used of".to_owned(),
                &|bytes| {
                    bytes[used / 2..].fill(0);
                },
            );
            let flips = FLIPS / files.len();
            for round in 0..flips {
                // Spread over the file, and over the bits of a byte.
                let at = used * (2 * round + 1) / (2 * flips);
                try_out(
                    name,
                    format!("bit {} of byte {at} flipped in", round % 8),
                    &|bytes| {
                        bytes[at] ^= 1 << (round % 8);
                    },
                );
            }
        }
        assert!(noticed >= 10, "{scheme}: {noticed} were noticed");
    }
}

/// redb looks into its books of free pages when it closes a file, and into some bytes of them then alone.
#[test]
fn damage_to_what_no_read_looks_into_is_noticed() {
    let dir = tempdir().unwrap();
    let uri = uri_of("redb", dir.path());
    close(open_uri(&uri));
    // Behind the store's back, whose threads would lay out the file in one way or another.
    let folder = dir.path().join("redb");
    let backend = RedbConfig::default().open(&folder).unwrap();
    for sequence in 1..=20 {
        let first = sequence * 100;
        let ops = vec![
            Op::Append {
                group: GroupId(1),
                entries: (first..first + 100)
                    .map(|index| Entry::new(index, vec![1; 50]))
                    .collect(),
            },
            // Has it settled.
            Op::Truncate {
                group: GroupId(1),
                from: first + 100,
            },
        ];
        backend.commit(&Batch { sequence, ops }).unwrap();
        while backend.maintain().unwrap() {}
    }
    backend.close().unwrap();
    let original = content(&uri);
    let path = folder.join("data.redb");
    let mut bytes = fs::read(&path).unwrap();
    // In the books of which page is free.
    bytes[28_913] ^= 1 << 7;
    fs::write(&path, bytes).unwrap();
    let backend = RedbConfig::default().open_read_only(&folder).unwrap();
    let read = backend.read(GroupId(1), IndexRange::new(..), u64::MAX);
    assert_eq!(read.unwrap().len(), 2000);
    drop(backend);
    assert!(is_noticed(&uri, &original, "a bit of those books"));
}
