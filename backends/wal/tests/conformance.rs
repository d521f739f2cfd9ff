//! Every law, through `Store`, over the write-ahead log.

use std::process::ExitCode;

use raft_logstore_conformance::StoreSubject;
use raft_logstore_wal::WalConfig;

fn main() -> ExitCode {
    // Short segments, so that every law goes through several.
    let config = WalConfig::default().with_segment_bytes(1 << 20);
    raft_logstore_conformance::main(StoreSubject::new(config))
}
