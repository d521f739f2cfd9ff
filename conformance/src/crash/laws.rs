//! The laws that need a disk which fails: a second program of named tests, beside [`crate::main`].

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::disk::{Disk, Omitted};
use super::examiner::Examiner;
use super::faults::{Call, FaultKind, FaultPlan, FaultRule};
use super::mark::Mark;
use super::mount::{Mounted, unavailable};
use super::op_log::{OpLog, STORE};
use super::plan::Plan;
use super::recording::Take;
use super::sparse_file::PAGE;
use super::target::Target;
use super::trial::trial;
use super::verdict::Verdict;
use super::window::Window;
use super::writer::Reaction;
use crate::violation::ensure;
use crate::{Feature, LawResult, Subject, Violation, subject};

/// A law of a disk that fails.
#[derive(Clone, Copy)]
pub struct FaultLaw {
    /// The numbers of the laws it belongs to, in the list of ARCHITECTURE.md.
    pub number: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What a store must have for it to apply, beside [`Feature::Disk`] and [`Feature::Reopen`].
    pub needs: &'static [Feature],
    check: fn(&Bench<'_>) -> LawResult,
}

impl FaultLaw {
    /// Checks it against a target. The program calls [`serve`](super::serve) first.
    ///
    /// # Errors
    ///
    /// The violation found; also when nothing can be mounted here ([`unavailable`]).
    pub fn check(&self, target: &Target) -> LawResult {
        (self.check)(&Bench { target })
    }
}

/// A [`FaultLaw`] whose name is that of its function.
macro_rules! fault_law {
    ($number:literal, $check:ident, needs $needs:expr) => {
        FaultLaw {
            number: $number,
            name: stringify!($check),
            needs: &$needs,
            check: $check,
        }
    };
}

/// Every law of a disk that fails.
pub const FAULT_LAWS: &[FaultLaw] = &[
    fault_law!("12", a_failed_sync_poisons_the_store, needs []),
    fault_law!("12", a_failed_write_poisons_the_store, needs []),
    fault_law!("12", a_short_write_loses_nothing, needs []),
    fault_law!(
        "12",
        a_failed_read_is_a_typed_error_or_harmless,
        needs[Feature::ReadErrors]
    ),
    fault_law!("15", a_full_disk_loses_nothing_and_space_revives_the_store, needs []),
    fault_law!("3, 8 to 10", power_loss_during_the_first_open_leaves_nothing_or_a_store, needs []),
    fault_law!("3, 8 to 10", power_loss_during_recovery_loses_nothing, needs []),
];

/// Checks the laws of a disk that fails against a kind of store: the whole `main` of a test with
/// `harness = false`, as [`crate::main`] is for the other laws.
///
/// The store runs in processes of its own, in a file system in memory. A law that needs a feature which the
/// store lacks is ignored, with the reason in brackets before its name; so are all where nothing can be
/// mounted, unless `RAFT_LOGSTORE_REQUIRE_CRASH=1` is set: they fail then.
pub fn laws_main(subject: impl Subject) -> ExitCode {
    let target = Target::new("store", subject);
    if let Some(code) = super::serve(std::slice::from_ref(&target)) {
        return code;
    }
    libtest_mimic::run(&Arguments::from_args(), law_trials(target)).exit_code()
}

/// The cases of [`laws_main`], for a `main` of one's own that calls [`serve`](super::serve) first.
pub fn law_trials(target: Target) -> Vec<Trial> {
    let target = Arc::new(target);
    let trial = |law: &'static FaultLaw| law_trial(law, Arc::clone(&target));
    FAULT_LAWS.iter().map(trial).collect()
}

fn law_trial(law: &'static FaultLaw, target: Arc<Target>) -> Trial {
    let mut needs = [Feature::Disk, Feature::Reopen].iter().chain(law.needs);
    if let Some(reason) = needs.find_map(|need| subject::lacks(target.subject(), *need)) {
        let skip = move || Ok(Completion::ignored_with(reason));
        return Trial::ignorable_test(law.name, skip)
            .with_kind(reason)
            .with_ignored_flag(true);
    }
    trial(law.name, unavailable, move || {
        law.check(&target).map_err(|violation| {
            let FaultLaw { number, name, .. } = law;
            Failed::from(format!("law {number}: {name} is broken\n{violation}"))
        })
    })
}

/// Where a law checks a target.
struct Bench<'a> {
    target: &'a Target,
}

/// Runs of some kilobytes, with 1 to 24 writes in flight.
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// A run of megabytes.
const BIG_SEED: u64 = 5;
/// So many images of each run are opened.
const IMAGES: usize = 24;

