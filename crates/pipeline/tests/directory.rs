//! What `Store::open` does with the directory it is given.

// Helpers of tests state what they expect by unwrapping, like the tests.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use futures_executor::block_on;
use raft_logstore_core::{
    Backend, BackendConfig, Batch, Completion, Entry, Error, ErrorKind, GroupId, LogStore,
    LogStoreExt, MemoryBackend, Op, Result,
};
use raft_logstore_pipeline::{Inspection, Store, StoreConfig};
use rstest::rstest;
use tempfile::TempDir;

/// A backend whose folder holds one file with the number of its last commit, nothing else.
#[derive(Clone, Default)]
struct Counting {
    fails_to_create: bool,
    /// What was opened last.
    opened: Arc<Mutex<MemoryBackend>>,
    /// Where it was.
    folder: Arc<Mutex<PathBuf>>,
}

impl BackendConfig for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn create(&self, dir: &Path) -> Result<()> {
        fs::write(dir.join("commits"), "0").map_err(|error| Error::io("create", error))?;
        if self.fails_to_create {
            Err(Error::new(ErrorKind::DiskFull, "create"))
        } else {
            Ok(())
        }
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        let text = fs::read_to_string(dir.join("commits"))
            .map_err(|error| Error::new(ErrorKind::Corrupt, "open").with_source(error))?;
        let memory = MemoryBackend::new();
        for sequence in 1..=text.parse().unwrap() {
            memory.commit(&Batch {
                sequence,
                ops: vec![Op::DropGroup { group: GroupId(0) }],
            })?;
        }
        *self.opened.lock().unwrap() = memory.clone();
        dir.clone_into(&mut self.folder.lock().unwrap());
        Ok(Box::new(memory))
    }

    fn open_read_only(&self, dir: &Path) -> Result<Box<dyn Backend>> {
        self.open(dir)
    }
}

fn open(dir: &Path) -> Result<Store> {
    block_on(Store::open(
        dir,
        Counting::default(),
        StoreConfig::default(),
    ))
}

fn refusal(dir: &Path) -> Error {
    open(dir).expect_err("the directory must be refused")
}

/// A store that acknowledged `commits` commits and was closed.
fn store_with(commits: u64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for index in 1..=commits {
        block_on(
            store
                .group(GroupId(0))
                .append_durable(vec![Entry::new(index, "x")]),
        )
        .unwrap();
    }
    block_on(store.close()).unwrap();
    fs::write(dir.path().join("counting/commits"), commits.to_string()).unwrap();
    dir
}

#[test]
fn a_new_directory_is_made_with_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    block_on(open(&path).unwrap().close()).unwrap();
    assert!(path.join("counting/commits").exists());
}

#[test]
fn an_interrupted_creation_is_cleared_away() {
    // A power cut left a store half made.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("counting.new/junk")).unwrap();

    block_on(open(dir.path()).unwrap().close()).unwrap();
    assert!(dir.path().join("counting/commits").exists());
    assert!(!dir.path().join("counting.new").exists());
}

#[test]
fn a_failed_creation_leaves_no_store_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let failing = Counting {
        fails_to_create: true,
        ..Counting::default()
    };
    let error = block_on(Store::open(dir.path(), failing, StoreConfig::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(!dir.path().join("counting").exists());
    assert!(!dir.path().join("counting.new").exists());

    block_on(open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn a_backend_is_given_a_path_that_leads_to_the_same_folder_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::canonicalize(dir.path()).unwrap();
    let link = whole.join("link");
    symlink(whole.join("store"), &link).unwrap();
    fs::create_dir(whole.join("store")).unwrap();
    // From the folder that this process is in, up to the root and down again.
    let up = std::env::current_dir()
        .unwrap()
        .components()
        .skip(1)
        .map(|_| "..")
        .collect::<PathBuf>();
    let relative = up.join(whole.strip_prefix("/").unwrap()).join("store");
    for path in [link, relative] {
        let config = Counting::default();
        let folder = Arc::clone(&config.folder);
        let store = block_on(Store::open(path, config, StoreConfig::default())).unwrap();
        assert_eq!(*folder.lock().unwrap(), whole.join("store/counting"));
        block_on(store.close()).unwrap();
    }
}

#[test]
fn what_another_backend_left_half_made_is_called_that() {
    let dir = store_with(0);
    fs::remove_dir_all(dir.path().join("counting")).unwrap();
    fs::create_dir(dir.path().join("other.new")).unwrap();

    let error = refusal(dir.path());
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.to_string().contains("left unfinished"), "{error}");
    assert!(error.to_string().contains("\"other\""), "{error}");
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(refusal(file.path()).kind(), ErrorKind::Config);
}

#[test]
fn a_directory_with_foreign_files_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();

    let error = refusal(dir.path());
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing was added"
    );
}

#[test]
fn a_directory_of_another_backend_is_refused_naming_both() {
    let dir = store_with(1);
    fs::rename(dir.path().join("counting"), dir.path().join("other")).unwrap();

    let error = refusal(dir.path());
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.to_string().contains("\"other\""), "{error}");
    assert!(error.to_string().contains("\"counting\""), "{error}");
}

