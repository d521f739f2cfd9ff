//! An engine for tests: an ordered map that can be looked into, damaged, and made to fail.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};

use bytes::Bytes;
use raft_logstore_core::{Error, ErrorKind, Result};
use raft_logstore_kv::{KvBackend, KvBatch, KvEngine, KvOp, KvView, Visitor, layout};
use tempfile::TempDir;

pub(crate) type Map = BTreeMap<Vec<u8>, Bytes>;

/// Clones share one state, as reopening a file does.
#[derive(Clone, Debug)]
pub(crate) struct MapEngine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where the journal is.
    dir: TempDir,
    map: RwLock<Arc<Map>>,
    full: AtomicBool,
    broken: AtomicBool,
    gate: Mutex<Gate>,
    moved: Condvar,
    writes: AtomicUsize,
    visited: AtomicUsize,
}

/// What becomes of a settle.
#[derive(Debug, Default)]
struct Gate {
    is_held: bool,
    /// How many settles wait.
    waiting: usize,
    crashes: u64,
}

pub(crate) struct MapView {
    map: Arc<Map>,
    engine: MapEngine,
}

impl MapEngine {
    /// An engine that holds an empty store.
    pub(crate) fn new_store() -> Self {
        let engine = Self::empty();
        KvBackend::create(engine.clone(), engine.dir()).unwrap();
        engine
    }

    /// An engine that holds nothing.
    pub(crate) fn empty() -> Self {
        // In memory where that can be had: what is proved here needs no disk.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self(Arc::new(Shared {
            dir: dir.unwrap(),
            map: RwLock::default(),
            full: AtomicBool::default(),
            broken: AtomicBool::default(),
            gate: Mutex::default(),
            moved: Condvar::new(),
            writes: AtomicUsize::default(),
            visited: AtomicUsize::default(),
        }))
    }

    /// The folder of the backend.
    pub(crate) fn dir(&self) -> &Path {
        self.0.dir.path()
    }

    /// Opens the store, as after the crash of the process.
    pub(crate) fn open(&self) -> Result<KvBackend<Self>> {
        KvBackend::open(self.clone(), self.dir())
    }

    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.map().keys().cloned().collect()
    }

    pub(crate) fn record(&self, key: &[u8]) -> Option<Bytes> {
        self.map().get(key).cloned()
    }

    pub(crate) fn records(&self) -> Map {
        Map::clone(&self.map())
    }

    /// Changes what is stored behind the backend's back.
    pub(crate) fn damage(&self, change: impl FnOnce(&mut Map)) {
        change(Arc::make_mut(&mut self.0.map.write().unwrap()));
    }

    pub(crate) fn flip_a_bit(&self, key: &[u8]) {
        self.damage(|map| {
            let mut record = map[key].to_vec();
            *record.last_mut().unwrap() ^= 1;
            map.insert(key.to_vec(), record.into());
        });
    }

    /// From now on every write fails, and there is no room.
    pub(crate) fn fill_the_disk(&self) {
        self.0.full.store(true, Ordering::Relaxed);
    }

    /// From now on nothing can be looked at.
    pub(crate) fn break_down(&self) {
        self.0.broken.store(true, Ordering::Relaxed);
    }

    /// From now on a settle begins and does not come to its end.
    pub(crate) fn hold_settles(&self) {
        self.0.gate.lock().unwrap().is_held = true;
    }

    /// Settles come to their end.
    pub(crate) fn release_settles(&self) {
        self.0.gate.lock().unwrap().is_held = false;
        self.0.moved.notify_all();
    }

    /// Settles that are held never happen, as when the process crashes meanwhile.
    pub(crate) fn crash(&self) {
        self.0.gate.lock().unwrap().crashes += 1;
        self.release_settles();
    }

    /// Waits until a settle is held.
    pub(crate) fn wait_for_settle(&self) {
        let gate = self.0.gate.lock().unwrap();
        drop(self.0.moved.wait_while(gate, |gate| gate.waiting == 0));
    }

    fn pass(&self, batch: &KvBatch) -> Result<()> {
        let is_settle = batch
            .ops()
            .any(|op| matches!(op, KvOp::Put { key, .. } if key == layout::SEQUENCE));
        if !is_settle {
            return Ok(());
        }
        let mut gate = self.0.gate.lock().unwrap();
        let crashes = gate.crashes;
        gate.waiting += 1;
        self.0.moved.notify_all();
        let mut gate = self
            .0
            .moved
            .wait_while(gate, |gate| gate.is_held && gate.crashes == crashes)
            .unwrap();
        gate.waiting -= 1;
        match gate.crashes == crashes {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Io, "commit")),
        }
    }

    fn full(&self) -> Result<()> {
        match self.0.full.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::DiskFull, "commit")),
            false => Ok(()),
        }
    }

    pub(crate) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::Relaxed)
    }

    /// How many pairs scans have shown so far.
    pub(crate) fn visited(&self) -> usize {
        self.0.visited.load(Ordering::Relaxed)
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.0.map.read().unwrap())
    }
}

impl KvEngine for MapEngine {
    type View<'a> = MapView;

    fn name(&self) -> &'static str {
        "map"
    }

    fn view(&self) -> Result<MapView> {
        if self.0.broken.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Corrupt, "read"));
        }
        Ok(MapView {
            map: self.map(),
            engine: self.clone(),
        })
    }

    fn write(&self, batch: &KvBatch) -> Result<()> {
        self.full()?;
        self.pass(batch)?;
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        let mut shared = self.0.map.write().unwrap();
        let map = Arc::make_mut(&mut shared);
        for op in batch.ops() {
            match op {
                KvOp::Put { key, record } => {
                    drop(map.insert(key.to_vec(), Bytes::copy_from_slice(record)))
                }
                KvOp::Delete { key } => drop(map.remove(key)),
                KvOp::DeleteRange { first, last } => {
                    map.retain(|key, _| !(first..=last).contains(&&key[..]))
                }
            }
        }
        Ok(())
    }

    fn check_room(&self, _appended: u64, _waiting: u64) -> Result<()> {
        self.full()
    }

    fn reusable_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl KvView for MapView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()> {
        let pairs = self.map.range(keys.start().to_vec()..=keys.end().to_vec());
        for (key, record) in pairs {
            self.engine.0.visited.fetch_add(1, Ordering::Relaxed);
            if visit(key, record)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
