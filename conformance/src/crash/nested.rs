use std::io;

use super::disk::{Disk, Omitted};
use super::op_log::OpLog;
use super::plan::Plan;
use super::recording::Take;
use super::report::Report;
use super::sweep::{Run, Sweep};
use super::target::Target;

/// So many crashes of a run are followed by another run and another crash.
const FIRST_CRASHES: usize = 10;
/// So many writes are tried between the two.
const WRITES: u64 = 8;

impl Sweep {
    /// Crashes the target again while it recovers from a crash, or soon after: of each run some
    /// crashes are taken, on what each leaves the workload goes on, and of that there are
    /// [`images`](Self::images) crash images in all.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn nested(&self, target: &Target) -> io::Result<Report> {
        self.each_seed(target, |run| {
            let recording = run.record()?;
            let mut report = run.report(&recording)?;
            let first = Plan::sample(&recording.log, FIRST_CRASHES, run.workload.seed);
            let images = self.images.div_ceil(FIRST_CRASHES);
            let mut disk = Disk::new(&recording.log, Omitted::None);
            for plan in &first {
                disk.advance(plan.at);
                report.add(crash_again(run, &recording.log, &disk, plan, images)?);
            }
            Ok(report)
        })
    }
}

/// Goes on after the crash that `plan` describes, and crashes that in so many ways.
fn crash_again(
    run: &Run<'_>,
    log: &OpLog,
    disk: &Disk<'_>,
    plan: &Plan,
    images: usize,
) -> io::Result<Report> {
    let window = log.window_at(plan.at);
    let take = Take {
        disk: OpLog::of_image(&disk.image(plan), window),
        resume: Some(window),
        most_writes: Some(WRITES),
        ..Take::on_an_empty_disk(run.target, run.workload)
    };
    let recording = take.record()?;
    let mut report = run.report(&recording)?;
    let plans = Plan::sample(&recording.log, images, plan.seed);
    report.add(run.crash(&recording.log, &plans, Omitted::None)?);
    Ok(report)
}
