use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_executor::block_on;
use raft_logstore_conformance::{
    CommitControl, ControlledSubject, Feature, InspectedSubject, Log, OpenStore, StoreSubject,
    Subject,
};
use raft_logstore_core::{Bounds, Completion, Entry, GroupId, Result, StableKey};
use raft_logstore_pipeline::Inspection;

use super::Fault;
use super::files::Files;
use super::log::BrokenLog;

/// Opens correct stores, and wraps them in one fault.
pub(crate) struct BrokenSubject {
    inner: Box<dyn Subject>,
    fault: Fault,
    opens: AtomicU64,
    /// What `LazyAhead` writes to, durable at once.
    aside: Arc<Mutex<BTreeMap<(GroupId, StableKey), Bytes>>>,
}

impl BrokenSubject {
    pub(crate) fn new(fault: Fault) -> Self {
        let inner: Box<dyn Subject> = if fault.is_in_files() {
            Box::new(StoreSubject::new(Files { fault }))
        } else {
            Box::new(StoreSubject::memory())
        };
        Self {
            inner,
            fault,
            opens: AtomicU64::new(0),
            aside: Arc::default(),
        }
    }

    fn wrap(&self, dir: &Path, inner: Box<dyn OpenStore>) -> Box<dyn OpenStore> {
        Box::new(BrokenStore {
            inner,
            shared: Arc::new(Shared {
                fault: self.fault,
                dir: dir.to_owned(),
                reopened: self.opens.fetch_add(1, Ordering::SeqCst) > 0,
                writes: AtomicU64::new(0),
                swapped: Mutex::default(),
                votes: Mutex::default(),
                floors: Mutex::default(),
                durable: Mutex::default(),
                aside: Arc::clone(&self.aside),
                cached: Mutex::default(),
                skipped: Mutex::default(),
                reset: Mutex::default(),
                in_flight: Arc::default(),
                stale: Mutex::default(),
                late_bounds: Mutex::default(),
            }),
            handles: Mutex::default(),
        })
    }

    fn dir(&self, dir: &Path) -> PathBuf {
        match self.fault {
            Fault::NoLock => dir.join(self.opens.load(Ordering::SeqCst).to_string()),
            Fault::LockOfThisProcessOnly => dir.join(std::process::id().to_string()),
            fault => {
                if fault.has_no_watermark() {
                    // It may not be there yet.
                    drop(fs::remove_file(dir.join("WATERMARK")));
                }
                dir.to_owned()
            }
        }
    }
}

impl Subject for BrokenSubject {
    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        let dir = self.dir(dir);
        Ok(self.wrap(&dir, self.inner.open(&dir)?))
    }

    fn open_cold(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        let dir = self.dir(dir);
        Ok(self.wrap(&dir, self.inner.open_cold(&dir)?))
    }

    fn lacks(&self, feature: Feature) -> Option<&'static str> {
        match feature {
            // It keeps files indeed, and never removes them.
            Feature::Disk if self.fault == Fault::SpaceNeverGivenBack => None,
            // Has files enough for another process to find a lock.
            Feature::Disk if self.fault == Fault::LockOfThisProcessOnly => None,
            feature => self.inner.lacks(feature),
        }
    }

    fn variant(&self) -> String {
        format!("{:?}", self.fault)
    }

    fn controlled(&self) -> Option<&dyn ControlledSubject> {
        Some(self)
    }

    fn inspected(&self) -> Option<&dyn InspectedSubject> {
        Some(self)
    }
}

impl InspectedSubject for BrokenSubject {
    fn inspect(&self, dir: &Path) -> Result<Inspection> {
        if self.fault == Fault::InspectionLeavesAFile {
            fs::write(dir.join("memory/lock.mdb"), "").unwrap();
        }
        let inner = self.inner.inspected().unwrap();
        inner.inspect(&self.dir(dir))
    }
}

impl ControlledSubject for BrokenSubject {
    fn open_controlled(&self, dir: &Path, control: &CommitControl) -> Result<Box<dyn OpenStore>> {
        let dir = self.dir(dir);
        let inner = self.inner.controlled().unwrap();
        Ok(self.wrap(&dir, inner.open_controlled(&dir, control)?))
    }
}

