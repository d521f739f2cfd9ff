use std::borrow::Cow;
use std::collections::BTreeMap;

use raft_logstore_core::Result;
use raft_logstore_kv::{KvBatch, KvOp};

/// What a batch comes to: each key once, with the record that it has afterwards, or `None` when it is
/// deleted.
///
/// fjall gives all items of a batch one sequence number and deletes single keys alone, so the order
/// of operations and the ranges are worked out here.
pub(crate) type Changes<'a> = BTreeMap<Cow<'a, [u8]>, Option<&'a [u8]>>;

/// Works out the changes of `batch`. `existing` calls its last argument with every key that is stored
/// between the first two, both included.
pub(crate) fn changes<'a>(
    batch: &'a KvBatch,
    mut existing: impl FnMut(&[u8], &[u8], &mut dyn FnMut(&[u8])) -> Result<()>,
) -> Result<Changes<'a>> {
    let mut changes = Changes::new();
    for op in batch.ops() {
        match op {
            KvOp::Put { key, record } => {
                changes.insert(Cow::Borrowed(key), Some(record));
            }
            KvOp::Delete { key } => {
                changes.insert(Cow::Borrowed(key), None);
            }
            KvOp::DeleteRange { first, last } => {
                // What the batch itself put there; then what was there before.
                let range = Cow::Borrowed(first)..=Cow::Borrowed(last);
                changes
                    .range_mut(range)
                    .for_each(|(_, record)| *record = None);
                existing(first, last, &mut |key| {
                    if !changes.contains_key(key) {
                        changes.insert(Cow::Owned(key.to_vec()), None);
                    }
                })?;
            }
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        (0..12u8).prop_map(|key| vec![b'k', key])
    }

    proptest! {
        /// The store before the batch and the batch are both random; applying the changes must be the
        /// same as applying the operations one by one.
        #[test]
        fn the_changes_of_a_batch_are_what_its_operations_come_to(
            before in proptest::collection::btree_map(key(), Just(b"old".to_vec()), 0..12),
            ops in proptest::collection::vec((0..3u8, key(), key(), any::<u8>()), 0..24),
        ) {
            let mut batch = KvBatch::new();
            let mut expected = before.clone();
            for (kind, a, b, value) in ops {
                match kind {
                    0 => batch.put(&a, &[value]),
                    1 => batch.delete(&a),
                    _ => batch.delete_range(a.clone().min(b.clone())..=a.max(b)),
                }
            }
            for op in batch.ops() {
                match op {
                    KvOp::Put { key, record } => {
                        expected.insert(key.to_vec(), record.to_vec());
                    }
                    KvOp::Delete { key } => drop(expected.remove(key)),
                    KvOp::DeleteRange { first, last } => {
                        expected.retain(|key, _| key[..] < *first || key[..] > *last);
                    }
                }
            }
            let existing = |first: &[u8], last: &[u8], visit: &mut dyn FnMut(&[u8])| {
                for (key, _) in before.range(first.to_vec()..=last.to_vec()) {
                    visit(key);
                }
                Ok(())
            };
            let mut found = before.clone();
            for (key, record) in changes(&batch, existing).unwrap() {
                match record {
                    Some(record) => found.insert(key.into_owned(), record.to_vec()),
                    None => found.remove(&*key),
                };
            }
            prop_assert_eq!(found, expected);
        }
    }
}
