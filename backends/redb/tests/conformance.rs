//! Every law, through `Store`, over redb.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_redb::RedbConfig;

fn main() -> ExitCode {
    raft_logstore_conformance::main(StoreSubject::new(RedbConfig::default()))
}
