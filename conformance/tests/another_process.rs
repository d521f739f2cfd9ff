//! A store that another process can open while this one has it open is caught. A program of its own,
//! because the law starts it again to be the other process.

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use raft_logstore_conformance::laws::laws;
use raft_logstore_conformance::{OpenStore, Setting, StoreSubject, Subject};
use raft_logstore_core::Result;

/// Locks nothing that another process would see.
struct NoLock;

impl Subject for NoLock {
    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        StoreSubject::memory().open(&dir.join(std::process::id().to_string()))
    }
}

fn main() -> ExitCode {
    if env::var_os("RAFT_LOGSTORE_CONFORMANCE_OPEN").is_some() {
        return raft_logstore_conformance::main(NoLock);
    }
    let law = laws()
        .find(|law| law.name == "a_second_open_from_another_process_is_refused")
        .expect("a law has this name");
    match law.check(&NoLock, Setting::LIVE, Duration::from_secs(2)) {
        Err(violation) if violation.to_string().contains("\"opened\"") => ExitCode::SUCCESS,
        other => {
            eprintln!("{law:?}, for a store without a lock: {other:?}");
            ExitCode::FAILURE
        }
    }
}
