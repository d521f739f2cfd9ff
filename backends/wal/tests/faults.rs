//! The laws of a disk that fails, checked on the write-ahead log.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use raft_logstore_conformance::{StoreSubject, crash};
    use raft_logstore_wal::WalConfig;

    // Short segments, so that every law goes through several.
    let config = WalConfig::default().with_segment_bytes(WalConfig::MIN_SEGMENT_BYTES);
    crash::laws_main(StoreSubject::new(config))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("SKIPPED: a disk that fails needs Linux");
    ExitCode::SUCCESS
}
