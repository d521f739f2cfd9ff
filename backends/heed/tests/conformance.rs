//! Every law, through `Store`, over LMDB.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_heed::HeedConfig;

fn main() -> ExitCode {
    // An entry of 4 KiB lies in two pages, freed ones are used again some commits later, and the file
    // never shrinks while it is open.
    let subject = StoreSubject::new(HeedConfig::default()).keeping(48 << 20);
    raft_logstore_conformance::main(subject)
}
