//! `check`: every kind of damage is found, and none hides another.

use std::fs;
use std::path::Path;

use raft_logstore::StableKey;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{
    Ran, append, close, copy_tree, damage, entry_key, meta_key, open, run, sample, set, uri,
};

fn check(dir: &Path) -> Ran {
    run(["check", &uri(dir), "--json"])
}

/// What the faults are about: group, first and last index.
fn places(report: &Value) -> Vec<(Option<u64>, Option<u64>, Option<u64>)> {
    let faults = report["faults"].as_array().unwrap();
    let place = |fault: &Value, name: &str| fault[name].as_u64();
    faults
        .iter()
        .map(|fault| {
            (
                place(fault, "group"),
                place(fault, "first"),
                place(fault, "last"),
            )
        })
        .collect()
}

#[test]
fn a_whole_store_is_clean() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    let report = check(dir.path()).exits(0).json();
    assert_eq!(report["clean"], true);
    assert_eq!(
        (&report["entries"], &report["stable_keys"]),
        (&json!(2012), &json!(7))
    );
    let people = run(["check", &uri(dir.path())]).exits(0);
    assert!(
        people
            .stdout
            .contains(": clean; groups 7, whole entries 2012"),
        "{people:?}"
    );
}

#[test]
fn every_fault_is_reported_and_none_hides_another() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    for group in 1..=6 {
        append(&store, group, 1, 1000, 50);
        set(&store, group, &StableKey::VOTE, "term 1");
    }
    close(store);
    damage(dir.path(), |records| {
        // One record, a run of records, a hole, and both ends.
        records.flip(&entry_key(1, 50));
        (60..=69).for_each(|index| records.flip(&entry_key(1, index)));
        (100..=119).for_each(|index| records.remove(&entry_key(1, index)));
        records.flip(&entry_key(2, 1));
        records.flip(&entry_key(2, 1000));
        records.remove(&entry_key(3, 1));
        records.remove(&entry_key(3, 1000));
        // Stable keys and the header of a group.
        records.flip(&meta_key(4, "vote"));
        records.remove(&meta_key(5, "vote"));
        records.flip(&meta_key(6, "!group"));
    });
    let report = check(dir.path()).exits(1).json();
    assert_eq!(report["clean"], false);
    let (at, run) = (
        |group, index| (Some(group), Some(index), Some(index)),
        |group| (Some(group), None, None),
    );
    assert_eq!(
        places(&report),
        [
            at(1, 50),
            (Some(1), Some(60), Some(69)),
            (Some(1), Some(100), Some(119)),
            at(2, 1),
            at(2, 1000),
            at(3, 1),
            at(3, 1000),
            run(4),
            run(5),
            run(6),
        ],
        "{report:#}"
    );
    assert_eq!(report["entries"], 5 * 1000 - 1 - 10 - 20 - 2 - 2);
    // The value of group 6 is there, but its header does not say so.
    assert_eq!(report["stable_keys"], 3);
    let message = report["faults"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("checksum") && message.contains("group 1"),
        "{message}"
    );

    // The other commands show what is whole and say what is not.
    let groups = crate::support::run(["groups", &uri(dir.path()), "--json"])
        .exits(1)
        .json();
    let whole = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|group| group["error"].is_null());
    assert_eq!(whole.count(), 3);
    crate::support::run(["stat", &uri(dir.path())])
        .exits(1)
        .says("checksum");
    let dump = crate::support::run(["dump", &uri(dir.path()), "--json"])
        .exits(1)
        .says("group 6");
    assert!(
        dump.json_lines()
            .iter()
            .any(|line| line["group"] == 5 && line["index"] == 1000)
    );
}

#[test]
fn a_long_list_of_faults_is_cut_and_counted() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    append(&store, 1, 1, 1000, 0);
    close(store);
    damage(dir.path(), |records| {
        (2..=1000)
            .step_by(2)
            .for_each(|index| records.flip(&entry_key(1, index)));
    });
    let report = run(["check", &uri(dir.path()), "--json", "--max-faults", "7"])
        .exits(1)
        .json();
    assert_eq!(report["fault_count"], 500);
    assert_eq!(places(&report).len(), 7);
    assert_eq!(report["entries"], 500);
    let people = run(["check", &uri(dir.path()), "--max-faults", "7"]).exits(1);
    assert_eq!(people.stdout.lines().count(), 9, "{people:?}");
    assert!(people.stdout.contains("and 493 more"), "{people:?}");
}

