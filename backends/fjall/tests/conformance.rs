//! Every law, through `Store`, over fjall.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_fjall::FjallConfig;

fn main() -> ExitCode {
    raft_logstore_conformance::main(StoreSubject::new(FjallConfig::default()))
}
