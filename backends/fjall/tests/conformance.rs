//! Every law, through `Store`, over fjall.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_fjall::FjallConfig;

fn main() -> ExitCode {
    // Two journals of 64 MiB, and tables of 16 MiB that wait to be merged.
    let subject = StoreSubject::new(FjallConfig::default()).keeping(192 << 20);
    raft_logstore_conformance::main(subject)
}