/// Law 12. The write whose sync fails completes with an error. From then on every write is refused, in an
/// error that names the cause, and reads show what is durable, or an error. The sync is not tried again:
/// whatever a later one says, nothing is acknowledged that the failed one has lost.
fn a_failed_sync_poisons_the_store(bench: &Bench<'_>) -> LawResult {
    let reaction = Reaction {
        expects_poison: true,
        // The pages of a failed sync are in memory and not on the disk: the file system here cannot show both.
        revives: false,
    };
    bench.each_fault(&[1, 4, 17, 40], Call::Sync, FaultKind::Io, reaction)
}

/// Law 12. The same for a write; and when the disk is well again the store opens with all that was
/// acknowledged, and goes on.
fn a_failed_write_poisons_the_store(bench: &Bench<'_>) -> LawResult {
    let reaction = Reaction {
        expects_poison: true,
        revives: true,
    };
    bench.each_fault(&[1, 4, 17, 40], Call::Write, FaultKind::Io, reaction)
}

/// Law 12. A write of which the system has taken a part is continued or an error.
fn a_short_write_loses_nothing(bench: &Bench<'_>) -> LawResult {
    let reaction = Reaction {
        expects_poison: false,
        revives: true,
    };
    for seed in SEEDS {
        for (nth, sticky) in [(1, false), (4, false), (17, false), (9, true)] {
            let rule = FaultRule {
                call: Call::Write,
                nth,
                sticky,
                kind: FaultKind::Short(7 * nth as u32),
            };
            bench.run(seed, rule.into(), reaction)?;
        }
    }
    Ok(())
}

/// Laws 12 and 14. Where the disk cannot be read, the store says so in a typed error or does without; it
/// shows nothing else than what is there, its process lives, and once the disk is well again all is there.
fn a_failed_read_is_a_typed_error_or_harmless(bench: &Bench<'_>) -> LawResult {
    let mut failed = 0;
    for seed in SEEDS {
        let log = bench.record(seed, FaultPlan::default(), Reaction::default())?;
        let reads = bench.read_with(&log, seed, FaultPlan::default())?.1;
        let spread = 6.min(reads);
        for number in 0..spread {
            let rule = FaultRule {
                call: Call::Read,
                nth: 1 + number * reads / spread,
                // One that fails once is tried again by the kernel.
                sticky: true,
                kind: FaultKind::Io,
            };
            match bench.read_with(&log, seed, rule.into())?.0 {
                Verdict::Ok => {}
                Verdict::TypedError { .. } => failed += 1,
                wrong => {
                    return Err(Violation::new(format!("seed {seed}, {rule:?}: {wrong:?}")));
                }
            }
        }
    }
    ensure!(failed > 0, "no read that failed was ever reported");
    Ok(())
}

/// Law 15. A full disk fails a write with a typed error, nothing that was acknowledged is lost, and when
/// there is room again the store opens and goes on.
fn a_full_disk_loses_nothing_and_space_revives_the_store(bench: &Bench<'_>) -> LawResult {
    let reaction = Reaction {
        expects_poison: false,
        revives: true,
    };
    let log = bench.record(BIG_SEED, FaultPlan::default(), Reaction::default())?;
    let opened = bench.place(&log, |mark| mark == Mark::Opened)?;
    let mut disk = Disk::new(&log, Omitted::None);
    disk.advance(opened);
    let used_bytes = disk.everything().page_count() * PAGE;
    let mut reported = false;
    for room in [0, 100 << 10, 1 << 20] {
        let faults = FaultPlan {
            quota_bytes: Some(used_bytes + room),
            ..FaultPlan::default()
        };
        reported |= bench.run(BIG_SEED, faults, reaction)?;
    }
    ensure!(reported, "that the disk is full was never reported");
    Ok(())
}

/// Laws 3 and 8 to 10. Wherever the power goes before the first open has returned, the directory opens: as a
/// new store.
fn power_loss_during_the_first_open_leaves_nothing_or_a_store(bench: &Bench<'_>) -> LawResult {
    let seed = SEEDS[0];
    let log = bench.record(seed, FaultPlan::default(), Reaction::default())?;
    let opened = bench.place(&log, |mark| mark == Mark::Opened)?;
    let plans = Plan::sample_within(&log, log.base..=opened, 8 * IMAGES, seed);
    bench.expect_legal(&log, &plans, seed)
}

/// Laws 3 and 8 to 10. Wherever the power goes while a store opens after a crash, what was acknowledged
/// before is there when it opens again.
fn power_loss_during_recovery_loses_nothing(bench: &Bench<'_>) -> LawResult {
    for seed in SEEDS {
        let first = bench.record(seed, FaultPlan::default(), Reaction::default())?;
        let mut disk = Disk::new(&first, Omitted::None);
        for plan in Plan::sample(&first, 4, seed) {
            disk.advance(plan.at);
            let window = first.window_at(plan.at);
            let take = Take {
                disk: OpLog::of_image(&disk.image(&plan), window),
                resume: Some(window),
                most_writes: Some(0),
                ..bench.take(seed)
            };
            let recording = take.record()?;
            ensure!(
                recording.verdict.is_ok(),
                "seed {seed}, after the crash {plan}: {:?}",
                recording.verdict
            );
            let log = recording.log;
            let resumed = bench.place(&log, |mark| matches!(mark, Mark::Resumed(_)))?;
            let plans = Plan::sample_within(&log, log.base..=resumed, IMAGES, plan.seed);
            bench
                .expect_legal(&log, &plans, seed)
                .map_err(|violation| violation.context(format!("after the crash {plan}")))?;
        }
    }
    Ok(())
}

