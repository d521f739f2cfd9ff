use std::env;
use std::path::Path;
use std::process::Command;

use crate::{LawResult, Subject, Violation};

/// Names the directory that a copy of the test program shall try to open, instead of testing.
pub(crate) const OPEN_ENV: &str = "RAFT_LOGSTORE_CONFORMANCE_OPEN";

/// Starts every answer, so that other output is told apart.
const ANSWER: &str = "raft-logstore-conformance answers: ";

/// Tries to open `dir` and prints what came of it.
pub(crate) fn answer(subject: &dyn Subject, dir: &Path) {
    match subject.open(dir) {
        Ok(_store) => println!("{ANSWER}opened"),
        Err(error) => println!("{ANSWER}{:?}", error.kind()),
    }
}

/// Runs this program again to open `dir`; returns `opened` or the name of the error's kind.
pub(crate) fn open_elsewhere(dir: &Path) -> LawResult<String> {
    let output = Command::new(env::current_exe()?)
        .env(OPEN_ENV, dir)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let answer = printed.lines().find_map(|line| line.strip_prefix(ANSWER));
    answer.map(str::to_owned).ok_or_else(|| {
        Violation::new(format!(
            "the other process gave no answer; is raft_logstore_conformance::main what runs there? \
             It ended with {}",
            output.status
        ))
    })
}
