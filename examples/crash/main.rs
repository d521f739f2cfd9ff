//! Cuts the power of every backend in thousands of ways: the crash kit of
//! `raft-logstore-conformance` over the engines of this project.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use raft_logstore::{fjall::FjallConfig, heed::HeedConfig, redb::RedbConfig, wal::WalConfig};
    use raft_logstore_conformance::StoreSubject;
    use raft_logstore_conformance::crash::{self, Target};

    // Small enough for the workload to grow the map, and to fill memtables and segments.
    let heed = HeedConfig::default().with_map_size(HeedConfig::MIN_MAP_SIZE);
    let fjall = FjallConfig::default()
        .with_journal_bytes(FjallConfig::MIN_JOURNAL_BYTES)
        .with_memtable_bytes(FjallConfig::MIN_MEMTABLE_BYTES);
    let wal = WalConfig::default().with_segment_bytes(WalConfig::MIN_SEGMENT_BYTES);
    crash::main(vec![
        Target::new("redb", StoreSubject::new(RedbConfig::default())),
        Target::new("heed", StoreSubject::new(heed)),
        Target::new("fjall", StoreSubject::new(fjall)),
        Target::new("wal", StoreSubject::new(wal)),
    ])
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("SKIPPED: the crash kit needs Linux");
    ExitCode::SUCCESS
}
