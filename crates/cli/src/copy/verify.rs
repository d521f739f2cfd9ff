use raft_logstore::{Backend, Error, ErrorKind, GroupId, IndexRange, Result};

use crate::chunks::{self, CHUNK_BYTES, Chunks};
use crate::copy::progress::Progress;

/// Compares everything two stores hold, record by record.
///
/// # Errors
///
/// `Corrupt` for the first difference; those of both stores.
pub(crate) fn compare(source: &dyn Backend, copy: &dyn Backend, progress: &Progress) -> Result<()> {
    let groups = source.groups()?;
    if groups != copy.groups()? {
        return Err(different("the groups differ"));
    }
    for group in groups {
        compare_group(source, copy, group, progress).map_err(|error| match error.group() {
            Some(_) => error,
            None => error.with_group(group),
        })?;
    }
    Ok(())
}

fn compare_group(
    source: &dyn Backend,
    copy: &dyn Backend,
    group: GroupId,
    progress: &Progress,
) -> Result<()> {
    let bounds = source.bounds(group)?;
    if bounds != copy.bounds(group)? {
        return Err(different("the bounds of the log differ"));
    }
    let keys = source.stable_keys(group)?;
    if keys != copy.stable_keys(group)? {
        return Err(different("the stable keys differ"));
    }
    for key in keys {
        if source.get(group, &key)? != copy.get(group, &key)? {
            return Err(different("the value of a stable key differs"));
        }
    }
    for entries in Chunks::new(source, group, bounds.range()) {
        let entries = entries?;
        if let [first, .., last] | [first @ last] = &entries[..] {
            let (first, last) = (first.index, last.index);
            let copied = chunks::read(copy, group, first, last, CHUNK_BYTES)?;
            if copied != entries {
                return Err(different("entries differ").with_indexes(IndexRange::new(first..=last)));
            }
        }
        progress.add(entries.len() as u64);
    }
    Ok(())
}

fn different(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "compare").with_advice(format!(
        "{what} between the source and its copy; remove the copy and start over"
    ))
}
