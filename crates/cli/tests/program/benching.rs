//! `bench`: measures on the disk it is given, and leaves nothing there.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::tempdir;

use crate::support::{run, sample, start, uri};

#[test]
fn a_bench_measures_and_removes_its_store() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("bench");
    let bench = |more: &[&str]| {
        let store = uri(&path);
        let args = [
            "bench",
            &store,
            "--entries",
            "50",
            "--batch",
            "4",
            "--clients",
            "3",
            "--json",
        ];
        run([&args[..], more].concat())
    };
    let report = bench(&[]).exits(0).json();
    assert_eq!(report["entries"], 50);
    let number = |name: &str| report[name].as_f64().unwrap();
    assert!(
        number("p50_micros") > 0.0 && number("p99_micros") >= number("p50_micros"),
        "{report}"
    );
    // 17, 17 and 16 entries, four at a time; several appends may share a commit.
    assert!((5.0..=14.0).contains(&number("commits")), "{report}");
    assert!(!path.exists());

    // A directory that was there stays, and is empty again.
    fs::create_dir(&path).unwrap();
    bench(&[]).exits(0);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);

    bench(&["--keep"]).exits(0);
    let check = run(["check", &uri(&path), "--json"]).exits(0).json();
    assert_eq!(
        (&check["entries"], &check["groups"]),
        (&50.into(), &3.into())
    );
    let people = run(["bench", "memory:", "--entries", "10"]).exits(0);
    assert!(people.stdout.contains("p99"), "{people:?}");
}

#[test]
fn a_bench_refuses_a_store_that_is_there() {
    let dir = tempdir().unwrap();
    sample(dir.path());
    run(["bench", &uri(dir.path())])
        .exits(2)
        .says("is not empty");
    run(["check", &uri(dir.path())]).exits(0);
}

#[rstest]
#[case::int(Signal::INT)]
#[case::term(Signal::TERM)]
#[case::hup(Signal::HUP)]
fn an_interrupted_bench_removes_its_store(#[case] signal: Signal) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("bench");
    let was_there = dir.path().join("was-there");
    fs::create_dir(&was_there).unwrap();
    for store in [&path, &was_there] {
        let mut bench = start(["bench", &uri(store), "--entries", "1000000"]);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !store.join("redb").exists() {
            assert!(Instant::now() < deadline, "the bench does not get on");
            sleep(Duration::from_millis(1));
        }
        kill_process(Pid::from_child(&bench), signal).unwrap();
        let code = bench.wait().unwrap().code();
        assert_eq!(code, Some(128 + signal.as_raw()));
    }
    assert!(!path.exists());
    assert_eq!(fs::read_dir(&was_there).unwrap().count(), 0);
}
