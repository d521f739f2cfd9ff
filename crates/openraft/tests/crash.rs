//! What the adapter acknowledged through openraft's trait survives a power cut.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("SKIPPED: the crash kit needs Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;
    use std::process::ExitCode;

    use libtest_mimic::{Arguments, Failed};
    use openraft::EntryPayload;
    use raft_logstore_conformance::crash::{self, Report, Sweep, Target};
    use raft_logstore_conformance::{openraft_0_10, text};
    use raft_logstore_core::{GroupId, Result};
    use raft_logstore_openraft::RaftLog;
    use raft_logstore_pipeline::{Group, Store, StoreConfig};
    use raft_logstore_redb::RedbConfig;

    openraft::declare_raft_types!(TypeConfig: D = String, R = ());

    async fn open(dir: PathBuf) -> Result<RaftLog<TypeConfig, Group>> {
        let store = Store::open(dir, RedbConfig::default(), StoreConfig::default()).await?;
        Ok(RaftLog::new(store.group(GroupId(1))))
    }

    fn target() -> Target {
        let subject = openraft_0_10::subject::<TypeConfig, _, _, _>(
            open,
            |bytes| text::encode(&bytes),
            |entry| match entry.payload {
                EntryPayload::Normal(data) => text::decode(&data),
                _ => None,
            },
        );
        Target::new("openraft-redb", subject)
    }

    fn small() -> Sweep {
        Sweep {
            seeds: 1..=2,
            images: 50,
            ..Sweep::default()
        }
    }

    pub(crate) fn main() -> ExitCode {
        if let Some(code) = crash::serve(&[target()]) {
            return code;
        }
        let trials = vec![
            crash::trial(
                "what_is_acknowledged_survives_a_power_cut",
                crash::unavailable,
                || {
                    let report = small().run(&target())?;
                    ensure(report.ok == 100 && report.passed(), &report)
                },
            ),
            crash::trial("a_disk_that_lies_is_caught", crash::unavailable, || {
                let report = small().lie(&target())?;
                ensure(!report.passed(), &report)
            }),
        ];
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    fn ensure(holds: bool, report: &Report) -> std::result::Result<(), Failed> {
        if holds {
            Ok(())
        } else {
            Err(report.to_string().into())
        }
    }
}
