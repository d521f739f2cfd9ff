//! Golden stores: what an earlier version left on disk, kept beside a backend's tests, and opened by
//! today's code.
//!
//! ```text
//! closed.tar.zst   the directory of a store that was closed
//! killed.tar.zst   of one whose process was killed
//! content.json     what both must show, a damage::Content
//! ```

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tar::{Archive, Builder, HeaderMode};
use tempfile::TempDir;

use crate::damage::{Content, Ending, History, write_history};
use crate::law::DEADLINE;
use crate::violation::ensure;
use crate::{LawResult, Session, Subject, Violation, second_process};

/// Set to `write`, it has [`main`] make the golden stores anew instead of checking them.
const GOLDEN_ENV: &str = "RAFT_LOGSTORE_GOLDEN";

/// Which history they hold.
const SEED: u64 = 1;

/// The smallest that has all there is.
const LONG_ENTRIES: u64 = 1;

/// The best there is for what is packed once.
const COMPRESSION: i32 = 19;

/// Opens the golden stores in `dir`, and finds exactly what they were made with: the whole `main` of a
/// test with `harness = false`.
///
/// With `RAFT_LOGSTORE_GOLDEN=write` it makes them, in a `dir` that holds none: what is there is kept, since
/// a store that today's code made proves nothing about the code of then.
pub fn main(subject: impl Subject, dir: &Path) -> ExitCode {
    if second_process::variant().is_some() {
        return second_process::serve(&subject);
    }
    if env::var_os(GOLDEN_ENV).is_some_and(|what| what == "write") {
        return match write(&subject, dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(violation) => {
                eprintln!("no golden stores were made: {violation}");
                ExitCode::FAILURE
            }
        };
    }
    let (subject, dir) = (Arc::new(subject), dir.to_owned());
    let trials = ENDINGS.map(|(ending, name)| {
        let (subject, dir) = (Arc::clone(&subject), dir.clone());
        Trial::test(format!("a_golden_store_is_opened::{name}"), move || {
            check(&*subject, &dir, ending).map_err(|violation| Failed::from(violation.to_string()))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

const ENDINGS: [(Ending, &str); 2] = [(Ending::Closed, "closed"), (Ending::Killed, "killed")];

/// Unpacks a golden store into `target`, an existing folder.
///
/// # Errors
///
/// Those of reading `packed` and of writing.
pub fn unpack(packed: impl io::Read, target: &Path) -> io::Result<()> {
    Archive::new(zstd::Decoder::new(packed)?).unpack(target)
}

/// The golden store of an ending, in `dir`.
fn archive(dir: &Path, ending: Ending) -> PathBuf {
    let name = match ending {
        Ending::Closed => "closed.tar.zst",
        Ending::Killed => "killed.tar.zst",
    };
    dir.join(name)
}

fn check(subject: &dyn Subject, dir: &Path, ending: Ending) -> LawResult {
    let expected = fs::read(dir.join("content.json"))?;
    let expected: Content = serde_json::from_slice(&expected)
        .map_err(|error| Violation::new(format!("content.json: {error}")))?;
    let store = TempDir::with_prefix("raft-logstore-golden-")?;
    unpack(File::open(archive(dir, ending))?, store.path())?;
    let history = history(subject);
    let look = || -> LawResult<Session> {
        let session = Session::new(subject.open_cold(store.path())?, DEADLINE);
        let found = Content::of_session(&session, &history)?;
        ensure!(found == expected, "found {found:?}, expected {expected:?}");
        Ok(session)
    };
    look()?.close()?;
    // What it shows is still there after today's code has closed it.
    Ok(look()?.close()?)
}

/// The history that golden stores hold.
pub fn history(subject: &dyn Subject) -> History {
    History::new(subject, SEED).with_long_entries(LONG_ENTRIES)
}

fn write(subject: &dyn Subject, dir: &Path) -> LawResult {
    let history = history(subject);
    fs::create_dir_all(dir)?;
    for (ending, _) in ENDINGS {
        let store = TempDir::with_prefix("raft-logstore-golden-")?;
        write_history(store.path(), subject, &history, ending, DEADLINE)?;
        pack(store.path(), &archive(dir, ending))?;
    }
    let content = serde_json::to_vec(&history.content()?)
        .map_err(|error| Violation::new(format!("content.json: {error}")))?;
    Ok(fs::write(dir.join("content.json"), content)?)
}

/// Packs a directory into a new file.
fn pack(dir: &Path, archive: &Path) -> io::Result<()> {
    let packed = zstd::Encoder::new(File::create_new(archive)?, COMPRESSION)?;
    let mut builder = Builder::new(packed);
    // Nothing of the machine and the hour.
    builder.mode(HeaderMode::Deterministic);
    builder.append_dir_all(".", dir)?;
    builder.into_inner()?.finish()?.sync_all()
}
