use std::ops::Bound;
use std::sync::Arc;

use futures_executor::block_on;
use raft_logstore_core::{Entry, Error, ErrorKind, GroupId, Result};

use super::log::{ForeignLog, Shared, entries, within_patience};
use super::storage::Range;
use crate::{Log, OpenStore, SingleGroup};

/// An open storage.
pub(super) struct ForeignStore(pub(super) Arc<Shared>);

/// One group, as in every store that does not list them.
const GROUP: GroupId = SingleGroup::<ForeignLog>::GROUP;

impl OpenStore for ForeignStore {
    fn group(&self, id: GroupId) -> Result<Arc<dyn Log>> {
        if id != GROUP {
            return Err(Error::new(ErrorKind::Config, "group").with_advice("openraft has one"));
        }
        let reader = block_on(self.0.reader());
        Ok(Arc::new(ForeignLog::new(Arc::clone(&self.0), reader)))
    }

    fn read_in_every_form(&self, first: u64, last: u64) -> Result<Vec<(String, Vec<Entry>)>> {
        let mut reader = block_on(self.0.reader());
        let mut read = Vec::new();
        for range in forms(first, last, self.0.highest()) {
            let found = block_on(within_patience("try_get_log_entries", reader.read(range)));
            read.push((format!("try_get_log_entries({range:?})"), entries(found?)));
            let streamed = block_on(async {
                let streamed = reader.stream(range).await;
                streamed.transpose()
            });
            if let Some(found) = streamed? {
                read.push((format!("entries_stream({range:?})"), entries(found)));
            }
        }
        Ok(read)
    }
}

/// Every form of `first..=last`, in a log that ends at `highest`.
fn forms(first: u64, last: u64, highest: u64) -> Vec<Range> {
    let mut starts = vec![Bound::Included(first)];
    starts.extend(first.checked_sub(1).map(Bound::Excluded));
    let mut ends = vec![Bound::Included(last)];
    ends.extend(last.checked_add(1).map(Bound::Excluded));
    if last >= highest {
        ends.push(Bound::Unbounded);
    }
    let with_ends = |start| ends.iter().map(move |end| (start, *end));
    starts.into_iter().flat_map(with_ends).collect()
}
