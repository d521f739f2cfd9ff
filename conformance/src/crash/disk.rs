use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::image::Image;
use super::mutation::{Ino, Mutation, ROOT, SyncOutcome};
use super::names::{NameChange, Names};
use super::op_log::OpLog;
use super::plan::{Directories, Keep, Plan, below};
use super::sparse_file::{PAGE, SparseFile, pieces};
use crate::payload::Mix;

/// The disk below a recorded file system, as a point moves along the log: what is durable there, and
/// what is not yet. From it come the images of a crash at that point.
///
/// # The model
///
/// - A write or a change of a length is durable by a later sync of the file. An `O_DSYNC` write is at
///   once, alone. Any other is *pending*, and a crash keeps any part of it, in sectors.
/// - The disk sees the content of a sector as it was in memory at some moment: when a later write of a
///   sector is kept, so are the earlier ones of that sector.
/// - A sync that failed makes nothing durable, and what was pending then stays so: no later sync writes
///   it, except with a later write of the same page.
/// - A file that was made shorter is so before it shows what was written afterwards.
/// - For names see [`Directories`].
pub(super) struct Disk<'a> {
    log: &'a OpLog,
    at: usize,
    omitted: Omitted,
    files: BTreeMap<Ino, File>,
    directories: BTreeSet<Ino>,
    linux: PendingNames,
    posix: PendingNames,
}

/// Syncs that are ignored, to see who notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Omitted {
    None,
    /// The one at this place of the log.
    One(usize),
    All,
}

#[derive(Default)]
struct File {
    durable: SparseFile,
    pending: Vec<Pending>,
    /// As the running system sees it.
    len: u64,
}

/// A change of a file that no sync of the file covers.
struct Pending {
    at: usize,
    change: Change,
    state: PendingState,
}

enum Change {
    Write { offset: u64, data: Bytes },
    Resize { len: u64, shrinks: bool },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PendingState {
    /// The next sync makes it durable.
    Dirty,
    /// A failed sync took it for written.
    Forgotten,
    /// It is durable: an `O_DSYNC` write after pending ones.
    Durable,
}

#[derive(Default)]
struct PendingNames {
    durable: Names,
    pending: Vec<NameChange>,
}

impl<'a> Disk<'a> {
    /// The disk when the recording began.
    pub(super) fn new(log: &'a OpLog, omitted: Omitted) -> Self {
        let mut disk = Self {
            log,
            at: 0,
            omitted,
            files: BTreeMap::new(),
            directories: BTreeSet::from([ROOT]),
            linux: PendingNames::default(),
            posix: PendingNames::default(),
        };
        while disk.at < log.base {
            disk.pass();
        }
        for file in disk.files.values_mut() {
            file.settle();
        }
        disk.linux.settle_all();
        disk.posix.settle_all();
        disk
    }

    /// Moves on to just before mutation `at`.
    pub(super) fn advance(&mut self, at: usize) {
        assert!(self.at <= at, "a disk does not go back in time");
        while self.at < at {
            self.pass();
        }
    }

    fn pass(&mut self) {
        let (at, mutation) = (self.at, &self.log.mutations[self.at]);
        self.at += 1;
        let is_omitted = match self.omitted {
            Omitted::None => false,
            Omitted::One(omitted) => at == omitted,
            Omitted::All => at >= self.log.base,
        };
        match mutation {
            Mutation::Create { ino, directory, .. } => {
                if *directory {
                    self.directories.insert(*ino);
                } else {
                    self.files.insert(*ino, File::default());
                }
            }
            Mutation::Write {
                ino,
                offset,
                data,
                synced,
            } => {
                let synced = *synced && !is_omitted;
                let data = data.clone();
                let offset = *offset;
                if let Some(file) = self.files.get_mut(ino) {
                    file.len = file.len.max(offset + data.len() as u64);
                    file.push(at, Change::Write { offset, data }, synced);
                }
                if synced {
                    self.linux.settle_journal(*ino);
                }
            }
            Mutation::Resize { ino, len } => {
                if let Some(file) = self.files.get_mut(ino) {
                    let shrinks = *len < file.len;
                    file.len = *len;
                    file.push(at, Change::Resize { len: *len, shrinks }, false);
                }
            }
            Mutation::Sync { outcome, ino } if !is_omitted => self.sync(*ino, *outcome),
            Mutation::Sync { .. }
            | Mutation::Link { .. }
            | Mutation::Rename { .. }
            | Mutation::Remove { .. }
            | Mutation::Mark(_) => {}
        }
        for change in NameChange::of(mutation) {
            self.linux.pending.push(change.clone());
            self.posix.pending.push(change);
        }
    }

