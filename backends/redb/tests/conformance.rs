//! Every law, through `Store`, over redb.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_redb::RedbConfig;

fn main() -> ExitCode {
    // An entry of 4 KiB lies in two pages, and freed ones are used again some commits later.
    let subject = StoreSubject::new(RedbConfig::default()).keeping(32 << 20);
    raft_logstore_conformance::main(subject)
}