/// What the handles of one open store share.
pub(super) struct Shared {
    pub(super) fault: Fault,
    dir: PathBuf,
    pub(super) reopened: bool,
    writes: AtomicU64,
    swapped: Mutex<Option<Completion>>,
    pub(super) votes: Mutex<BTreeMap<GroupId, Option<Bytes>>>,
    pub(super) floors: Mutex<BTreeMap<GroupId, u64>>,
    /// The last index that is durable, for `VisibleWhenDurable`.
    pub(super) durable: Mutex<BTreeMap<GroupId, u64>>,
    pub(super) aside: Arc<Mutex<BTreeMap<(GroupId, StableKey), Bytes>>>,
    /// What `CachedBeforeWritten` has in its cache.
    pub(super) cached: Mutex<BTreeMap<GroupId, Vec<Entry>>>,
    /// The entries that `EntrySkippedAtASplit` never wrote.
    pub(super) skipped: Mutex<BTreeSet<(GroupId, u64)>>,
    /// The groups whose floor `TruncateResetsFloor` has forgotten.
    pub(super) reset: Mutex<BTreeSet<GroupId>>,
    /// The writes that have not completed, for `OnlyLastCompletionFires`.
    in_flight: Arc<AtomicU64>,
    /// What the last truncate of a group dropped, and when, for `StaleAfterTruncate`.
    pub(super) stale: Mutex<BTreeMap<GroupId, (Instant, Vec<Entry>)>>,
    /// The bounds before a purge that is under way, for `FloorMovesLate`.
    pub(super) late_bounds: Mutex<BTreeMap<GroupId, Bounds>>,
}

impl Shared {
    /// What becomes of a caller's completion on its way to the correct store.
    pub(super) fn completion(&self, done: Completion) -> Completion {
        match self.fault {
            Fault::CompletionLost if self.writes.fetch_add(1, Ordering::SeqCst) % 5 == 4 => {
                std::mem::forget(done);
                Completion::ignore()
            }
            Fault::CompletionsSwapped => {
                let mut waiting = self.swapped.lock().unwrap();
                let Some(earlier) = waiting.take() else {
                    *waiting = Some(done);
                    return Completion::ignore();
                };
                Completion::new(move |result| {
                    done.complete(result.clone());
                    earlier.complete(result);
                })
            }
            Fault::OnlyLastCompletionFires => {
                let in_flight = Arc::clone(&self.in_flight);
                in_flight.fetch_add(1, Ordering::SeqCst);
                Completion::new(move |result| {
                    if in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
                        done.complete(result);
                    } else {
                        std::mem::forget(done);
                    }
                })
            }
            Fault::ThreadPerAppend => {
                let number = self.writes.fetch_add(1, Ordering::SeqCst);
                Completion::new(move |result| {
                    thread::spawn(move || {
                        thread::sleep(Duration::from_millis(number % 3 * 5));
                        done.complete(result);
                    });
                })
            }
            Fault::CompletionLostOnFailure => Completion::new(|result| match result {
                Ok(()) => done.complete(Ok(())),
                Err(_) => std::mem::forget(done),
            }),
            Fault::CompletesEarly => {
                done.complete(Ok(()));
                Completion::ignore()
            }
            _ => done,
        }
    }

    /// Leaves a file of 8 MiB behind.
    pub(super) fn litter(&self) {
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        fs::write(
            self.dir.join(format!("memory/segment-{number}")),
            vec![7; 8 << 20],
        )
        .unwrap();
    }
}

struct BrokenStore {
    inner: Box<dyn OpenStore>,
    shared: Arc<Shared>,
    handles: Mutex<BTreeSet<GroupId>>,
}

impl OpenStore for BrokenStore {
    fn group(&self, id: GroupId) -> Result<Arc<dyn Log>> {
        self.handles.lock().unwrap().insert(id);
        let keys = match self.shared.fault {
            Fault::GroupsShareKeys => self.inner.group(GroupId(1))?,
            _ => self.inner.group(id)?,
        };
        let log = BrokenLog::new(id, self.inner.group(id)?, keys, Arc::clone(&self.shared));
        Ok(Arc::new(log))
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        let mut groups = self.inner.groups()?;
        if self.shared.fault == Fault::HandlesAreListed {
            groups.extend(&*self.handles.lock().unwrap());
            groups.sort_unstable();
            groups.dedup();
        }
        Ok(groups)
    }

    fn drop_group(&self, id: GroupId) -> Result<()> {
        let log = self.inner.group(id)?;
        let vote = block_on(log.get(&StableKey::VOTE))?;
        if self.shared.fault == Fault::DroppedInParts
            && let Some(first) = block_on(log.bounds())?.first()
        {
            block_on(log.truncate(first, Completion::ignore()))?;
            thread::sleep(Duration::from_micros(300));
        }
        self.inner.drop_group(id)?;
        match self.shared.fault {
            Fault::DropKeepsVote => block_on(log.put(&StableKey::VOTE, vote, Completion::ignore())),
            _ => Ok(()),
        }
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.inner.close()
    }
}
