use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::path::Path;

use futures_channel::oneshot;
use raft_logstore_core::{
    Backend, BackendConfig, Bounds, Completion, Error, ErrorKind, GroupId, Result,
};

use crate::committer::Committer;
use crate::config::StoreConfig;
use crate::directory::{Directory, Opened};
use crate::group::{Group, GroupState};
use crate::panics::contain;
use crate::queue::{Queue, Refused, Ticket, Urgency};
use crate::readers::Readers;
use crate::stats::{Counters, StoreStats};
use crate::sync::{Arc, Mutex, lock, thread};
use crate::watermark::Watermark;
use crate::writer::{self, Desk};

/// A durable store for the logs and stable keys of many Raft groups.
///
/// Cheap to clone; all clones and all [`Group`] handles are the same store. What all groups have waiting is committed
/// in one sync, by the store's own thread or by a caller that [blocks](Group::blocking). See
/// [`LogStore`](raft_logstore_core::LogStore) for what each write guarantees.
///
/// # Closing
///
/// [`close`](Self::close) writes what waits, closes the engine and releases the directory. When the
/// last handle is dropped instead, the same happens in the background.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

/// What every handle of a store shares. The threads of the store do not hold it: when the last
/// handle goes, they end.
pub(crate) struct Shared {
    pub(crate) queue: Arc<Queue>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) max_entry_bytes: u64,
    pub(crate) desk: Arc<Desk>,
    groups: Arc<Groups>,
    closing: Arc<Mutex<Closing>>,
}

/// The groups that are known, with data or without.
#[derive(Default)]
pub(crate) struct Groups(Mutex<Known>);

#[derive(Default)]
struct Known {
    groups: BTreeMap<GroupId, Arc<GroupState>>,
    /// So many groups are a reason to look for some that can be forgotten.
    crowded: usize,
}

/// The least number of groups among which to look for some that can be forgotten.
const CROWD: usize = 1024;

/// Who waits for the store to be closed, and what came of it.
#[derive(Default)]
struct Closing {
    waiting: Vec<oneshot::Sender<Result<()>>>,
    outcome: Option<Result<()>>,
}