impl<'a> Bench<'a> {
    fn take(&self, seed: u64) -> Take<'a> {
        Take::on_an_empty_disk(self.target, self.target.workload(seed))
    }

    /// One run, in which nothing may go wrong beside what the reaction is for.
    fn record(&self, seed: u64, faults: FaultPlan, reaction: Reaction) -> LawResult<OpLog> {
        let take = Take {
            faults: faults.clone(),
            reaction,
            ..self.take(seed)
        };
        let recording = take.record()?;
        ensure!(
            recording.verdict.is_ok(),
            "seed {seed}, {faults:?}: {:?}",
            recording.verdict
        );
        Ok(recording.log)
    }

    /// One run with faults, and crashes of what came after they began. Returns whether an error was
    /// reported.
    fn run(&self, seed: u64, faults: FaultPlan, reaction: Reaction) -> LawResult<bool> {
        let log = self.record(seed, faults.clone(), reaction)?;
        let armed = self.place(&log, |mark| mark == Mark::Arm)?;
        let end = log.mutations.len();
        let mut plans = Plan::sample_within(&log, armed..=end, IMAGES, seed);
        plans.push(Plan::worst(end, super::plan::Directories::Linux));
        self.expect_legal(&log, &plans, seed)
            .map_err(|violation| violation.context(format!("{faults:?}")))?;
        Ok(self.place(&log, |mark| mark == Mark::Failed).is_ok())
    }

    /// Has the calls fail, each in a run of its own; some store must report one.
    fn each_fault(
        &self,
        calls: &[u64],
        call: Call,
        kind: FaultKind,
        reaction: Reaction,
    ) -> LawResult {
        let mut reported = false;
        for seed in SEEDS {
            for nth in calls {
                let rule = FaultRule {
                    call,
                    nth: *nth,
                    sticky: false,
                    kind,
                };
                reported |= self.run(seed, rule.into(), reaction)?;
            }
        }
        ensure!(reported, "no failure of the disk was ever reported");
        Ok(())
    }

    /// After which mutation a mark is set first.
    fn place(&self, log: &OpLog, is_it: impl Fn(Mark) -> bool) -> LawResult<usize> {
        let mut places = log.base..log.mutations.len();
        places
            .find(|at| log.mutations[*at].mark().is_some_and(&is_it))
            .map(|at| at + 1)
            .ok_or_else(|| Violation::new("the writer never came so far"))
    }

    fn expect_legal(&self, log: &OpLog, plans: &[Plan], seed: u64) -> LawResult {
        let mut examiner = Examiner::new(self.target, self.target.workload(seed));
        let mut disk = Disk::new(log, Omitted::None);
        for plan in plans {
            disk.advance(plan.at);
            let window = log.window_at(plan.at);
            let verdict = examiner.examine(&disk.image(plan), window, true)?;
            ensure!(
                verdict.is_ok(),
                "seed {seed}, crash {plan}: {verdict:?} ({window:?})"
            );
        }
        Ok(())
    }

    /// Opens and reads what a run left while the disk fails, and once more when it is well again. Returns
    /// what the store made of the first, and how many reads it took.
    fn read_with(&self, log: &OpLog, seed: u64, faults: FaultPlan) -> LawResult<(Verdict, u64)> {
        let mut disk = Disk::new(log, Omitted::None);
        disk.advance(log.mutations.len());
        let window = log.window_at(log.mutations.len());
        let mounted = Mounted::new(OpLog::of_image(&disk.everything(), window), faults)?;
        mounted.set_armed(true);
        let failing = self.look(&mounted, seed, window)?;
        let reads = mounted.count(Call::Read);
        mounted.set_armed(false);
        let well = self.look(&mounted, seed, window)?;
        mounted.unmount()?;
        ensure!(
            well.is_ok(),
            "seed {seed}, when the disk was well again: {well:?}"
        );
        Ok((failing, reads))
    }

    fn look(&self, mounted: &Mounted, seed: u64, window: Window) -> LawResult<Verdict> {
        let mut examiner = Examiner::new(self.target, self.target.workload(seed));
        let store = mounted.root().join(STORE);
        Ok(examiner.examine_dir(&store, window, false)?)
    }
}