    fn sync(&mut self, ino: Ino, outcome: SyncOutcome) {
        match outcome {
            SyncOutcome::Done => {
                if let Some(file) = self.files.get_mut(&ino) {
                    file.settle();
                }
                self.linux.settle_journal(ino);
                self.posix.settle_directory(ino);
            }
            SyncOutcome::Failed => {
                if let Some(file) = self.files.get_mut(&ino) {
                    file.forget();
                }
            }
            SyncOutcome::Lied => {}
        }
    }

    /// What the disk holds after the crash that `plan` describes, which is one at this point.
    pub(super) fn image(&self, plan: &Plan) -> Image {
        assert_eq!(
            self.at, plan.at,
            "the plan is about another point of the log"
        );
        let mut mix = Mix::new(plan.seed);
        let names = match plan.directories {
            Directories::Linux => self.linux.prefix(plan.keep, &mut mix),
            Directories::Posix => self.posix.prefix_of_each(plan.keep, &mut mix),
        };
        let kept = self.kept(plan, &mut mix);
        Image::new(&names, |ino| {
            if self.directories.contains(&ino) {
                return None;
            }
            let file = self.files.get(&ino);
            Some(file.map_or_else(SparseFile::default, |file| file.crashed(ino, plan, &kept)))
        })
    }

    /// What every program sees now: nothing is lost.
    pub(super) fn everything(&self) -> Image {
        self.image(&Plan {
            keep: Keep::Everything,
            ..Plan::worst(self.at, Directories::Linux)
        })
    }

    /// Decides for each sector of each pending write, and each pending length.
    fn kept(&self, plan: &Plan, mix: &mut Mix) -> Kept {
        let pending = self.files.iter().flat_map(|(ino, file)| {
            let free = file.pending.iter();
            let free = free.filter(|pending| pending.state != PendingState::Durable);
            free.map(|pending| (pending.at, *ino, &pending.change))
        });
        let mut units: Vec<(usize, Ino, Option<u64>)> = Vec::new();
        for (at, ino, change) in pending {
            match change {
                Change::Write { offset, data } => {
                    let sectors = pieces(*offset, data.len(), plan.sector);
                    units.extend(sectors.map(|(start, _)| (at, ino, Some(start / plan.sector))));
                }
                Change::Resize { .. } => units.push((at, ino, None)),
            }
        }
        // In the order in which they were written, so that a prefix is one of time.
        units.sort_unstable();
        let choice = Choice::new(plan.keep, units.len(), mix);
        let mut kept = Kept::default();
        for (number, (at, ino, sector)) in units.into_iter().enumerate() {
            if !choice.keeps(number, mix) {
                continue;
            }
            match sector {
                Some(sector) => {
                    let last = kept.sectors.entry((ino, sector)).or_default();
                    *last = at.max(*last);
                }
                None => {
                    kept.resizes.insert(at);
                }
            }
        }
        kept
    }
}

impl File {
    fn push(&mut self, at: usize, change: Change, durable: bool) {
        if durable && self.pending.is_empty() {
            return self.durable.apply(&change);
        }
        let state = if durable {
            PendingState::Durable
        } else {
            PendingState::Dirty
        };
        self.pending.push(Pending { at, change, state });
    }

