//! Looking at a store without changing it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use raft_logstore_core::{Backend, Batch, Bounds, ErrorKind, GroupId, IndexRange, Op, StableKey};

use crate::expect::expect_entries;
use crate::law::law;
use crate::setting::LIVE;
use crate::violation::{ensure, ensure_eq};
use crate::{Feature, InspectedSubject, Law, LawResult, TestBed, Violation};

pub(crate) const LAWS: &[Law] = &[
    law!(16, looking_at_a_store_changes_nothing, needs [Feature::Inspection, Feature::Reopen, Feature::Groups], in LIVE),
];

const GROUP: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(u64::MAX);

/// Law 16. A store that is only looked at shows all it holds, closed or as a crash left it, and not a
/// byte of its directory is changed; meanwhile nobody can open it, and it takes no writes.
///
/// A tool is reached for when something is wrong: the disk full, or mounted read-only, or evidence to
/// be kept.
pub fn looking_at_a_store_changes_nothing(bed: &TestBed<'_>) -> LawResult {
    let subject = bed
        .subject()
        .inspected()
        .ok_or_else(|| Violation::new("it cannot be looked at"))?;
    let session = bed.open()?;
    let (log, other) = (session.group(GROUP)?, session.group(OTHER)?);
    let (floor, last) = kept(bed);
    log.append(bed.entries(1..=last + floor / 2, 0)).durable()?;
    log.purge(floor, "id").durable()?;
    log.truncate(last + 1).durable()?;
    log.set(&StableKey::VOTE, "vote").durable()?;
    other.set(&StableKey::COMMITTED, "committed").durable()?;

    // While it is open nobody may look, but at a copy, which is what a crash would have left.
    match subject.inspect(bed.dir()) {
        Ok(_) => return Err(Violation::new("an open store was looked at")),
        Err(error) => ensure_eq!(error.kind(), ErrorKind::Locked, "looking at an open store"),
    }
    if bed.has(Feature::Disk) {
        let copy = tempfile::TempDir::with_prefix("raft-logstore-law-")?;
        copy_tree(bed.dir(), copy.path())?;
        look(bed, subject, copy.path()).map_err(|broken| broken.context("after a crash"))?;
    }
    session.close()?;
    look(bed, subject, bed.dir()).map_err(|broken| broken.context("after a close"))?;

    // What was seen is still there, and the store goes on.
    let session = bed.open()?;
    session
        .group(GROUP)?
        .append(bed.entries(last + 1..=last + 1, 0))
        .durable()?;
    Ok(session.close()?)
}

/// The floor and the last index of the log that is looked at.
fn kept(bed: &TestBed<'_>) -> (u64, u64) {
    let floor = bed.setting().times(100);
    (floor, floor / 2 * 5)
}

fn look(bed: &TestBed<'_>, subject: &dyn InspectedSubject, dir: &Path) -> LawResult {
    let (floor, last) = kept(bed);
    let before = fingerprint(dir)?;
    let store = subject.inspect(dir)?;

    // All of it is there.
    ensure_eq!(store.groups()?, vec![GROUP, OTHER], "groups");
    ensure_eq!(
        store.bounds(GROUP)?,
        Bounds::new(Some(floor), Some((floor + 1, last)))?,
        "bounds"
    );
    expect_entries(
        &store.read(GROUP, IndexRange::new(..), u64::MAX)?,
        &bed.entries(floor + 1..=last, 0),
    )?;
    let keys = |group| stable_keys(&*store, group);
    ensure_eq!(
        keys(GROUP)?,
        [("purged", "id"), ("vote", "vote")].map(text).to_vec(),
        "stable keys"
    );
    ensure_eq!(
        keys(OTHER)?,
        [("committed", "committed")].map(text).to_vec(),
        "stable keys"
    );
    ensure_eq!(
        store.acknowledged(),
        Some(store.sequence()?),
        "commits that the watermark tells"
    );

    // Others may look as well, but nobody can write.
    let second = subject.inspect(dir)?;
    ensure_eq!(
        second.sequence()?,
        store.sequence()?,
        "commits that a second look finds"
    );
    second.close()?;
    let batch = Batch {
        sequence: store.sequence()? + 1,
        ops: vec![Op::DropGroup { group: GROUP }],
    };
    let refused = store.commit(&batch).err().map(|error| error.kind());
    ensure_eq!(
        refused,
        Some(ErrorKind::ReadOnly),
        "a write to a store that is looked at"
    );
    let locked = bed.subject().open(dir).err().map(|error| error.kind());
    ensure_eq!(
        locked,
        Some(ErrorKind::Locked),
        "opening a store that is looked at"
    );
    store.close()?;

    let after = fingerprint(dir)?;
    for path in before.keys().chain(after.keys()) {
        ensure!(
            before.get(path) == after.get(path),
            "{} was changed, made or removed",
            path.display()
        );
    }
    Ok(())
}

fn text((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The stable keys of a group and their values.
fn stable_keys(store: &dyn Backend, group: GroupId) -> LawResult<Vec<(String, String)>> {
    let mut found = Vec::new();
    for key in store.stable_keys(group)? {
        let value = store.get(group, &key)?;
        let value = value.ok_or_else(|| Violation::new(format!("{key} is listed and not set")))?;
        found.push((
            key.to_string(),
            String::from_utf8_lossy(&value).into_owned(),
        ));
    }
    Ok(found)
}

/// Of each file and folder: when it was changed last, and what it holds.
type Fingerprint = BTreeMap<PathBuf, (Option<SystemTime>, Vec<u8>)>;

/// The fingerprint of everything below `dir`.
fn fingerprint(dir: &Path) -> io::Result<Fingerprint> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            found.extend(fingerprint(&path)?);
        }
        let content = if metadata.is_file() {
            fs::read(&path)?
        } else {
            Vec::new()
        };
        found.insert(path, (metadata.modified().ok(), content));
    }
    Ok(found)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
