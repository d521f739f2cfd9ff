//! Opens a store, saves a vote, appends to a Raft log, closes; opens again and reads.
//! Give a URI to keep the data elsewhere, such as `redb:/var/lib/raft`. Each run goes on where the
//! one before ended.

use raft_logstore::{Entry, Error, GroupId, LogStoreExt, StableKey, StableStore, StableStoreExt};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let dir = std::env::temp_dir().join("raft-logstore-quickstart");
    let uri = std::env::args()
        .nth(1)
        .unwrap_or(format!("redb:{}", dir.display()));

    let store = raft_logstore::open(&uri).await?;
    let group = store.group(GroupId(1)); // a store holds many Raft groups
    let next = group.last_index().await?.map_or(1, |last| last + 1);

    // When these return, a power cut takes neither the vote nor the entries away.
    group.set(&StableKey::VOTE, "term 1, node 7".into()).await?;
    let entries = vec![Entry::new(next, "x = 1"), Entry::new(next + 1, "y = 2")];
    group.append_durable(entries).await?;
    store.close().await?;

    let store = raft_logstore::open(&uri).await?;
    let group = store.group(GroupId(1));
    println!(
        "{uri}: the vote is {:?}",
        group.get(&StableKey::VOTE).await?
    );
    for entry in group.entries(..).await? {
        println!("{}: {:?}", entry.index, entry.payload);
    }
    store.close().await
}
