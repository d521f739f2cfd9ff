//! Every law, through `Store`, over LMDB.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_heed::HeedConfig;

fn main() -> ExitCode {
    // An entry of 4 KiB takes two pages, and is in the journal as well until it is settled. The file stays as
    // large as it had to be once while a purge waited.
    let subject = StoreSubject::new(HeedConfig::default()).keeping(48 << 20);
    raft_logstore_conformance::main(subject)
}