impl Store {
    /// Opens the store in the directory `dir`, creating both on the first open.
    ///
    /// The directory is locked until the store is closed, and belongs to the store alone. The first
    /// open builds the store aside and renames it into place, so that a power cut leaves nothing or
    /// all of it. Every open checks that no acknowledged commit is missing.
    ///
    /// # Errors
    ///
    /// [`Locked`](ErrorKind::Locked) when the directory is open here or in another process;
    /// [`Format`](ErrorKind::Format) when it holds another backend's store, something else, or a
    /// newer format; [`LostCommits`](ErrorKind::LostCommits) when acknowledged commits are gone;
    /// [`Corrupt`](ErrorKind::Corrupt), [`Config`](ErrorKind::Config),
    /// [`DiskFull`](ErrorKind::DiskFull), [`Io`](ErrorKind::Io). Nothing on disk is changed then
    /// but for the lock file, an interrupted creation that is cleared away, and whatever the engine
    /// does to recover.
    pub async fn open(
        dir: impl AsRef<Path>,
        backend: impl BackendConfig,
        config: StoreConfig,
    ) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        let accept_lost_commits = config.accept_lost_commits;
        Self::start(config, move || {
            let directory = Directory::claim(&dir, backend.name())?;
            let Opened {
                backend,
                watermark,
                sequence,
            } = directory.open(&backend, accept_lost_commits)?;
            Ok(Parts {
                backend,
                sequence,
                watermark: Some(watermark),
                directory: Some(directory),
            })
        })
        .await
    }

    /// A store over a backend that is open already: the in-memory reference, or a wrapper in a
    /// test.
    ///
    /// There is no directory, so there is no lock and no watermark: whether acknowledged commits
    /// are missing cannot be told.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config), or what the backend reports when it is first read.
    pub async fn with_backend(backend: impl Backend, config: StoreConfig) -> Result<Self> {
        Self::start(config, move || {
            let sequence = backend.sequence()?;
            Ok(Parts {
                backend: Box::new(backend),
                sequence,
                watermark: None,
                directory: None,
            })
        })
        .await
    }

    async fn start(
        config: StoreConfig,
        open: impl FnOnce() -> Result<Parts> + Send + 'static,
    ) -> Result<Self> {
        config.check()?;
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared {
            queue: Arc::new(Queue::new(
                config.queue_bytes,
                Arc::clone(&counters),
                config.on_backpressure.clone(),
            )),
            readers: Arc::new(Readers::new()),
            counters,
            max_entry_bytes: config.max_entry_bytes,
            desk: Arc::default(),
            groups: Arc::default(),
            closing: Arc::default(),
        });
        let (ready, opened) = oneshot::channel();
        let life = Life {
            queue: Arc::clone(&shared.queue),
            readers: Arc::clone(&shared.readers),
            counters: Arc::clone(&shared.counters),
            desk: Arc::clone(&shared.desk),
            groups: Arc::clone(&shared.groups),
            closing: Arc::clone(&shared.closing),
            config,
        };
        thread::Builder::new()
            .name("raft-logstore-writer".into())
            .spawn(move || life.live(open, ready))
            .map_err(|error| Error::io("start writer thread", error))?;
        opened.await.unwrap_or_else(|oneshot::Canceled| {
            Err(Error::new(ErrorKind::Io, "open").with_advice("the engine panicked while opening"))
        })?;
        Ok(Self { shared })
    }

    /// A handle for a group. The group need not exist; it comes into being with its first write.
    pub fn group(&self, id: GroupId) -> Group {
        Group::new(Arc::clone(&self.shared), self.shared.groups.get(id))
    }

    /// The groups that have an entry, a purge floor or a stable key, in ascending order. Waits for
    /// the writes submitted before.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed), [`Corrupt`](ErrorKind::Corrupt), [`Io`](ErrorKind::Io). After
    /// a failed commit it lists what is durable.
    pub async fn groups(&self) -> Result<Vec<GroupId>> {
        match self.barrier().await {
            Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
            // A poisoned store still knows its durable groups.
            Err(_) | Ok(()) => {}
        }
        self.shared.readers.run(|backend| backend.groups()).await
    }

    /// Removes every trace of a group and returns when that is durable. Its handles stay usable:
    /// the group is empty, as if never written.
    ///
    /// # Errors
    ///
    /// [`Poisoned`](ErrorKind::Poisoned), [`Closed`](ErrorKind::Closed), or that of the failed
    /// commit.
    pub async fn drop_group(&self, id: GroupId) -> Result<()> {
        self.group(id).remove().await
    }

    /// What the store has done since it was opened. Takes no lock that a commit holds.
    pub fn stats(&self) -> StoreStats {
        self.shared.counters.snapshot(self.shared.queue.bytes())
    }

    /// Writes what waits, fires every completion, closes the engine and releases the directory.
    ///
    /// Every other handle answers [`Closed`](ErrorKind::Closed) from then on. Closing twice is
    /// fine.
    ///
    /// # Errors
    ///
    /// What the engine reports when it shuts down. Whether each write is durable was told by its
    /// completion.
    pub async fn close(&self) -> Result<()> {
        let closed = {
            let mut closing = lock(&self.shared.closing);
            if let Some(outcome) = &closing.outcome {
                return outcome.clone();
            }
            let (sender, closed) = oneshot::channel();
            closing.waiting.push(sender);
            closed
        };
        self.shared.queue.close();
        closed.await.unwrap_or_else(|oneshot::Canceled| {
            Err(Error::new(ErrorKind::Io, "close").with_advice("the writer thread ended early"))
        })
    }

    /// Resolves when every write submitted before is durable.
    async fn barrier(&self) -> Result<()> {
        let (done, durable) = Completion::pending();
        let permit = self.shared.queue.reserve(0).await?;
        self.shared
            .queue
            .push(
                None,
                None,
                Bounds::default(),
                Urgency::Durable,
                done,
                permit,
            )
            .map_err(Refused::answer)?;
        durable.await
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Groups {
    fn get(&self, id: GroupId) -> Arc<GroupState> {
        let mut known = lock(&self.0);
        known.forget_blank();
        let group = known
            .groups
            .entry(id)
            .or_insert_with(|| Arc::new(GroupState::new(id, Ok(Bounds::default()))));
        Arc::clone(group)
    }

    /// Every known group.
    pub(crate) fn all(&self) -> Vec<Arc<GroupState>> {
        lock(&self.0).groups.values().map(Arc::clone).collect()
    }

    /// A group that is damaged stays in place, unreadable, and leaves the others alone.
    fn load(&self, backend: &dyn Backend) -> Result<()> {
        for id in backend.groups()? {
            let found = match backend.bounds(id) {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::error!("group {id} cannot be read: {error}");
                    Err(error)
                }
                other => Ok(other?),
            };
            let group = Arc::new(GroupState::new(id, found));
            lock(&self.0).groups.insert(id, group);
        }
        Ok(())
    }
}

