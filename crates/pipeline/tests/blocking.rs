//! Every law, through the writes of a thread that blocks, over the in-memory reference backend.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;

fn main() -> ExitCode {
    raft_logstore_conformance::main(StoreSubject::memory().blocking())
}
