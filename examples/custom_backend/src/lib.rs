#![doc = include_str!("../README.md")]
#![cfg(feature = "sqlite")]

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};
use raft_logstore_kv::{KvBackend, KvBatch, KvEngine, KvOp, KvView, Visitor};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use tempfile::TempDir;

const FILE: &str = "data.sqlite";

/// The way to open the backend. It has no options; a field here would be one, in a URI too.
#[derive(Clone, Debug, Default)]
pub struct SqliteConfig;

/// `create` makes the file and `open` never does: a store whose file went missing is reported.
impl BackendConfig for SqliteConfig {
    fn name(&self) -> &'static str {
        SqliteEngine::NAME
    }

    fn create(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        // Freed pages go back to the file system with each commit. Keys are ordered byte by byte.
        let sql = "PRAGMA auto_vacuum = FULL;
            CREATE TABLE records (key BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID";
        Connection::open(&path)
            .and_then(|database| database.execute_batch(sql))
            .map_err(|error| translate("create", &path, error))?;
        KvBackend::create(SqliteEngine::open(path, None)?)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        let engine = SqliteEngine::open(dir.join(FILE), None)?;
        Ok(Box::new(KvBackend::open(engine)?))
    }

    /// SQLite recovers from a crash by writing, so what is looked at is a copy.
    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        let failed = |error| Error::io("copy", error).with_path(dir);
        let copy = tempfile::tempdir().map_err(failed)?;
        for entry in fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            fs::copy(entry.path(), copy.path().join(entry.file_name())).map_err(failed)?;
        }
        let engine = SqliteEngine::open(copy.path().join(FILE), Some(copy))?;
        Ok(Box::new(KvBackend::open_read_only(engine)?))
    }
}

/// An open database as a [`KvEngine`]: one table from key to record.
struct SqliteEngine {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Connections for views: each view is a transaction, and has one for itself.
    idle: Mutex<Vec<Connection>>,
    /// Where the database is, when it is a copy; removed last.
    _copy: Option<TempDir>,
}

impl SqliteEngine {
    const NAME: &'static str = "sqlite";

    fn open(path: PathBuf, _copy: Option<TempDir>) -> Result<Self> {
        if !path.is_file() {
            let advice = "the data file is missing; restore the store from another replica";
            return Err(Error::new(ErrorKind::Corrupt, "open")
                .with_path(path)
                .with_advice(advice));
        }
        let writer = connect(&path).map_err(|error| translate("open", &path, error))?;
        let (writer, idle) = (Mutex::new(writer), Mutex::default());
        Ok(Self {
            path,
            writer,
            idle,
            _copy,
        })
    }

    fn failed(&self, operation: &'static str) -> impl Fn(rusqlite::Error) -> Error {
        move |error| translate(operation, &self.path, error)
    }

    fn apply(&self, batch: &KvBatch) -> rusqlite::Result<()> {
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction()?; // rolled back unless it is committed
        for op in batch.ops() {
            let sql = match op {
                KvOp::Put { .. } => "REPLACE INTO records VALUES (?1, ?2)",
                KvOp::Delete { .. } => "DELETE FROM records WHERE key = ?1",
                KvOp::DeleteRange { .. } => "DELETE FROM records WHERE key BETWEEN ?1 AND ?2",
            };
            let mut statement = transaction.prepare_cached(sql)?;
            match op {
                KvOp::Put { key, record } => statement.execute(params![key, record])?,
                KvOp::Delete { key } => statement.execute(params![key])?,
                KvOp::DeleteRange { first, last } => statement.execute(params![first, last])?,
            };
        }
        transaction.commit()
    }
}

/// Opens a connection whose commits are durable.
///
/// `WAL`: a commit is one append and one sync, and readers keep their snapshot meanwhile. `FULL`: that
/// sync is done with every commit; with `NORMAL`, often chosen beside `WAL`, it waits for the next
/// checkpoint, and a power cut takes acknowledged commits away. `EXTRA` adds nothing in this mode.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    // SQLite keeps the mode it had when it cannot have another, and says so only if asked.
    let mode: String =
        database.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidQuery);
    }
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "fullfsync", true)?; // macOS: also out of the disk's own cache
    database.pragma_update(None, "cell_size_check", true)?; // damaged pages are noticed early
    database.pragma_update(None, "journal_size_limit", 4 << 20)?; // bytes, after a checkpoint
    Ok(database)
}

/// A transaction whose thread panicked was rolled back, so the connection is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of SQLite in the words of a store.
fn translate(operation: &'static str, path: &Path, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => ErrorKind::DiskFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::Unknown) => ErrorKind::Format, // there is no such table
        Some(_) => ErrorKind::Io,
        None => ErrorKind::Corrupt, // a value of another type than was written
    };
    Error::new(kind, operation)
        .with_path(path)
        .with_source(error)
}

impl KvEngine for SqliteEngine {
    type View<'a> = SqliteView<'a>;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn view(&self) -> Result<SqliteView<'_>> {
        let idle = lock(&self.idle).pop();
        let begun = idle
            .map_or_else(|| connect(&self.path), Ok)
            .and_then(|database| {
                // A transaction has its snapshot from its first read on.
                database.execute_batch("BEGIN; SELECT 1 FROM records LIMIT 1")?;
                Ok(database)
            });
        Ok(SqliteView(self, Some(begun.map_err(self.failed("read"))?)))
    }

    fn write(&self, batch: &KvBatch) -> Result<()> {
        self.apply(batch).map_err(self.failed("commit"))
    }

    fn reusable_bytes(&self) -> Result<u64> {
        let sql = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
        let bytes = lock(&self.writer).query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(bytes.map_err(self.failed("count pages"))?.unsigned_abs())
    }

    fn close(self) -> Result<()> {
        lock(&self.idle).clear();
        let writer = self
            .writer
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        writer
            .close()
            .map_err(|(_, error)| translate("close", &self.path, error))
    }
}

/// A read transaction, in a connection that goes back to the engine.
struct SqliteView<'a>(&'a SqliteEngine, Option<Connection>);

impl SqliteView<'_> {
    fn statement(&self, sql: &str) -> rusqlite::Result<rusqlite::CachedStatement<'_>> {
        self.1
            .as_ref()
            .expect("a view has its connection until it is dropped")
            .prepare_cached(sql)
    }
}

impl Drop for SqliteView<'_> {
    fn drop(&mut self) {
        // A connection that cannot end its transaction is closed.
        if let Some(database) = self.1.take()
            && database.execute_batch("ROLLBACK").is_ok()
        {
            lock(&self.0.idle).push(database);
        }
    }
}

impl KvView for SqliteView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let statement = self.statement("SELECT record FROM records WHERE key = ?1");
        let record = statement.and_then(|mut get| {
            get.query_row([key], |row| {
                Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))
            })
            .optional()
        });
        record.map_err(self.0.failed("read"))
    }

    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()> {
        let sql = "SELECT key, record FROM records WHERE key BETWEEN ?1 AND ?2 ORDER BY key";
        let failed = self.0.failed("read");
        let mut scan = self.statement(sql).map_err(&failed)?;
        let mut pairs = scan.query([*keys.start(), *keys.end()]).map_err(&failed)?;
        while let Some(pair) = pairs.next().map_err(&failed)? {
            let blob = |column| Ok(pair.get_ref(column)?.as_blob()?);
            if visit(blob(0).map_err(&failed)?, blob(1).map_err(&failed)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