impl Known {
    /// Lets go of groups that have nothing and that nobody holds, now and then.
    fn forget_blank(&mut self) {
        if self.groups.len() >= self.crowded {
            self.groups
                .retain(|_, group| Arc::strong_count(group) > 1 || !group.is_blank());
            self.crowded = 2 * self.groups.len();
        }
        self.crowded = self.crowded.max(CROWD);
    }
}

/// What opening gives.
struct Parts {
    backend: Box<dyn Backend>,
    sequence: u64,
    watermark: Option<Watermark>,
    directory: Option<Directory>,
}

/// The life of a store on its writer thread: open, write, close.
struct Life {
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    counters: Arc<Counters>,
    desk: Arc<Desk>,
    groups: Arc<Groups>,
    closing: Arc<Mutex<Closing>>,
    config: StoreConfig,
}

impl Life {
    fn live(self, open: impl FnOnce() -> Result<Parts>, ready: oneshot::Sender<Result<()>>) {
        let opened = contain("open", || {
            let parts = open()?;
            self.groups.load(&*parts.backend)?;
            Ok(parts)
        });
        let Parts {
            backend,
            sequence,
            watermark,
            directory,
        } = match opened {
            Ok(parts) => parts,
            Err(error) => {
                self.readers.close();
                // The caller may have stopped waiting for the open; there is nobody else to tell.
                drop(ready.send(Err(error)));
                return;
            }
        };
        let backend = Arc::new(backend);
        let readers = match self.readers.start(&backend, self.config.reader_threads) {
            Ok(readers) => readers,
            Err(error) => {
                self.readers.close();
                drop(ready.send(Err(error)));
                return;
            }
        };
        *lock(&self.desk) = Some(Committer::new(
            Arc::clone(&self.queue),
            Arc::clone(&backend),
            watermark,
            sequence,
            Arc::clone(&self.groups),
            Arc::clone(&self.counters),
            &self.config,
        ));
        // A caller that stopped waiting has dropped its handles, which closes the queue.
        drop(ready.send(Ok(())));
        let ended = contain("write", || {
            writer::run(&self.queue, &self.desk);
            Ok(())
        });
        if let Err(panic) = &ended {
            drop(self.queue.poison(panic.clone()));
            self.queue.progress.end(panic.clone(), Ticket::MIN);
            *lock(&self.desk) = None;
        }

        let poisoned = self.queue.was_poisoned();
        self.queue.closed();
        self.readers.close();
        let readers_ended = readers.into_iter().all(|reader| reader.join().is_ok());
        let outcome = match Arc::into_inner(backend).filter(|_| readers_ended) {
            Some(backend) => contain("close", || backend.close()),
            None => {
                Err(Error::new(ErrorKind::Io, "close").with_advice("a reader thread ended early"))
            }
        };
        if let Some(directory) = directory {
            if outcome.is_ok() && !poisoned {
                directory.closed_cleanly();
            } else {
                // Gives up the lock before anybody is told, and leaves the note that it was in use.
                drop(directory);
            }
        }
        let waiting = {
            let mut closing = lock(&self.closing);
            closing.outcome = Some(outcome.clone());
            mem::take(&mut closing.waiting)
        };
        for waiting in waiting {
            // Whoever stopped waiting does not need the outcome.
            drop(waiting.send(outcome.clone()));
        }
        // Last, because a log that cannot be written may panic.
        if let Err(panic) = ended {
            tracing::error!("the writer thread ended early: {panic}");
        }
    }
}
