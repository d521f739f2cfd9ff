//! The laws of a disk that fails, checked on heed.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use raft_logstore_conformance::{Feature, StoreSubject, crash};
    use raft_logstore_heed::HeedConfig;

    crash::laws_main(StoreSubject::new(HeedConfig::default()).without(
        Feature::ReadErrors,
        "LMDB reads through a map of its file: where the disk cannot be read, the process ends by SIGBUS",
    ))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("SKIPPED: a disk that fails needs Linux");
    ExitCode::SUCCESS
}
