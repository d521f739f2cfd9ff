use raft_logstore_core::{Error, ErrorKind, Result, envelope};

use crate::{KvBatch, KvView, layout};

/// The version of the layout that this crate writes, and the newest that it opens.
pub const FORMAT_VERSION: u32 = 1;

/// Adds the records of a new store, without a commit and without a group, to `batch`. `salt` is that of its
/// journal.
pub(crate) fn put_new_store(batch: &mut KvBatch, backend: &str, salt: u64) {
    let format = [&FORMAT_VERSION.to_be_bytes(), backend.as_bytes()].concat();
    batch.put(layout::FORMAT, &format);
    batch.put(layout::SEQUENCE, &layout::sequence(0, 0));
    batch.put(layout::JOURNAL, &salt.to_be_bytes());
}

/// Checks that the store was made by `backend` in a format that can be read here.
pub(crate) fn check_format(view: &impl KvView, backend: &str) -> Result<()> {
    let Some(record) = view.get(layout::FORMAT)? else {
        return Err(Error::new(ErrorKind::Format, "open").with_advice(format!(
            "there is no format record, so this is not a store made by the `{backend}` backend of \
             raft-logstore; check the path, or restore the store from a replica or a backup"
        )));
    };
    let value = envelope::open(layout::FORMAT, &record);
    let Some((version, name)) = value.and_then(|value| value.split_first_chunk()) else {
        return Err(Error::new(ErrorKind::Corrupt, "open").with_advice(
            "the format record fails its checksum; restore the store from a replica or a backup",
        ));
    };
    // The name comes first: what another backend means by its version is not ours to judge.
    if name != backend.as_bytes() {
        return Err(Error::new(ErrorKind::Format, "open").with_advice(format!(
            "the store was made by the `{}` backend and cannot be opened by `{backend}`; open it with \
             the backend that made it",
            name.escape_ascii()
        )));
    }
    let version = u32::from_be_bytes(*version);
    if version > FORMAT_VERSION || version == 0 {
        return Err(Error::new(ErrorKind::Format, "open").with_advice(format!(
            "the store has format version {version} of the `{backend}` backend and this program reads \
             up to {FORMAT_VERSION}; open it with the program that wrote it, or a newer one"
        )));
    }
    Ok(())
}
