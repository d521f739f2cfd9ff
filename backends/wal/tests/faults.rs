//! The laws of a disk that fails, checked on wal.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use raft_logstore_conformance::{StoreSubject, crash};
    use raft_logstore_wal::WalConfig;

    crash::laws_main(StoreSubject::new(WalConfig::default()))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("SKIPPED: a disk that fails needs Linux");
    ExitCode::SUCCESS
}
