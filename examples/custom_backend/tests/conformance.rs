//! Every law, through `Store`, over SQLite.

use std::process::ExitCode;

use custom_backend::SqliteConfig;
use raft_logstore_conformance::StoreSubject;

fn main() -> ExitCode {
    raft_logstore_conformance::main(StoreSubject::new(SqliteConfig))
}
