//! What cannot be done is said, with exit code 2.

use std::fs;

use rstest::rstest;
use tempfile::tempdir;

use crate::support::{close, open, run, sample, uri};

#[rstest]
#[case::nothing(&[], "Usage")]
#[case::unknown_command(&["grups"], "unrecognized subcommand")]
#[case::unknown_option(&["check", "redb:a", "--fix"], "unexpected argument")]
#[case::no_uri(&["check"], "<URI>")]
#[case::no_scheme(&["check", "/var/lib"], "scheme:path")]
#[case::unknown_scheme(&["check", "floppy:/a"], "this build has memory:, redb:")]
#[case::unknown_uri_option(&["check", "redb:a?cash=1"], "cache_bytes")]
#[case::memory(&["check", "memory:"], "a store in memory ends with its process")]
#[case::memory_as_source(&["copy", "--from", "memory:", "--to", "redb:/a/b"], "gone with its process")]
#[case::memory_as_target(&["copy", "--from", "redb:/a/b", "--to", "memory:"], "gone with its process")]
#[case::missing_target(&["copy", "--from", "redb:/a/b"], "--to")]
#[case::negative_group(&["stat", "redb:a", "--group=-1"], "invalid digit")]
#[case::group_past_all(&["stat", "redb:a", "--group", "18446744073709551616"], "too large")]
#[case::index_past_all(&["dump", "redb:a", "--to", "99999999999999999999"], "too large")]
#[case::stable_keys_have_no_index(&["dump", "redb:a", "--stable", "--from", "1"], "cannot be used with")]
#[case::no_faults(&["check", "redb:a", "--max-faults", "0"], "1..=1000000")]
#[case::too_many_entries(&["bench", "memory:", "--entries", "1000001"], "1..=1000000")]
#[case::no_entries(&["bench", "memory:", "--entries", "0"], "1..=1000000")]
#[case::huge_entries(&["bench", "memory:", "--bytes", "18446744073709551615"], "67108864")]
#[case::huge_appends(&["bench", "memory:", "--bytes", "67108864", "--batch", "2"], "in one append")]
#[case::huge_bench(&["bench", "memory:", "--bytes", "67108864", "--entries", "1000"], "at most")]
#[case::idle_clients(&["bench", "memory:", "--entries", "2", "--clients", "3"], "nothing to do")]
#[case::missing_directory(&["check", "redb:/nowhere/at/all"], "not a directory")]
#[case::a_path_the_system_refuses(&["check", "redb:/dev/null/a"], "not a directory")]
#[case::control_characters(&["check", "redb:/a\u{1b}[2J"], "control characters")]
fn what_is_wrong_is_said(#[case] args: &[&str], #[case] message: &str) {
    let ran = run(args).exits(2).says(message);
    assert_eq!(ran.stdout, "");
}

#[test]
fn every_command_has_help() {
    for command in ["groups", "stat", "dump", "check", "copy", "bench"] {
        let ran = run([command, "--help"]).exits(0);
        assert!(ran.stdout.contains("Usage: raft-logstore"), "{ran:?}");
    }
}

#[test]
fn a_store_that_is_open_is_refused_and_its_process_named() {
    let dir = tempdir().unwrap();
    let (path, target) = (dir.path().join("store"), dir.path().join("copy"));
    sample(&path);
    let store = open(&path);
    let process = format!("process {} has the store open", std::process::id());
    for command in ["groups", "stat", "dump", "check"] {
        run([command, &uri(&path)]).exits(2).says(&process);
    }
    crate::support::copy(&path, &target).exits(2).says(&process);
    assert!(!target.exists());
    close(store);
    run(["check", &uri(&path)]).exits(0);
}

#[test]
fn a_directory_that_is_no_store_is_refused_and_left_alone() {
    let dir = tempdir().unwrap();
    let (empty, foreign) = (dir.path().join("empty"), dir.path().join("foreign"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "dear reader").unwrap();
    for command in ["groups", "stat", "dump", "check"] {
        run([command, &uri(&empty)])
            .exits(2)
            .says("no store to look at");
        run([command, &uri(&foreign)]).exits(2).says("letter.txt");
    }
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn a_group_that_is_not_there_is_said() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    for command in ["stat", "dump"] {
        run([command, &uri(dir.path()), "--group", "77"])
            .exits(2)
            .says("no group 77");
    }
}
