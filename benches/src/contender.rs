use std::path::Path;

use anyhow::{Result, ensure};
use raft_logstore::{Entry, GroupId};

use crate::Log;
use crate::backends::Candidate;
use crate::payload::Payloads;
use crate::raw::RawFile;
use crate::stored::Stored;

/// The path of a bare log.
pub(crate) const ENGINE: &str = "engine";
/// The path through a store, on a thread that blocks.
pub(crate) const STORE: &str = "store";
/// The path through a store by completions, as an adapter takes it: the store's own thread commits.
pub(crate) const COMPLETIONS: &str = "completions";
/// The name of the baseline.
pub(crate) const RAW: &str = "raw";

/// How much payload a commit has when a log is filled, in bytes.
const FILL_BYTES: u64 = 1 << 20;

/// One of those that take turns: a log, and the way that leads to it.
pub(crate) struct Contender {
    pub(crate) backend: &'static str,
    pub(crate) path: &'static str,
    pub(crate) subject: Subject,
    /// The next index of each group that it is appended to.
    pub(crate) next: u64,
    /// Up to where group 0 was purged.
    purged: u64,
}

/// A log, bare or through a store.
pub(crate) enum Subject {
    Bare(Box<dyn Log>),
    Store(Stored),
}

impl Contender {
    fn new(backend: &'static str, subject: Subject) -> Self {
        Self {
            backend,
            path: match &subject {
                Subject::Bare(_) => ENGINE,
                Subject::Store(store) if store.by_completions => COMPLETIONS,
                Subject::Store(_) => STORE,
            },
            subject,
            next: 1,
            purged: 0,
        }
    }

    /// The baseline.
    pub(crate) fn raw(file: RawFile) -> Self {
        Self::new(RAW, Subject::Bare(Box::new(file)))
    }

    /// A candidate bare, in `dir`.
    pub(crate) fn bare(candidate: &Candidate, dir: &Path) -> Result<Self> {
        let log = candidate.open(dir)?;
        Ok(Self::new(candidate.name, Subject::Bare(log)))
    }

    /// A candidate through a store if it is one of ours, else bare; in `dir`.
    pub(crate) fn best(candidate: &Candidate, dir: &Path) -> Result<Self> {
        Self::at(STORE, candidate, dir)
    }

    /// A candidate on one of its paths, in `dir`.
    pub(crate) fn at(path: &str, candidate: &Candidate, dir: &Path) -> Result<Self> {
        match candidate.ours {
            Some(ours) if path != ENGINE => {
                let store = Stored::new(ours.store(dir)?, path == COMPLETIONS);
                Ok(Self::new(candidate.name, Subject::Store(store)))
            }
            _ => Self::bare(candidate, dir),
        }
    }

    /// The same, in a folder of its own in `dir`.
    pub(crate) fn on(path: &str, candidate: &Candidate, dir: &Path) -> Result<Self> {
        Self::at(path, candidate, &dir.join(candidate.name).join(path))
    }

    /// A candidate on each of the paths of an append, in folders of their own in `dir`.
    pub(crate) fn appending(candidate: &Candidate, dir: &Path) -> Result<Vec<Self>> {
        let third = candidate.ours.map(|_| &COMPLETIONS);
        let paths = candidate.paths().iter().chain(third);
        paths.map(|path| Self::on(path, candidate, dir)).collect()
    }

    pub(crate) fn log(&mut self) -> &mut dyn Log {
        match &mut self.subject {
            Subject::Bare(log) => &mut **log,
            Subject::Store(store) => store,
        }
    }

    /// `count` entries of each of the groups `0..groups`, the next ones; they count as appended.
    pub(crate) fn next_entries(
        &mut self,
        payloads: &mut Payloads,
        groups: u64,
        count: u64,
        bytes: usize,
    ) -> Vec<(GroupId, Vec<Entry>)> {
        let first = self.next;
        self.next += count;
        (0..groups)
            .map(|id| (GroupId(id), payloads.entries(first, count, bytes)))
            .collect()
    }

    /// Appends to the groups `0..groups` until each has `entries`, in commits of about a MiB.
    pub(crate) fn fill(&mut self, groups: u64, entries: u64, bytes: usize) -> Result<()> {
        let mut payloads = Payloads::new(bytes);
        let at_once = (FILL_BYTES / (bytes as u64 * groups)).clamp(1, 4096);
        while self.next <= entries {
            let count = at_once.min(entries + 1 - self.next);
            let appends = self.next_entries(&mut payloads, groups, count, bytes);
            self.log().append(appends)?;
        }
        Ok(())
    }

    /// Purges group 0 up to its last `keep_mib` MiB, once there is a MiB to purge, in entries of `bytes`.
    pub(crate) fn purge_behind(&mut self, keep_mib: u64, bytes: usize) -> Result<()> {
        let entries_in = |mib: u64| (mib << 20).div_ceil(bytes as u64);
        let upto = (self.next - 1).saturating_sub(entries_in(keep_mib));
        if self.backend != RAW && upto >= self.purged + entries_in(1) {
            self.log().purge(GroupId(0), upto)?;
            self.purged = upto;
        }
        Ok(())
    }

    /// Checks that the last entry is there, and closes the log.
    pub(crate) fn finish(mut self) -> Result<()> {
        let (backend, last) = (self.backend, self.next - 1);
        if backend != RAW && last > 0 {
            let found = self.log().read(GroupId(0), last..last + 1)?;
            ensure!(found.len() == 1, "{backend} lost entry {last}");
        }
        match self.subject {
            Subject::Bare(log) => log.close(),
            Subject::Store(store) => Box::new(store).close(),
        }
    }
}
