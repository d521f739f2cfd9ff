//! Stores of format 1, as wal left them, are opened by today's code.

use std::path::Path;
use std::process::ExitCode;

use raft_logstore_conformance::{StoreSubject, golden};
use raft_logstore_wal::WalConfig;

fn main() -> ExitCode {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    golden::main(StoreSubject::new(WalConfig::default()), &dir)
}