#[test]
fn a_log_that_is_gone_is_given_up_after_a_while() {
    let dir = tempdir().unwrap();
    let store = open(dir.path());
    append(&store, 1, 1, 150_000, 0);
    append(&store, 2, 1, 10, 0);
    close(store);
    damage(dir.path(), |records| {
        (1..=150_000).for_each(|index| records.remove(&entry_key(1, index)));
    });
    let report = check(dir.path()).exits(1).json();
    let runs = [
        (Some(1), Some(1), Some(100_000)),
        (Some(1), Some(100_001), Some(150_000)),
    ];
    assert_eq!(places(&report), runs);
    assert_eq!(report["entries"], 10);
}

#[test]
fn commits_behind_the_watermark_are_reported_as_lost() {
    let dir = tempdir().unwrap();
    let (live, before) = (dir.path().join("live"), dir.path().join("before"));
    sample(&live);
    copy_tree(&live.join("redb"), &before);
    let store = open(&live);
    (1..=3).for_each(|index| append(&store, 1, index, 1, 10));
    close(store);
    fs::remove_dir_all(live.join("redb")).unwrap();
    fs::rename(before, live.join("redb")).unwrap();

    let report = check(&live).exits(1).json();
    assert_eq!(places(&report), [(None, None, None)]);
    let message = report["faults"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("3 of") && message.contains("acknowledged commits are lost"),
        "{message}"
    );

    // A copy would not know of it, so it has to be asked for.
    let target = dir.path().join("copy");
    crate::support::copy(&live, &target)
        .exits(1)
        .says("--accept-lost-commits");
    assert!(!target.exists());
    let copy = [
        "copy",
        "--accept-lost-commits",
        "--from",
        &uri(&live),
        "--to",
        &uri(&target),
    ];
    run(copy).exits(0);
    check(&target).exits(0);
}

#[test]
fn a_store_whose_backend_is_gone_has_lost_its_commits() {
    let dir = tempdir().unwrap();
    let (store, target) = (dir.path().join("store"), dir.path().join("copy"));
    sample(&store);
    fs::remove_dir_all(store.join("redb")).unwrap();
    for command in ["check", "groups", "stat", "dump"] {
        run([command, &uri(&store)])
            .exits(1)
            .says("acknowledged commits are gone");
    }
    crate::support::copy(&store, &target)
        .exits(1)
        .says("acknowledged commits are gone");
    assert!(!target.exists());
}

#[test]
fn a_missing_watermark_is_said_and_is_no_damage() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    fs::remove_file(dir.path().join("WATERMARK")).unwrap();
    assert!(check(dir.path()).exits(0).json()["watermark"].is_null());
    let people = run(["check", &uri(dir.path())]).exits(0);
    assert!(
        people.stdout.contains("the watermark is missing"),
        "{people:?}"
    );
}

#[test]
fn a_group_without_a_record_is_missed() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    damage(dir.path(), |records| {
        records.remove(&meta_key(1, "!group"));
        records.remove(&meta_key(1, "vote"));
    });
    let report = check(dir.path()).exits(1).json();
    assert!(
        report["faults"][0]["message"]
            .as_str()
            .unwrap()
            .contains("6 groups"),
        "{report}"
    );
}

#[rstest]
#[case::empty(|_: &mut Vec<u8>| 0)]
#[case::cut_to_a_page(|_: &mut Vec<u8>| 4096)]
#[case::cut_in_half(|bytes: &mut Vec<u8>| bytes.len() / 2)]
#[case::noise(|bytes: &mut Vec<u8>| { bytes.fill(0xa5); bytes.len() })]
#[case::zeros_behind_the_header(|bytes: &mut Vec<u8>| { bytes[4096..].fill(0); bytes.len() })]
#[case::noise_behind_the_header(|bytes: &mut Vec<u8>| { bytes[4096..].fill(0x5a); bytes.len() })]
fn a_damaged_file_is_damage_to_every_command(#[case] damage: fn(&mut Vec<u8>) -> usize) {
    let dir = tempdir().unwrap();
    sample(dir.path());
    let file = dir.path().join("redb/data.redb");
    let mut bytes = fs::read(&file).unwrap();
    let len = damage(&mut bytes);
    fs::write(&file, &bytes[..len]).unwrap();
    for command in ["check", "groups", "stat", "dump"] {
        run([command, &uri(dir.path())]).exits(1);
    }
    let target = dir.path().with_extension("copy");
    crate::support::copy(dir.path(), &target).exits(1);
    assert!(!target.exists());
}