    /// A sync that works.
    fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if pending
            .iter()
            .any(|pending| pending.state == PendingState::Forgotten)
        {
            return self.settle_around_forgotten(pending);
        }
        for pending in pending {
            self.durable.apply(&pending.change);
        }
    }

    /// A sync that works, after one that failed: a page goes to the disk as it is in memory, with what
    /// was forgotten there, but only if it was written again.
    fn settle_around_forgotten(&mut self, pending: Vec<Pending>) {
        let mut written_again = BTreeMap::new();
        for pending in &pending {
            if let (Change::Write { offset, data }, false) =
                (&pending.change, pending.state == PendingState::Forgotten)
            {
                for (start, _) in pieces(*offset, data.len(), PAGE) {
                    written_again.insert(start / PAGE, pending.at);
                }
            }
        }
        for Pending { at, change, state } in pending {
            if state != PendingState::Forgotten {
                self.durable.apply(&change);
                continue;
            }
            let Change::Write { offset, data } = change else {
                self.pending.push(Pending { at, change, state });
                continue;
            };
            for (start, piece) in pieces(offset, data.len(), PAGE) {
                let change = Change::Write {
                    offset: start,
                    data: data.slice(piece),
                };
                if written_again
                    .get(&(start / PAGE))
                    .is_some_and(|&again| again > at)
                {
                    self.durable.apply(&change);
                } else {
                    self.pending.push(Pending { at, change, state });
                }
            }
        }
    }

    /// A sync that fails.
    fn forget(&mut self) {
        for pending in &mut self.pending {
            if pending.state == PendingState::Dirty {
                pending.state = PendingState::Forgotten;
            }
        }
    }

    /// The content after the crash.
    fn crashed(&self, ino: Ino, plan: &Plan, kept: &Kept) -> SparseFile {
        let mut content = self.durable.clone();
        let last_durable = self
            .pending
            .iter()
            .rposition(|pending| pending.state == PendingState::Durable);
        // With a later write to a sector that is durable, the earlier ones are.
        let mut durable_sectors = BTreeMap::new();
        for pending in &self.pending {
            if let (Change::Write { offset, data }, PendingState::Durable) =
                (&pending.change, pending.state)
            {
                for (start, _) in pieces(*offset, data.len(), plan.sector) {
                    durable_sectors.insert(start / plan.sector, pending.at);
                }
            }
        }
        for (number, pending) in self.pending.iter().enumerate() {
            match &pending.change {
                Change::Resize { len, shrinks } => {
                    let is_kept = kept.resizes.contains(&pending.at)
                        || (!shrinks && plan.keep == Keep::Lengths);
                    let is_needed = *shrinks && last_durable.is_some_and(|last| number < last);
                    if is_kept || is_needed {
                        content.resize(*len);
                    } else if *shrinks {
                        break;
                    }
                }
                Change::Write { offset, data } => {
                    for (start, piece) in pieces(*offset, data.len(), plan.sector) {
                        let sector = start / plan.sector;
                        let last = kept.sectors.get(&(ino, sector)).copied();
                        let last = last.max(durable_sectors.get(&sector).copied());
                        if last.is_some_and(|last| pending.at <= last) {
                            content.write(start, &data[piece]);
                        }
                    }
                    if plan.keep == Keep::Lengths {
                        content.grow(offset + data.len() as u64);
                    }
                }
            }
        }
        content
    }
}

impl SparseFile {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, data } => self.write(*offset, data),
            Change::Resize { len, .. } => self.resize(*len),
        }
    }
}

impl PendingNames {
    fn settle_all(&mut self) {
        for change in self.pending.drain(..) {
            self.durable.apply(&change);
        }
    }

