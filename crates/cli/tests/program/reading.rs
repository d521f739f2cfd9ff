//! `groups`, `stat` and `dump`, and that looking changes nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use raft_logstore::MAX_INDEX;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{
    KINDS, SCHEMES, append, close, copy_between, copy_tree, fingerprint, open, open_uri, run,
    sample, sample_at, start, uri, uri_of,
};

#[test]
fn groups_lists_every_group_with_its_bounds() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    let ran = run(["groups", &uri(dir.path()), "--json"]).exits(0);
    let row = |group: u64, first: Value, last: Value, floor: Value, entries: u64, keys: &[&str]| {
        json!({"group": group, "first": first, "last": last, "floor": floor, "entries": entries,
               "stable_keys": keys})
    };
    let expected = json!({"groups": [
        row(0, json!(5), json!(9), json!(4), 5, &["empty", "purged", "vote"]),
        row(1, json!(null), json!(null), json!(null), 0, &["vote"]),
        row(2, json!(null), json!(null), json!(100), 0, &["purged"]),
        row(3, json!(null), json!(null), json!(MAX_INDEX), 0, &["purged"]),
        row(4, json!(10), json!(14), json!(3), 5, &["purged"]),
        row(5, json!(0), json!(1999), json!(null), 2000, &[]),
        row(u64::MAX, json!(MAX_INDEX - 1), json!(MAX_INDEX), json!(null), 2, &[]),
    ]});
    assert_eq!(ran.json(), expected);

    let people = run(["groups", &uri(dir.path())]).exits(0);
    let rows: Vec<Vec<&str>> = people
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[1],
        ["0", "5", "9", "5", "4", "empty", "purged", "vote"]
    );
    assert_eq!(rows[2], ["1", "-", "-", "0", "-", "vote"]);
}

#[test]
fn stat_counts_what_there_is() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    let stat = run(["stat", &uri(dir.path()), "--json"]).exits(0).json();
    assert_eq!(stat["groups"][5]["payload_bytes"], 200_000);
    assert_eq!(stat["groups"][0]["payload_bytes"], 9 + 11 + 2 + 1);
    let sizes = json!([{"key": "empty", "bytes": 0}, {"key": "purged", "bytes": 8}, {"key": "vote", "bytes": 6}]);
    assert_eq!(stat["groups"][0]["stable_keys"], sizes);

    let store = &stat["store"];
    let number = |name: &str| store[name].as_u64().unwrap();
    assert_eq!((number("groups"), number("entries")), (7, 2012));
    let purged = ["purged 4", "purged 100", "purged 3"]
        .map(str::len)
        .iter()
        .sum::<usize>() as u64
        + format!("purged {MAX_INDEX}").len() as u64;
    assert_eq!(
        number("live_bytes"),
        200_000 + 23 + 5 * 16 + 2 * 16 + 2 * 6 + purged
    );
    assert_eq!(
        number("disk_bytes"),
        number("live_bytes") + number("reusable_bytes") + number("dead_bytes")
    );
    let file = fs::metadata(dir.path().join("redb/data.redb")).unwrap();
    // In blocks of 512 bytes: the file may have holes.
    assert!(number("disk_bytes") >= 512 * file.blocks(), "{stat}");
    assert_eq!(number("sequence"), number("watermark"));

    let one = run(["stat", &uri(dir.path()), "--group", "4", "--json"])
        .exits(0)
        .json();
    assert_eq!(one["groups"].as_array().unwrap().len(), 1);
    assert!(one["store"].is_null());
}

#[test]
fn dump_shows_every_kind_of_payload() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    let dump = |args: &[&str]| {
        let store = uri(dir.path());
        run([&["dump", &store, "--group", "0"][..], args].concat()).exits(0)
    };
    let lines = dump(&["--json"]).json_lines();
    let record = |name: Value, bytes: u64, encoding: &str, value: Value| {
        let mut record =
            json!({"group": KINDS, "bytes": bytes, "encoding": encoding, "value": value});
        let field = if name.is_u64() { "index" } else { "key" };
        record[field] = name;
        record
    };
    let stable = [
        record(json!("empty"), 0, "text", json!("")),
        record(json!("purged"), 8, "text", json!("purged 4")),
        record(json!("vote"), 6, "text", json!("term 1")),
    ];
    let entries = [
        record(json!(5), 9, "text", json!("some text")),
        record(
            json!(6),
            11,
            "messagepack",
            json!({"key": [1, null, {"$hex": "ff"}]}),
        ),
        record(json!(7), 2, "hex", json!("00fe")),
        record(json!(8), 0, "text", json!("")),
        record(json!(9), 1, "text", json!("z")),
    ];
    assert_eq!(lines, [&stable[..], &entries].concat());
    assert_eq!(dump(&["--stable", "--json"]).json_lines(), stable);
    assert_eq!(
        dump(&["--from", "6", "--to", "7", "--json"]).json_lines(),
        entries[1..3]
    );
    assert_eq!(dump(&["--from", "10"]).stdout, "");
    assert_eq!(
        dump(&["--from", &u64::MAX.to_string(), "--to", "0"]).stdout,
        ""
    );
    let people = dump(&["--from", "6", "--to", "7"]).stdout;
    assert!(
        people.contains("6  11 B  {\"key\":[1,null,{\"$hex\":\"ff\"}]}"),
        "{people}"
    );
    assert!(people.contains("7  2 B  0x00fe"), "{people}");

    let all = run(["dump", &uri(dir.path()), "--json"])
        .exits(0)
        .json_lines();
    assert_eq!(all.len(), 2012 + 7);
    assert_eq!(all.last().unwrap()["index"], MAX_INDEX);
}

