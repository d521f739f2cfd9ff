use std::error::Error as StdError;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use raft_logstore_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};

use super::log::Shared;
use super::names::Names;
use super::storage::Storage;
use super::store::ForeignStore;
use crate::{Feature, OpenStore, Subject};

type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Storage>>> + Send>>;

/// A log store written for openraft, which knows no crate of this project.
///
/// Made by `subject` of `openraft_0_10` or `openraft_0_9`. The store runs inside a tokio
/// runtime, and is called as openraft calls it: one writer, readers made by `get_log_reader`, log ids
/// and votes that grow. It is checked against every law that openraft's contract has in some form; a
/// case of any other is ignored, and says so.
///
/// | what the laws do | is in openraft |
/// |---|---|
/// | a handle | the storage, and a reader of its own |
/// | append | `append`; its completion is the callback, in the order in which callbacks are called |
/// | read, read with a cap | `try_get_log_entries`, `limited_get_log_entries` |
/// | truncate, purge, set the vote | the call; done when it returns |
/// | `vote`, `committed`, `purged` | `read_vote` of the reader (0.9: of the storage), `read_committed`, `get_log_state` |
/// | bounds | `get_log_state`; where the log begins is found by reading |
pub struct StorageSubject {
    open: Box<dyn Fn(PathBuf) -> Opening + Send + Sync>,
    names: Arc<Names>,
    runtime: Runtime,
    without: Vec<(Feature, &'static str)>,
    kept_bytes: u64,
}

/// How long a storage that was dropped may take to let go of its directory.
const LETTING_GO: Duration = Duration::from_secs(3);

/// What openraft does not ask of a store.
const NOT_ASKED: [(Feature, &str); 11] = [
    (Feature::Groups, "openraft: a storage is one group"),
    (Feature::Close, "openraft: a storage is dropped, not closed"),
    (Feature::Lock, "openraft: says nothing of a second open"),
    (Feature::Disk, "openraft: says nothing of space"),
    (
        Feature::Refusals,
        "openraft: never does it, nor says what then",
    ),
    (
        Feature::AnyFirstIndex,
        "openraft: a log begins above its floor",
    ),
    (Feature::ByteCap, "openraft: no cap in bytes"),
    (Feature::StableKeys, "openraft: no other keys, none removed"),
    (Feature::Inspection, "openraft: says nothing of looking"),
    (
        Feature::DurableCuts,
        "openraft: a truncate or purge may return before it is durable",
    ),
    (
        Feature::WholeWrites,
        "openraft: what is not acknowledged may be there in part",
    ),
];

impl StorageSubject {
    /// A subject whose storages `open` opens and `line` calls in the words of both lines.
    ///
    /// # Panics
    ///
    /// When no async runtime can be started.
    pub(super) fn new<S, E, F, L>(
        open: impl Fn(PathBuf) -> F + Send + Sync + 'static,
        line: impl Fn(S) -> L + Send + Sync + 'static,
    ) -> Self
    where
        S: 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = std::result::Result<S, E>> + Send + 'static,
        L: Storage + 'static,
    {
        let line = Arc::new(line);
        Self {
            open: Box::new(move |dir| {
                let (opening, line) = (open(dir), Arc::clone(&line));
                Box::pin(async move {
                    let storage = opening
                        .await
                        .map_err(|error| Error::new(ErrorKind::Io, "open").with_source(error))?;
                    Ok(Box::new(line(storage)) as Box<dyn Storage>)
                })
            }),
            names: Arc::default(),
            runtime: Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a thread can be started"),
            without: NOT_ASKED.to_vec(),
            kept_bytes: 16 << 20,
        }
    }

    /// Says that the store does without a feature, and why: `Feature::Reopen` for one in memory,
    /// `Feature::Committed` for one that does not implement `save_committed`.
    #[must_use]
    pub fn without(mut self, feature: Feature, reason: &'static str) -> Self {
        self.without.push((feature, reason));
        self
    }

    /// Asks for more than openraft does.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Self {
        self.without.retain(|(without, _)| *without != feature);
        self
    }

    /// A storage is dropped, not closed: whatever runs behind it may hold its directory for a moment
    /// longer, and how each says so is its own affair.
    async fn open_storage(&self, dir: &Path) -> Result<Box<dyn Storage>> {
        let started = Instant::now();
        loop {
            match (self.open)(dir.to_owned()).await {
                Err(_) if started.elapsed() < LETTING_GO => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                opened => return opened,
            }
        }
    }

    /// Says how many bytes of files the store may keep for itself ([`Subject::kept_bytes`]).
    #[must_use]
    pub fn keeping(self, kept_bytes: u64) -> Self {
        Self { kept_bytes, ..self }
    }
}

impl Subject for StorageSubject {
    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        let storage = block_on(self.open_storage(dir))?;
        // openraft's own suite begins at 1, as the laws do that begin where nobody minds.
        let lowest = u64::from(self.lacks(Feature::AnyFirstIndex).is_some());
        let shared = block_on(Shared::new(storage, Arc::clone(&self.names), lowest))?;
        Ok(Box::new(ForeignStore(Arc::new(shared))))
    }

    fn lacks(&self, feature: Feature) -> Option<&'static str> {
        let mut without = self.without.iter();
        without
            .find(|(without, _)| *without == feature)
            .map(|(_, reason)| *reason)
    }

    fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    fn range_forms(&self) -> bool {
        true
    }

    fn within(&self, work: &mut dyn FnMut()) {
        let _inside = self.runtime.enter();
        work();
    }
}
