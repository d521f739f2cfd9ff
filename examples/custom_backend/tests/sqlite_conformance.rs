//! Every law, through `Store`, over SQLite.

use std::process::ExitCode;

use custom_backend::SqliteConfig;
use raft_logstore_conformance::{Feature, StoreSubject};

fn main() -> ExitCode {
    let subject = StoreSubject::new(SqliteConfig);
    raft_logstore_conformance::main(subject.without(
        Feature::UntouchedRest,
        "SQLite removes its log when it finds the database damaged",
    ))
}