#[test]
fn a_reader_that_goes_away_ends_a_dump_quietly() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    append(&store, 1, 1, 20_000, 200);
    close(store);
    let mut dump = start(["dump", &uri(dir.path()), "--json"]);
    let mut line = String::new();
    BufReader::new(dump.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("{\"group\":1,\"index\":1,"), "{line}");
    let mut notes = String::new();
    dump.stderr
        .take()
        .unwrap()
        .read_to_string(&mut notes)
        .unwrap();
    assert_eq!((dump.wait().unwrap().code(), notes.as_str()), (Some(0), ""));
}

/// Every command that only reads.
const READING: [&str; 4] = ["groups", "stat", "dump", "check"];

#[rstest]
#[case::closed(false)]
#[case::killed(true)]
fn looking_changes_not_a_byte(#[case] killed: bool) {
    SCHEMES
        .iter()
        .for_each(|scheme| look_and_compare(scheme, killed));
}

fn look_and_compare(scheme: &str, killed: bool) {
    let dir = tempdir().unwrap();
    let (live, looked_at) = (dir.path().join("live"), dir.path().join("looked-at"));
    sample_at(&uri_of(scheme, &live));
    let store = open_uri(&uri_of(scheme, &live));
    append(&store, 9, 1, 100, 100);
    if killed {
        copy_tree(&live, &looked_at);
        close(store);
    } else {
        close(store);
        copy_tree(&live, &looked_at);
    }
    let (before, looked_at) = (fingerprint(dir.path()), uri_of(scheme, &looked_at));
    for command in READING {
        let ran = run([command, &looked_at]).exits(0);
        assert!(command == "check" || ran.stdout.contains("99"), "{ran:?}");
        assert!(
            fingerprint(dir.path()) == before,
            "{command} {looked_at} changed something"
        );
    }
    // As the source of a copy it is not changed either.
    let target = tempdir().unwrap();
    copy_between(&looked_at, &uri(&target.path().join("copy"))).exits(0);
    assert!(
        fingerprint(dir.path()) == before,
        "copy changed {looked_at}"
    );
}

/// A folder mounted read-only at another place until it is dropped; `None` where that is not allowed.
struct ReadOnlyMount(tempfile::TempDir);

impl ReadOnlyMount {
    fn of(dir: &Path) -> Option<Self> {
        let at = tempdir().unwrap();
        let mount = |args: &[&str]| {
            let mount = Command::new("mount").args(args).arg(at.path()).output();
            mount.is_ok_and(|output| output.status.success())
        };
        if !mount(&["--bind", dir.to_str().unwrap()]) {
            return None;
        }
        let mounted = Self(at);
        let remounted = Command::new("mount")
            .args(["-o", "remount,bind,ro"])
            .arg(mounted.0.path())
            .output();
        remounted
            .is_ok_and(|output| output.status.success())
            .then_some(mounted)
    }
}

impl Drop for ReadOnlyMount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).output();
        assert!(unmounted.is_ok_and(|output| output.status.success()));
    }
}

#[test]
fn a_store_on_a_read_only_disk_can_be_looked_at() {
    let dir = tempdir().unwrap();
    for scheme in SCHEMES {
        let path = dir.path().join(scheme);
        sample_at(&uri_of(scheme, &path));
        // What a killed process leaves: the engine has to recover.
        let store = open_uri(&uri_of(scheme, &path));
        append(&store, 9, 1, 100, 100);
        copy_tree(&path, &dir.path().join(format!("{scheme}-killed")));
        close(store);
    }
    let Some(mounted) = ReadOnlyMount::of(dir.path()) else {
        eprintln!("SKIPPED: this user may not mount a folder read-only");
        return;
    };
    for scheme in SCHEMES {
        for name in [(*scheme).to_owned(), format!("{scheme}-killed")] {
            let store = mounted.0.path().join(name);
            fs::write(store.join("probe"), "").unwrap_err();
            let store = uri_of(scheme, &store);
            for command in READING {
                run([command, &store]).exits(0);
            }
            copy_between(&store, &uri(&mounted.0.path().join("copy")))
                .exits(2)
                .says("Read-only file system");
            let target = tempdir().unwrap();
            copy_between(&store, &uri(&target.path().join("copy"))).exits(0);
        }
    }
}
