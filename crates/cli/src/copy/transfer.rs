use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail, ensure};
use futures_executor::block_on;
use raft_logstore::{
    Backend, Bounds, Completion, Error, GroupId, IndexRange, LogStore, StableKey, StableStore,
    Store,
};

use crate::chunks::Chunks;
use crate::copy::progress::Progress;

/// Copies into `store` what `source` has and it has not: floors, entries, stable keys.
///
/// What an earlier copy of the same source left is a part of it, because the writes of a store become
/// durable in order: a log has its floor before its entries, and its entries without a hole. Returns
/// before the last writes are durable; closing the store makes them.
///
/// # Errors
///
/// Those of both stores, and when the store holds something else than a part of the source.
pub(crate) fn transfer(source: &dyn Backend, store: &Store, progress: &Progress) -> Result<()> {
    let writes = Writes::default();
    for group in source.groups()? {
        copy_group(source, store, group, &writes, progress)?;
    }
    // Every write answers before this one does.
    block_on(store.groups())?;
    writes.check()
}

fn copy_group(
    source: &dyn Backend,
    store: &Store,
    id: GroupId,
    writes: &Writes,
    progress: &Progress,
) -> Result<()> {
    let group = store.group(id);
    let (theirs, ours) = (source.bounds(id)?, block_on(group.bounds())?);
    if let Some(floor) = theirs.floor()
        && ours == Bounds::default()
    {
        let purged = source.get(id, &StableKey::PURGED)?.unwrap_or_default();
        block_on(group.purge(floor, purged, writes.next()))?;
    } else {
        ensure!(ours.floor() == theirs.floor(), "{}", foreign(id));
    }
    let rest = missing(theirs, ours, id)?;
    progress.add(ours.len());
    for entries in Chunks::new(source, id, rest) {
        let entries = entries?;
        let count = entries.len() as u64;
        block_on(group.append(entries, writes.next()))?;
        writes.check()?;
        progress.add(count);
    }
    for key in source.stable_keys(id)? {
        if key == StableKey::PURGED {
            continue;
        }
        let value = source.get(id, &key)?;
        if block_on(group.get(&key))? != value {
            block_on(group.put(&key, value, writes.next()))?;
        }
    }
    writes.check()
}

/// The entries of a log that its copy does not have yet.
fn missing(theirs: Bounds, ours: Bounds, id: GroupId) -> Result<IndexRange> {
    match (ours.range().bounds(), theirs.range().bounds()) {
        (None, _) => Ok(theirs.range()),
        (Some((first, last)), Some((start, end))) if first == start && last <= end => {
            // At most one past the highest index, which is a number.
            Ok(IndexRange::new(last + 1..=end))
        }
        _ => bail!("{}", foreign(id)),
    }
}

fn foreign(id: GroupId) -> String {
    format!(
        "what an earlier copy left of group {id} is no part of the source; remove it to start over"
    )
}

/// The writes under way, and the first that failed.
#[derive(Default)]
struct Writes {
    failure: Arc<OnceLock<Error>>,
}

impl Writes {
    fn next(&self) -> Completion {
        let failure = Arc::clone(&self.failure);
        Completion::new(move |result| {
            if let Err(error) = result {
                // A later failure follows from the first.
                drop(failure.set(error));
            }
        })
    }

    fn check(&self) -> Result<()> {
        match self.failure.get() {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
    }
}
