//! The crash kit catches stores that are not safe, and only those.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod toy;

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
    use std::process::{Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};
    use std::{env, fs, thread};

    use libtest_mimic::{Arguments, Failed, Trial};
    use raft_logstore_conformance::crash::{
        self, Call, Cut, FaultKind, FaultPlan, FaultRule, Report, Sweep, Target,
    };
    use raft_logstore_conformance::damage::{self, Options};
    use raft_logstore_conformance::{StoreSubject, interrupt, second_process};
    use rustix::process::{Pid, Signal, kill_process};
    use tempfile::TempDir;

    use crate::toy::{Flaw, Toy};

    const FLAWS: [Flaw; 16] = [
        Flaw::None,
        Flaw::NeverSyncs,
        Flaw::AcknowledgesFirst,
        Flaw::ForgetsVotes,
        Flaw::ForgetsDirectory,
        Flaw::ShowsUnsynced,
        Flaw::NoChecksums,
        Flaw::IgnoresFailedSyncs,
        Flaw::PanicsWhenTorn,
        Flaw::RefusesWhenTorn,
        Flaw::RetriesFailedSyncs,
        Flaw::AcknowledgesWhenFull,
        Flaw::AppendsBehindTorn,
        Flaw::IgnoresShortWrites,
        Flaw::PanicsOnReadErrors,
        Flaw::RefusesHalfMade,
    ];

    fn target(flaw: Flaw) -> Target {
        Target::new(format!("{flaw:?}"), Toy(flaw))
    }

    fn small() -> Sweep {
        Sweep {
            seeds: 1..=6,
            images: 120,
            ..Sweep::default()
        }
    }

    fn sweep(flaw: Flaw) -> Result<Report, Failed> {
        Ok(small().run(&target(flaw))?)
    }

    pub(crate) fn main() -> ExitCode {
        let mut targets: Vec<Target> = FLAWS.into_iter().map(target).collect();
        targets.push(forgetful());
        if let Some(code) = crash::serve(&targets) {
            return code;
        }
        if second_process::variant().is_some() {
            return second_process::serve(&Toy(Flaw::None));
        }
        if let Ok(args) = env::var(PROGRAM_ENV) {
            return match &*args {
                FLIPS => flip(),
                args => crash::main_with(targets, args.split(' ')),
            };
        }
        let mut trials = vec![
            trial("an_interrupted_sweep_leaves_nothing", || {
                interrupted("crash sweep None --seeds 100000 --images 1")
            }),
            cut_trial("an_interrupted_run_of_cuts_leaves_nothing", || {
                interrupted("crash cut None --cuts 100000")
            }),
            Trial::test("interrupted_flips_leave_nothing", || interrupted(FLIPS)),
            trial("a_sound_store_survives_every_crash", || {
                let report = sweep(Flaw::None)?;
                ensure(report.passed() && report.ok == report.images, &report)?;
                ensure(report.images == 720, &report)
            }),
            trial("a_sound_store_survives_crashes_while_it_recovers", || {
                let report = small().nested(&target(Flaw::None))?;
                ensure(report.passed() && report.images > 500, &report)
            }),
            trial("a_sound_store_is_safe_when_a_sync_fails", || {
                let report = failing_sync().run(&target(Flaw::None))?;
                ensure(report.passed() && report.images > 500, &report)
            }),
            trial("a_full_disk_takes_nothing_from_a_sound_store", || {
                let report = full_disk().run(&target(Flaw::None))?;
                ensure(report.passed() && report.images > 500, &report)
            }),
            trial("a_disk_that_lies_is_caught", || {
                let report = small().lie(&target(Flaw::None))?;
                ensure(report.lost > 0, &report)
            }),
            trial("every_effective_omitted_sync_is_caught", || {
                let report = Sweep {
                    seeds: 1..=2,
                    images: 32,
                    ..Sweep::default()
                }
                .mutate(&target(Flaw::None))?;
                ensure(report.passed() && report.effective > 50, &report)
            }),
            caught(
                "a_store_that_never_syncs_is_caught",
                Flaw::NeverSyncs,
                |report| report.lost,
            ),
            caught(
                "a_store_that_acknowledges_before_it_syncs_is_caught",
                Flaw::AcknowledgesFirst,
                |report| report.lost,
            ),
            caught(
                "a_store_that_forgets_votes_is_caught",
                Flaw::ForgetsVotes,
                |report| report.lost,
            ),
            caught(
                "a_store_that_does_not_sync_its_directory_is_caught",
                Flaw::ForgetsDirectory,
                |report| report.lost,
            ),
            trial(
                "a_store_that_shows_what_is_not_durable_after_a_kill_is_caught",
                || {
                    let many = Sweep {
                        seeds: 1..=40,
                        ..small()
                    };
                    let report = many.run(&target(Flaw::ShowsUnsynced))?;
                    ensure(!report.passed() && report.lost > 0, &report)
                },
            ),
            caught(
                "a_store_without_checksums_is_caught",
                Flaw::NoChecksums,
                |report| report.corrupt + report.typed_errors,
            ),
            caught(
                "a_store_that_panics_is_caught",
                Flaw::PanicsWhenTorn,
                |report| report.panics,
            ),
            caught(
                "a_store_that_does_not_open_is_caught",
                Flaw::RefusesWhenTorn,
                |report| report.typed_errors,
            ),
            trial("a_store_that_goes_on_after_a_failed_sync_is_caught", || {
                let report = failing_sync().run(&target(Flaw::IgnoresFailedSyncs))?;
                ensure(!report.passed() && report.lost > 0, &report)
            }),
            trial(
                "errors_that_a_target_tolerates_are_counted_and_are_no_failure",
                || {
                    let tolerant =
                        target(Flaw::RefusesWhenTorn).tolerating(raft_logstore_core::ErrorKind::Io);
                    let report = small().run(&tolerant)?;
                    ensure(
                        report.failed == report.before_open && report.typed_errors > 0,
                        &report,
                    )
                },
            ),
            trial("a_store_that_keeps_nothing_is_caught", || {
                let report = small().run(&forgetful())?;
                ensure(
                    !report.passed() && report.lost + report.typed_errors > 0,
                    &report,
                )
            }),
            cut_trial("a_sound_store_survives_cuts_of_a_real_ext4", || {
                let report = cuts().run(&target(Flaw::None))?;
                ensure(report.ok == 12 && report.images == 12, &report)
            }),
            cut_trial(
                "a_store_that_never_syncs_is_lost_when_a_real_ext4_is_cut",
                || {
                    let report = cuts().run(&target(Flaw::NeverSyncs))?;
                    ensure(!report.passed() && report.lost > 6, &report)
                },
            ),
        ];
        let sound = crash::FAULT_LAWS.iter().map(|law| {
            trial(&format!("a_sound_store_keeps::{}", law.name), || {
                law.check(&target(Flaw::None))
                    .map_err(|violation| violation.to_string().into())
            })
        });
        trials.extend(sound);
        trials.extend(BROKEN.map(|(flaw, law)| broken(flaw, law)));
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }

    /// The reference in memory: what it holds is gone with its process.
    fn forgetful() -> Target {
        Target::new("memory", StoreSubject::memory())
    }

    fn failing_sync() -> Sweep {
        Sweep {
            faults: FaultPlan {
                rules: vec![FaultRule {
                    call: Call::Sync,
                    nth: 20,
                    sticky: false,
                    kind: FaultKind::Io,
                }],
                ..FaultPlan::default()
            },
            ..small()
        }
    }

    fn full_disk() -> Sweep {
        Sweep {
            faults: FaultPlan {
                quota_bytes: Some(64 << 10),
                ..FaultPlan::default()
            },
            ..small()
        }
    }

    fn caught(name: &str, flaw: Flaw, by: fn(&Report) -> u64) -> Trial {
        trial(name, move || {
            let report = sweep(flaw)?;
            ensure(!report.passed() && by(&report) > 0, &report)
        })
    }

    /// Stores that a disk which fails shows to be broken, and the law that they break.
    const BROKEN: [(Flaw, &str); 8] = [
        (Flaw::IgnoresFailedSyncs, "a_failed_sync_poisons_the_store"),
        (Flaw::RetriesFailedSyncs, "a_failed_sync_poisons_the_store"),
        (Flaw::AppendsBehindTorn, "a_failed_write_poisons_the_store"),
        (Flaw::IgnoresShortWrites, "a_short_write_loses_nothing"),
        (
            Flaw::PanicsOnReadErrors,
            "a_failed_read_is_a_typed_error_or_harmless",
        ),
        (
            Flaw::AcknowledgesWhenFull,
            "a_full_disk_loses_nothing_and_space_revives_the_store",
        ),
        (
            Flaw::PanicsWhenTorn,
            "power_loss_during_recovery_loses_nothing",
        ),
        (
            Flaw::RefusesHalfMade,
            "power_loss_during_the_first_open_leaves_nothing_or_a_store",
        ),
    ];

    fn broken(flaw: Flaw, law: &'static str) -> Trial {
        trial(&format!("{law}::catches_{flaw:?}"), move || {
            let law = crash::FAULT_LAWS.iter().find(|known| known.name == law);
            let law = law.ok_or("there is no such law")?;
            match law.check(&target(flaw)) {
                Err(violation) => {
                    println!("{flaw:?}: {violation}");
                    Ok(())
                }
                Ok(()) => Err("the law holds".into()),
            }
        })
    }

    /// Has the test program be one that is interrupted: its arguments.
    const PROGRAM_ENV: &str = "RAFT_LOGSTORE_TEST_INTERRUPTED";

    /// Flips bits without end, in place of the crash kit.
    const FLIPS: &str = "flips";

    fn flip() -> ExitCode {
        let options = Options {
            backend: "toy".to_owned(),
            flips: u64::MAX,
            seed: 1,
        };
        let swept = interrupt::watch()
            .map_err(Into::into)
            .and_then(|()| damage::sweep(&Toy(Flaw::None), &options, &mut |_| {}));
        if interrupt::check().is_ok() {
            eprintln!("{swept:?}");
        }
        interrupt::exit_code().unwrap_or(ExitCode::FAILURE)
    }

    fn interrupted(args: &str) -> Result<(), Failed> {
        let room = TempDir::with_prefix("raft-logstore-interrupted-")?;
        let mut program = Command::new(env::current_exe()?)
            .env(PROGRAM_ENV, args)
            .env("TMPDIR", room.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        // In the middle of its work, when it has something to remove.
        let started = Instant::now();
        while fs::read_dir(room.path())?.count() == 0 {
            ensure(
                started.elapsed() < Duration::from_secs(60),
                &"it does nothing",
            )?;
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(500));
        kill_process(Pid::from_child(&program), Signal::INT)?;
        let code = program.wait()?.code();
        let after = fs::read_dir(room.path())?.count();
        let said = format!("{after} files or folders are left; exit code {code:?}");
        ensure(
            after == 0 && code == Some(128 + Signal::INT.as_raw()),
            &said,
        )
    }

    fn cuts() -> Cut {
        Cut {
            cuts: 12,
            ..Cut::default()
        }
    }

    fn trial(name: &str, check: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
        crash::trial(name, crash::unavailable, check)
    }

    fn cut_trial(name: &str, check: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
        crash::trial(name, crash::cut_unavailable, check)
    }

    fn ensure(holds: bool, report: &impl std::fmt::Display) -> Result<(), Failed> {
        if holds {
            Ok(())
        } else {
            Err(Failed::from(report.to_string()))
        }
    }
}