#[test]
fn the_root_of_a_file_system_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    block_on(open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn a_link_that_leads_nowhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(dir.path().join("nowhere"), &link).unwrap();
    assert_eq!(refusal(&link).kind(), ErrorKind::Config);
}

#[test]
fn the_lock_file_says_whether_the_store_was_closed_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let note = || fs::read_to_string(dir.path().join("LOCK")).unwrap();

    let store = open(dir.path()).unwrap();
    assert_eq!(note(), std::process::id().to_string(), "in use");
    block_on(store.close()).unwrap();
    assert_eq!(note(), "closed");

    // Somebody else has committed meanwhile, so that the next commit fails.
    let config = Counting::default();
    let store = block_on(Store::open(
        dir.path(),
        config.clone(),
        StoreConfig::default(),
    ))
    .unwrap();
    let theirs = Batch {
        sequence: 1,
        ops: Vec::new(),
    };
    config.opened.lock().unwrap().commit(&theirs).unwrap();
    let group = store.group(GroupId(0));
    block_on(group.append_durable(vec![Entry::new(1, "x")])).unwrap_err();
    block_on(store.close()).unwrap();
    assert_ne!(
        note(),
        "closed",
        "after a failed commit memory is not to be believed"
    );
}

#[test]
fn a_second_open_is_refused_and_names_the_holder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();

    let error = refusal(dir.path());
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );

    block_on(store.close()).unwrap();
    block_on(open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn a_process_that_is_being_started_does_not_keep_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let opened: Result<()> = (0..1000).try_for_each(|_| block_on(open(dir.path())?.close()));
        done.store(true, Ordering::Relaxed);
        opened.unwrap();
    });
}

#[rstest]
#[case::one(4, 1)]
#[case::all(0, 5)]
fn missing_commits_refuse_to_open_and_say_how_many(#[case] found: u64, #[case] missing: u64) {
    // The engine comes back with fewer commits than were acknowledged.
    let dir = store_with(5);
    fs::write(dir.path().join("counting/commits"), found.to_string()).unwrap();

    let error = refusal(dir.path());
    assert_eq!(error.kind(), ErrorKind::LostCommits);
    assert!(
        error.to_string().contains(&format!("{missing} of 5")),
        "{error}"
    );

    // Asking again changes nothing; only the explicit override goes on.
    assert_eq!(refusal(dir.path()).kind(), ErrorKind::LostCommits);
    let config = StoreConfig {
        accept_lost_commits: true,
        ..StoreConfig::default()
    };
    block_on(async {
        Store::open(dir.path(), Counting::default(), config)
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
    });
    block_on(open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn the_watermark_tells_of_a_commit_when_its_completion_fires() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    // What a process leaves that is killed the moment it is told.
    let left = tempfile::tempdir().unwrap();
    let [from, to] = [dir.path(), left.path()].map(|dir| dir.join("WATERMARK"));
    let done = Completion::new(move |result| {
        result.unwrap();
        fs::copy(from, to).unwrap();
    });
    block_on(
        store
            .group(GroupId(0))
            .append(vec![Entry::new(1, "x")], done),
    )
    .unwrap();
    block_on(store.close()).unwrap();

    // An engine that comes back without it is found out.
    fs::create_dir(left.path().join("counting")).unwrap();
    fs::write(left.path().join("counting/commits"), "0").unwrap();
    assert_eq!(refusal(left.path()).kind(), ErrorKind::LostCommits);
}

#[test]
fn a_commit_that_was_never_acknowledged_may_be_there() {
    let dir = store_with(5);
    fs::write(dir.path().join("counting/commits"), "6").unwrap();
    block_on(open(dir.path()).unwrap().close()).unwrap();
}

#[test]
fn a_store_whose_data_went_missing_is_not_replaced_by_an_empty_one() {
    let dir = store_with(3);
    fs::remove_dir_all(dir.path().join("counting")).unwrap();

    assert_eq!(refusal(dir.path()).kind(), ErrorKind::LostCommits);
    assert!(!dir.path().join("counting").exists());
    // Whoever only looks is told the same.
    let look = || {
        Inspection::open(dir.path(), &Counting::default())
            .map(drop)
            .unwrap_err()
    };
    assert_eq!(look().kind(), ErrorKind::LostCommits);
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    assert_eq!(look().kind(), ErrorKind::Config);
    assert!(
        look().to_string().contains("whether the store is open"),
        "{}",
        look()
    );
}

#[test]
fn a_store_that_lost_its_watermark_opens() {
    let dir = store_with(3);
    fs::remove_file(dir.path().join("WATERMARK")).unwrap();
    block_on(open(dir.path()).unwrap().close()).unwrap();
}

#[rstest]
#[case::queue(StoreConfig { queue_bytes: 1, ..StoreConfig::default() }, "queue_bytes")]
#[case::readers(StoreConfig { reader_threads: 0, ..StoreConfig::default() }, "reader_threads")]
#[case::entry(StoreConfig { max_entry_bytes: 0, ..StoreConfig::default() }, "max_entry_bytes")]
fn a_setting_out_of_bounds_is_refused_by_name(#[case] config: StoreConfig, #[case] field: &str) {
    let dir = tempfile::tempdir().unwrap();
    let error = block_on(Store::open(dir.path(), Counting::default(), config)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(field), "{error}");
}
