use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, thread};

use super::disk::{Disk, Omitted};
use super::examiner::Examiner;
use super::faults::FaultPlan;
use super::image::Image;
use super::op_log::OpLog;
use super::plan::Plan;
use super::recording::{Recording, Take};
use super::report::{Failure, Report};
use super::target::Target;
use super::verdict::Verdict;
use super::window::Window;
use super::workload::WorkloadSpec;

/// Many crashes of many runs.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// One run for each.
    pub seeds: RangeInclusive<u64>,
    /// Crash images of each run.
    pub images: usize,
    /// Runs at a time.
    pub jobs: usize,
    /// What goes wrong while the store is open. The workload ends at the first error then.
    pub faults: FaultPlan,
    /// Where failures are kept.
    pub artifacts: PathBuf,
}

impl Default for Sweep {
    /// 20 runs of 500 images each, with twice as many at a time as there are processors: a run often waits for the
    /// process that opens an image.
    fn default() -> Self {
        Self {
            seeds: 1..=20,
            images: 500,
            jobs: 2 * thread::available_parallelism().map_or(1, NonZero::get),
            faults: FaultPlan::default(),
            artifacts: env::temp_dir().join("raft-logstore-crash"),
        }
    }
}

impl Sweep {
    /// Crashes the target everywhere and looks at what is left.
    ///
    /// # Errors
    ///
    /// When nothing can be mounted or started here, the program is [interrupted](crate::interrupt), or the kit itself
    /// fails.
    pub fn run(&self, target: &Target) -> io::Result<Report> {
        self.each_seed(target, |run| {
            let recording = run.record()?;
            let mut report = run.report(&recording)?;
            let plans = Plan::sample(&recording.log, self.images, run.workload.seed);
            report.add(run.crash(&recording.log, &plans, Omitted::None)?);
            Ok(report)
        })
    }

    /// The same with a disk that lies: each sync answers at once, and does nothing. Every target must
    /// fail then, or the kit sees nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn lie(&self, target: &Target) -> io::Result<Report> {
        self.each_seed(target, |run| {
            let recording = run.record()?;
            let plans = Plan::sample(&recording.log, self.images, run.workload.seed);
            let mut report = run.crash(&recording.log, &plans, Omitted::All)?;
            // That there are some is what is wanted, not which.
            report.failures.clear();
            Ok(report)
        })
    }

    /// Runs each seed and adds up what they find.
    pub(super) fn each_seed(
        &self,
        target: &Target,
        work: impl Fn(&Run<'_>) -> io::Result<Report> + Sync,
    ) -> io::Result<Report> {
        let mut total = Report::new(target);
        for report in self.map_seeds(target, work)? {
            total.add(report);
        }
        Ok(total)
    }

    /// Runs each seed, a few at a time; what they find is in the order of the seeds.
    pub(super) fn map_seeds<R: Send>(
        &self,
        target: &Target,
        work: impl Fn(&Run<'_>) -> io::Result<R> + Sync,
    ) -> io::Result<Vec<R>> {
        let next = AtomicU64::new(*self.seeds.start());
        let found = Mutex::new(BTreeMap::new());
        thread::scope(|scope| {
            let worker = || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *self.seeds.end() {
                        break;
                    }
                    let result = work(&Run::new(target, seed, self));
                    let mut found = found.lock().expect("no worker panics with the lock");
                    found.insert(seed, result);
                }
            };
            for _ in 0..self.jobs.max(1) {
                scope.spawn(worker);
            }
        });
        let found = found.into_inner().expect("no worker panics with the lock");
        let named = |(seed, result): (u64, io::Result<R>)| {
            result.map_err(|error| {
                io::Error::other(format!("{}, seed {seed}: {error}", target.name()))
            })
        };
        found.into_iter().map(named).collect()
    }
}

/// One seed of a target.
pub(super) struct Run<'a> {
    pub(super) target: &'a Target,
    pub(super) workload: WorkloadSpec,
    sweep: &'a Sweep,
}

impl<'a> Run<'a> {
    pub(super) fn new(target: &'a Target, seed: u64, sweep: &'a Sweep) -> Self {
        Self {
            target,
            workload: target.workload(seed),
            sweep,
        }
    }

    /// Records the workload on an empty disk.
    pub(super) fn record(&self) -> io::Result<Recording> {
        let take = Take {
            faults: self.sweep.faults.clone(),
            ..Take::on_an_empty_disk(self.target, self.workload)
        };
        take.record()
    }

    /// A report with what went wrong while writing, where nothing may.
    pub(super) fn report(&self, recording: &Recording) -> io::Result<Report> {
        let mut report = Report::new(self.target);
        let may_fail = self.sweep.faults != FaultPlan::default()
            && matches!(recording.verdict, Verdict::TypedError { .. });
        if !recording.verdict.is_ok() && !may_fail {
            let artifact = self.keep(&recording.log, None)?;
            report.fail(|| Failure {
                what: format!("while writing: {:?}", recording.verdict),
                replay: self.replay(),
                artifact: Some(artifact),
            });
        }
        Ok(report)
    }

    pub(super) fn replay(&self) -> String {
        format!(
            "replay {} --seed {}",
            self.target.name(),
            self.workload.seed
        )
    }

    /// Has the target open what each crash leaves. The plans are in the order of the log.
    pub(super) fn crash(
        &self,
        log: &OpLog,
        plans: &[Plan],
        omitted: Omitted,
    ) -> io::Result<Report> {
        let mut report = Report::new(self.target);
        let mut examiner = Examiner::new(self.target, self.workload);
        let mut disk = Disk::new(log, omitted);
        let mut artifact = None;
        for plan in plans {
            disk.advance(plan.at);
            let (image, window) = (disk.image(plan), log.window_at(plan.at));
            let verdict = examiner.examine(&image, window, goes_on(plan))?;
            if report.count(self.target, &verdict, window.opened) {
                if artifact.is_none() && omitted == Omitted::None {
                    artifact = Some(self.keep(log, Some((plan, &image)))?);
                }
                report.fail(|| self.failure(plan, &verdict, window, artifact.clone()));
            }
        }
        Ok(report)
    }

    fn failure(
        &self,
        plan: &Plan,
        verdict: &Verdict,
        window: Window,
        artifact: Option<String>,
    ) -> Failure {
        let when = if window.opened {
            ""
        } else {
            " (before the first open had returned)"
        };
        let log = artifact
            .as_ref()
            .map_or_else(String::new, |artifact| format!(" --log {artifact}/log"));
        Failure {
            what: format!("{verdict:?}{when}"),
            replay: format!("{} --plan {plan}{log}", self.replay()),
            artifact,
        }
    }

    /// Keeps a log, and the first image of a crash that failed, for whoever looks into it.
    fn keep(&self, log: &OpLog, crash: Option<(&Plan, &Image)>) -> io::Result<String> {
        let what = crash.map_or_else(
            || "writer".to_owned(),
            |(plan, _)| format!("at-{}-{:x}", plan.at, plan.seed),
        );
        let (target, seed) = (self.target.name(), self.workload.seed);
        let dir = (self.sweep.artifacts).join(format!("{target}-seed-{seed}-{what}"));
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        log.save(&dir.join("log"))?;
        if let Some((plan, image)) = crash {
            fs::write(dir.join("plan"), plan.to_string())?;
            fs::create_dir(dir.join("image"))?;
            image.write_to(&dir.join("image"))?;
        }
        Ok(dir.display().to_string())
    }
}

/// Whether the checker also writes to the store: it does to every fourth.
pub(super) fn goes_on(plan: &Plan) -> bool {
    plan.seed.is_multiple_of(4)
}