    /// A sync of `ino` commits the journal up to the last change that concerns it.
    fn settle_journal(&mut self, ino: Ino) {
        let last = self.pending.iter().rposition(|change| change.concerns(ino));
        for change in self.pending.drain(..last.map_or(0, |last| last + 1)) {
            self.durable.apply(&change);
        }
    }

    /// A sync of a directory writes its names, and no others.
    fn settle_directory(&mut self, directory: Ino) {
        let pending = std::mem::take(&mut self.pending);
        for change in pending {
            if change.directory == directory {
                self.durable.apply(&change);
            } else {
                self.pending.push(change);
            }
        }
    }

    /// The names after a crash: all changes up to some point.
    fn prefix(&self, keep: Keep, mix: &mut Mix) -> Names {
        let mut names = self.durable.clone();
        let count = self.pending.len();
        for change in &self.pending[..prefix_of(count, keep, mix)] {
            names.apply(change);
        }
        names
    }

    /// The names after a crash: of each directory, all changes up to some point.
    fn prefix_of_each(&self, keep: Keep, mix: &mut Mix) -> Names {
        let mut counts: BTreeMap<Ino, usize> = BTreeMap::new();
        for change in &self.pending {
            *counts.entry(change.directory).or_default() += 1;
        }
        for count in counts.values_mut() {
            *count = prefix_of(*count, keep, mix);
        }
        let mut names = self.durable.clone();
        for change in &self.pending {
            if let Some(left @ 1..) = counts.get_mut(&change.directory) {
                *left -= 1;
                names.apply(change);
            }
        }
        names
    }
}

/// How many of `count` changes of names are kept.
fn prefix_of(count: usize, keep: Keep, mix: &mut Mix) -> usize {
    match keep {
        Keep::Nothing => 0,
        Keep::Everything => count,
        Keep::Prefix | Keep::Percent(_) | Keep::AllButOne | Keep::One | Keep::Lengths => {
            below(mix, count + 1)
        }
    }
}

/// The pending writes that a crash keeps.
#[derive(Default)]
struct Kept {
    /// Up to which mutation a sector is as it was in memory.
    sectors: BTreeMap<(Ino, u64), usize>,
    resizes: BTreeSet<usize>,
}

/// What [`Keep`] says of each of so many units.
struct Choice {
    keep: Keep,
    pick: usize,
}

impl Choice {
    fn new(keep: Keep, count: usize, mix: &mut Mix) -> Self {
        let bound = match keep {
            Keep::Prefix => count + 1,
            _ => count.max(1),
        };
        Self {
            keep,
            pick: below(mix, bound),
        }
    }

