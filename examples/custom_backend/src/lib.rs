//! A backend on SQLite; with the feature `sqlite` its tutorial is here.
#![cfg_attr(feature = "sqlite", doc = include_str!("../README.md"))]
#![cfg(feature = "sqlite")]

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use raft_logstore_core::{Backend, BackendConfig, Error, ErrorKind, Result};
use raft_logstore_kv::{KvBackend, KvBatch, KvEngine, KvOp, KvView, Visitor};
use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params_from_iter};
use tempfile::TempDir;

const NAME: &str = "sqlite";
const FILE: &str = "data.sqlite";

// Freed pages go back to the file system with each commit. Blobs are ordered byte by byte.
const CREATE: &str = "PRAGMA auto_vacuum = FULL;
    CREATE TABLE records (key BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID";
const PUT: &str = "REPLACE INTO records VALUES (?, ?)";
const DELETE: &str = "DELETE FROM records WHERE key = ?";
const DELETE_RANGE: &str = "DELETE FROM records WHERE key BETWEEN ? AND ?";
const GET: &str = "SELECT record FROM records WHERE key = ?";
const SCAN: &str = "SELECT key, record FROM records WHERE key BETWEEN ? AND ? ORDER BY key";
const FREE: &str = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";

/// The way to open the backend. It has no options; a field here would be one, in a URI too.
#[derive(Clone, Debug, Default)]
pub struct SqliteConfig;

/// `create` makes the file and `open` never does: a store whose file went missing is reported.
impl BackendConfig for SqliteConfig {
    fn name(&self) -> &'static str {
        NAME
    }

    fn create(&self, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        Connection::open(&path)
            .and_then(|database| database.execute_batch(CREATE))
            .map_err(failed("create", &path))?;
        KvBackend::create(SqliteEngine::open(path, None)?, dir)
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        let engine = SqliteEngine::open(dir.join(FILE), None)?;
        Ok(Box::new(KvBackend::open(engine, dir)?))
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
        Ok(Box::new(KvBackend::open_read_only(engine, dir)?))
    }
}

/// An open database as a [`KvEngine`]: one table from key to record.
struct SqliteEngine {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Where the database is, when it is a copy; removed last.
    _copy: Option<TempDir>,
}

impl SqliteEngine {
    fn open(path: PathBuf, copy: Option<TempDir>) -> Result<Self> {
        if !path.is_file() {
            return Err(Error::new(ErrorKind::Corrupt, "open")
                .with_path(path)
                .with_advice("the data file is missing; restore the store from another replica"));
        }
        let writer = connect(&path).map_err(failed("open", &path))?;
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            _copy: copy,
        })
    }
}

/// Opens a connection whose commits are durable.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    // SQLite keeps the mode it had when it cannot have another, and says so only if asked.
    let mode: String =
        database.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidQuery);
    }
    database.pragma_update(None, "synchronous", "FULL")?; // sync with every commit
    database.pragma_update(None, "fullfsync", true)?; // macOS: also out of the disk's own cache
    database.pragma_update(None, "cell_size_check", true)?; // damaged pages are noticed early
    database.pragma_update(None, "journal_size_limit", 4 << 20)?; // bytes, after a checkpoint
    Ok(database)
}

/// Puts an error of SQLite in the words of a store.
fn failed(operation: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> Error {
    move |error| {
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let kind = match error.sqlite_error_code() {
            // The file ends before the database does.
            _ if extended == Some(SQLITE_IOERR_SHORT_READ) => ErrorKind::Corrupt,
            Some(ErrorCode::DiskFull) => ErrorKind::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
            Some(ErrorCode::Unknown) => ErrorKind::Format, // there is no such table
            Some(_) => ErrorKind::Io,
            None => ErrorKind::Corrupt, // a value of another type than was written
        };
        let error = Error::new(kind, operation).with_source(error);
        error.with_path(path)
    }
}

impl KvEngine for SqliteEngine {
    type View<'a> = SqliteView<'a>;

    fn name(&self) -> &'static str {
        NAME
    }

    /// A read transaction needs a connection for itself.
    fn view(&self) -> Result<SqliteView<'_>> {
        let begun = connect(&self.path).and_then(|database| {
            // A transaction has its snapshot from its first read on.
            database.execute_batch("BEGIN; SELECT 1 FROM records LIMIT 1")?;
            Ok(database)
        });
        let database = begun.map_err(failed("read", &self.path))?;
        Ok(SqliteView {
            path: &self.path,
            database,
        })
    }

    fn write(&self, batch: &KvBatch) -> Result<()> {
        // A transaction whose thread panicked was rolled back: the connection is as good as before.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = || {
            let transaction = writer.transaction()?; // rolled back unless it is committed
            for op in batch.ops() {
                let (sql, parameters) = match op {
                    KvOp::Put { key, record } => (PUT, vec![key, record]),
                    KvOp::Delete { key } => (DELETE, vec![key]),
                    KvOp::DeleteRange { first, last } => (DELETE_RANGE, vec![first, last]),
                };
                let mut statement = transaction.prepare_cached(sql)?;
                statement.execute(params_from_iter(parameters))?;
            }
            transaction.commit()
        };
        write().map_err(failed("commit", &self.path))
    }

    fn reusable_bytes(&self) -> Result<u64> {
        let view = self.view()?;
        let bytes = view.database.query_row(FREE, [], |row| row.get(0));
        let bytes: i64 = bytes.map_err(failed("count pages", &self.path))?;
        Ok(bytes.unsigned_abs())
    }

    fn close(self) -> Result<()> {
        let writer = self.writer.into_inner();
        let closed = writer.unwrap_or_else(PoisonError::into_inner).close();
        closed.map_err(|(_, error)| failed("close", &self.path)(error))
    }
}

/// A read transaction: it ends with its connection.
struct SqliteView<'a> {
    path: &'a Path,
    database: Connection,
}

impl KvView for SqliteView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let record = self.database.query_row(GET, [key], |row| row.get(0));
        let record: Option<Vec<u8>> = record.optional().map_err(failed("read", self.path))?;
        Ok(record.map(Bytes::from))
    }

    fn scan(&self, keys: RangeInclusive<&[u8]>, visit: &mut Visitor<'_>) -> Result<()> {
        let failed = failed("read", self.path);
        let mut scan = self.database.prepare(SCAN).map_err(&failed)?;
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
