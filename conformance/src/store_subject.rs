use std::path::Path;
use std::sync::Arc;

use futures_executor::block_on;
use raft_logstore_core::{BackendConfig, GroupId, Result};
use raft_logstore_pipeline::{Inspection, Store, StoreConfig};

use crate::blocking_store::BlockingStore;
use crate::commit_control::ControlledConfig;
use crate::{
    CommitControl, ControlledSubject, Feature, InspectedSubject, Log, OpenStore, SharedMemory,
    Subject,
};

/// A backend, tested through [`Store`].
///
/// ```no_run
/// # use raft_logstore_core::BackendConfig;
/// # fn main_of<C: BackendConfig + Clone>(config: C) -> std::process::ExitCode {
/// raft_logstore_conformance::main(raft_logstore_conformance::StoreSubject::new(config))
/// # }
/// ```
pub struct StoreSubject<C> {
    backend: C,
    store: StoreConfig,
    without: Vec<(Feature, &'static str)>,
    variant: String,
    kept_bytes: u64,
    blocking: bool,
}

impl<C: BackendConfig + Clone> StoreSubject<C> {
    /// Stores of this backend, with the default [`StoreConfig`].
    pub fn new(backend: C) -> Self {
        Self {
            backend,
            store: StoreConfig::default(),
            without: Vec::new(),
            variant: String::new(),
            kept_bytes: 16 << 20,
            blocking: false,
        }
    }

    /// Changes the options of the store above the backend.
    #[must_use]
    pub fn with_config(self, store: StoreConfig) -> Self {
        Self { store, ..self }
    }

    /// Says that the backend does without a feature, and why.
    #[must_use]
    pub fn without(mut self, feature: Feature, reason: &'static str) -> Self {
        self.without.push((feature, reason));
        self
    }

    /// Says how many bytes of files the backend may keep for itself, if not 16 MiB
    /// ([`Subject::kept_bytes`]).
    #[must_use]
    pub fn keeping(self, kept_bytes: u64) -> Self {
        Self { kept_bytes, ..self }
    }

    /// Names the subject, in a program that has several ([`Subject::variant`]).
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            variant: name.into(),
            ..self
        }
    }

    /// Writes by a thread that blocks, through [`BlockingGroup`](raft_logstore_pipeline::BlockingGroup), in place of
    /// completions.
    #[must_use]
    pub fn blocking(self) -> Self {
        Self {
            blocking: true,
            ..self
        }
    }

    fn store(
        &self,
        dir: &Path,
        backend: impl BackendConfig,
        config: StoreConfig,
    ) -> Result<Box<dyn OpenStore>> {
        let store = block_on(Store::open(dir, backend, config))?;
        Ok(if self.blocking {
            Box::new(BlockingStore::new(store))
        } else {
            Box::new(store)
        })
    }

    fn cold(&self) -> StoreConfig {
        StoreConfig {
            cache_bytes: 0,
            ..self.store.clone()
        }
    }
}

impl StoreSubject<SharedMemory> {
    /// The in-memory reference backend. It has a directory for its lock and watermark alone.
    pub fn memory() -> Self {
        Self::new(SharedMemory::default()).without(Feature::Disk, "keeps nothing on disk")
    }
}

impl<C: BackendConfig + Clone> Subject for StoreSubject<C> {
    fn open(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        self.store(dir, self.backend.clone(), self.store.clone())
    }

    fn open_cold(&self, dir: &Path) -> Result<Box<dyn OpenStore>> {
        self.store(dir, self.backend.clone(), self.cold())
    }

    fn lacks(&self, feature: Feature) -> Option<&'static str> {
        self.without
            .iter()
            .find(|(without, _)| *without == feature)
            .map(|(_, reason)| *reason)
    }

    fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    fn variant(&self) -> String {
        self.variant.clone()
    }

    fn controlled(&self) -> Option<&dyn ControlledSubject> {
        Some(self)
    }

    fn inspected(&self) -> Option<&dyn InspectedSubject> {
        Some(self)
    }
}

impl<C: BackendConfig + Clone> InspectedSubject for StoreSubject<C> {
    fn inspect(&self, dir: &Path) -> Result<Inspection> {
        Inspection::open(dir, &self.backend)
    }
}

impl<C: BackendConfig + Clone> ControlledSubject for StoreSubject<C> {
    fn open_controlled(&self, dir: &Path, control: &CommitControl) -> Result<Box<dyn OpenStore>> {
        let backend = ControlledConfig::new(self.backend.clone(), control.clone());
        self.store(dir, backend, self.cold())
    }
}

impl OpenStore for Store {
    fn group(&self, id: GroupId) -> Result<Arc<dyn Log>> {
        Ok(Arc::new(Store::group(self, id)))
    }

    fn groups(&self) -> Result<Vec<GroupId>> {
        block_on(Store::groups(self))
    }

    fn drop_group(&self, id: GroupId) -> Result<()> {
        block_on(Store::drop_group(self, id))
    }

    fn close(self: Box<Self>) -> Result<()> {
        block_on(Store::close(&self))
    }
}