    fn keeps(&self, number: usize, mix: &mut Mix) -> bool {
        match self.keep {
            Keep::Nothing | Keep::Lengths => false,
            Keep::Everything => true,
            Keep::Prefix => number < self.pick,
            Keep::Percent(percent) => mix.below(100) < u64::from(percent),
            Keep::AllButOne => number != self.pick,
            Keep::One => number == self.pick,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::op_log::OpLog;
    use super::*;

    const FILE: Ino = 9;
    const MODELS: [Directories; 2] = [Directories::Linux, Directories::Posix];

    fn log(mutations: impl IntoIterator<Item = Mutation>) -> OpLog {
        let mut log = OpLog::of_empty_disk();
        log.mutations.extend(mutations);
        log
    }

    fn create(name: &str) -> Mutation {
        Mutation::Create {
            parent: ROOT,
            name: name.to_owned(),
            ino: FILE,
            directory: false,
        }
    }

    fn write(offset: u64, byte: u8, synced: bool) -> Mutation {
        Mutation::Write {
            ino: FILE,
            offset,
            data: Bytes::from(vec![byte; 100]),
            synced,
        }
    }

    fn sync(ino: Ino, outcome: SyncOutcome) -> Mutation {
        Mutation::Sync { ino, outcome }
    }

    /// What is at the beginning of `file` after the crash at the end of the log; `None` without a file.
    fn crashed(log: &OpLog, keep: Keep, directories: Directories) -> Option<Vec<u8>> {
        let mut disk = Disk::new(log, Omitted::None);
        disk.advance(log.mutations.len());
        let image = disk.image(&Plan {
            keep,
            ..Plan::worst(log.mutations.len(), directories)
        });
        image.file("file").map(|file| file.read(0, 100))
    }

    #[test]
    fn what_was_synced_is_kept_and_what_was_not_may_be_lost() {
        let synced = [
            create("file"),
            write(0, 1, false),
            sync(FILE, SyncOutcome::Done),
            sync(ROOT, SyncOutcome::Done),
            write(0, 2, false),
        ];
        for model in MODELS {
            let log = log(synced.clone());
            assert_eq!(crashed(&log, Keep::Nothing, model), Some(vec![1; 100]));
            assert_eq!(crashed(&log, Keep::Everything, model), Some(vec![2; 100]));
        }
    }

    #[test]
    fn a_sync_of_a_file_keeps_its_name_where_there_is_a_journal() {
        let log = log([create("file"), sync(FILE, SyncOutcome::Done)]);
        assert_eq!(
            crashed(&log, Keep::Nothing, Directories::Linux),
            Some(vec![])
        );
        assert_eq!(crashed(&log, Keep::Nothing, Directories::Posix), None);
    }

    #[test]
    fn after_a_failed_sync_no_other_makes_up_for_it() {
        let log = log([
            create("file"),
            write(0, 1, false),
            sync(FILE, SyncOutcome::Failed),
            write(PAGE, 2, false),
            sync(FILE, SyncOutcome::Done),
            sync(ROOT, SyncOutcome::Done),
        ]);
        let found = crashed(&log, Keep::Nothing, Directories::Posix);
        assert_eq!(found, Some(vec![0; 100]));
    }

    #[test]
    fn a_page_that_is_written_again_takes_what_was_forgotten_along() {
        let log = log([
            create("file"),
            write(0, 1, false),
            sync(FILE, SyncOutcome::Failed),
            write(200, 2, false),
            sync(FILE, SyncOutcome::Done),
        ]);
        let found = crashed(&log, Keep::Nothing, Directories::Linux);
        assert_eq!(found, Some(vec![1; 100]));
    }

    #[test]
    fn a_synced_write_is_durable_alone() {
        let log = log([
            create("file"),
            sync(FILE, SyncOutcome::Done),
            write(0, 1, false),
            write(PAGE, 2, true),
        ]);
        let found = crashed(&log, Keep::Nothing, Directories::Linux);
        assert_eq!(found, Some(vec![0; 100]));
    }

    #[test]
    fn a_sector_never_shows_a_later_write_without_an_earlier_one() {
        let log = log([
            create("file"),
            sync(FILE, SyncOutcome::Done),
            write(0, 1, false),
            write(100, 2, false),
        ]);
        for seed in 0..50 {
            let mut disk = Disk::new(&log, Omitted::None);
            disk.advance(log.mutations.len());
            let image = disk.image(&Plan {
                keep: Keep::Percent(50),
                seed,
                ..Plan::worst(log.mutations.len(), Directories::Linux)
            });
            let found = image.file("file").map(|file| file.read(0, 200));
            let found = found.expect("the name is durable");
            assert!(found.is_empty() || found[0] == 1, "{found:?}");
        }
    }

    #[test]
    fn a_sync_that_is_left_out_makes_nothing_durable() {
        let log = log([
            create("file"),
            write(0, 1, false),
            sync(FILE, SyncOutcome::Done),
        ]);
        for omitted in [Omitted::One(3), Omitted::All] {
            let mut disk = Disk::new(&log, omitted);
            disk.advance(log.mutations.len());
            let image = disk.image(&Plan::worst(log.mutations.len(), Directories::Linux));
            assert_eq!(image.file("file"), None);
        }
    }
}
