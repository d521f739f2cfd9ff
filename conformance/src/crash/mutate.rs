use std::collections::BTreeMap;
use std::{fmt, io};

use serde::Serialize;

use super::disk::{Disk, Omitted};
use super::examiner::Examiner;
use super::mark::Mark;
use super::mutation::{Ino, Mutation};
use super::op_log::OpLog;
use super::plan::{Directories, Plan};
use super::sweep::{Run, Sweep, goes_on};
use super::target::Target;

/// What came of leaving out each sync of some runs, one at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MutationReport {
    /// The name of the target.
    pub backend: String,
    /// How many syncs were left out, one at a time.
    pub omitted: u64,
    /// Those that had nothing to do: at no acknowledgement is anything else on the disk without them.
    pub idle: u64,
    /// Those without which something else is on the disk, but the store is the same after the worst
    /// crash at any acknowledgement: what they write is there twice, or not needed.
    pub harmless: u64,
    /// The files of which, and how often.
    pub harmless_files: BTreeMap<String, u64>,
    /// Those without which a crash loses or damages something.
    pub effective: u64,
    /// Of the effective ones, those that crashes as in a [`Sweep`] show.
    pub caught: u64,
    /// The effective ones that they do not show.
    pub missed: Vec<String>,
}

impl MutationReport {
    /// Whether every effective omission was caught, and there was one.
    pub fn passed(&self) -> bool {
        self.effective > 0 && self.caught == self.effective
    }

    fn add(&mut self, other: Self) {
        self.omitted += other.omitted;
        self.idle += other.idle;
        self.harmless += other.harmless;
        for (file, count) in other.harmless_files {
            *self.harmless_files.entry(file).or_default() += count;
        }
        self.effective += other.effective;
        self.caught += other.caught;
        self.missed.extend(other.missed);
    }
}

impl fmt::Display for MutationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} syncs left out one at a time; {} had nothing to do, {} harmless {:?}, {} effective, {} \
             of them caught",
            self.backend,
            self.omitted,
            self.idle,
            self.harmless,
            self.harmless_files,
            self.effective,
            self.caught
        )?;
        for missed in &self.missed {
            write!(f, "\n  not caught: {missed}")?;
        }
        Ok(())
    }
}

/// At so many acknowledgements at most the worst crash is looked at.
const WORST_CRASHES: usize = 12;

/// How many samples of crashes are tried at most, where the first one does not show what the worst crashes do: which of
/// the many crashes does so may be few, of a sync that is soon made up for.
const SAMPLES: u64 = 16;

impl Sweep {
    /// Leaves out each single sync of each run, and looks whether crashes show it: a test of the kit,
    /// with the target as the instrument. [`images`](Self::images) crashes are tried for each, and 16 times as many
    /// where they do not show what the worst crashes do.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn mutate(&self, target: &Target) -> io::Result<MutationReport> {
        let reports = self.map_seeds(target, |run| {
            let recording = run.record()?;
            Mutator::new(run, &recording.log, self.images).run()
        })?;
        let mut total = MutationReport {
            backend: target.name().to_owned(),
            ..MutationReport::default()
        };
        for report in reports {
            total.add(report);
        }
        Ok(total)
    }
}

struct Mutator<'a> {
    run: &'a Run<'a>,
    log: &'a OpLog,
    images: usize,
    examiner: Examiner<'a>,
    paths: BTreeMap<Ino, String>,
    report: MutationReport,
}

impl<'a> Mutator<'a> {
    fn new(run: &'a Run<'a>, log: &'a OpLog, images: usize) -> Self {
        Self {
            run,
            log,
            images,
            examiner: Examiner::new(run.target, run.workload),
            paths: log.paths(),
            report: MutationReport::default(),
        }
    }

    fn run(mut self) -> io::Result<MutationReport> {
        for at in self.log.base..self.log.mutations.len() {
            if self.log.mutations[at].is_sync() {
                self.omit(at)?;
            }
        }
        Ok(self.report)
    }

    /// Leaves out the sync at this place of the log.
    fn omit(&mut self, sync: usize) -> io::Result<()> {
        self.report.omitted += 1;
        let differing = self.differing(sync);
        let Some(&last) = differing.iter().map(|Plan { at, .. }| at).max() else {
            self.report.idle += 1;
            return Ok(());
        };
        let name = self.describe(sync);
        // Crashes where the disk is another one, and shortly after.
        let end = (last + 1).min(self.log.mutations.len());
        let (log, images) = (self.log, self.images);
        let sample = |number: u64| {
            let seed = sync as u64 + (number << 32);
            Plan::sample_within(log, sync + 1..=end, images, seed)
        };
        let mut is_caught = self.shows(sync, &sample(0))?;
        if !is_caught && !self.shows(sync, &spread(&differing, WORST_CRASHES))? {
            self.report.harmless += 1;
            *self.report.harmless_files.entry(name).or_default() += 1;
            return Ok(());
        }
        for number in 1..SAMPLES {
            is_caught = is_caught || self.shows(sync, &sample(number))?;
        }
        self.report.effective += 1;
        if is_caught {
            self.report.caught += 1;
        } else {
            let seed = self.run.workload.seed;
            self.report.missed.push(format!("seed {seed}: {name}"));
        }
        Ok(())
    }

    /// The worst crashes, each at an acknowledgement, for which the disk is another one without the
    /// sync.
    fn differing(&self, sync: usize) -> Vec<Plan> {
        let mut with = Disk::new(self.log, Omitted::None);
        let mut without = Disk::new(self.log, Omitted::One(sync));
        let mut differing = Vec::new();
        for at in sync + 1..=self.log.mutations.len() {
            let promised = self.log.mutations[at - 1].mark().is_some_and(|mark| {
                matches!(
                    mark,
                    Mark::Opened | Mark::Acknowledged(_) | Mark::Resumed(_)
                )
            });
            if !promised {
                continue;
            }
            with.advance(at);
            without.advance(at);
            let plans =
                [Directories::Linux, Directories::Posix].map(|model| Plan::worst(at, model));
            let before = differing.len();
            differing.extend(
                plans
                    .into_iter()
                    .filter(|plan| with.image(plan) != without.image(plan)),
            );
            if differing.len() == before && !differing.is_empty() {
                // A later sync has made up for it.
                break;
            }
        }
        differing
    }

    /// Whether one of the crashes shows that the sync is missing.
    fn shows(&mut self, sync: usize, plans: &[Plan]) -> io::Result<bool> {
        let mut disk = Disk::new(self.log, Omitted::One(sync));
        for plan in plans {
            disk.advance(plan.at);
            let window = self.log.window_at(plan.at);
            let verdict = self
                .examiner
                .examine(&disk.image(plan), window, goes_on(plan))?;
            if !verdict.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn describe(&self, sync: usize) -> String {
        match &self.log.mutations[sync] {
            Mutation::Sync { ino, .. } | Mutation::Write { ino, .. } => {
                let path = self.paths.get(ino);
                path.cloned().unwrap_or_else(|| "the root".to_owned())
            }
            other => format!("{other:?}"),
        }
    }
}

/// At most so many of the plans, the first and the last among them.
fn spread(plans: &[Plan], most: usize) -> Vec<Plan> {
    if plans.len() <= most {
        return plans.to_vec();
    }
    let chosen = (0..most).map(|number| number * (plans.len() - 1) / (most - 1));
    chosen.map(|number| plans[number]).collect()
}
