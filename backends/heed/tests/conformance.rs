//! Every law, through `Store`, over LMDB.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_heed::HeedConfig;

fn main() -> ExitCode {
    raft_logstore_conformance::main(StoreSubject::new(HeedConfig::default()))
}
